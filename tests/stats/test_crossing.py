"""Crossings between grid points, and means of what a grid knows to its step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from omnigrok.stats import Region, Verdict
from omnigrok.stats.crossing import first_fall, last_fall
from omnigrok.stats.grid_step import mean_between


@given(st.floats(1.5, 8.0), st.floats(2.0, 20.0), st.integers(5, 40))
def test_an_accuracy_that_is_a_logistic_of_ln_x_crosses_where_it_does(
    place: float, steep: float, points: int
) -> None:
    x = np.geomspace(1, 10, points)
    accuracy = expit(-steep * np.log(x / place))
    found = last_fall(x, accuracy, 0.5, samples=10**9)
    assert found.at == pytest.approx(place, rel=1e-6)
    assert found.low <= found.at * (1 + 1e-9)
    assert found.at <= found.high * (1 + 1e-9)


@given(st.floats(1.5, 8.0), st.floats(1.0, 6.0), st.integers(5, 40))
def test_a_loss_that_is_a_power_of_x_crosses_where_it_does(
    place: float, power: float, points: int
) -> None:
    x = np.geomspace(1, 10, points)
    assert first_fall(x, (x / place) ** -power, 1.0).at == pytest.approx(place, rel=1e-6)


def test_a_fall_too_small_for_the_samples_lies_in_the_middle() -> None:
    """Half a sample of 100 is .005: both accuracies and the level count as .995."""
    found = last_fall([1.0, 4.0], [1.0, 0.998], 0.999, samples=100)
    assert (found.at, found.low, found.high) == (pytest.approx(2.0), 1.0, 4.0)


def test_halving_the_grid_moves_a_crossing_by_less_than_the_old_step() -> None:
    def accuracy(x: np.ndarray) -> np.ndarray:
        return expit(8 - 9 * np.log(x) ** 1.5)

    coarse, fine = (
        last_fall(x, accuracy(x), 0.95, 100).at
        for x in (np.geomspace(1, 8, 9), np.geomspace(1, 8, 17))
    )
    assert abs(math.log(coarse / fine)) < math.log(8) / 8 / 4


@pytest.mark.parametrize(
    ("accuracy", "low", "high"),
    [([0.1, 0.2, 0.1], 0.0, 1.0), ([0.1, 0.9, 0.99], 4.0, math.inf), ([0.99, 0.2, 0.1], 1.0, 2.0)],
)
def test_what_lies_off_the_grid_has_no_place(
    accuracy: list[float], low: float, high: float
) -> None:
    found = last_fall([1.0, 2.0, 4.0], accuracy, 0.95, 100)
    assert (found.low, found.high) == (low, high)
    assert math.isnan(found.at) == (not 0 < low < high < math.inf)


def test_the_last_of_several_falls_counts() -> None:
    found = last_fall([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 1.0, 0.0], 0.5, 100)
    assert (found.low, found.high) == (3.0, 4.0)


@pytest.mark.parametrize(
    ("loss", "low", "high"),
    [([1.0, 1.0], 2.0, math.inf), ([0.01, 0.02], 0.0, 1.0), ([1.0, 0.01], 1.0, 2.0)],
)
def test_a_loss_off_the_grid(loss: list[float], low: float, high: float) -> None:
    found = first_fall([1.0, 2.0], loss, 0.05)
    assert (found.low, found.high) == (low, high)
    assert found.on_grid == (0 < low < high < math.inf) or low == 0.0


def test_places_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        last_fall([2.0, 1.0], [1.0, 0.0], 0.5, 10)
    with pytest.raises(ValueError, match="lies in"):
        last_fall([1.0, 2.0], [1.0, 0.0], 1.0, 10)


def test_a_step_wider_than_the_margin_decides_nothing() -> None:
    region = Region(hi=0.15)
    low = np.array([0.02, 0.03, 0.01, 0.02])
    assert mean_between("d", low, low + 0.05, region).verdict() is Verdict.REPRODUCED
    assert mean_between("d", low, low + 0.3, region).verdict() is Verdict.INCONCLUSIVE
    assert mean_between("d", low + 0.4, low + 0.7, region).verdict() is Verdict.REFUTED


def test_what_is_off_the_grid_is_censored_and_not_imputed() -> None:
    found = mean_between("d", [0.1, 0.2, 0.9], [0.2, 0.3, math.inf], Region(hi=0.15))
    assert (found.censored, found.n, found.verdict()) == (1, 3, Verdict.INCONCLUSIVE)
    assert math.isnan(found.estimate)
    assert found.note == "off the grid in 1 of 3 seeds"


def test_straight_interpolation_is_linear_in_the_accuracy() -> None:
    found = last_fall([1, 4], [1.0, 0.9], 0.95, 100, straight=True)
    assert found.at == pytest.approx(2)
    assert last_fall([1, 4], [1.0, 0.9], 0.95, 100).at > found.at


def test_what_is_off_the_grid_bounds_the_mean_from_its_other_end() -> None:
    far, low = [1.0, 1.1, 0.9], np.array([0.8, 0.9, 0.7])
    beyond = mean_between("d", low, [far[0], math.inf, far[2]], Region(lo=0.15))
    assert beyond.verdict() is Verdict.REPRODUCED
    assert beyond.ci is not None
    assert (beyond.ci[1], beyond.censored, beyond.p) == (math.inf, 1, 0.125)
    assert (
        mean_between("d", low, [far[0], math.inf, far[2]], Region(hi=0.15)).verdict()
        is Verdict.REFUTED
    )
    unknown = mean_between("d", [-math.inf, *low[1:]], far, Region(lo=0.15))
    assert (unknown.verdict(), unknown.p) == (Verdict.INCONCLUSIVE, None)


def test_a_seed_without_a_value_is_left_out_and_named() -> None:
    found = mean_between("d", [0.02, 0.03, math.nan], [0.07, 0.06, math.nan], Region(hi=0.15))
    assert (found.n, found.censored, found.verdict()) == (3, 0, Verdict.REPRODUCED)
    assert found.note == "ends 0.05 apart; 1 of 3 seeds have no value"
    assert (
        mean_between("d", [math.nan], [math.nan], Region(hi=0.15)).verdict() is Verdict.INCONCLUSIVE
    )


def test_ratios_are_averaged_in_logarithms() -> None:
    found = mean_between("r", [2.0, 8.0], [2.0, 8.0], Region(lo=1.0), log=True)
    assert found.estimate == pytest.approx(4.0)
    assert (found.p, found.smallest_p) == (0.25, 0.25)
    below = mean_between("r", [2.0, 8.0], [2.0, 8.0], Region(hi=10.0), log=True)
    assert (below.p, below.verdict()) == (0.25, Verdict.INCONCLUSIVE)


def test_an_open_verdict_says_how_near_the_ends_must_come() -> None:
    low = np.full(6, 0.95)
    found = mean_between("r", low, low + 0.25, Region(lo=1.0))
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert found.note == "ends 0.25 apart; within 0.15 of each other they would decide"
    middle = found.estimate
    narrow = mean_between("r", [middle - 0.07] * 6, [middle + 0.07] * 6, Region(lo=1.0))
    assert narrow.verdict() is Verdict.REPRODUCED


def test_ends_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="not above its upper end"):
        mean_between("d", [0.2], [0.1], Region(hi=0.15))
    with pytest.raises(ValueError, match="both ends or none"):
        mean_between("d", [math.nan], [0.1], Region(hi=0.15))
    with pytest.raises(ValueError, match="above 0"):
        mean_between("d", [-0.1], [0.1], Region(lo=1), log=True)
