from __future__ import annotations

import numpy as np
import pytest

from omnigrok.stats.factors import variance_ratio

ROW, COLUMN = np.array([0.0, 2.0, 4.0, 6.0])[:, None], np.array([0.0, 1.0, 2.0])
ALL = np.ones((4, 3), dtype=bool)


def test_of_an_additive_table_is_the_ratio_of_the_effects():
    expected = 4 * np.sum((COLUMN - 1) ** 2) / (3 * np.sum((ROW - 3) ** 2))
    assert variance_ratio(ROW + COLUMN, ALL) == pytest.approx(expected)


def test_an_interaction_counts_for_neither():
    sign = np.array([1.0, -1, -1, 1])[:, None] * np.array([1.0, -2, 1])
    assert variance_ratio(ROW + COLUMN + sign, ALL) == pytest.approx(
        variance_ratio(ROW + COLUMN, ALL)
    )


def test_missing_cells_do_not_mix_the_effects():
    used = ALL.copy()
    used[0, 1:] = used[1, 2] = False
    assert variance_ratio(ROW + 0 * COLUMN, used) == pytest.approx(0, abs=1e-9)


def test_cells_that_cannot_tell():
    one_column, diagonal = ALL & (np.arange(3) == 0), np.eye(4, 3, dtype=bool)
    for used in (~ALL, one_column, one_column.copy() & (ROW == 2), diagonal):
        assert np.isnan(variance_ratio(ROW + COLUMN, used))
    assert np.isnan(variance_ratio(0 * ROW + COLUMN, ALL))


def test_errors():
    with pytest.raises(ValueError, match="one shape"):
        variance_ratio(ROW + COLUMN, ALL[:2])
    with pytest.raises(ValueError, match="no finite"):
        variance_ratio(np.full((4, 3), np.nan), ALL)
