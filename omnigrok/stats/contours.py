"""Contours of an error over scale and size: is the region below a level a thumb, and does
it widen?
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array
from omnigrok.stats.finding import Finding
from omnigrok.stats.landmarks import zone_width
from omnigrok.stats.shape import FLOOR, trend


def one_interval(curve: ArrayLike, level: float, slack: float = 0.0) -> bool:
    """Whether the grid points with ``curve`` < ``level`` are contiguous (or none); a point between
    them may exceed it by ``slack``.
    """
    values = np.asarray(curve, dtype=float)
    below = np.flatnonzero(values < level)
    return below.size == 0 or bool((values[below[0] : below[-1] + 1] < level + slack).all())


def has_tip(lowest: ArrayLike, level: float, slack: float = 0.0) -> bool:
    """Whether the smallest size is above ``level`` and, from some size on, all are below (each may
    exceed it by ``slack``).

    Args:
        lowest: (sizes,) the lowest value at each size, sizes rising.
    """
    values = np.asarray(lowest, dtype=float)
    below = np.flatnonzero(values < level)
    return bool(below.size > 0 and below[0] > 0 and (values[below[0] :] < level + slack).all())


def contour_width(x: ArrayLike, curve: ArrayLike, level: float) -> tuple[float, bool]:
    """(width in natural-log x, cut by the grid) of the interval around the minimum with ``curve``
    <= ``level``; (0, False) if none.
    """
    room = level - float(np.min(np.asarray(curve, dtype=float)))
    return zone_width(x, curve, room) if room > 0 else (0.0, False)


def width_trend(
    name: str,
    widths: ArrayLike,
    cut: ArrayLike,
    *,
    floor: float = FLOOR,
    epsilon: float = 0.01,
    rng: np.random.Generator | None = None,
) -> Finding:
    """Page's trend of widths that rise with size, some of them cut by the grid and so known from
    below only.

    The ratio of the ends (``shape.trend``) is then known from one side: a seed whose first width is
    cut has a value only if its ratio is under the floor even so, one whose last width is cut only
    if it is over the floor.

    Args:
        widths: (seeds, sizes) in natural-log units, sizes in the order claimed. cut: (seeds, sizes)
            bool.
        epsilon: widths under it count as it.
    """
    table, flags = np.array(widths, dtype=float), np.asarray(cut, dtype=bool)
    ratio = np.maximum(table[:, -1], epsilon) / np.maximum(table[:, 0], epsilon)
    unknown = (flags[:, 0] & (ratio > floor)) | (flags[:, -1] & (ratio <= floor))
    table[unknown] = math.nan
    finding = trend(name, table, direction="rising", floor=floor, epsilon=epsilon, rng=rng)
    words = f"{int(flags.sum())} of {flags.size} widths are cut by the grid"
    return replace(
        finding,
        censored=int(flags.sum()),
        note="; ".join(part for part in (finding.note, words) if part),
    )


def without_trend(count: int) -> list[int]:
    """An order of ``count`` >= 2 places with the two middle ones at its ends and the rest drawn
    from both ends in turn: no trend.
    """
    middle = count // 2
    rest = [place for place in range(count) if place not in (middle - 1, middle)]
    turns = [
        rest[turn // 2] if turn % 2 == 0 else rest[-1 - turn // 2] for turn in range(len(rest))
    ]
    return [middle, *turns, middle - 1]


def reordered(table: Array, order: list[int]) -> Array:
    """``table`` (seeds, sizes, ...) with its sizes in another order."""
    return np.asarray(table[:, order])
