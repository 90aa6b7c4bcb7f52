"""Whether a time bends over a logarithmic grid: its log-log slope at the upper end minus that at
the lower end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omnigrok.stats.censoring import censored_mean
from omnigrok.stats.comparison import BOOTSTRAP_FROM, Array, sign_flip_p, with_missing
from omnigrok.stats.finding import Finding, Region
from omnigrok.stats.times import Time, count_censored


def slope_change(
    name: str,
    x: ArrayLike,
    times: Sequence[Sequence[Time]],
    region: Region,
    *,
    window: float = 4.0,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """Log-log slope of t over the largest x, those within a factor ``window`` of the last, minus
    that over the smallest, mean over seeds.

    A window in x means the same on a finer grid; a number of points does not.

    A seed's value is a weighted sum of its log times. Where a time with positive weight was not
    reached (with t falling in x: the one at the smallest x), the sum is known from below and counts
    as censored (``censored_mean``); under the smoke rule it is inside if the bound alone lies in a
    region without upper end. Where a time with negative weight was not reached the seed has no
    value. p is the one-sided sign-flip test against a region's finite lower end.

    Args:
        x: (grid,) > 0, rising, with two points or more in each window; the windows share one at
            most. times: (seeds, grid).

    Raises:
        ValueError: for a grid that is not positive and rising, too short, or does not match the
            times.
    """
    grid = np.asarray(x, dtype=float)
    if grid.ndim != 1 or not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ValueError(f"{name}: slopes need a positive, strictly rising grid")
    # A rounding must not cut off the window's last point.
    reach = max(window, 1.0) * (1 + 1e-9)
    lower, upper = grid <= grid[0] * reach, grid >= grid[-1] / reach
    if min(lower.sum(), upper.sum()) < 2 or (lower & upper).sum() > 1:
        raise ValueError(
            f"{name}: two slopes over a factor {window:g} need two grid points each and at most "
            f"one in common, got {lower.sum()} and {upper.sum()} of {grid.size}"
        )
    if not times or any(len(row) != grid.size for row in times):
        raise ValueError(
            f"{name}: expected one time for each of {grid.size} grid points, got rows of "
            f"{[len(row) for row in times]}"
        )
    weights = _weights(np.log(grid), lower, upper)
    logs = np.array([[time.log_bound for time in row] for row in times])
    lost = np.array([[not time.reached for time in row] for row in times], dtype=bool)
    sums = np.where((lost & (weights < 0)).any(axis=1), math.nan, logs @ weights)
    cut = np.asarray((lost & (weights > 0)).any(axis=1))
    certain = cut & (sums > region.lo) & (region.hi == math.inf)
    values = np.where(certain, math.inf, np.where(cut, math.nan, sums))
    estimate, low, high = censored_mean(sums, cut, level, rng)
    known = sums[~np.isnan(sums)]
    p, smallest = (
        sign_flip_p(known - region.lo, rng)
        if known.size and region.hi == math.inf
        else (None, None)
    )
    any_cut = bool(cut[~np.isnan(sums)].any())
    kind = (
        "Tobit profile interval"
        if any_cut
        else "BCa bootstrap interval"
        if known.size >= BOOTSTRAP_FROM
        else "t interval"
    )
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=region,
        values=tuple(values.tolist()),
        level=level,
        p=p,
        smallest_p=smallest,
        n=len(times),
        censored=sum(count_censored(row) for row in times),
        method=f"difference of log-log slopes over a factor {window:g} at each end, {kind}"
        + ("" if p is None else ", one-sided sign-flip test"),
        note=with_missing(note, sums),
    )


def _weights(logs: Array, lower: NDArray[np.bool_], upper: NDArray[np.bool_]) -> Array:
    """(grid,) weights of the log times in the difference of both ends' least-squares slopes."""
    weights = np.zeros_like(logs)
    for end, sign in ((lower, -1.0), (upper, 1.0)):
        centred = logs[end] - logs[end].mean()
        weights[end] += sign * centred / (centred @ centred)
    # The middle of three equally spaced points has no weight, and rounding must not give it a sign.
    return np.where(np.abs(weights) < 1e-9 * np.abs(weights).max(), 0.0, weights)
