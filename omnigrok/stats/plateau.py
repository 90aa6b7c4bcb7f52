"""How long a curve stays in a band of values, on a logarithmic axis of steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.finding import Region


def longest_stay(step: ArrayLike, curve: ArrayLike, band: Region, start: float) -> float:
    """Decades of steps of the longest contiguous stretch of logged points, from ``start`` on, at
    which the curve lies in ``band``.

    The stretch runs from its first logged point to its last, so what lies between logged points
    never adds to it. No point in the band gives 0; a ``start`` that is not finite (never reached)
    gives NaN. NaN in the curve lies in no band.

    Args:
        step: (T,) rising. curve: (T,). start: a step > 0.

    Raises:
        ValueError: for arrays of different length or steps that do not rise.
    """
    steps, values = np.asarray(step, dtype=float), np.asarray(curve, dtype=float)
    if steps.ndim != 1 or steps.shape != values.shape:
        raise ValueError(
            f"step and curve must be 1-d and equally long, got {steps.shape} and {values.shape}"
        )
    if not (np.diff(steps) > 0).all():
        raise ValueError("steps must rise")
    if not math.isfinite(start):
        return math.nan
    inside = np.array([value in band for value in values.tolist()], dtype=bool) & (
        steps >= max(start, 1.0)
    )
    edges = np.flatnonzero(np.diff(np.concatenate(([0], inside.astype(int), [0]))))
    stays = [
        math.log10(steps[last - 1] / steps[first])
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
    return max(stays, default=0.0)
