"""Time to fit and to generalise against weight decay or data size (Figures 2c, 3e, 10a, 10b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import norm_at, time_of
from omnigrok.curves import Curves
from omnigrok.report.drawing.canvas import INK, SERIES, TEST, TRAIN, Canvas, label_values
from omnigrok.report.drawing.dynamics import value_text
from omnigrok.suite.schema import Protocol

AXES = {"weight_decay": "weight decay γ", "n_train": "training samples N"}


@dataclass(frozen=True)
class TimesAgainst:
    """Every point is one seed; a hollow triangle stands at the last step of a run that never got
    there. Lines join medians.

    Args:
        axis: "weight_decay" or "n_train".
        train, test: thresholds of the accuracies; 0 leaves a side out.
        column: of the accuracy; ``under`` has others by protocol.
        groups: a field that tells series apart (then only the test time is drawn).
        guide: slope of a dotted line through the middle of the test times; 0 draws none.
        norm: a second panel with the weight norm when the test accuracy arrives.
    """

    axis: str = "weight_decay"
    train: float = 0.95
    test: float = 0.95
    column: str = "acc"
    under: Mapping[str, str] = field(default_factory=dict)
    groups: str = ""
    guide: float = 0.0
    norm: bool = False

    def draw(
        self, grids: Sequence[Grid], protocol: Protocol, quantity: Mapping[str, Any]
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
        if self.guide:
            handles += self._guide(axes, members, f"test_{column}")
        for each in canvas.flat():
            each.set_xscale("log")
            each.set_xlabel(AXES[self.axis])
            label_values(each.xaxis, sorted({getattr(curves.run, self.axis) for curves in members}))
        axes.set_yscale("log")
        axes.set_ylabel("steps")
        if self.norm:
            self._norms(canvas.flat()[1], members, f"test_{column}")
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

    def _guide(self, axes: Any, members: Sequence[Curves], column: str) -> list[Any]:
        times = [
            (getattr(curves.run, self.axis), time_of(curves, column, self.test))
            for curves in members
        ]
        known = np.array([(x, time.value) for x, time in times if time.reached and time.value > 0])
        if len(known) < 2:
            return []
        x = np.array([known[:, 0].min(), known[:, 0].max()])
        middle = np.exp(np.log(known).mean(axis=0))
        return list(
            axes.plot(
                x,
                middle[1] * (x / middle[0]) ** self.guide,
                ":",
                label=f"slope {self.guide:g}, for the eye",
                color="gray",
            )
        )

    def _norms(self, axes: Any, members: Sequence[Curves], column: str) -> None:
        for curves in members:
            norm = norm_at(curves, time_of(curves, column, self.test))
            axes.plot(
                getattr(curves.run, self.axis), norm, "s", color=TEST, alpha=0.6, markersize=3
            )
        axes.set_ylabel("weight norm")
        axes.set_title(f"weight norm when the test accuracy is {self.test:.0%}")
        axes.set_ylim(bottom=0)

    def describe(self) -> str:
        """For the alternative text."""
        return (
            f"steps until the accuracy arrives against {AXES[self.axis]}, both logarithmic, a "
            "point for each seed; "
            "hollow triangles are runs that never got there, at their last step"
        )


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
