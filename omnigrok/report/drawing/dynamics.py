"""Accuracy, loss and weight norm over training steps, a panel an arm (Figures 2b, 3d, 4d, 5d, 7,
10c, 10d, 12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid, same, value_of
from omnigrok.audit.measures import time_of
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.report.drawing.canvas import INK, NORM, TEST, TRAIN, Canvas
from omnigrok.report.drawing.found import Findings
from omnigrok.suite.schema import Protocol

COLUMNS = 4
SIDES: dict[str, tuple[str, Any]] = {"train": (TRAIN, "-"), "test": (TEST, "--")}  # colour and line
WORDS = {"weight_decay": "γ", "alpha": "α", "n_train": "N", "constraint": "norm"}
# What the panel says of how the norm is held.
CONSTRAINTS = {"free": "free", "tangent": "held (tangent)"}


def value_text(name: str, value: Any) -> str:
    """One setting of an arm, e.g. "γ = 0.03"."""
    shown = CONSTRAINTS.get(value, "held") if name == "constraint" else _plain(value)
    return f"{WORDS.get(name, name)} = {shown}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_plain, value)) + ")"
    return f"{value:g}" if type(value) in (int, float) else str(value)


@dataclass(frozen=True)
class DynamicsCurves:
    """Every line is one seed.

    Args:
        arms: Run fields or options ("data.noise") whose values tell the panels apart.
        column: "acc" or "loss".
        under: other columns by protocol, e.g. the code's accuracy.
        only: the values of a field that are drawn, where it has more.
        norm: a second row of panels with the weight norm.
        reach: accuracies of training and test set whose times are marked: the median over seeds,
            and how far they lie apart.
    """

    arms: tuple[str, ...] = ("alpha",)
    column: str = "acc"
    under: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    norm: bool = False
    reach: tuple[float, float] | None = None

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """Draw the arms of all grids, in their order; a task without a test set has no line for it.

        Raises:
            BadInput: the task logs no such column.
        """
        by_arm: dict[tuple[Any, ...], list[Curves]] = {}
        for grid in grids:
            for run, curves in sorted(
                grid.curves.items(),
                key=lambda pair: [_order(value_of(pair[0], name)) for name in self.arms],
            ):
                if all(
                    any(same(value_of(run, name), value) for value in values)
                    for name, values in self.only.items()
                ):
                    by_arm.setdefault(tuple(value_of(run, name) for name in self.arms), []).append(
                        curves
                    )
        column = self.under.get(protocol, self.column)
        logged = {name for members in by_arm.values() for each in members for name in each.columns}
        sides = [side for side in SIDES if f"{side}_{column}" in logged]
        if not sides:
            raise BadInput(f"no run logs train_{column} or test_{column}")
        across = columns([arm[0] for arm in by_arm])
        blocks = -(-len(by_arm) // across)
        high = 2 if self.norm else 1
        canvas = Canvas(blocks * high, across, (2.7, 2.0) if across > 1 else (4.2, 2.2))
        for place in range(blocks * across):
            axes = [
                canvas.axes[place // across * high + row][place % across] for row in range(high)
            ]
            if place >= len(by_arm):
                for each in axes:
                    each.set_axis_off()
                continue
            arm, members = list(by_arm.items())[place]
            axes[0].set_title(
                ", ".join(
                    value_text(name, value) for name, value in zip(self.arms, arm, strict=True)
                )
            )
            _lines(axes[0], members, column, sides)
            if self.reach is not None:
                _times(axes[0], members, column, self.reach)
            if self.norm:
                _norm(axes[1], members)
            axes[-1].set_xlabel("steps")
            if place % across == 0:
                axes[0].set_ylabel("accuracy" if column.startswith("acc") else column)
                if self.norm:
                    axes[1].set_ylabel("weight norm")
        canvas.legend(self._handles(sides))
        if self.reach is not None:
            canvas.said.append(
                f"upright lines where {self.reach[0]:.0%} training and {self.reach[1]:.0%} test "
                "accuracy are reached and kept, median over seeds, with the ratio of the two"
            )
        return canvas

    def _handles(self, sides: Sequence[str]) -> list[Any]:
        from matplotlib.lines import Line2D  # noqa: PLC0415 (optional)

        handles = []
        for side in sides:
            colour, line = SIDES[side]
            handles.append(Line2D([], [], color=colour, linestyle=line, label=side))
        return (
            [*handles, Line2D([], [], color=NORM, linestyle=":", label="weight norm")]
            if self.norm
            else handles
        )

    def describe(self) -> str:
        """For the alternative text."""
        what = "accuracy" if self.column == "acc" else self.column
        norm = ", and the weight norm below" if self.norm else ""
        where = (
            "over steps (logarithmic, step 0 at 1), a panel for each setting, a line for each seed"
        )
        return f"training (solid) and test {what} (dashed) {where}{norm}"


def _lines(axes: Any, members: Sequence[Curves], column: str, sides: Sequence[str]) -> None:
    for curves in members:
        for side in sides:
            colour, line = SIDES[side]
            axes.plot(
                np.maximum(curves.step, 1),
                curves[f"{side}_{column}"],
                color=colour,
                linestyle=line,
                alpha=0.6,
                linewidth=0.8,
            )
    axes.set_xscale("log")
    if column.startswith("acc"):
        axes.set_ylim(-0.03, 1.03)
    else:
        axes.set_yscale("log")


def _times(axes: Any, members: Sequence[Curves], column: str, reach: tuple[float, float]) -> None:
    """The median times to reach the accuracies, and their ratio; a side that half of the seeds do
    not reach has no line.
    """
    middle = []
    for side, threshold, colour in zip(("train", "test"), reach, (TRAIN, TEST), strict=True):
        times = [time_of(curves, f"{side}_{column}", threshold) for curves in members]
        middle.append(float(np.median([each.value if each.reached else np.inf for each in times])))
        if np.isfinite(middle[-1]):
            axes.axvline(max(middle[-1], 1.0), color=colour, linewidth=1.2, alpha=0.9)
    if np.isfinite(middle[0]):
        text = f"×{middle[1] / middle[0]:.3g}" if np.isfinite(middle[1]) else "test: not reached"
        axes.text(0.98, 0.06, text, transform=axes.transAxes, ha="right", color=INK, fontsize=8)


def columns(firsts: Sequence[Any]) -> int:
    """Panels side by side: those of one value of the arms' first setting, where all values have as
    many; else rows of like length.

    Args:
        firsts: the first setting of each arm, in their order.
    """
    counts = {firsts.count(value) for value in firsts}
    if len(counts) == 1 and 1 < (count := counts.pop()) <= COLUMNS and count < len(firsts):
        return count
    return -(-len(firsts) // -(-len(firsts) // COLUMNS))


def _norm(axes: Any, members: Sequence[Curves]) -> None:
    for curves in members:
        axes.plot(
            np.maximum(curves.step, 1),
            curves["weight_norm"],
            color=NORM,
            linestyle=":",
            alpha=0.8,
            linewidth=1.0,
        )
    axes.set_xscale("log")


def _order(value: Any) -> tuple[float, str]:
    return (float(value), "") if isinstance(value, int | float) else (0.0, str(value))
