"""Times: the step at which a curve arrives at a threshold and stays, or the step up to which it did
not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Time:
    """A time in optimiser steps, perhaps censored.

    Args:
        value: the step, NaN when it was not reached. The limit never stands in for it (it biases
            exponents, docs/statistics.md).
        reached: whether it was.
        limit: the last step of the record.
    """

    value: float
    reached: bool
    limit: float

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(
                f"the record must last longer than step 0, its last step is {self.limit}"
            )
        if self.reached and not 0 < self.value < math.inf:
            raise ValueError(f"a reached time is a positive step, not {self.value}")
        if not self.reached and not (math.isnan(self.value) and self.limit < math.inf):
            raise ValueError(
                f"a time that was not reached has a finite limit and no value, got {self.value} "
                f"and {self.limit}"
            )

    @classmethod
    def at(cls, value: float, limit: float = math.inf) -> Time:
        """A time that was reached."""
        return cls(float(value), True, float(limit))

    @classmethod
    def never(cls, limit: float) -> Time:
        """A time that was not reached by step ``limit``."""
        return cls(math.nan, False, float(limit))

    @property
    def log_bound(self) -> float:
        """Natural log of the value or, when censored, of the limit that it lies beyond."""
        return math.log(self.value if self.reached else self.limit)


def time_to(step: ArrayLike, accuracy: ArrayLike, threshold: float, hold: float = 0.05) -> Time:
    """The first logged step t from which ``accuracy`` is at ``threshold`` or above for 5 % of the
    elapsed steps.

    That is at every logged point in [t, (1 + hold) t] and at the next logged point at least. A
    record that ends before (1 + hold) t cannot show it: not reached, censored at the last step. NaN
    (a diverged run) is below every threshold. A curve above the threshold from step 0 on has time
    1, so that its log exists. For "loss at or under x" pass ``-loss`` and ``-x``. With ``hold`` 0
    it is the first crossing, whatever follows.

    Args:
        step: (T,) rising, >= 0, in optimiser steps.
        accuracy: (T,).
        threshold: in the unit of ``accuracy``.
        hold: length of the window as a fraction of t.

    Raises:
        ValueError: for arrays of different or no length, or steps that do not rise.
    """
    steps, curve = np.asarray(step, dtype=float), np.asarray(accuracy, dtype=float)
    if steps.ndim != 1 or steps.shape != curve.shape or steps.size == 0:
        raise ValueError(
            f"step and accuracy must be 1-d and equally long, got {steps.shape} and {curve.shape}"
        )
    if steps[0] < 0 or not (np.diff(steps) > 0).all():
        raise ValueError("steps must rise from 0 or more")
    limit = max(float(steps[-1]), 1.0)
    above = curve >= threshold
    # A later point of the same stretch has a later window, so only the first point of a stretch can
    # be the time.
    starts = np.flatnonzero(above & ~np.concatenate(([False], above[:-1])))
    below = np.flatnonzero(~above)
    for start in starts:
        if hold == 0:
            return Time.at(max(float(steps[start]), 1.0), limit)
        following = below[below > start]
        end = steps[start] * (1 + hold)
        if following.size == 0:
            # The relative slack forgives the rounding of (1 + hold) t, not a missing point.
            held = start + 1 < steps.size and steps[-1] >= end * (1 - 1e-12)
        else:
            held = following[0] > start + 1 and steps[following[0]] > end * (1 + 1e-12)
        if held:
            return Time.at(max(float(steps[start]), 1.0), limit)
    return Time.never(limit)


def times_from(values: ArrayLike, limit: ArrayLike) -> tuple[tuple[Time, ...], ...]:
    """Times from a (seeds, grid) array of steps in which NaN means "not reached by ``limit``"
    (broadcast to the array).
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 2:
        raise ValueError(f"expected (seeds, grid), got shape {array.shape}")
    limits = np.broadcast_to(np.asarray(limit, dtype=float), array.shape)
    return tuple(
        tuple(
            Time.never(end) if math.isnan(value) else Time.at(value, end)
            for value, end in zip(row, ends, strict=True)
        )
        for row, ends in zip(array.tolist(), limits.tolist(), strict=True)
    )


def count_censored(times: Sequence[Time]) -> int:
    """How many of the times were not reached."""
    return sum(not time.reached for time in times)
