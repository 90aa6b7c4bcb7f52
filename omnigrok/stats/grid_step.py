"""Means of numbers that a grid knows only to its step: each seed has a lower and an upper end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array, interval, sign_flip_p, with_missing
from omnigrok.stats.finding import Finding, Region, Verdict


def mean_between(
    name: str,
    low: ArrayLike,
    high: ArrayLike,
    region: Region,
    *,
    log: bool = False,
    note: str = "",
) -> Finding:
    """The mean over seeds of a number that lies somewhere between two ends, compared with
    ``region``.

    Its interval reaches from the lower limit of the mean of the lower ends to the upper limit of
    the mean of the upper ends, so a grid step wider than the criterion's margin cannot decide; the
    note then says how wide a step would. A seed with an infinite end is off the grid: it is
    censored, has no estimate, and bounds the mean from its other end alone. A seed with two missing
    ends has no value. p is the sign-flip test of the ends nearest to the region's edges, and None
    if one of those is infinite.

    Args:
        low, high: (seeds,) ends, in the unit of ``region``.
        log: average the logarithms and report the geometric mean, for ratios.

    Raises:
        ValueError: the ends do not fit each other, or are not above 0 with ``log``.
    """
    lows, highs = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    if lows.ndim != 1 or lows.shape != highs.shape or (lows > highs).any():
        raise ValueError(f"{name}: every seed needs a lower end that is not above its upper end")
    if (np.isnan(lows) != np.isnan(highs)).any():
        raise ValueError(f"{name}: a seed has both ends or none")
    if log and (lows < 0).any():
        raise ValueError(f"{name}: a geometric mean needs ends above 0")
    edges = np.array([region.lo, region.hi])
    if log:
        with np.errstate(divide="ignore"):
            lows, highs, edges = np.log(lows), np.log(highs), np.log(np.maximum(edges, 0.0))
    known = ~np.isnan(lows)
    below, above = lows[known], highs[known]
    cut = ~(np.isfinite(lows) & np.isfinite(highs)) & known
    with np.errstate(invalid="ignore"):
        middles = np.where(cut, np.nan, (lows + highs) / 2)
    ends = _end(below, 1), _end(above, 2)
    estimate = float(middles[known].mean()) if known.any() and not cut.any() else math.nan
    tests = []
    if known.any() and math.isfinite(edges[0]):
        tests.append(_p(below - edges[0]))
    if known.any() and math.isfinite(edges[1]):
        tests.append(_p(edges[1] - above))
    tested = bool(tests) and all(p is not None for p in tests)
    finding = Finding(
        name=name,
        estimate=_back(estimate, log),
        ci=(_back(ends[0], log), _back(ends[1], log)),
        region=region,
        values=tuple(_back(each, log) for each in middles.tolist()),
        p=max(p for p in tests if p is not None) if tested else None,
        smallest_p=2.0 ** -int(known.sum()) if tested else None,
        n=lows.size,
        censored=int(cut.sum()),
        method=("geometric mean" if log else "mean")
        + ", t interval of the ends of the grid step"
        + (", one-sided sign-flip test" if tested else ""),
    )
    words = [note] if note else []
    if cut.any():
        words.append(f"off the grid in {int(cut.sum())} of {lows.size} seeds")
    elif known.any():
        words += _steps(finding, below, above, edges)
    return replace(finding, note=with_missing("; ".join(words), lows))


def _end(values: Array, which: int) -> float:
    """A limit of the mean's interval; infinite if a value is."""
    infinite = values[np.isinf(values)]
    return float(infinite[0]) if infinite.size else interval(values)[which]


def _p(differences: Array) -> float | None:
    return sign_flip_p(differences)[0] if np.isfinite(differences).all() else None


def _back(value: float, log: bool) -> float:
    return math.exp(value) if log else value


def _steps(finding: Finding, low: Array, high: Array, edges: Array) -> list[str]:
    """How far apart the ends are and, if that leaves the verdict open, how near they must come."""
    apart = float((high - low).max())
    words = [f"ends {apart:.3g} apart"]
    middle, lower, upper = interval((low + high) / 2)
    room = min(abs(middle - edge) for edge in edges if math.isfinite(edge)) - (upper - lower) / 2
    if finding.verdict() is Verdict.INCONCLUSIVE and room > 0:
        words.append(f"within {2 * room:.2g} of each other they would decide")
    return words
