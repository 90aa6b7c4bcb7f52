"""The gap right of w_c, and how sharp a rise is."""

import math

import numpy as np
import pytest

from omnigrok.stats.mismatch import gap_right_of_minimum
from omnigrok.stats.rise import rise_decades

ALPHA = np.logspace(-1, 1, 21)
LOG = np.log10(ALPHA)
TEST = LOG**2
STEP = np.concatenate(([0], np.logspace(0, 5, 501)))
DECADES = np.log10(np.maximum(STEP, 1))


def test_gap_of_a_parabola_in_closed_form() -> None:
    # test = log10(x)^2 over a train of 0: the integral from 1 to 10 is 1/3.
    assert gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 10.0) == pytest.approx(1 / 3, abs=2e-3)
    assert gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 10**0.5) == pytest.approx(
        1 / 24, abs=1e-3
    )


def test_between_grid_points_the_gap_is_interpolated() -> None:
    coarse = np.array([0.1, 1.0, 10.0])
    assert gap_right_of_minimum(coarse, np.zeros(3), [1.0, 0.0, 1.0], 10**0.5) == pytest.approx(
        0.125
    )


def test_left_of_the_minimum_there_is_none() -> None:
    assert gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 0.5) == 0.0
    assert gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 1.0) == 0.0


def test_a_minimum_at_an_end_of_the_grid_is_that_end() -> None:
    assert gap_right_of_minimum(ALPHA, np.zeros(21), 1 - LOG, 10.0) == 0.0
    # 1 + log10(x) from .1 to 10: a triangle over two decades.
    assert gap_right_of_minimum(ALPHA, np.zeros(21), 1 + LOG, 10.0) == pytest.approx(2.0)


def test_the_last_of_equal_minima_counts() -> None:
    flat = np.where(ALPHA < 3, 0.2, 0.6)
    assert gap_right_of_minimum(ALPHA, np.zeros(21), flat, 2.0) == 0.0


def test_beyond_the_grid_or_without_numbers_it_is_unknown() -> None:
    assert math.isnan(gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 30.0))
    assert math.isnan(gap_right_of_minimum(ALPHA, np.zeros(21), TEST, 0.01))
    assert math.isnan(gap_right_of_minimum(ALPHA, np.zeros(21), np.full(21, math.nan), 5.0))
    with pytest.raises(ValueError, match="rise"):
        gap_right_of_minimum([1.0, 1.0], [0.0, 0.0], [0.0, 0.0], 1.0)


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_a_straight_rise_takes_four_fifths_of_its_width(width: float) -> None:
    curve = np.clip((DECADES - 2) / width, 0, 1)
    assert rise_decades(STEP, curve, 10.0) == pytest.approx(0.8 * width, abs=0.02)


def test_levels_between_logged_points_are_interpolated() -> None:
    # One point a decade, rising by .4 and then by .6: t10 lies a quarter into the first decade,
    # t90 five sixths into the second.
    steps, curve = [10.0, 100.0, 1000.0, 10_000.0], [0.0, 0.4, 1.0, 1.0]
    assert rise_decades(steps, curve, 10.0) == pytest.approx(1 + 5 / 6 - 1 / 4)


def test_each_level_is_interpolated_over_its_own_gap() -> None:
    # A tenth is a fifth of the way from 10 to 100, nine tenths four fifths of that from 100 to 1e5.
    decades = rise_decades([1, 10, 100, 1e5, 1e6], [0, 0, 0.5, 1, 1], start=1)
    assert decades == pytest.approx((2 + 0.8 * 3) - (1 + 0.2))


def test_only_what_follows_the_start_counts() -> None:
    curve = np.clip(DECADES - 1, 0, 0.5) + 0.5 * (DECADES > 4)
    assert rise_decades(STEP, curve, 1.0) > 2
    assert rise_decades(STEP, curve, 1000.0) < 0.2


def test_a_later_fall_does_not_matter() -> None:
    curve = np.where(DECADES < 4, np.clip(DECADES - 2, 0, 1), 0.7)
    assert rise_decades(STEP, curve, 10.0) == pytest.approx(0.8, abs=0.02)


def test_no_rise_and_no_start() -> None:
    assert math.isnan(rise_decades(STEP, np.full(STEP.size, 0.7), 10.0))
    assert math.isnan(rise_decades(STEP, np.clip(DECADES - 2, 0, 0.04), 10.0))
    assert math.isnan(rise_decades(STEP, DECADES, math.nan))
    assert math.isnan(rise_decades(STEP, DECADES, 1e5))
