"""How much of the gap between a reduced test and train curve lies between w_c and a given scale
(the LU mechanism).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate

from omnigrok.stats.landmarks import _log_grid, vertex


def gap_right_of_minimum(x: ArrayLike, train: ArrayLike, test: ArrayLike, upto: float) -> float:
    """Integral of test - train over log10 x from the minimum of ``test`` (w_c) to ``upto``; 0 where
    ``upto`` is not right of it.

    The gap is linear in log x between grid points. w_c is the vertex of a parabola in log x
    through the smallest test loss and its neighbours; where several points are smallest, the last.

    Args:
        x: (grid,) > 0, rising. train, test: (grid,). upto: a scale; beyond the grid there is no gap
            to read: NaN.

    Raises:
        ValueError: for a grid that is not positive and rising or does not match.
    """
    grid, curves = _log_grid(
        x, np.stack([np.asarray(train, dtype=float), np.asarray(test, dtype=float)])
    )
    if np.isnan(curves).any() or not upto > 0:
        return math.nan
    end = math.log(upto)
    slack = 1e-6 * max(1.0, abs(end))
    if end > grid[-1] + slack or end < grid[0] - slack:
        return math.nan
    gap = curves[1] - curves[0]
    lowest = np.flatnonzero(curves[1] == curves[1].min())
    at = int(lowest[-1])
    inside = lowest.size == 1 and 0 < at < grid.size - 1
    start = vertex(grid, curves[1, at - 1 : at + 2], at) if inside else float(grid[at])
    if end <= start:
        return 0.0
    between = (grid > start) & (grid < end)
    knots = np.concatenate(([start], grid[between], [end]))
    return float(integrate.trapezoid(np.interp(knots, grid, gap), knots / math.log(10)))
