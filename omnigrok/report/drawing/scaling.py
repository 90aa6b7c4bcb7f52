"""Time to fit and to generalise against weight decay or data size (Figures 2c, 3e, 10a, 10b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import norm_at, time_of
from omnigrok.curves import Curves
from omnigrok.report.drawing.canvas import (
    INK,
    REGION,
    SERIES,
    TEST,
    TRAIN,
    Canvas,
    label_values,
)
from omnigrok.report.drawing.dynamics import value_text
from omnigrok.report.drawing.found import Findings, deciding
from omnigrok.report.view import effect_text
from omnigrok.suite.schema import Protocol

Array = NDArray[np.float64]
AXES = {"weight_decay": "weight decay γ", "n_train": "training samples N"}
# The parts of ``omnigrok.stats.powerlaw.exponent``, with the look of their lines.
# The region is drawn over the whole of it.
FITS = {"whole range": "", "lower half": "-", "upper half": "--"}


@dataclass(frozen=True)
class TimesAgainst:
    """Every point is one seed; a hollow triangle stands at the last step of a run that never got
    there. Lines join medians.

    Args:
        axis: "weight_decay" or "n_train".
        train, test: thresholds of the accuracies; 0 leaves a side out.
        column: of the accuracy; ``under`` has others by protocol.
        groups: a field that tells series apart (then only the test time is drawn).
        fits: claim whose exponents over the whole range and its halves are drawn.
        norm: a second panel with the weight norm when the test accuracy arrives.
        spread: claim about the largest over the smallest of those norms.
    """

    axis: str = "weight_decay"
    train: float = 0.95
    test: float = 0.95
    column: str = "acc"
    under: Mapping[str, str] = field(default_factory=dict)
    groups: str = ""
    fits: str = ""
    norm: bool = False
    spread: str = ""

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """Draw all grids."""
        members = [
            curves
            for grid in grids
            for run, curves in grid.curves.items()
            if getattr(run, self.axis) > 0
        ]
        canvas = Canvas(1, 2 if self.norm else 1, (4.2, 3.2))
        column = self.under.get(protocol, self.column)
        axes = canvas.flat()[0]
        handles = []
        if self.groups:
            values = sorted({getattr(curves.run, self.groups) for curves in members})
            for value, colour in zip(values, SERIES, strict=False):
                part = [curves for curves in members if getattr(curves.run, self.groups) == value]
                handles.append(
                    self._series(
                        axes,
                        part,
                        f"test_{column}",
                        self.test,
                        colour,
                        "s",
                        value_text(self.groups, value),
                    )
                )
        else:
            for side, threshold, colour, marker in (
                ("train", self.train, TRAIN, "o"),
                ("test", self.test, TEST, "s"),
            ):
                if threshold:
                    label = f"{side} accuracy {threshold:.0%}"
                    handles.append(
                        self._series(
                            axes, members, f"{side}_{column}", threshold, colour, marker, label
                        )
                    )
        if any(axes_line.get_marker() == "^" for axes_line in axes.lines):
            handles.append(_never())
            canvas.said.append("hollow triangles are runs that never got there, at their last step")
        fits = self._fits(axes, members, f"test_{column}", quantity, findings)
        if fits:
            canvas.said.append("lines with the exponents that decide")
        handles += fits
        for each in canvas.flat():
            each.set_xscale("log")
            each.set_xlabel(AXES[self.axis])
            label_values(each.xaxis, sorted({getattr(curves.run, self.axis) for curves in members}))
        axes.set_yscale("log")
        axes.set_ylabel("steps")
        if self.norm:
            self._norms(canvas.flat()[1], members, f"test_{column}", findings)
        canvas.legend(handles)
        return canvas

    def _series(
        self,
        axes: Any,
        members: Sequence[Curves],
        column: str,
        threshold: float,
        colour: str,
        marker: str,
        label: str,
    ) -> Any:
        by_value: dict[float, list[float]] = {}
        for curves in members:
            time, x = time_of(curves, column, threshold), getattr(curves.run, self.axis)
            by_value.setdefault(x, []).append(max(time.value, 1.0) if time.reached else np.inf)
            if time.reached:
                axes.plot(x, max(time.value, 1.0), marker, color=colour, markersize=3, alpha=0.5)
            else:
                axes.plot(x, time.limit, "^", color=colour, markersize=5, fillstyle="none")
        places = sorted(by_value)
        middle = np.array([np.median(by_value[x]) for x in places])
        (drawn,) = axes.plot(
            places,
            np.where(np.isfinite(middle), middle, np.nan),
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.6,
            label=label,
        )
        return drawn

    def _fits(
        self,
        axes: Any,
        members: Sequence[Curves],
        column: str,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> list[Any]:
        """Lines with the exponents that decide the claim, each over its half of the range and
        through the middle of the median times there; behind them the exponents of its region.
        """
        low, high = quantity.get("range", (0.0, np.inf))
        x, middle = _medians(members, self.axis, column, self.test)
        inside = (x >= low) & (x <= high) & np.isfinite(middle)
        x, middle = np.log(x[inside]), np.log(middle[inside])
        if len(x) < 3:
            return []
        half = int(np.argmin(np.abs(x[1:-1] - (x[0] + x[-1]) / 2))) + 1
        cuts = (slice(None), slice(0, half + 1), slice(half, None))
        handles: list[Any] = []
        for (part, style), cut in zip(FITS.items(), cuts, strict=True):
            finding = deciding(findings, self.fits, part)
            if finding is None or finding.estimate is None:
                continue
            ends = np.array([x[cut][0], x[cut][-1]])
            through = _Through(ends, float(x[cut].mean()), float(middle[cut].mean()))
            region = finding.region
            if style:
                handles += axes.plot(
                    np.exp(ends),
                    through(finding.estimate),
                    style,
                    color=INK,
                    linewidth=1.4,
                    label=f"{part}: {effect_text(finding)}",
                )
            elif region is not None and region.lo is not None and region.hi is not None:
                handles.append(
                    axes.fill_between(
                        np.exp(ends),
                        through(region.lo),
                        through(region.hi),
                        color=REGION,
                        alpha=0.25,
                        linewidth=0,
                        label=f"the claim's exponents, {region.text}",
                    )
                )
        return handles

    def _norms(self, axes: Any, members: Sequence[Curves], column: str, found: Findings) -> None:
        by_value: dict[float, list[float]] = {}
        for curves in members:
            norm = norm_at(curves, time_of(curves, column, self.test))
            x = getattr(curves.run, self.axis)
            if np.isfinite(norm):
                by_value.setdefault(x, []).append(norm)
            axes.plot(x, norm, "s", color=TEST, alpha=0.5, markersize=3)
        places = sorted(by_value)
        axes.plot(
            places,
            [np.mean(by_value[x]) for x in places],
            color=TEST,
            marker="s",
            markersize=4,
            linewidth=1.6,
        )
        axes.set_ylabel("weight norm")
        title = f"at {self.test:.0%} test accuracy"
        finding = deciding(found, self.spread, "")
        if finding is not None and finding.region is not None:
            title += (
                f", largest / smallest:\n{effect_text(finding)}, should be {finding.region.text}"
            )
        axes.set_title(title)

    def describe(self) -> str:
        """For the alternative text."""
        return (
            f"steps until the accuracy arrives against {AXES[self.axis]}, both logarithmic, a "
            "point for each seed and a line through the medians"
        )


@dataclass(frozen=True)
class _Through:
    """A line of some slope through a point, all in logarithms."""

    ends: Array
    x: float
    y: float

    def __call__(self, slope: float) -> Array:
        return np.asarray(np.exp(self.y + slope * (self.ends - self.x)))


def _medians(
    members: Sequence[Curves], axis: str, column: str, threshold: float
) -> tuple[Array, Array]:
    """(settings,) of the axis, rising, and the (settings,) median times; infinite where half of the
    seeds never got there.
    """
    by_value: dict[float, list[float]] = {}
    for curves in members:
        time = time_of(curves, column, threshold)
        found = by_value.setdefault(getattr(curves.run, axis), [])
        found.append(time.value if time.reached else np.inf)
    places = sorted(by_value)
    return np.array(places), np.array([np.median(by_value[x]) for x in places])


def _never() -> Any:
    from matplotlib.lines import Line2D  # noqa: PLC0415 (optional)

    return Line2D(
        [],
        [],
        linestyle="none",
        marker="^",
        fillstyle="none",
        color=INK,
        markersize=5,
        label="not reached, at the last step",
    )
