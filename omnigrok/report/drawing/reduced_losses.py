"""Reduced loss or error over the initialization scale, a panel a data size (Figures 2a, 3c, 4c, 5c,
9, 11c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import nearest
from omnigrok.report.drawing.canvas import INK, REGION, TEST, TRAIN, Canvas
from omnigrok.report.drawing.found import Findings, deciding
from omnigrok.report.drawing.reading import Reading
from omnigrok.report.view import effect_text
from omnigrok.suite.schema import Protocol

STYLES = (("train", TRAIN, "-", "o"), ("test", TEST, "--", "s"))


@dataclass(frozen=True)
class LandscapeCurve:
    """Each seed a thin line, the median over seeds a thick one.

    Args:
        reading: which number of each run.
        sizes: data sizes, the nearest of the grid are drawn; empty draws the smallest and the
            largest.
        places: claims whose finding is a place on the axis, each with words of the finding's name;
            drawn where there is one panel.
    """

    reading: Reading
    sizes: Sequence[float] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
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
        if len(sizes) == 1:
            self._places(canvas, findings)
        canvas.legend(handles)
        return canvas

    def _places(self, canvas: Canvas, findings: Findings) -> None:
        """Estimate and interval of each place above the curves, over the region of its claim."""
        (axes,) = canvas.flat()
        known = [
            (words, finding)
            for claim, words in self.places.items()
            if (finding := deciding(findings, claim, words)) is not None
        ]
        above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        for row, (words, finding) in enumerate(known):
            y = 1.06 + 0.09 * row  # 1 is the top of the panel
            region = finding.region
            if region is not None and region.lo is not None and region.hi is not None:
                ends = [region.lo, region.hi]
                axes.plot(ends, [y, y], color=REGION, alpha=0.35, linewidth=8, **above)
            if finding.ci is not None and None not in finding.ci:
                axes.plot(finding.ci, [y, y], color=INK, linewidth=1.5, **above)
            axes.plot([finding.estimate], [y], "D", color=INK, markersize=4, **above)
            text = f"{words} {effect_text(finding)}"
            axes.text(1.02, y, text, transform=axes.transAxes, va="center", fontsize=7.5)
            axes.axvline(finding.estimate, color=INK, linewidth=0.7, linestyle=":")
        if known:
            names = " and the ".join(words for words, _ in known)
            canvas.said.append(
                f"above the panel, diamonds: the {names} that were found, with their intervals, "
                "over the claims' regions (green)"
            )

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
