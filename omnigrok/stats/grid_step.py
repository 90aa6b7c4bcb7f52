"""Means of numbers that a grid knows only to its step: each seed has a lower and an upper end."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import interval
from omnigrok.stats.finding import Finding, Region


def mean_between(name: str, low: ArrayLike, high: ArrayLike, region: Region, *, note: str = "") -> Finding:
    """The mean over seeds of a number that lies somewhere between two ends, compared with ``region``.

    Its interval reaches from the lower limit of the mean of the lower ends to the upper limit of the mean of the upper ends,
    so a grid step wider than the criterion's margin cannot decide. A seed with an infinite or missing end is censored: then
    there is no interval.

    Args:
        low, high: (seeds,) ends, in the unit of ``region``.

    Raises:
        ValueError: the ends do not fit each other.
    """
    lows, highs = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    if lows.ndim != 1 or lows.shape != highs.shape or (lows > highs).any():
        raise ValueError(f"{name}: every seed needs a lower end that is not above its upper end")
    censored = int((~np.isfinite(lows) | ~np.isfinite(highs)).sum())
    middles = np.where(np.isfinite(lows) & np.isfinite(highs), (lows + highs) / 2, np.nan)
    if censored or not lows.size:
        ends, estimate = (math.nan, math.nan), math.nan
    else:
        ends, estimate = (interval(lows)[1], interval(highs)[2]), float(middles.mean())
    words = [note] if note else []
    if censored:
        words.append(f"off the grid in {censored} of {lows.size} seeds")
    elif lows.size:
        words.append(f"grid step {float((highs - lows).max()):.3g}")
    return Finding(
        name=name,
        estimate=estimate,
        ci=ends,
        region=region,
        values=tuple(middles.tolist()),
        n=lows.size,
        censored=censored,
        method="mean, t interval of the ends of the grid step",
        note="; ".join(words),
    )
