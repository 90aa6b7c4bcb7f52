"""Rates, bounds and the search for seeds: a detector that errs is found out."""

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from omnigrok.calibration.rates import LADDER, Rate, measure, seeds_needed
from omnigrok.calibration.trial import Sample, Trial, Truth, sample_of
from omnigrok.stats import Region, Verdict, mean_in_region
from omnigrok.stats.comparison import t_interval


def trial(level: float = 0.95, seeds: int = 10, size: float = 3.0, wide: float = 1.0) -> Trial:
    """The mean of normal values against 0, with an interval ``wide`` times as wide as it
    should be.
    """

    def draw(rng: np.random.Generator, n: int, truth: Truth) -> Sample:
        values = rng.normal(size=n) + (0.0 if truth == "null" else size)
        low, high = t_interval(values, level)
        ci = (
            float(values.mean()) + wide * (low - values.mean()),
            float(values.mean()) + wide * (high - values.mean()),
        )
        return Sample(Region(0.0).judge(ci), ci)

    return Trial(
        "mean", f"no effect, {wide}", f"effect {size}", seeds, draw, truth=size, level=level
    )


@pytest.mark.parametrize(("hits", "draws"), [(0, 2000), (100, 2000), (7, 10), (10, 10)])
def test_the_interval_of_a_rate(hits: int, draws: int) -> None:
    assert Rate(hits, draws).ci == pytest.approx(proportion_confint(hits, draws, method="beta"))


def test_a_rate_of_nothing_is_unknown() -> None:
    assert math.isnan(Rate(0, 0).value)
    assert all(math.isnan(end) for end in Rate(0, 0).ci)


def test_a_sound_detector_holds_its_bounds() -> None:
    row = measure(trial(), 2000)
    assert row.problems == []
    assert not row.conservative
    assert row.false_positive.value == pytest.approx(0.025, abs=0.012)
    assert row.power.value == 1
    assert row.needed is None


def test_too_narrow_an_interval_is_found() -> None:
    assert measure(trial(wide=0.6), 1000).problems == ["false positives", "coverage"]


def test_too_wide_an_interval_is_conservative() -> None:
    row = measure(trial(wide=1.6), 1000)
    assert row.problems == []
    assert row.conservative


def test_too_few_seeds_are_no_fault_but_how_many_would_do_is_said() -> None:
    row = measure(trial(seeds=5, size=1.0), 500)
    assert row.problems == []
    assert row.power.value < 0.9
    # A two-sided t test of one standard deviation has power .9 with 13 seeds.
    assert row.needed in (12, 15)


def test_the_ladder_is_searched_for_its_first_step_with_enough_power() -> None:
    for least in LADDER:
        assert seeds_needed(lambda n, least=least: n >= least) == least
    assert seeds_needed(lambda n: False) == 0


def test_randomness_is_the_trials_own() -> None:
    one, two = trial(), trial(wide=1.1)
    assert measure(one, 50) == measure(one, 50)
    assert one.generator("null", 10).random() != two.generator("null", 10).random()
    assert one.generator("null", 10).random() != one.generator("effect", 10).random()


def test_a_sample_is_the_conjunction_of_what_decides() -> None:
    good = mean_in_region("a", [1.0, 1.1, 0.9], Region(0.0))
    bad = mean_in_region("b", [-1.0, -1.1, -0.9], Region(0.0))
    assert sample_of([good]) == Sample(Verdict.REPRODUCED, good.ci)
    assert sample_of([good, bad]).verdict is Verdict.REFUTED
    assert sample_of([good, bad.as_sensitivity()]).verdict is Verdict.REPRODUCED
