"""Exponents of t against x (log-log slopes), the range in which they hold, and the delay that
competes with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from omnigrok.stats import tobit
from omnigrok.stats.agreement import tost_p
from omnigrok.stats.comparison import Array
from omnigrok.stats.finding import Finding, Region, Verdict
from omnigrok.stats.ranges import widest_range
from omnigrok.stats.times import Time

Times = Sequence[Sequence[Time]]

LEAST_SQUARES, THEIL_SEN = "least squares", "theil-sen"


def exponent(
    name: str,
    x: ArrayLike,
    times: Times,
    region: Region,
    *,
    level: float = 0.95,
    estimator: str = LEAST_SQUARES,
) -> tuple[Finding, Finding, Finding]:
    """Exponent of t on x over the whole range and in its lower and upper half.

    Without censoring the mean of the per-seed log-log slopes with a t interval; with it a
    log-normal Tobit likelihood with seed effects, clustered by seed (``tobit.common_slope``). The
    halves are taken in log x and share the grid point nearest to the middle. p is the larger of the
    one-sided t tests against the region's ends.

    Args:
        x: (grid,) > 0, rising, at least 3 points. times: (seeds, grid).
        estimator: "least squares", or "theil-sen": each seed's median of the slopes between two
            points, where a seed with a time that was not reached has no slope.

    Raises:
        ValueError: for a grid that is not positive and rising, or does not match the times, or
            another estimator.
    """
    if estimator not in (LEAST_SQUARES, THEIL_SEN):
        raise ValueError(
            f"{name}: estimator is {LEAST_SQUARES!r} or {THEIL_SEN!r}, not {estimator!r}"
        )
    grid, logs, censored = _logs(x, times)
    if grid.size < 3:
        raise ValueError(f"{name}: two halves need at least 3 grid points, got {grid.size}")
    middle = int(np.argmin(np.abs(grid[1:-1] - (grid[0] + grid[-1]) / 2))) + 1
    parts = (
        ("whole range", slice(None)),
        ("lower half", slice(0, middle + 1)),
        ("upper half", slice(middle, None)),
    )
    whole, lower, upper = (
        _slope_finding(
            f"{name}: {part}", grid[cut], logs[:, cut], censored[:, cut], region, level, estimator
        )
        for part, cut in parts
    )
    return whole, lower, upper


def slope_equivalent(name: str, x: ArrayLike, times: Times, margin: float = 0.15) -> Finding:
    """TOST of "t does not depend on x": 90 % interval of the exponent within +- ``margin``.

    Arguments as ``exponent``, at least 2 grid points. The margin is stated beforehand.
    """
    grid, logs, censored = _logs(x, times)
    return _slope_finding(name, grid, logs, censored, Region(-margin, margin), 0.9)


def largest_range(
    x: ArrayLike, times: Times, region: Region, *, level: float = 0.95
) -> tuple[float, float] | None:
    """(lowest x, highest x) of the widest contiguous range, at least 3 points, whose exponent is
    REPRODUCED; None if none is.

    Descriptive: a range picked from the data is never a verdict. Arguments as ``exponent``.
    """
    grid, logs, censored = _logs(x, times)

    def holds(cut: slice) -> bool:
        return (
            _slope_finding("", grid[cut], logs[:, cut], censored[:, cut], region, level).verdict()
            is Verdict.REPRODUCED
        )

    return widest_range(x, holds)


def slope_on(name: str, times: Times, on: Times, region: Region, *, level: float = 0.95) -> Finding:
    """Log-log slope of one time on another within seeds: 1 where the first moves as far as the
    second.

    Estimated as in ``exponent``; a pair whose ``on`` was not reached is missing.

    Args:
        times: (seeds, settings). on: (seeds, settings).

    Raises:
        ValueError: for tables that do not match.
    """
    if [len(row) for row in times] != [len(row) for row in on] or not times:
        raise ValueError(
            f"{name}: both tables must be (seeds, settings), got rows of "
            f"{[len(row) for row in times]} and {[len(row) for row in on]}"
        )
    x = np.array([[time.log_bound for time in row] for row in on])
    known = np.array([[time.reached for time in row] for row in on], dtype=bool)
    logs = np.where(known, [[time.log_bound for time in row] for row in times], math.nan)
    censored = np.array([[not time.reached for time in row] for row in times], dtype=bool) & known
    return _slope_finding(name, x, logs, censored, region, level)


def additive_delay(name: str, x: ArrayLike, times: Times) -> Finding:
    """AIC of t = a / x minus AIC of t = a / x + b (b >= 0), log-normal residuals; above 0 the delay
    is preferred.

    Both have one factor per seed and one sigma, and use censored times as such. ``extra`` holds
    ``aic_proportional``, ``aic_additive``, and a (steps times the unit of x) and b (steps) of the
    seeds' geometric mean. It decides nothing.

    Raises:
        ValueError: as ``exponent``, or when no seed has a time.
    """
    grid, logs, censored = _logs(x, times)
    present = ~np.isnan(logs)
    used = np.flatnonzero((present & ~censored).any(axis=1))
    if used.size == 0:
        raise ValueError(f"{name}: no time was reached")
    seed_of, column = np.nonzero(present[used])
    y, flags = logs[used[seed_of], column], censored[used[seed_of], column]
    design = (seed_of[:, None] == np.arange(used.size)).astype(float)

    def fit(delay: float) -> tobit.CensoredFit:
        return tobit.fit(y - np.log(np.exp(-grid[column]) + delay), flags, design)

    # b / a has the unit of 1 / x: from "never felt" to "all there is".
    ends = -grid[-1] - 9.0, -grid[0] + 9.0
    ladder = np.linspace(*ends, 25)
    best = int(np.argmax([fit(math.exp(rung)).loglik for rung in ladder]))
    around = ladder[max(best - 1, 0)], ladder[min(best + 1, ladder.size - 1)]
    found = optimize.minimize_scalar(
        lambda rung: -fit(math.exp(rung)).loglik,
        bounds=around,
        method="bounded",
        options={"xatol": 1e-6},
    )
    proportional, additive = fit(0.0), fit(math.exp(found.x))
    ratio = math.exp(found.x)
    if additive.loglik <= proportional.loglik:
        additive, ratio = proportional, 0.0
    parameters = used.size + 1
    a = math.exp(float(additive.coefficients.mean()))
    extra = {
        "aic_proportional": 2 * parameters - 2 * proportional.loglik,
        "aic_additive": 2 * (parameters + 1) - 2 * additive.loglik,
        "a": a,
        "b": a * ratio,
    }
    return Finding(
        name=name,
        estimate=extra["aic_proportional"] - extra["aic_additive"],
        ci=None,
        region=None,
        n=logs.shape[0],
        censored=int(censored.sum()),
        decides=False,
        method="AIC of t = a/x minus AIC of t = a/x + b, log-normal with seed effects",
        note=f"a = {extra['a']:.4g}, b = {extra['b']:.4g} steps",
        extra=extra,
    )


def _slope_finding(
    name: str,
    grid: Array,
    logs: Array,
    censored: NDArray[np.bool_],
    region: Region,
    level: float,
    estimator: str = LEAST_SQUARES,
) -> Finding:
    result = (
        tobit.common_slope(grid, logs, censored)
        if estimator == LEAST_SQUARES
        else _median_slope(grid, logs, censored)
    )
    ci = result.interval(level)
    cut = int(censored.sum())
    p = (
        None
        if math.isnan(ci[0])
        else tost_p(result.slope, result.se, result.df, region.lo, region.hi)
    )
    missing = int(np.isnan(result.per_seed).sum())
    return Finding(
        name=name,
        estimate=result.slope,
        ci=ci,
        region=region,
        values=tuple(result.per_seed.tolist()),
        level=level,
        p=p,
        smallest_p=None if p is None else 0.0,
        n=logs.shape[0],
        censored=cut,
        method=f"log-log slope, {_how(estimator, cut)}, t interval",
        note=f"{missing} of {logs.shape[0]} seeds have no slope" if missing else "",
    )


def _how(estimator: str, censored: int) -> str:
    if estimator == THEIL_SEN:
        return "per seed the median between two points"
    return "Tobit with seed effects, clustered by seed" if censored else "per seed"


def _median_slope(grid: Array, logs: Array, censored: NDArray[np.bool_]) -> tobit.CommonSlope:
    """Theil and Sen's slope of each seed whose times were all reached, and the mean over seeds."""
    per_seed = np.array(
        [
            math.nan if cut.any() else stats.theilslopes(row, grid).slope
            for row, cut in zip(logs, censored, strict=True)
        ],
        dtype=float,
    )
    slopes = per_seed[~np.isnan(per_seed)]
    se = float(slopes.std(ddof=1)) / math.sqrt(slopes.size) if slopes.size > 1 else math.nan
    return tobit.CommonSlope(
        float(slopes.mean()) if slopes.size else math.nan, se, slopes.size - 1, per_seed
    )


def _logs(x: ArrayLike, times: Times) -> tuple[Array, Array, NDArray[np.bool_]]:
    """log x (grid,), log times or limits (seeds, grid), and which of them are limits."""
    grid = np.asarray(x, dtype=float)
    if grid.ndim != 1 or not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ValueError("an exponent needs a positive, strictly rising grid")
    if not times or any(len(row) != grid.size for row in times):
        raise ValueError(
            f"expected one time for each of {grid.size} grid points in each seed, got rows of "
            f"{[len(row) for row in times]}"
        )
    logs = np.array([[time.log_bound for time in row] for row in times])
    return (
        np.log(grid),
        logs,
        np.array([[not time.reached for time in row] for row in times], dtype=bool),
    )
