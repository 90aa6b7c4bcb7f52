"""Where a curve that was measured on a grid crosses a level: interpolated, or the grid step that
holds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit


@dataclass(frozen=True)
class Crossing:
    """A place on a grid.

    Args:
        at: interpolated; NaN where there is none on the grid.
        low, high: the grid points around it; infinite on the side where it lies off the grid.
    """

    at: float
    low: float
    high: float

    @property
    def on_grid(self) -> bool:
        """Whether the curve crosses on the grid."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def last_fall(
    x: ArrayLike, accuracy: ArrayLike, level: float, samples: int, *, straight: bool = False
) -> Crossing:
    """The largest x at which an accuracy, read from small x to large, last falls under ``level``.

    The logit of the accuracy is linear in ln x between two grid points; 0 and 1 count as half a
    sample more and less.

    Args:
        x: (n,) rising and positive, e.g. weight norms.
        accuracy: (n,) in [0, 1].
        level: inside (0, 1).
        samples: how many samples an accuracy is a mean over.
        straight: the accuracy itself is linear in ln x instead. Where the two differ by much, the
            grid is too coarse.

    Returns:
        Where the accuracy never reaches the level: ``high`` is the first x, ``low`` 0. Where it is
        still there at the last x: ``low`` is that, ``high`` infinite.

    Raises:
        ValueError: the arrays do not fit, x does not rise, or the level is outside (0, 1).
    """
    places, values = _checked(x, accuracy)
    if not 0 < level < 1:
        raise ValueError(f"an accuracy's level lies in (0, 1), not at {level}")
    above = np.flatnonzero(values >= level)
    if not above.size:
        return Crossing(math.nan, 0.0, float(places[0]))
    left = int(above[-1])
    if left == len(places) - 1:
        return Crossing(math.nan, float(places[-1]), math.inf)
    if straight:
        return _between(places, left, values[left : left + 2] - level)
    half = 0.5 / samples
    ends = logit(np.clip(values[left : left + 2], half, 1 - half))
    return _between(places, left, ends - logit(min(max(level, half), 1 - half)))


def first_fall(x: ArrayLike, loss: ArrayLike, level: float, floor: float = 1e-12) -> Crossing:
    """The smallest x at which a positive loss, read from small x to large, has fallen to ``level``.

    The logarithm of the loss is linear in ln x between two grid points.

    Args:
        x: (n,) rising and positive, e.g. weight norms.
        loss: (n,), 0 or above.
        level: above 0.
        floor: smaller losses count as this.

    Returns:
        Where the loss is there from the first x on: ``high`` is that, ``low`` 0. Where it never
        gets there: ``low`` is the last x, ``high`` infinite.

    Raises:
        ValueError: the arrays do not fit, or x does not rise.
    """
    places, values = _checked(x, loss)
    under = np.flatnonzero(values <= level)
    if not under.size:
        return Crossing(math.nan, float(places[-1]), math.inf)
    right = int(under[0])
    if right == 0:
        return Crossing(math.nan, 0.0, float(places[0]))
    ends = np.log(np.maximum(values[right - 1 : right + 1], floor)) - math.log(max(level, floor))
    return _between(places, right - 1, ends)


def _checked(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    places, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if places.ndim != 1 or places.shape != values.shape or not len(places):
        raise ValueError(
            f"a curve needs as many places as values, not {places.shape} and {values.shape}"
        )
    if places[0] <= 0 or not (np.diff(places) > 0).all():
        raise ValueError("the places must rise and be above 0")
    return places, values


def _between(places: np.ndarray, left: int, heights: np.ndarray) -> Crossing:
    """The zero between two grid points of something that is linear in ln x there."""
    low, high = float(places[left]), float(places[left + 1])
    drop = float(heights[0] - heights[1])
    share = float(heights[0]) / drop if drop else 0.5
    return Crossing(
        math.exp(math.log(low) + min(max(share, 0.0), 1.0) * math.log(high / low)), low, high
    )
