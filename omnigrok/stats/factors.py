"""How much of a quantity's variance over the cells of a grid belongs to each of the two axes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def variance_ratio(values: ArrayLike, used: ArrayLike) -> float:
    """Variance that the columns explain over the variance that the rows explain, each beyond the
    other (type II sums of squares).

    Both effects come from the additive model row + column, fitted to the used cells alone, which
    need not be a full grid.

    Args:
        values: (rows, columns), e.g. the log of a loss over (w, m).
        used: (rows, columns) True where a cell counts.

    Returns:
        The ratio; NaN where the used cells do not span two rows and two columns that share cells,
        or rows explain nothing.

    Raises:
        ValueError: the shapes differ, or a used value is not finite.
    """
    table, mask = np.asarray(values, dtype=float), np.asarray(used, dtype=bool)
    if table.ndim != 2 or table.shape != mask.shape:
        raise ValueError(f"expected two tables of one shape, got {table.shape} and {mask.shape}")
    row, column = np.nonzero(mask)
    y = table[mask]
    if not np.isfinite(y).all():
        raise ValueError("a used cell holds no finite value")
    by_row = (row[:, None] == np.unique(row)).astype(float)
    by_column = (column[:, None] == np.unique(column)).astype(float)
    both = np.hstack([by_row, by_column])
    if (
        min(by_row.shape[1], by_column.shape[1], len(y) - 1) < 2
        or np.linalg.matrix_rank(both) < both.shape[1] - 1
    ):
        return math.nan
    full = _residual(y, both)
    rows, columns = _residual(y, by_column) - full, _residual(y, by_row) - full
    dust = 1e-12 * max(1.0, float(y @ y))
    return float(max(columns, 0.0) / rows) if rows > dust else math.nan


def _residual(y: Array, design: Array) -> float:
    """Sum of squares that a least-squares fit leaves."""
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(left @ left)
