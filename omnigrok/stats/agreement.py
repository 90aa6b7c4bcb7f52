"""Equivalence within a margin, shares of seeds, and agreement between seeds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from omnigrok.stats.comparison import finite_values, t_interval, with_missing
from omnigrok.stats.finding import Finding, Region


def equivalent(
    name: str, values: ArrayLike, region: Region, *, log: bool = False, note: str = ""
) -> Finding:
    """Two one-sided t tests (TOST, Schuirmann 1987): is the mean inside ``region``, the margin
    stated beforehand?

    The interval is the 90 % t interval whatever n is, so that "interval inside the region" is the
    same as "p <= .05". Power at half a margin was .19 / .46 / .93 with 3 / 5 / 10 seeds
    (docs/statistics.md).

    Args:
        values: (seeds,), in the unit of ``region``; NaN where a seed has no value.
        log: test the mean of the logs and report the geometric mean (for ratios).

    Raises:
        ValueError: for values <= 0 with ``log``, or infinite values.
    """
    given = np.asarray(values, dtype=float)
    data = finite_values(given)
    if log and (data <= 0).any():
        raise ValueError(f"{name}: a geometric mean needs values > 0, got {data.min():.4g}")
    low_end, high_end = region.lo, region.hi
    if log:
        data = np.log(data)
        low_end, high_end = (
            math.log(end) if end > 0 else -math.inf for end in (region.lo, region.hi)
        )
    estimate = float(data.mean()) if data.size else math.nan
    ci, p = (math.nan, math.nan), None
    if data.size >= 2:
        ci = t_interval(data, 0.9)
        se = float(data.std(ddof=1)) / math.sqrt(data.size)
        p = tost_p(estimate, se, data.size - 1, low_end, high_end)
    if log:
        estimate, ci = math.exp(estimate), (math.exp(ci[0]), math.exp(ci[1]))
    return Finding(
        name=name,
        estimate=estimate,
        ci=ci,
        region=region,
        values=tuple(given.tolist()),
        level=0.9,
        p=p,
        smallest_p=None if p is None else 0.0,
        n=given.size,
        method=("geometric mean" if log else "mean") + ", TOST, 90 % t interval",
        note=with_missing(note, given),
    )


def tost_p(estimate: float, se: float, df: float, low: float, high: float) -> float:
    """The larger of the two one-sided t tests' p values of ``low < estimate < high``."""
    room = min(estimate - low, high - estimate)
    if se == 0:
        return 0.0 if room > 0 else 1.0
    return float(stats.t.sf(room / se, df))


def share(
    name: str, successes: ArrayLike, region: Region, *, level: float = 0.95, note: str = ""
) -> Finding:
    """Share of seeds for which something happens, with the Clopper-Pearson interval.

    The value of a seed alone is 1 or 0, so under the smoke rule a region (.5, inf) holds every
    success and no failure. With 5 seeds the lower bound of 5 successes is .478: the note says so
    where no outcome could reach the region.

    Args:
        successes: (seeds,), True / False or 1 / 0; NaN where it cannot be told.

    Raises:
        ValueError: for a value that is neither 0, 1 nor NaN.
    """
    given = np.asarray(successes, dtype=float)
    data = finite_values(given)
    if not np.isin(data, (0.0, 1.0)).all():
        raise ValueError(f"{name}: a share counts True and False, got {data}")
    hits, n = int(data.sum()), int(data.size)
    estimate, ci = math.nan, (math.nan, math.nan)
    p = smallest = None
    if n:
        exact = stats.binomtest(hits, n).proportion_ci(level, method="exact")
        estimate, ci = hits / n, (float(exact.low), float(exact.high))
        tests = []
        if 0 < region.lo < 1:
            tests.append((float(stats.binom.sf(hits - 1, n, region.lo)), region.lo**n))
        if 0 < region.hi < 1:
            tests.append((float(stats.binom.cdf(hits, n, region.hi)), (1 - region.hi) ** n))
        if tests:
            p, smallest = max(test[0] for test in tests), max(test[1] for test in tests)
        tail = (1 - level) / 2
        if region.lo > 0 and tail ** (1 / n) <= region.lo:
            note = "; ".join(
                part
                for part in (
                    note,
                    f"{n} seeds are too few: even all of them leave the lower bound outside",
                )
                if part
            )
    return Finding(
        name=name,
        estimate=estimate,
        ci=ci,
        region=region,
        values=tuple(given.tolist()),
        level=level,
        p=p,
        smallest_p=smallest,
        n=given.size,
        method="share of seeds, Clopper-Pearson interval"
        + (", exact binomial test" if p is not None else ""),
        note=with_missing(note, given),
    )


def intraclass(
    name: str, matrix: ArrayLike, region: Region, *, level: float = 0.95, note: str = ""
) -> Finding:
    """Intraclass correlation of the seeds after the conditions' means are removed: ICC(C,1), McGraw
    & Wong 1996.

    It is the share of the remaining variance that belongs to the seed (a seed that is slow
    everywhere), with the exact F interval. A seed alone has no correlation: ``values`` holds the
    ICC without each seed in turn (with two seeds, the ICC itself).

    Args:
        matrix: (seeds, conditions), e.g. log times over weight decays; NaN where a time is missing.
            A seed with no value is dropped, then each condition that misses one.

    Raises:
        ValueError: for an array that is not 2-d.
    """
    given = np.asarray(matrix, dtype=float)
    if given.ndim != 2:
        raise ValueError(f"{name}: expected (seeds, conditions), got shape {given.shape}")
    missing = int(np.isnan(given).sum())
    has_value = ~np.isnan(given).all(axis=1)
    data = given[has_value]
    data = data[:, ~np.isnan(data).any(axis=0)]
    seeds, conditions = data.shape
    note = with_missing(note, np.where(has_value, 0.0, math.nan))
    if data.shape[1] < given.shape[1]:
        note = "; ".join(
            part
            for part in (note, f"{conditions} of {given.shape[1]} conditions are complete")
            if part
        )
    estimate, ci, p = math.nan, (math.nan, math.nan), None
    values = np.full(given.shape[0], math.nan)
    if seeds >= 2 and conditions >= 2:
        estimate, f = _icc(data)
        df1, df2 = seeds - 1, (seeds - 1) * (conditions - 1)
        tail = (1 - level) / 2
        ends = f / stats.f.isf(tail, df1, df2), f * stats.f.isf(tail, df2, df1)
        ci = (_icc_of_f(float(ends[0]), conditions), _icc_of_f(float(ends[1]), conditions))
        if -1 / (conditions - 1) < region.lo < 1 and not math.isnan(f):
            p = float(stats.f.sf(f / (1 + conditions * region.lo / (1 - region.lo)), df1, df2))
        values[has_value] = [
            _icc(np.delete(data, row, axis=0))[0] if seeds > 2 else estimate for row in range(seeds)
        ]
    return Finding(
        name=name,
        estimate=estimate,
        ci=ci,
        region=region,
        values=tuple(values.tolist()),
        level=level,
        p=p,
        smallest_p=None if p is None else 0.0,
        n=given.shape[0],
        censored=missing,
        method="ICC(C,1), F interval; values leave one seed out",
        note=note,
    )


def _icc(data: np.ndarray) -> tuple[float, float]:
    """(ICC(C,1), F) of a complete (seeds, conditions) table; F is infinite without residual, NaN
    without any variance.
    """
    seeds, conditions = data.shape
    centred = data - data.mean(axis=0)
    row = centred.mean(axis=1, keepdims=True)
    between = float(conditions * (row**2).sum() / (seeds - 1))
    within = float(((centred - row) ** 2).sum() / ((seeds - 1) * (conditions - 1)))
    # Rounding leaves some 1e-30 where the table is exactly additive.
    dust = 1e-24 * max(1.0, float(np.abs(data).max()) ** 2)
    if within <= dust:
        return (1.0, math.inf) if between > dust else (math.nan, math.nan)
    f = between / within
    return _icc_of_f(f, conditions), f


def _icc_of_f(f: float, conditions: int) -> float:
    return 1.0 if math.isinf(f) else (f - 1) / (f + conditions - 1)
