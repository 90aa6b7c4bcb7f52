"""Contours of an error over scale and size: is the region below a level a thumb, and does
it widen?
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.censoring import bounded_mean
from omnigrok.stats.comparison import Array, with_missing
from omnigrok.stats.finding import Finding
from omnigrok.stats.landmarks import Scale, logit, zone_width
from omnigrok.stats.shape import FLOOR, page_p, trend


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


def contour_width(
    x: ArrayLike, curve: ArrayLike, level: float, edges: Scale = "linear"
) -> tuple[float, bool]:
    """(width in natural-log x, cut by the grid) of the interval around the minimum with ``curve``
    <= ``level``; (0, False) if none.

    Args:
        edges: as of ``zone_width``.
    """
    room = level - float(np.min(np.asarray(curve, dtype=float)))
    return zone_width(x, curve, room, edges) if room > 0 else (0.0, False)


def tip(sizes: ArrayLike, lowest: ArrayLike, level: float) -> float:
    """The size at which the lowest error comes under ``level``, interpolated in logit error and log
    size; NaN if that is not between two sizes.

    Args:
        sizes: (sizes,) > 0, rising. lowest: (sizes,) the lowest error at each, within [0, 1].
    """
    logs, values = np.log(np.asarray(sizes, dtype=float)), logit(lowest)
    below = np.flatnonzero(values < logit(level))
    if below.size == 0 or below[0] == 0:
        return math.nan
    at = int(below[0])
    weight = (values[at - 1] - logit(level)) / (values[at - 1] - values[at])
    return float(math.exp(logs[at - 1] + weight * (logs[at] - logs[at - 1])))


def width_beyond(
    sizes: ArrayLike, widths: ArrayLike, cut: ArrayLike, start: float, size: float
) -> tuple[float, bool]:
    """(width, cut by the grid) of a contour at ``size``, between those of the grid's sizes and 0 at
    its tip ``start``; (NaN, False) beyond the largest size.

    The squared width is interpolated in log size: around a smooth minimum a contour opens as a
    square root.

    Args:
        sizes: (sizes,) rising. widths, cut: (sizes,).
    """
    grid = np.asarray(sizes, dtype=float)
    past = grid > start
    places = np.concatenate(([start], grid[past]))
    squares = np.concatenate(([0.0], np.asarray(widths, dtype=float)[past] ** 2))
    flags = np.concatenate(([False], np.asarray(cut, dtype=bool)[past]))
    if not start <= size <= places[-1]:
        return math.nan, False
    after = max(int(np.searchsorted(places, size)), 1)
    width = math.sqrt(float(np.interp(math.log(size), np.log(places), squares)))
    return width, bool(flags[after - 1 : after + 1].any())


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

    A seed whose last width is cut has a ratio of the ends (``shape.trend``) that is known from
    below, one whose first width is cut from above; one with both has none. The mean's interval
    counts them as such (``bounded_mean``). Page's test leaves out seeds whose first width is cut.
    Under the smoke rule a bound counts where it decides.

    Args:
        widths: (seeds, sizes) in natural-log units, sizes in the order claimed. cut: (seeds, sizes)
            bool.
        epsilon: widths under it count as it.
    """
    table, flags = np.array(widths, dtype=float), np.asarray(cut, dtype=bool)
    finding = trend(name, table, direction="rising", floor=floor, epsilon=epsilon, rng=rng)
    if not flags.any():
        return finding
    at_most, at_least = flags[:, 0], flags[:, -1]
    missing = np.isnan(table).any(axis=1) | (at_most & at_least)
    ends = np.maximum(table[:, [0, -1]], epsilon)
    logs = np.where(missing, math.nan, np.log(ends[:, 1] / ends[:, 0]))
    beyond = logs > math.log(floor)
    known = ~(at_most | at_least) | (at_least & beyond) | (at_most & ~beyond)
    p, smallest = page_p(np.maximum(table, epsilon)[~missing & ~at_most])
    estimate, low, high = (
        math.exp(min(end, 700.0)) for end in bounded_mean(logs, at_least, at_most, rng=rng)
    )
    words = f"{int(flags.sum())} of {flags.size} widths are cut by the grid"
    return replace(
        finding,
        estimate=estimate,
        ci=(low, math.inf if math.exp(700.0) <= high else high),
        values=tuple(np.where(known, np.exp(logs), math.nan).tolist()),
        p=p,
        smallest_p=smallest,
        censored=int(flags.sum()),
        method="Page's test (rising), ratio of the ends, Tobit profile interval",
        note=with_missing(words, logs),
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
