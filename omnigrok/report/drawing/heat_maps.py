"""Maps of a reduced loss or error over the initialization scale and a second axis (Figures 3a-b,
4a-b, 5a-b, 6a-b, 6d, 8a-b, 11a-b).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import nearest
from omnigrok.report.drawing.canvas import INK, Canvas, label_values
from omnigrok.report.drawing.found import Findings
from omnigrok.report.drawing.reading import Reading
from omnigrok.suite.schema import Protocol

Array = NDArray[np.float64]
AXES = {"n_train": "training samples N", "messiness": "messiness m"}
SCALE = {"n_train": "initialization scale α", "messiness": "initialization scale α = w/w₀"}


@dataclass(frozen=True)
class HeatMap:
    """The median over seeds on the left, the range of the seeds (largest minus smallest; for losses
    their ratio) on the right.

    Args:
        reading: which number of each run.
        side: "train" or "test".
        rows: the second axis, "n_train" or "messiness".
        levels: contours of the median.
        size: with ``rows`` = "messiness", the data size nearest to this; 0 where there is one only.
        arrows: minus the gradient of the median, by direction only (Figure 6d).
    """

    reading: Reading
    side: str
    rows: str = "n_train"
    levels: tuple[float, ...] = ()
    size: float = 0
    arrows: bool = False

    def draw(
        self,
        grids: Sequence[Grid],
        protocol: Protocol,
        quantity: Mapping[str, Any],
        findings: Findings,
    ) -> Canvas:
        """Draw the only grid."""
        (grid,) = grids
        if self.size:
            grid = grid.where(n_train=nearest(grid.axis("n_train"), self.size))
        axis, alphas, values = self.reading.over(grid, self.rows, self.side, protocol)
        canvas = Canvas(1, 2, (3.9, 3.0))
        middle, spread = over_seeds(values, ratio=self.reading.what == "loss")
        left, right = canvas.flat()
        words = "largest / smallest" if self.reading.what == "loss" else "range"
        bar = self._map(
            canvas, left, (alphas, axis, middle), f"{self._what}, median of {values.shape[0]} seeds"
        )
        self._map(canvas, right, (alphas, axis, spread), f"{words} of the seeds", spread=True)
        finite = middle[np.isfinite(middle)]
        usable = [
            level for level in self.levels if finite.size and finite.min() < level < finite.max()
        ]
        if usable and min(middle.shape) >= 2:
            lines = left.contour(
                alphas,
                axis,
                np.ma.masked_invalid(middle),
                levels=sorted(usable),
                colors="white",
                linewidths=1.2,
            )
            left.clabel(lines, fmt="%g", fontsize=7, manual=_label_places(lines))
            bar.add_lines(lines)
            shown = ", ".join(f"{level:g}" for level in sorted(usable))
            canvas.said.append(f"white lines, also on the colour bar, at {shown}")
        if self.arrows and min(middle.shape) >= 2:
            _arrows(left, alphas, axis, middle)
            canvas.said.append("arrows point down the steepest way")
        return canvas

    def _map(
        self,
        canvas: Canvas,
        axes: Any,
        data: tuple[Array, Array, Array],
        title: str,
        spread: bool = False,
    ) -> Any:
        from matplotlib.colors import LogNorm, Normalize  # noqa: PLC0415 (optional)

        alphas, axis, values = data
        shown = np.ma.masked_invalid(values)
        norm: Any = Normalize()
        if self.reading.what == "loss":
            shown = np.ma.masked_less_equal(shown, 0)
            if shown.count() and shown.min() < shown.max():
                norm = LogNorm(max(float(shown.min()), 1e-12), float(shown.max()))
        else:
            # Seeds differ by far less than an error can: their range has colours of its own.
            norm = Normalize(0, max(float(shown.max()), 1e-12) if spread and shown.count() else 1)
        x_log, y_log = (
            bool(alphas.min() > 0 and self.rows == "n_train"),
            bool(axis.min() > 0 and self.rows == "n_train"),
        )
        mesh = axes.pcolormesh(
            edges(alphas, x_log), edges(axis, y_log), shown, norm=norm, rasterized=True
        )
        bar = canvas.figure.colorbar(mesh, ax=axes)
        bar.outline.set_edgecolor(INK)
        if x_log:
            axes.set_xscale("log")
        if y_log:
            axes.set_yscale("log")
            label_values(axes.yaxis, axis.tolist())
        axes.set_xlabel(SCALE[self.rows])
        axes.set_ylabel(AXES[self.rows])
        axes.set_title(title)
        return bar

    @property
    def _what(self) -> str:
        return f"reduced {'training' if self.side == 'train' else 'test'} {self.reading.what}"

    def describe(self) -> str:
        """For the alternative text."""
        return (
            f"maps of the {self._what} over initialization scale and {AXES[self.rows]}, median and "
            "spread of the seeds"
        )


def over_seeds(values: Array, ratio: bool) -> tuple[Array, Array]:
    """(rows, columns) median and spread of (seeds, rows, columns) values; NaN where a seed has
    none.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    spread = (
        np.divide(high, low, out=np.full(low.shape, np.nan), where=low > 0) if ratio else high - low
    )
    return np.asarray(np.median(values, axis=0)), np.asarray(spread)


def edges(centres: Array, log: bool) -> Array:
    """(n + 1,) borders of the cells around (n,) rising centres, half-way between them, in log where
    ``log``.
    """
    points = np.log(centres) if log else np.asarray(centres, dtype=float)
    if len(points) == 1:
        points = np.array([points[0] - 0.5, points[0] + 0.5])
        return np.exp(points) if log else points
    middle = (points[1:] + points[:-1]) / 2
    borders = np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])
    return np.exp(borders) if log else borders


def _label_places(lines: Any) -> list[tuple[float, float]]:
    """A point on each contour, at another part of its way than the one before: contours run close
    together, and their numbers would hide one another.
    """
    places = []
    paths = [path.vertices for path in lines.get_paths() if len(path.vertices)]
    for number, way in enumerate(paths):
        at = way[int(len(way) * (number + 1) / (len(paths) + 1))]
        places.append((float(at[0]), float(at[1])))
    return places


def _arrows(axes: Any, alphas: Array, axis: Array, values: Array) -> None:
    down_m, down_alpha = (-part for part in np.gradient(values, axis, alphas))
    # Arrows as they look in the plane of the drawing, where both axes are as long.
    x, y = down_alpha * np.ptp(alphas), down_m * np.ptp(axis)
    size = np.hypot(x, y)
    keep = np.isfinite(size) & (size > 0)
    step = max(1, len(alphas) // 10)
    grid_x, grid_y = np.meshgrid(alphas, axis)
    keep &= (np.arange(len(alphas)) % step == 0)[None, :]
    axes.quiver(
        grid_x[keep],
        grid_y[keep],
        (x / np.where(size > 0, size, 1))[keep],
        (y / np.where(size > 0, size, 1))[keep],
        color="white",
        scale=18,
        width=0.005,
    )
