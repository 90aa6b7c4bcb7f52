"""Whether a time bends over a logarithmic grid: its log-log slope at the upper end minus that at
the lower end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omnigrok.stats.censoring import FAR, bounded_mean
from omnigrok.stats.comparison import BOOTSTRAP_FROM, Array, sign_flip_p, with_missing
from omnigrok.stats.finding import Finding, Region
from omnigrok.stats.times import Time


def slope_change(
    name: str,
    x: ArrayLike,
    times: Sequence[Sequence[Time]],
    region: Region,
    *,
    at_most: ArrayLike | None = None,
    window: float = 4.0,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """Log-log slope of t over the largest x, those within a factor ``window`` of the last, minus
    that over the smallest, mean over seeds.

    A window in x means the same on a finer grid; a number of points does not.

    A seed's value is a weighted sum of its log times. Where a time was not reached, or is only
    known from above (``at_most``), the sum is known from one side and counts as censored
    (``bounded_mean``); bounds on both sides leave no value. Under the smoke rule a seed whose bound
    alone lies inside, or outside, a region without upper end counts as that. p is the one-sided
    sign-flip test against a region's finite lower end, with every bound at its least favourable.

    Args:
        x: (grid,) > 0, rising, with two points or more in each window; the windows share one at
            most. times: (seeds, grid). at_most: (seeds, grid) bool, where the time is no later than
            stated; with a time that was not reached, nothing is known of it.

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
    late = np.array([[not time.reached for time in row] for row in times], dtype=bool)
    soon = np.zeros_like(late) if at_most is None else np.asarray(at_most, dtype=bool)
    rising, counts = weights > 0, weights != 0
    below = ((late & ~soon & rising) | (soon & ~rising)) & counts
    above = ((late & ~soon & ~rising) | (soon & rising)) & counts
    unknown = (late & soon & counts).any(axis=1)
    at_least, no_more = np.asarray(below.any(axis=1)), np.asarray(above.any(axis=1))
    sums = np.where(unknown | (at_least & no_more), math.nan, logs @ weights)
    cut = at_least | no_more
    open_above = region.hi == math.inf
    inside = at_least & (sums > region.lo) & open_above
    outside = no_more & (sums <= region.lo) & open_above
    values = np.where(inside, math.inf, np.where(outside | ~cut, sums, math.nan))
    estimate, low, high = bounded_mean(sums, at_least, no_more, level, rng)
    seen = ~np.isnan(sums)
    p, smallest = (
        sign_flip_p(np.where(no_more, -FAR, sums - region.lo)[seen], rng)
        if seen.any() and open_above
        else (None, None)
    )
    any_cut = bool(cut[seen].any())
    kind = (
        "Tobit profile interval"
        if any_cut
        else "BCa bootstrap interval"
        if seen.sum() >= BOOTSTRAP_FROM
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
        censored=int((late | soon).sum()),
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
