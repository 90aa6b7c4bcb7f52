"""Landmarks of a curve over a logarithmic grid: its knee, its minimum, the width of its zone, its
gap to another.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate

from omnigrok.stats.censoring import censored_mean
from omnigrok.stats.comparison import BOOTSTRAP_FROM, Array, mean_in_region, with_missing
from omnigrok.stats.finding import Finding, Region

EPSILON = 1e-12

# In what an edge between two grid points is interpolated.
Scale = Literal["linear", "logit"]


def knee(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    fraction: float = 0.01,
    *,
    region: Region,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """The first x at which the curve is under ``fraction`` of its value at the smallest x;
    geometric mean over seeds.

    Between grid points log y is interpolated in log x, values under 1e-12 of the first taken as
    that. A seed that never gets there has no value of its own; in the interval it counts as
    censored at the largest x, since leaving it out would let the few that do decide. Interpolation
    bends at the grid's points, which skews the seeds' values there (calibration: 6.8 % false
    positives with the break at a point), and what lies between two points is not seen: the interval
    is widened by half of the grid's largest step on either side, as in ``argmin``.

    Args:
        x: (grid,) > 0, rising. y: (seeds, grid).

    Raises:
        ValueError: for a grid that is not positive and rising or does not match.
    """
    grid, curves = _log_grid(x, y)
    values = np.array([_knee(grid, curve, fraction) for curve in curves])
    no_start = ~(curves[:, 0] > 0) | np.isnan(curves).any(axis=1)
    censored = np.isnan(values) & ~no_start
    logs = np.where(censored, grid[-1], values)
    mean, low, high = censored_mean(logs, censored, level, rng)
    # Where no seed has a value nothing was interpolated: all lie beyond the last point.
    half = 0.0 if math.isinf(mean) else _half_step(grid)
    estimate, low, high = (_exp(end) for end in (mean, low - half, high + half))
    kind = (
        "Tobit profile interval"
        if censored.any()
        else "BCa bootstrap interval"
        if values.size >= BOOTSTRAP_FROM
        else "t interval"
    )
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=region,
        values=tuple(np.exp(values).tolist()),
        level=level,
        n=values.size,
        censored=int(censored.sum()),
        method=(
            f"first x under {fraction:g} of the first value, geometric mean, {kind}, widened by "
            "half a grid step"
        ),
        note=with_missing(note, values),
    )


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def _half_step(grid: Array) -> float:
    """Half of the largest step of a grid of logs: what no number of seeds can tell apart."""
    return float(np.diff(grid).max()) / 2 if grid.size > 1 else math.inf


def _knee(grid: Array, curve: Array, fraction: float) -> float:
    """Natural log of the first x at which one curve is under ``fraction`` of its first value, NaN
    if there is none.
    """
    if np.isnan(curve).any() or not curve[0] > 0:
        return math.nan
    relative = np.maximum(curve / curve[0], EPSILON)
    under = np.flatnonzero(relative < fraction)
    if under.size == 0:
        return math.nan
    after = int(under[0])
    top, bottom = math.log(relative[after - 1]), math.log(relative[after])
    weight = (top - math.log(fraction)) / (top - bottom)
    return float(grid[after - 1] + weight * (grid[after] - grid[after - 1]))


def argmin(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    region: Region,
    *,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """The x of each seed's minimum, geometric mean over seeds.

    A seed's minimum is the vertex of the parabola in (log x, log y) through the smallest y and its
    two neighbours, which lies within half a step of the grid point; at an end of the grid, and
    where y is not positive, it is the grid point. Equal minima count at their mean log x. What the
    parabola can miss is not known to the seeds: the interval over seeds is widened by a quarter of
    the grid's largest step on either side. (Calibration: with the grid point alone, seeds that
    agree on one gave an interval of no width, which never held a minimum between two points, and a
    minimum on the region's end was REPRODUCED in 4 of 10 draws.)

    A seed whose minimum lies at an end of the grid has no value: the true one may lie beyond. In
    the interval it is censored there; with minima at both ends the interval reaches over the whole
    axis.

    Args:
        x: (grid,) > 0, rising. y: (seeds, grid); a seed with a NaN has no argmin.
    """
    grid, curves = _log_grid(x, y)
    bad = np.isnan(curves).any(axis=1)
    lowest = curves == np.where(bad, math.nan, curves.min(axis=1))[:, None]
    logs = np.array([_minimum(grid, curve, row) for curve, row in zip(curves, lowest, strict=True)])
    beyond = np.where(logs == grid[-1], 1, np.where(logs == grid[0], -1, 0))
    at_end = int((beyond != 0).sum())
    quarter = _half_step(grid) / 2
    widened = f"widened by a quarter of a grid step (a factor {math.exp(quarter):.3g})"
    if not at_end:
        finding = mean_in_region(
            name, np.exp(logs), region, log=True, level=level, note=note, rng=rng
        )
        low, high = finding.ci or (math.nan, math.nan)
        method = f"vertex of a parabola about the argmin, {finding.method}, {widened}"
        return replace(
            finding, ci=(low / math.exp(quarter), high * math.exp(quarter)), method=method
        )
    estimate, low, high = _beyond_the_grid(logs, beyond, level, rng)
    words = f"{at_end} minima at an end of the grid"
    return Finding(
        name=name,
        estimate=_exp(estimate),
        ci=(_exp(low - quarter), _exp(high + quarter)),
        region=region,
        values=tuple(np.where(beyond == 0, np.exp(logs), math.nan).tolist()),
        level=level,
        n=logs.size,
        censored=at_end,
        method=(
            "vertex of a parabola about the argmin, geometric mean, Tobit profile interval, "
            f"{widened}"
        ),
        note=with_missing("; ".join(part for part in (note, words) if part), logs),
    )


def _beyond_the_grid(
    logs: Array, beyond: NDArray[np.int_], level: float, rng: np.random.Generator | None
) -> tuple[float, float, float]:
    """(mean, lower, upper) of logs, some known to lie at the grid's upper (1) or lower (-1) end or
    beyond.
    """
    if (beyond == 1).any() and (beyond == -1).any():
        return math.nan, -math.inf, math.inf
    if (beyond == 1).any():
        return censored_mean(logs, beyond == 1, level, rng)
    estimate, low, high = censored_mean(-logs, beyond == -1, level, rng)
    return -estimate, -high, -low


def _minimum(grid: Array, curve: Array, lowest: NDArray[np.bool_]) -> float:
    """Log x of one curve's minimum; NaN where no point is marked as lowest."""
    places = np.flatnonzero(lowest)
    if places.size == 0:
        return math.nan
    at = int(places[0])
    if places.size > 1 or at in (0, grid.size - 1) or curve[at] <= 0:
        return float(grid[places].mean())
    heights = np.log(curve[at - 1 : at + 2])
    return vertex(grid, heights, at) if np.isfinite(heights).all() else float(grid[at])


def vertex(grid: Array, heights: ArrayLike, at: int) -> float:
    """The place of the smallest height, from the parabola through a point and its two neighbours.

    Args:
        grid: (grid,) rising. heights: (3,) about the point ``at``, the middle one smallest.
    """
    y, (left, right) = np.asarray(heights), (grid[at - 1] - grid[at], grid[at + 1] - grid[at])
    before, after = y[0] - y[1], y[2] - y[1]
    offset = 0.5 * (before * right**2 - after * left**2) / (before * right - after * left)
    return float(grid[at] + offset)


def logit(error: ArrayLike) -> Array:
    """ln(e / (1 - e)) of an error within [0, 1], which counts as 1e-4 from either end at least."""
    part = np.clip(np.asarray(error, dtype=float), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(part) - np.log1p(-part))


def zone_width(
    x: ArrayLike, y: ArrayLike, within: float = 0.1, edges: Scale = "linear"
) -> tuple[float, bool]:
    """(width in natural-log x, censored) of the contiguous zone around the minimum where y <=
    minimum + ``within``.

    Censored: the zone reaches an end of the grid, the width is a lower bound.

    Args:
        x: (grid,) > 0, rising. y: (grid,), one curve. NaN gives (NaN, False).
        edges: whether an edge between two grid points is interpolated in y or in its ``logit``,
            over log x.

    Raises:
        ValueError: for a grid that is not positive and rising or does not match, or ``within`` <=
            0.
    """
    if not within > 0:
        raise ValueError(f"a zone needs a height > 0, got {within}")
    grid, curves = _log_grid(x, np.asarray(y, dtype=float)[None, :])
    curve = curves[0]
    if np.isnan(curve).any():
        return math.nan, False
    bottom = int(curve.argmin())
    ceiling = float(curve[bottom]) + within
    right, cut_right = _edge(grid[bottom:], curve[bottom:], ceiling, edges)
    left, cut_left = _edge(grid[bottom::-1], curve[bottom::-1], ceiling, edges)
    return right - left, cut_left or cut_right


def _edge(grid: Array, curve: Array, ceiling: float, edges: Scale) -> tuple[float, bool]:
    """Where the curve, followed from its minimum, first exceeds the ceiling; else the last point,
    cut by the grid.
    """
    over = np.flatnonzero(curve > ceiling)
    if over.size == 0:
        return float(grid[-1]), True
    after = int(over[0])
    heights = np.array([curve[after - 1], ceiling, curve[after]])
    if edges == "logit":
        heights = logit(heights)
    rise = float(heights[2] - heights[0])
    weight = float(heights[1] - heights[0]) / rise if rise > 0 else 0.5
    return float(grid[after - 1] + weight * (grid[after] - grid[after - 1])), False


def gap_integral(x: ArrayLike, train: ArrayLike, test: ArrayLike) -> Array:
    """Integral of test - train over log10 x by the trapezoid rule: (seeds,) from (seeds, grid), one
    number from (grid,).

    Raises:
        ValueError: for a grid that is not positive and rising or does not match.
    """
    upper, lower = np.asarray(test, dtype=float), np.asarray(train, dtype=float)
    if upper.shape != lower.shape:
        raise ValueError(f"train and test must have one shape, got {lower.shape} and {upper.shape}")
    grid, _ = _log_grid(x, np.atleast_2d(upper))
    return np.asarray(integrate.trapezoid(upper - lower, grid / math.log(10), axis=-1))


def _log_grid(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    grid, curves = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if grid.ndim != 1 or curves.ndim != 2 or curves.shape[1] != grid.size:
        raise ValueError(
            f"expected a grid (k,) and curves (seeds, k), got {grid.shape} and {curves.shape}"
        )
    if not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ValueError("a logarithmic grid must be positive and rise strictly")
    return np.log(grid), curves
