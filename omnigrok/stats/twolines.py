"""The two-lines test of a U (Simonsohn 2018), for a curve whose split is not known beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from omnigrok.stats.comparison import Array

# The nominal level whose error on curves that fall and then stay flat was 2.0 to 6.2 % (1000 draws
# for each of 3, 5 and 10 seeds, 9, 13 and 21 points, four breaks and two noise levels); at .05 it
# was 7 to 13 %.
LEVEL = 0.01


@dataclass(frozen=True)
class TwoLines:
    """Slopes on both sides of the breakpoint, per unit of x; ``p`` is the larger of both one-sided
    p.
    """

    p: float
    break_at: float
    left_slope: float
    right_slope: float

    @property
    def is_u(self) -> bool:
        """p at or under ``LEVEL``."""
        return self.p <= LEVEL


def two_lines(x: ArrayLike, y: ArrayLike) -> TwoLines:
    """Is y falling, then rising? Interrupted regression with the "Robin Hood" breakpoint, robust
    (HC3) standard errors.

    The breakpoint starts in the middle of the flat region (grid points whose mean is within one
    standard error of the smallest) and moves within it towards the stronger line, so that the
    weaker one gets more points. Seed means are removed first: shape is judged within seeds.

    The breakpoint is chosen on the data that are then tested, so p <= .05 calls an L-shaped curve U
    too often: compare p with ``LEVEL``. The effect's size is not tested: use it with a floor.

    Args:
        x: (grid,) rising, at least 6 points; pass log alpha for a logarithmic grid. y: (seeds,
            grid), at least 2 seeds.

    Raises:
        ValueError: for shapes that do not match, NaN, too few points or seeds.
    """
    grid, curves = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if (
        grid.ndim != 1
        or curves.ndim != 2
        or curves.shape[1] != grid.size
        or grid.size < 6
        or curves.shape[0] < 2
    ):
        raise ValueError(
            f"expected a grid (>= 6,) and curves (>= 2 seeds, grid), got {grid.shape} and "
            f"{curves.shape}"
        )
    if np.isnan(curves).any() or not (np.diff(grid) > 0).all():
        raise ValueError("the two-lines test needs a rising grid and curves without NaN")
    centred = curves - curves.mean(axis=1, keepdims=True)
    mean, se = centred.mean(axis=0), centred.std(axis=0, ddof=1) / math.sqrt(curves.shape[0])
    inner = slice(1, grid.size - 1)
    lowest = int(np.argmin(mean[inner])) + 1
    flat = grid[inner][mean[inner] <= mean[lowest] + max(float(se[lowest]), 0.0)]
    first = _interrupted(grid, centred, float(np.median(flat)))
    left, right = abs(first[1]), abs(first[3])
    share = right / (left + right) if math.isfinite(left + right) and left + right > 0 else 0.5
    at = float(np.quantile(flat, share))
    left_slope, left_t, right_slope, right_t = _interrupted(grid, centred, at)
    df = curves.shape[0] * (grid.size - 1) - 4
    p = max(float(stats.t.cdf(left_t, df)), float(stats.t.sf(right_t, df)))
    return TwoLines(p, at, left_slope, right_slope)


def _interrupted(grid: Array, curves: Array, at: float) -> tuple[float, float, float, float]:
    """(left slope, its t, right slope, its t); the break belongs to one line at a time and each
    line to the better fit.
    """
    result: list[float] = []
    x, y = np.tile(grid, curves.shape[0]), curves.ravel()
    for high_has_break in (False, True):
        high = x >= at if high_has_break else x > at
        offset = x - at
        design = np.column_stack(
            (np.ones_like(x), np.where(high, 0.0, offset), np.where(high, offset, 0.0), high)
        )
        inverse = np.linalg.pinv(design.T @ design)
        coefficients = inverse @ design.T @ y
        leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
        scaled = (y - design @ coefficients) / np.maximum(1 - leverage, 1e-9)
        covariance = inverse @ ((design * scaled[:, None] ** 2).T @ design) @ inverse
        which = 2 if high_has_break else 1
        slope, se = float(coefficients[which]), math.sqrt(max(float(covariance[which, which]), 0.0))
        result += [
            slope,
            slope / se if se > 0 else math.copysign(math.inf, slope) if slope else 0.0,
        ]
    return result[0], result[1], result[2], result[3]
