"""Times at which a curve arrives and stays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats.times import Time, count_censored, time_to, times_from

GRID = np.arange(0, 201)


def crossing(at: int, size: int = 201) -> np.ndarray:
    return (np.arange(size) >= at).astype(float)


@pytest.mark.parametrize("at", [1, 7, 100, 190])
def test_a_clean_step_is_its_own_time(at: int) -> None:
    assert time_to(GRID, crossing(at), 0.95) == Time(at, True, 200)


@pytest.mark.parametrize(("at", "reached"), [(190, True), (191, False), (200, False)])
def test_a_record_that_ends_inside_the_window_does_not_count(at: int, reached: bool) -> None:
    # 190 * 1.05 = 199.5 is inside the record of 200 steps, 191 * 1.05 = 200.55 is not.
    found = time_to(GRID, crossing(at), 0.95)
    assert found.reached is reached
    assert found.limit == 200
    assert reached or math.isnan(found.value)


def test_a_spike_shorter_than_the_window_does_not_count() -> None:
    curve = crossing(150)
    curve[100:105] = 1
    assert time_to(GRID, curve, 0.95).value == 150
    # The window of 100 is [100, 105], both ends included.
    curve[105] = 1
    assert time_to(GRID, curve, 0.95).value == 100


def test_the_window_end_forgives_rounding() -> None:
    # 1.05 * 20 = 21.000000000000004 in floating point; the record's last step 21 is the end of the
    # window.
    assert 1.05 * 20 >= 21
    assert time_to(np.arange(22), crossing(20, 22), 0.95).value == 20


def test_at_least_the_next_logged_point_must_hold() -> None:
    sparse = [0, 10, 100, 1000]
    assert time_to(sparse, [0, 1, 0, 1], 0.95) == time_to(sparse, [0, 0, 0, 1], 0.95)
    assert time_to(sparse, [0, 1, 1, 0], 0.95).value == 10


def test_the_threshold_itself_is_reached() -> None:
    assert time_to(GRID, np.where(GRID >= 50, 0.95, 0.949), 0.95).value == 50


def test_above_from_the_start_is_one_so_that_its_log_exists() -> None:
    assert time_to(GRID, np.ones(201), 0.95).value == 1
    assert time_to([5, 10, 20], [1, 1, 1], 0.95).value == 5


def test_a_diverged_run_is_below_every_threshold() -> None:
    curve = crossing(50)
    curve[120:] = np.nan
    assert time_to(GRID, curve, 0.95).value == 50
    curve[51:] = np.nan
    assert not time_to(GRID, curve, 0.95).reached


def test_falling_losses_are_negated() -> None:
    loss = np.exp(-GRID / 20)
    assert time_to(GRID, -loss, -0.01).value == math.ceil(20 * math.log(100))


def test_never() -> None:
    found = time_to(GRID, np.zeros(201), 0.95)
    assert not found.reached
    assert found.limit == 200
    assert math.isnan(found.value)
    assert not time_to([0], [1.0], 0.95).reached


def test_bad_records_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        time_to([0, 1], [1.0], 0.5)
    with pytest.raises(ValueError, match="equally long"):
        time_to([], [], 0.5)
    with pytest.raises(ValueError, match="rise"):
        time_to([0, 1, 1], [1.0, 1, 1], 0.5)


def slow_time_to(step: list[int], curve: list[float], threshold: float) -> float:
    """The rule read aloud: every logged point as a candidate, its whole window checked."""
    for i, t in enumerate(step):
        window = [j for j in range(i, len(step)) if step[j] * 20 <= 21 * t or j == i + 1]
        if (
            i + 1 < len(step)
            and step[-1] * 20 >= 21 * t
            and all(curve[j] >= threshold for j in window)
            and i + 1 in window
        ):
            return max(t, 1)
    return math.nan


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 60),
)
def test_the_fast_rule_is_the_slow_rule(points: list[tuple[int, bool]], start: int) -> None:
    step = (np.cumsum([gap for gap, _ in points]) - points[0][0] + start).tolist()
    curve = [float(up) for _, up in points]
    expected, found = slow_time_to(step, curve, 0.5), time_to(step, curve, 0.5)
    assert found.reached == (not math.isnan(expected))
    assert found.value == expected or not found.reached


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_is_never_earlier(curve: list[float], a: float, b: float) -> None:
    step = list(range(len(curve)))
    low, high = time_to(step, curve, min(a, b)), time_to(step, curve, max(a, b))
    assert not high.reached or (low.reached and low.value <= high.value)


def test_a_limit_never_stands_in_for_a_time() -> None:
    with pytest.raises(ValueError, match="no value"):
        Time(100.0, False, 100.0)
    with pytest.raises(ValueError, match="finite limit"):
        Time.never(math.inf)
    with pytest.raises(ValueError, match="positive step"):
        Time.at(0)
    with pytest.raises(ValueError, match="positive step"):
        Time.at(math.nan)
    with pytest.raises(ValueError, match="longer than step 0"):
        Time.never(0)


def test_times_from_an_array() -> None:
    times = times_from([[1.0, math.nan], [3.0, 4.0]], [10, 20])
    assert times == ((Time.at(1, 10), times[0][1]), (Time.at(3, 10), Time.at(4, 20)))
    assert not times[0][1].reached
    assert times[0][1].limit == 20
    assert count_censored(times[0]) == 1
    assert times[0][1].log_bound == math.log(20)
    assert times[1][1].log_bound == math.log(4)
    with pytest.raises(ValueError, match="seeds, grid"):
        times_from([1.0, 2.0], 10)


def test_the_first_crossing_needs_not_hold() -> None:
    step, curve = [0, 10, 20, 30, 40, 50], [0, 0.96, 0.2, 0.97, 0.98, 0.99]
    assert time_to(step, curve, 0.95, hold=0) == Time.at(10, 50)
    assert time_to(step, curve, 0.95) == Time.at(30, 50)
    assert time_to(step, [0, 0, 0, 0, 0, 1], 0.95, hold=0) == Time.at(50, 50)
    assert time_to(step, curve, 0.995, hold=0) == Time.never(50)
