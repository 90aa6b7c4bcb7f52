"""The widest contiguous range of a grid on which something holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.stats import widest_range

X = [0.01, 0.1, 0.2, 0.3, 0.4, 10.0]


def test_the_widest_in_log_is_asked_first() -> None:
    asked: list[slice] = []
    assert widest_range(X, lambda cut: not asked.append(cut)) == (0.01, 10.0)
    assert asked == [slice(0, 6)]


def test_the_range_that_holds_is_told_by_its_ends() -> None:
    assert widest_range(X, lambda cut: cut.start >= 1 and cut.stop <= 5) == (0.1, 0.4)
    assert widest_range(X, lambda cut: cut.stop - cut.start <= 2) is None
    assert widest_range(X, lambda cut: cut.stop - cut.start <= 2, points=2) == (0.4, 10.0)


def test_a_grid_that_does_not_rise_is_refused() -> None:
    for x in ([1.0, 1.0, 2.0], [0.0, 1.0, 2.0], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="strictly rising"):
            widest_range(x, lambda cut: True)


@given(st.lists(st.booleans(), min_size=3, max_size=9))
def test_it_is_the_longest_run_of_points_on_an_even_grid(good: list[bool]) -> None:
    found = widest_range(2.0 ** np.arange(len(good)), lambda cut: all(good[cut]), points=1)
    runs = [len(part) for part in "".join("x" if each else " " for each in good).split()]
    assert (
        found is None
        if not runs
        else found is not None and round(np.log2(found[1] / found[0])) == max(runs) - 1
    )
