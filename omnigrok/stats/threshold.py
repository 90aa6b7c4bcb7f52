"""Critical doses and sizes: where something starts to happen along an ordered grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from omnigrok.stats.comparison import Array, t_interval
from omnigrok.stats.finding import Finding, Region


def dose_response(
    name: str,
    dose: ArrayLike,
    reached: ArrayLike,
    region: Region,
    *,
    level: float = 0.95,
    note: str = "",
) -> Finding:
    """The dose at which one half of the runs succeed: logistic in log dose, profile-likelihood
    interval.

    With perfect separation (one dose at most is mixed, all below fail, all above succeed) the slope
    has no finite maximum; the interval is then the bracket [largest dose that never does, smallest
    that always does], open to 0 or inf where the grid ends. The logistic treats the runs of one
    seed as independent; where the t interval of the seeds' own midpoints is wider, the interval is
    widened to hold it too.

    Args:
        dose: (doses,) > 0, rising. reached: (seeds, doses) bool.

    ``values`` are the seeds' own midpoints: the geometric mean of the neighbouring doses that have
    as many failures below as the seed has in all (0 if it always succeeds, inf if never).

    Raises:
        ValueError: for a grid that is not positive and rising or does not match.
    """
    grid, flags = _grid(name, dose, reached)
    values = np.array([_own_midpoint(grid, row) for row in flags])
    rates = flags.mean(axis=0)
    bracket = _separation(grid, rates)
    extra: dict[str, float] = {}
    if bracket is not None:
        low, high = bracket
        mixed = (rates > 0) & (rates < 1)
        # The geometric middle; beyond the grid's ends it is inf (never) or 0 (always).
        estimate = float(grid[mixed][0]) if mixed.any() else math.sqrt(low * high) if low else 0.0
        method = "perfect separation: [largest dose that never does, smallest that always does]"
    else:
        estimate, low, high, slope = _logistic(np.log(grid), flags, level)
        extra["slope"] = slope
        method = "logistic in log dose, profile-likelihood interval of the midpoint"
        own = values[(values > 0) & np.isfinite(values)]
        if own.size == values.size >= 2:
            seeds = np.exp(t_interval(np.log(own), level))
            if seeds[0] < low or seeds[1] > high:
                method += ", widened to the t interval over seeds"
            low, high = min(low, float(seeds[0])), max(high, float(seeds[1]))
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=region,
        values=tuple(values.tolist()),
        level=level,
        n=flags.shape[0],
        censored=int((~np.isfinite(values) | (values == 0)).sum()),
        method=method,
        note=note,
        extra=extra,
    )


def _own_midpoint(grid: Array, row: NDArray[np.bool_]) -> float:
    failures = int((~row).sum())
    if failures == 0:
        return 0.0
    return math.inf if failures == row.size else math.sqrt(grid[failures - 1] * grid[failures])


def _separation(grid: Array, rates: Array) -> tuple[float, float] | None:
    """The bracket if the success rate goes 0 ... 0, at most one mixed dose, 1 ... 1; else None."""
    never, always = rates == 0, rates == 1
    mixed = int((~never & ~always).sum())
    if (
        mixed > 1
        or (np.diff(rates) < 0).any()
        or (mixed and not (never.any() and always.any()) and grid.size > 1)
    ):
        return None
    low = float(grid[never][-1]) if never.any() else 0.0
    high = float(grid[always][0]) if always.any() else math.inf
    return low, high


def _logistic(
    logs: Array, flags: NDArray[np.bool_], level: float
) -> tuple[float, float, float, float]:
    """(midpoint, lower, upper, slope) in dose; an end that the likelihood does not bound is 0 or
    inf.
    """
    successes, n = flags.sum(axis=0).astype(float), flags.shape[0]
    middle, width = float(logs.mean()), float(np.ptp(logs)) or 1.0
    z = (logs - middle) / width

    def negative(slope: float, midpoint: float) -> float:
        eta = slope * (z - midpoint)
        return float(
            -(successes * special.log_expit(eta) + (n - successes) * special.log_expit(-eta)).sum()
        )

    def profile(midpoint: float) -> float:
        # The slope's log-likelihood at a fixed midpoint is concave; a falling response has slope 0
        # at best.
        return float(
            optimize.minimize_scalar(
                negative, args=(midpoint,), bounds=(0.0, 200.0), method="bounded"
            ).fun
        )

    ladder = np.linspace(-2.5, 2.5, 101)
    heights = np.array([profile(rung) for rung in ladder])
    best = int(heights.argmin())
    around = ladder[max(best - 1, 0)], ladder[min(best + 1, ladder.size - 1)]
    peak = optimize.minimize_scalar(
        profile, bounds=around, method="bounded", options={"xatol": 1e-9}
    )
    cut = float(peak.fun) + 0.5 * float(stats.chi2.ppf(level, 1))
    outside = np.flatnonzero(heights > cut)
    ends = []
    for side, default in (
        (outside[ladder[outside] < peak.x][::-1], -math.inf),
        (outside[ladder[outside] > peak.x], math.inf),
    ):
        crossing = default
        if side.size:
            crossing = float(
                optimize.brentq(lambda m: profile(m) - cut, float(ladder[side[0]]), float(peak.x))
            )
        ends.append(crossing)
    slope = float(
        optimize.minimize_scalar(
            negative, args=(float(peak.x),), bounds=(0.0, 200.0), method="bounded"
        ).x
    )
    low, high = (
        0.0 if end == -math.inf else math.inf if end == math.inf else math.exp(middle + width * end)
        for end in ends
    )
    return math.exp(middle + width * float(peak.x)), low, high, slope / width


def bracket(
    name: str, x: ArrayLike, flags: ArrayLike, region: Region | None = None, *, note: str = ""
) -> Finding:
    """The smallest grid value at which something happens, known up to the grid.

    The interval runs from the grid value below the earliest seed's first (0 if that is the grid's
    first) to the latest seed's first (inf if a seed never does). It is a bracket, not a confidence
    interval. The estimate is the median over seeds.

    Args:
        x: (grid,) > 0, rising. flags: (seeds, grid) or (grid,) bool.

    ``values`` are each seed's first value, inf where it never happens.
    """
    grid, happens = _grid(name, x, np.atleast_2d(np.asarray(flags, dtype=bool)))
    firsts = np.array([float(grid[row][0]) if row.any() else math.inf for row in happens])
    earlier = grid[grid < firsts.min()]
    ordered = np.sort(firsts)
    return Finding(
        name=name,
        estimate=float(ordered[firsts.size // 2]),
        ci=(float(earlier[-1]) if earlier.size else 0.0, float(firsts.max())),
        region=region,
        values=tuple(firsts.tolist()),
        n=firsts.size,
        censored=int(np.isinf(firsts).sum()),
        method="bracket: grid value before the earliest seed's first, latest seed's first",
        note=note,
    )


def _grid(name: str, x: ArrayLike, flags: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    grid, table = np.asarray(x, dtype=float), np.asarray(flags, dtype=bool)
    if grid.ndim != 1 or table.ndim != 2 or table.shape[1] != grid.size or not table.shape[0]:
        raise ValueError(
            f"{name}: expected a grid (k,) and flags (seeds, k), got {grid.shape} and {table.shape}"
        )
    if not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ValueError(f"{name}: the grid must be positive and rise strictly")
    return grid, table
