"""How long a curve stays in a band."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats import Region, longest_stay

BAND = Region(0.25, 0.45, closed=True)
STEP = np.concatenate(([0], np.logspace(0, 5, 501)))


def test_a_plateau_of_two_decades() -> None:
    curve = np.where(STEP < 99.9, 0.1, np.where(STEP < 10001, 0.35, 0.75))
    assert longest_stay(STEP, curve, BAND, 1.0) == pytest.approx(2.0)


def test_only_what_follows_the_start_counts() -> None:
    curve = np.where(STEP < 10001, 0.35, 0.75)
    assert longest_stay(STEP, curve, BAND, 999.9) == pytest.approx(1.0)
    assert longest_stay(STEP, curve, BAND, 5e4) == 0.0


def test_the_longest_of_several_stretches_not_their_sum() -> None:
    curve = np.where((STEP > 99.9) & (STEP < 10001), 0.35, 0.1)
    curve[np.abs(STEP - 1000).argmin()] = 0.6
    assert longest_stay(STEP, curve, BAND, 1.0) == pytest.approx(0.99, abs=1e-9)


def test_nothing_in_the_band_and_one_point_in_it() -> None:
    assert longest_stay(STEP, np.full(STEP.size, 0.9), BAND, 1.0) == 0.0
    one = np.full(STEP.size, 0.9)
    one[-1] = 0.3
    assert longest_stay(STEP, one, BAND, 1.0) == 0.0
    assert longest_stay(STEP, np.full(STEP.size, math.nan), BAND, 1.0) == 0.0


def test_a_start_that_is_never_reached_has_no_plateau() -> None:
    assert math.isnan(longest_stay(STEP, np.full(STEP.size, 0.3), BAND, math.nan))


@settings(max_examples=25)
@given(st.integers(0, 480), st.integers(1, 20))
def test_logged_points_bound_the_stretch_from_below(first: int, length: int) -> None:
    curve = np.full(STEP.size, 0.9)
    curve[first + 1 : first + 1 + length] = 0.3
    stay = longest_stay(STEP, curve, BAND, 1.0)
    assert stay == pytest.approx((length - 1) / 100)


def test_bad_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        longest_stay(STEP, STEP[1:], BAND, 1.0)
    with pytest.raises(ValueError, match="rise"):
        longest_stay([1, 1, 2], [0, 0, 0], BAND, 1.0)
