"""Smoothing in log step, and the largest fall of a curve."""

import math

import numpy as np
import pytest

from omnigrok.stats.drop import HALF_DECADE, largest_fall, log_smooth

STEPS = np.unique(np.geomspace(1, 1e5, 600).astype(int))


def step_down(at: float, high: float = 100.0, low: float = 1.0) -> np.ndarray:
    return np.where(at > STEPS, high, low).astype(float)


def test_smoothing_leaves_a_constant_alone():
    np.testing.assert_allclose(log_smooth(STEPS, np.full(STEPS.size, 3.0)), 3.0)


def test_smoothing_window_has_a_constant_width_in_log_step():
    steps = np.array([0, 10, 11, 12, 100])
    # 10 .. 11 * 1.1 = 12.1 around 11; nothing else around 100.
    np.testing.assert_allclose(
        log_smooth(steps, [0.0, 1.0, 2.0, 6.0, 9.0], 1.1), [0.0, 1.5, 3.0, 4.0, 9.0]
    )


def test_median_removes_a_single_spike():
    curve = np.ones(STEPS.size)
    curve[-50] = 1e6
    assert log_smooth(STEPS, curve, 1.1, np.median).max() == 1.0


@pytest.mark.parametrize(("y", "ratio"), [([1.0], 1.1), ([1.0, 2.0], 0.9)])
def test_smoothing_refuses(y, ratio):
    with pytest.raises(ValueError, match="smoothing needs"):
        log_smooth([1, 2], y, ratio)


def test_fall_and_its_step():
    factor, at = largest_fall(STEPS, step_down(1e4), 100.0)
    assert factor == pytest.approx(100.0)
    assert at == pytest.approx(1e4, rel=0.1)


def test_a_fall_before_the_start_does_not_count():
    factor, at = largest_fall(STEPS, step_down(50), 100.0)
    assert factor == 1.0
    assert math.isnan(at)


def test_a_spike_is_no_fall():
    curve = np.full(STEPS.size, 1.0)
    curve[(STEPS > 1e4) & (STEPS < 1.5e4)] = 50.0
    assert largest_fall(STEPS, curve, 100.0)[0] == 1.0


def test_a_slow_fall_is_cut_to_the_window():
    # A power law of exponent -1 falls by the window's own width.
    factor, _ = largest_fall(STEPS, 1.0 / STEPS, 100.0)
    assert factor == pytest.approx(HALF_DECADE, rel=0.05)


@pytest.mark.parametrize("start", [math.nan, 2e5])
def test_no_start_no_fall(start):
    assert all(math.isnan(value) for value in largest_fall(STEPS, step_down(1e4), start))


def test_two_points_are_enough_for_a_fall():
    factor, at = largest_fall([1, 100, 200], [9.0, 8.0, 2.0], 100.0, ratio=1.01)
    assert factor == pytest.approx(4.0)
    assert at == pytest.approx(math.sqrt(100 * 200))
    assert all(math.isnan(value) for value in largest_fall([1, 100, 200], [9.0, 8.0, 2.0], 101.0))


def test_nan_gives_no_value():
    curve = step_down(1e4)
    curve[-1] = math.nan
    assert math.isnan(largest_fall(STEPS, curve, 100.0)[0])


def test_width_must_exceed_one():
    with pytest.raises(ValueError, match="width"):
        largest_fall(STEPS, step_down(1e4), 100.0, width=1.0)
