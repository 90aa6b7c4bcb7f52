"""Sharp falls of a noisy curve in logarithmic time, as of a test loss when generalisation comes
late (Figure 5d).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array

HALF_DECADE = math.sqrt(10.0)


def log_smooth(
    step: ArrayLike, y: ArrayLike, ratio: float = 1.1, centre: Callable[[Array], float] = np.mean
) -> Array:
    """(T,) ``centre`` of the logged values between step / ratio and step * ratio, a window of
    constant width in log step.

    Args:
        step: (T,) rising, >= 0; step 0 counts as 1. y: (T,).
        centre: the mean, or the median where single values may be spikes.

    Raises:
        ValueError: for arrays of different or no length, or ``ratio`` < 1.
    """
    steps, curve = np.maximum(np.asarray(step, dtype=float), 1.0), np.asarray(y, dtype=float)
    if steps.ndim != 1 or steps.shape != curve.shape or steps.size == 0 or ratio < 1:
        raise ValueError(
            f"smoothing needs equally long step and y and a ratio >= 1, got {steps.shape}, "
            f"{curve.shape} and {ratio}"
        )
    # The slack keeps a neighbour at exactly the ratio inside whatever the rounding.
    first = np.searchsorted(steps, steps / (ratio * (1 + 1e-12)), side="left")
    last = np.searchsorted(steps, steps * (ratio * (1 + 1e-12)), side="right")
    return np.array([float(centre(curve[low:high])) for low, high in zip(first, last, strict=True)])


def largest_fall(
    step: ArrayLike, y: ArrayLike, start: float, width: float = HALF_DECADE, ratio: float = 1.1
) -> tuple[float, float]:
    """(factor, step) of the largest fall of ``y`` within a factor ``width`` in step, from ``start``
    on.

    It is measured on the running minimum since ``start`` of the running median (``log_smooth``), so
    that neither a spike nor a rise that comes before it counts as a fall. The step is the geometric
    middle of the shortest stretch that holds the largest fall. A curve that does not fall at all
    has factor 1 and no step (NaN); without a ``start`` (NaN) or with fewer than two points from it
    on both are NaN.

    Args:
        step: (T,) rising, >= 0. y: (T,) > 0 where logged after ``start``.

    Raises:
        ValueError: as ``log_smooth``, or for ``width`` <= 1.
    """
    if not width > 1:
        raise ValueError(f"a fall needs a width > 1, got {width}")
    steps = np.maximum(np.asarray(step, dtype=float), 1.0)
    if math.isnan(start) or (steps >= start).sum() < 2:
        return math.nan, math.nan
    since = steps >= start
    steps = steps[since]
    level = np.minimum.accumulate(
        log_smooth(steps, np.asarray(y, dtype=float)[since], ratio, np.median)
    )
    ends = np.searchsorted(steps, steps * (width * (1 + 1e-12)), side="right") - 1
    factors = level / level[ends]
    if not np.isfinite(factors).all():
        return math.nan, math.nan
    best = int(factors.argmax())
    factor = float(factors[best])
    if factor <= 1:
        return 1.0, math.nan
    # Within the window: the last point still at its top, the first one at its bottom.
    window = level[best : ends[best] + 1]
    top = best + int(np.flatnonzero(window == window[0])[-1])
    bottom = best + int(np.flatnonzero(window == window[-1])[0])
    return factor, float(math.sqrt(steps[top] * steps[bottom]))
