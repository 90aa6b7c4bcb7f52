"""How sharp a rise is: decades of steps between a tenth and nine tenths of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array
from omnigrok.stats.drop import log_smooth

LEAST_HEIGHT = 0.05


def rise_decades(
    step: ArrayLike,
    curve: ArrayLike,
    start: float,
    levels: tuple[float, float] = (0.1, 0.9),
    least: float = LEAST_HEIGHT,
) -> float:
    """log10(t90 / t10) of a curve's rise after ``start``.

    The rise goes from the smoothed curve's value at ``start`` to its largest one from there on; t10
    and t90 are where the running maximum of the smoothed curve passes the two levels of it, linear
    in log step between logged points. A rise under ``least`` is none (NaN), as is one without a
    ``start``.

    Args:
        step: (T,) rising, >= 0. curve: (T,). start: a step.

    Raises:
        ValueError: as ``log_smooth``.
    """
    smooth = log_smooth(step, curve)
    steps = np.maximum(np.asarray(step, dtype=float), 1.0)
    since = steps >= start
    if not math.isfinite(start) or since.sum() < 2:
        return math.nan
    logs, level = np.log10(steps[since]), np.maximum.accumulate(smooth[since])
    height = float(level[-1] - level[0])
    if not height >= least:
        return math.nan
    low, high = (_passes(logs, level, float(level[0]) + share * height) for share in levels)
    return high - low


def _passes(logs: Array, level: Array, target: float) -> float:
    after = int(np.flatnonzero(level >= target)[0])
    if after == 0:
        return float(logs[0])
    weight = (target - level[after - 1]) / (level[after] - level[after - 1])
    return float(logs[after - 1] + weight * (logs[after] - logs[after - 1]))
