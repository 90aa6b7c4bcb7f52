"""Reduced loss or error over the initialization scale, a panel a data size (Figures 2a, 3c, 4c, 5c,
9, 11c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import nearest
from omnigrok.report.drawing.canvas import TEST, TRAIN, Canvas
from omnigrok.report.drawing.reading import Reading
from omnigrok.suite.schema import Protocol

STYLES = (("train", TRAIN, "-", "o"), ("test", TEST, "--", "s"))


@dataclass(frozen=True)
class LandscapeCurve:
    """Each seed a thin line, the median over seeds a thick one.

    Args:
        reading: which number of each run.
        sizes: data sizes, the nearest of the grid are drawn; empty draws the smallest and the
            largest.
    """

    reading: Reading
    sizes: Sequence[float] = ()

    def draw(
        self, grids: Sequence[Grid], protocol: Protocol, quantity: Mapping[str, Any]
    ) -> Canvas:
        """Draw the only grid."""
        (grid,) = grids
        axis = grid.axis("n_train")
        sizes = list(
            dict.fromkeys(nearest(axis, size) for size in self.sizes)
            if self.sizes
            else dict.fromkeys([axis[0], axis[-1]])
        )
        canvas = Canvas(1, len(sizes))
        handles: list[Any] = []
        for axes, size in zip(canvas.flat(), sizes, strict=True):
            handles = [
                self._side(axes, grid.where(n_train=size), protocol, *style) for style in STYLES
            ]
            axes.set_xscale("log")
            axes.set_xlabel("initialization scale α")
            axes.set_ylabel(self.reading.label)
            if self.reading.what == "error":
                axes.set_ylim(-0.03, 1.03)
            else:
                axes.set_yscale("log")
            if len(sizes) > 1 or len(axis) > 1:
                axes.set_title(f"N = {size}")
        canvas.legend(handles)
        return canvas

    def _side(
        self,
        axes: Any,
        grid: Grid,
        protocol: Protocol,
        side: str,
        colour: str,
        line: str,
        marker: str,
    ) -> Any:
        alphas, table = self.reading.along_alpha(grid, side, protocol)
        if self.reading.what == "loss":
            table = np.where(table > 0, table, np.nan)  # an exact 0 has no place on a log axis
        axes.plot(alphas, table.T, color=colour, linestyle=line, linewidth=0.7, alpha=0.35)
        middle = np.array(
            [
                np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
                for column in table.T
            ]
        )
        (drawn,) = axes.plot(
            alphas,
            middle,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=3.5,
            linewidth=1.8,
            label=side,
        )
        return drawn

    def describe(self) -> str:
        """For the alternative text."""
        return (
            f"{self.reading.label} of the training set (solid) and the test set (dashed) over the "
            "initialization scale alpha"
        )
