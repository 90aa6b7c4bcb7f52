"""Means and ratios of log times of which some were not reached (right-censored)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from omnigrok.stats.comparison import BOOTSTRAP_FROM, Array, interval, sign_flip_p, with_missing
from omnigrok.stats.finding import Finding, Region
from omnigrok.stats.times import Time, count_censored

# A ratio known only from one side enters the sign-flip test at its least favourable value, here
# exp(1e6).
FAR = 1e6


def censored_mean(
    log_values: ArrayLike,
    censored: ArrayLike,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> tuple[float, float, float]:
    """(estimate, lower, upper) of the mean of log values, some of which are only known to be larger
    than stated.

    * None censored: ``comparison.interval``.
    * Some: normal (Tobit) likelihood with its profile interval. The cut is n log(1 + t^2 / (n - 1))
      instead of the chi-squared quantile, with which the interval would be Student's if nothing
      were censored; the chi-squared one is too narrow for 5 seeds.
    * All, or fewer than two different uncensored values (the likelihood has no maximum): the
      estimate is inf, the interval runs from the smallest of all values to inf if 2**-n <= 1 -
      level (else from -inf), which is the sign test's bound of the median.

    Args:
        log_values: (n,), the limit's log where censored; NaN is dropped.
        censored: (n,) bool.

    Raises:
        ValueError: for arrays of different shape.
    """
    values, flags = np.asarray(log_values, dtype=float), np.asarray(censored, dtype=bool)
    if values.shape != flags.shape or values.ndim != 1:
        raise ValueError(
            f"log_values and censored must be 1-d and equally long, got {values.shape} and "
            f"{flags.shape}"
        )
    keep = ~np.isnan(values)
    values, flags = values[keep], flags[keep]
    if not flags.any():
        return interval(values, level, rng)
    seen = values[~flags]
    if seen.size < 2 or np.ptp(seen) <= 1e-9 * max(1.0, float(np.abs(seen).max())):
        enough = 2.0**-values.size <= 1 - level
        return math.inf, float(values.min()) if enough else -math.inf, math.inf
    return _profile_interval(seen, values[flags], level)


def bounded_mean(
    values: ArrayLike,
    at_least: ArrayLike,
    at_most: ArrayLike,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> tuple[float, float, float]:
    """(estimate, lower, upper) of the mean of values, some of which are only known to be larger
    than stated, or smaller.

    With bounds of one kind it is ``censored_mean``, of the negative values where they are upper
    ones. With both kinds nothing bounds the mean.

    Args:
        values: (n,), usually logs; NaN is dropped. at_least, at_most: (n,) bool.
    """
    data = np.asarray(values, dtype=float)
    known = ~np.isnan(data)
    lower, upper = (np.asarray(flags, dtype=bool) & known for flags in (at_least, at_most))
    if not upper.any():
        return censored_mean(data, lower, level, rng)
    if lower.any():
        return math.nan, -math.inf, math.inf
    estimate, low, high = censored_mean(-data, upper, level, rng)
    return -estimate, -high, -low


def _profile_interval(seen: Array, limits: Array, level: float) -> tuple[float, float, float]:
    """Maximum and profile-likelihood interval of the mean of a normal from values and lower limits
    of others.
    """
    n = seen.size + limits.size
    centre, spread = float(seen.mean()), float(np.ptp(np.concatenate((seen, limits))))

    def profile(mean: float) -> float:
        def negative(log_sigma: float) -> float:
            sigma = math.exp(log_sigma)
            z = (seen - mean) / sigma
            return float(
                seen.size * log_sigma
                + 0.5 * (z @ z)
                - special.log_ndtr((mean - limits) / sigma).sum()
            )

        widest = math.log(10 * (spread + abs(mean - centre)))
        return -float(
            optimize.minimize_scalar(
                negative, bounds=(math.log(1e-4 * spread), widest), method="bounded"
            ).fun
        )

    # Censored values lie above their limits, so the mean cannot lie below the one of the limits
    # taken as values.
    start = float(np.concatenate((seen, limits)).mean())
    far = start + spread
    while profile(far) > profile(start) or profile(far) > profile((start + far) / 2):
        if far - start > 1e4 * spread:
            break
        far = start + 2 * (far - start)
    best = optimize.minimize_scalar(
        lambda mean: -profile(mean),
        bounds=(start - spread, far),
        method="bounded",
        options={"xatol": 1e-9 * spread},
    )
    top = -float(best.fun)
    t = float(stats.t.ppf(0.5 + level / 2, n - 1))
    cut = top - 0.5 * n * math.log1p(t * t / (n - 1))
    ends = [
        _crossing(lambda mean: profile(mean) - cut, float(best.x), side * spread)
        for side in (-1.0, 1.0)
    ]
    return float(best.x), ends[0], ends[1]


def _crossing(f: Callable[[float], float], inside: float, stride: float) -> float:
    """Where ``f``, positive at ``inside``, falls through 0 in the direction of ``stride``; infinite
    if it does not.
    """
    outside = inside + stride
    for _ in range(40):
        if f(outside) < 0:
            return float(optimize.brentq(f, inside, outside, xtol=1e-9 * abs(stride)))
        inside, outside = outside, inside + 2 * (outside - inside)
    return math.copysign(math.inf, stride)


def time_ratio(
    name: str,
    late: Sequence[Time],
    early: Sequence[Time],
    region: Region,
    *,
    level: float = 0.95,
    decides: bool = True,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """Geometric mean over seeds of the paired ratio late / early, with its interval from
    ``censored_mean``.

    A ``late`` that was not reached gives a ratio known to be above limit / early. Under the smoke
    rule such a seed counts as inside (value inf) if that bound alone lies in a region without upper
    end, and has no value otherwise. An ``early`` that was not reached gives no ratio: the seed has
    no value in either tier.

    The p value is the sign-flip test on the logs, with a ratio known from below at its least
    favourable value: the bound where the region lies above, beyond every other ratio where it lies
    below.

    Raises:
        ValueError: for a different number of seeds in the two arms.
    """
    if len(late) != len(early):
        raise ValueError(
            f"{name}: {len(late)} late times against {len(early)} early ones; the ratio is paired "
            "by seed"
        )
    logs = np.array(
        [
            b.log_bound - a.log_bound if a.reached else math.nan
            for a, b in zip(early, late, strict=True)
        ]
    )
    cut = np.array([not time.reached for time in late], dtype=bool)
    values = []
    for log_ratio, is_cut in zip(logs.tolist(), cut.tolist(), strict=True):
        ratio = math.exp(log_ratio)
        certain = is_cut and region.hi == math.inf and ratio in region
        values.append((math.inf if certain else math.nan) if is_cut else ratio)
    known = ~np.isnan(logs)
    estimate, low, high = (_exp(end) for end in censored_mean(logs, cut, level, rng))
    tests = []
    if known.any():
        if region.lo > 0:
            tests.append(sign_flip_p(logs[known] - math.log(region.lo), rng))
        if region.hi < math.inf:
            tests.append(sign_flip_p(math.log(region.hi) - np.where(cut, FAR, logs)[known], rng))
    any_cut = bool(cut[known].any())
    kind = (
        "Tobit profile interval"
        if any_cut
        else "BCa bootstrap interval"
        if known.sum() >= BOOTSTRAP_FROM
        else "t interval"
    )
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=region,
        values=tuple(values),
        level=level,
        p=max(p for p, _ in tests) if tests else None,
        smallest_p=max(smallest for _, smallest in tests) if tests else None,
        n=len(late),
        censored=count_censored(late) + count_censored(early),
        decides=decides,
        method=f"geometric mean of paired ratios, {kind}"
        + (", one-sided sign-flip test" if tests else ""),
        note=with_missing(note, logs),
    )


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)
