"""Losses along a path over the maps (Figures 6c, 8c), and contours by data size (Figure 6e)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid
from omnigrok.paper.landscape import Landscape, generalising_solution
from omnigrok.paper.maps import reduced_map
from omnigrok.paper.trajectory import Dynamics, box_around, starts, travel
from omnigrok.report.drawing.canvas import SERIES, TEST, TRAIN, Canvas
from omnigrok.report.drawing.found import Findings
from omnigrok.suite.schema import Protocol

POINTS = 200


def _losses(axes: Any, x: Any, train: Any, test: Any) -> None:
    axes.plot(x, train, color=TRAIN, alpha=0.7)
    axes.plot(x, test, color=TEST, linestyle="--", alpha=0.7)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D  # noqa: PLC0415 (optional)

    return [
        Line2D([], [], color=TRAIN, label="train"),
        Line2D([], [], color=TEST, linestyle="--", label="test"),
    ]


@dataclass(frozen=True)
class StraightPath:
    """The losses along straight segments between the points of the claim's ``path``, (alpha, share
    of the range of m) (Figure 8c).
    """

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """A line a seed."""
        (grid,) = grids
        canvas = Canvas(1, 1, (4.2, 3.0))
        axes = canvas.flat()[0]
        corners = np.array(quantity["path"], dtype=float)
        legs = np.linspace(0, len(corners) - 1, POINTS)
        alpha, share = (
            np.interp(legs, np.arange(len(corners)), corners[:, part]) for part in (0, 1)
        )
        for seed in grid.seeds:
            train, test = (
                reduced_map(grid, seed, f"{side}_loss", protocol) for side in ("train", "test")
            )
            scales = np.array([value for value in grid.axis("alpha") if value > 0])
            w = np.interp(alpha, scales, train.w)
            m = train.m[0] + share * (train.m[-1] - train.m[0])
            _losses(axes, legs, _linear(train, w, m), _linear(test, w, m))
        axes.set_xticks(
            np.arange(len(corners)), [chr(ord("A") + place) for place in range(len(corners))]
        )
        axes.set_xlabel("path")
        axes.set_ylabel("reduced loss")
        axes.set_ylim(bottom=0)
        canvas.legend(_handles())
        return canvas

    def describe(self) -> str:
        """For the alternative text."""
        return (
            "training (solid) and test (dashed) reduced loss along the path A, B, C, a pair of "
            "lines for each seed"
        )


def _linear(landscape: Landscape, w: Any, m: Any) -> Any:
    """Without the overshoot of the cubic map, as the check of Figure 8c reads it."""
    return Landscape(landscape.w, landscape.m, landscape.loss, degree=1).at(w, m)


@dataclass(frozen=True)
class ReducedDynamics:
    """The losses along the path of Eq. (6) from the middle one of the stated starts (Figure 6c),
    and w on it.
    """

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """A line a seed."""
        (grid,) = grids
        canvas = Canvas(1, 2, (3.8, 3.0))
        left, right = canvas.flat()
        drawn = 0
        for seed in grid.seeds:
            train, test, accuracy = (
                reduced_map(grid, seed, column, protocol)
                for column in ("train_loss", "test_loss", "test_acc")
            )
            # Rates of m are per the grid's own range, as in the check.
            train, test, accuracy = (
                each.with_unit_of_m(float(np.ptp(train.m))) for each in (train, test, accuracy)
            )
            goal = generalising_solution(
                train, test, accuracy, quantity["fits"], quantity["generalises"]
            )
            if goal is None:
                continue
            begin = starts(train, quantity["level"])
            dynamics = Dynamics(quantity["gamma"] / goal.w**2)  # as the check has it
            reach = box_around(train, goal.point, tuple(quantity["reach"]))
            path = travel(train, begin[len(begin) // 2], goal.point, dynamics, reach)
            drawn += 1
            share = np.linspace(0, 1, len(path.t))
            _losses(left, share, path.losses(train), path.losses(test))
            right.plot(share, path.w, color=SERIES[2], alpha=0.7)
        for axes, label in ((left, "reduced loss"), (right, "weight norm w")):
            axes.set_xlabel("way along the path")
            axes.set_ylabel(label)
        if drawn:
            left.set_yscale("log")
        else:
            left.set_title("no seed has a generalising solution")
        canvas.legend(_handles())
        return canvas

    def describe(self) -> str:
        """For the alternative text."""
        return (
            "training (solid) and test (dashed) loss along the path of the reduced dynamics, and "
            "the weight norm on it, for each seed"
        )


@dataclass(frozen=True)
class ContoursBySize:
    """The contour of the training loss at the claim's ``level`` for each data size, a line a seed
    (Figure 6e).
    """

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """Draw the only grid."""
        from matplotlib.lines import Line2D  # noqa: PLC0415 (optional)

        (grid,) = grids
        canvas = Canvas(1, 1, (4.2, 3.2))
        axes = canvas.flat()[0]
        handles, drawn = [], 0
        sides: list[float] = []
        heights: list[float] = []
        for size, colour in zip(grid.axis("n_train"), SERIES, strict=False):
            part = grid.where(n_train=size)
            for seed in part.seeds:
                landscape = reduced_map(part, seed, "train_loss", protocol)
                contour = landscape.contour(quantity["level"])
                sides += [float(landscape.w.min()), float(landscape.w.max())]
                heights += [float(landscape.m.min()), float(landscape.m.max())]
                inside = np.isfinite(contour) & (contour > 0)
                drawn += int(inside.any())
                axes.plot(
                    np.where(inside, contour, np.nan),
                    landscape.m,
                    color=colour,
                    alpha=0.7,
                    marker=".",
                )
            handles.append(Line2D([], [], color=colour, marker=".", label=f"{size} pairs"))
        # The plane of the landscape, also where no contour lies in it.
        axes.set_xlim(min(sides), max(sides))
        axes.set_ylim(min(heights) - 0.05, max(heights) + 0.05)
        axes.set_xlabel("weight norm w")
        axes.set_ylabel("messiness m")
        axes.set_title(
            f"contour of the training loss at {quantity['level']:g}"
            + ("" if drawn else ": none on the grid")
        )
        canvas.legend(handles)
        return canvas

    def describe(self) -> str:
        """For the alternative text."""
        return (
            "contours of the training loss in the plane of weight norm and messiness, by the "
            "number of training pairs, a line for each seed"
        )
