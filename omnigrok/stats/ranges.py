"""The widest contiguous part of a grid on which something holds.

Descriptive: a range picked from the data is no verdict.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def widest_range(
    x: ArrayLike, holds: Callable[[slice], bool], points: int = 3
) -> tuple[float, float] | None:
    """(lowest x, highest x) of the widest range in log x that ``holds``; None if none does.

    Args:
        x: (grid,) > 0, rising.
        holds: asked of slices of the grid, the widest first; of equally wide ones the lowest first.
        points: a range has at least this many grid points.

    Raises:
        ValueError: x is not positive and rising.
    """
    grid = np.asarray(x, dtype=float)
    if grid.ndim != 1 or not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ValueError("a range needs a positive, strictly rising grid")
    logs = np.log(grid)
    ranges = [
        (first, last) for first in range(grid.size) for last in range(first + points - 1, grid.size)
    ]
    for first, last in sorted(ranges, key=lambda pair: (logs[pair[0]] - logs[pair[1]], pair[0])):
        if holds(slice(first, last + 1)):
            return float(grid[first]), float(grid[last])
    return None
