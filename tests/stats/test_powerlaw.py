"""Exponents with and without censored times, the range where they hold, and the competing delay."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omnigrok.stats.finding import Region, Verdict
from omnigrok.stats.powerlaw import (
    additive_delay,
    exponent,
    largest_range,
    slope_equivalent,
    slope_on,
)
from omnigrok.stats.times import Time, times_from

GAMMA = np.array([0.03, 0.05, 0.08, 0.13, 0.2, 0.3, 0.5, 0.7, 1.0])
INVERSE = Region(-1.15, -0.85)
# The pilot of docs/statistics.md: teacher-student, alpha 2, one seed.
PILOT = np.array([50000, 28700, 18300, 11300, 7100, 5300, 3900, 3200, 3100.0])


def draws(
    mean: np.ndarray, n: int = 5, noise: float = 0.05, offset: float = 0.1, seed: int = 0
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(
        mean * np.exp(offset * rng.normal(size=(n, 1)) + noise * rng.normal(size=(n, mean.size)))
    )


def limited(t: np.ndarray, limit: float) -> tuple[tuple[Time, ...], ...]:
    return times_from(np.where(t > limit, math.nan, t), limit)


def test_an_exact_power_law() -> None:
    whole, lower, upper = exponent("t", GAMMA, limited(np.tile(100 / GAMMA, (3, 1)), 1e5), INVERSE)
    for found in (whole, lower, upper):
        assert found.estimate == pytest.approx(-1)
        assert found.values == pytest.approx([-1] * 3)
        assert found.verdict() is Verdict.REPRODUCED
        assert found.smoke_verdict() is Verdict.REPRODUCED
    assert [found.name for found in (whole, lower, upper)] == [
        "t: whole range",
        "t: lower half",
        "t: upper half",
    ]


def test_per_seed_slopes_with_a_t_interval() -> None:
    t = draws(100 / GAMMA)
    slopes = [stats.linregress(np.log(GAMMA), np.log(row)).slope for row in t]
    found = exponent("t", GAMMA, limited(t, 1e6), INVERSE)[0]
    assert found.values == pytest.approx(slopes)
    assert found.ci == pytest.approx(stats.t.interval(0.95, 4, np.mean(slopes), stats.sem(slopes)))
    assert found.p == pytest.approx(
        max(
            stats.ttest_1samp(slopes, -1.15, alternative="greater").pvalue,
            stats.ttest_1samp(slopes, -0.85, alternative="less").pvalue,
        )
    )
    assert "Tobit" not in found.method
    assert found.censored == 0


def test_halves_share_the_middle_of_the_log_grid() -> None:
    # The log middle of [.03, 1] is .173; .2 is nearest. Slope -1 up to .2 and -.5 beyond tells the
    # halves apart.
    t = np.where(GAMMA <= 0.2, 100 / GAMMA, 500 * (GAMMA / 0.2) ** -0.5)
    whole, lower, upper = exponent("t", GAMMA, limited(np.tile(t, (3, 1)), 1e6), INVERSE)
    assert lower.estimate == pytest.approx(-1)
    assert upper.estimate == pytest.approx(-0.5)
    assert -1 < whole.estimate < -0.5
    assert upper.verdict() is Verdict.REFUTED


def test_the_pilot_is_a_delay_and_no_power_law_over_the_range() -> None:
    times = limited(draws(PILOT, noise=0.02), 1e5)
    whole, lower, upper = exponent("t", GAMMA, times, INVERSE)
    assert lower.verdict() is Verdict.REPRODUCED
    assert whole.verdict() is Verdict.REFUTED
    assert upper.verdict() is Verdict.REFUTED
    delay = additive_delay("delay", GAMMA, times)
    assert delay.estimate > 20
    assert not delay.decides
    assert delay.verdict() is Verdict.INCONCLUSIVE
    low, high = largest_range(GAMMA, times, INVERSE) or (math.nan, math.nan)
    assert low == 0.03
    assert 0.2 <= high < 1


@pytest.mark.parametrize("share", [0.25, 0.4])
def test_censoring_does_not_pull_the_exponent_to_zero(share: float) -> None:
    # docs/statistics.md: the step limit as the time gave -.80 with 25 % censored, dropping the
    # censored -.94.
    tobit, capped, dropped = [], [], []
    for seed in range(12):
        t = draws(1500 / GAMMA, noise=0.4, offset=0.2, seed=seed)
        limit = float(np.quantile(t, 1 - share))
        tobit.append(exponent("t", GAMMA, limited(t, limit), INVERSE)[0].estimate)
        logs = np.log(np.minimum(t, limit))
        capped.append(np.mean([np.polyfit(np.log(GAMMA), row, 1)[0] for row in logs]))
        dropped.append(
            np.mean(
                [
                    np.polyfit(np.log(GAMMA[row < limit]), np.log(row[row < limit]), 1)[0]
                    for row in t
                ]
            )
        )
    assert np.mean(tobit) == pytest.approx(-1, abs=0.03)
    assert np.mean(capped) > -0.85
    assert np.mean(dropped) > np.mean(tobit) + 0.02


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.45))
def test_censoring_moves_one_exponent_toward_zero_by_a_bounded_amount(
    seed: int, share: float
) -> None:
    t = draws(1500 / GAMMA, noise=0.05, seed=seed)
    full = exponent("t", GAMMA, limited(t, 1e9), INVERSE)[0].estimate
    cut = exponent("t", GAMMA, limited(t, float(np.quantile(t, 1 - share))), INVERSE)[0].estimate
    # .06 is four standard errors of a slope from the uncensored half of the grid at this noise.
    assert cut <= full + 0.06


@pytest.mark.parametrize(("n", "share"), [(5, 0.25), (10, 0.4)])
def test_coverage_with_censored_times(n: int, share: float) -> None:
    hits = []
    for seed in range(60):
        t = draws(1500 / GAMMA, n, noise=0.1, offset=0.2, seed=seed)
        low, high = exponent("t", GAMMA, limited(t, float(np.quantile(t, 1 - share))), INVERSE)[
            0
        ].ci or (math.nan, math.nan)
        hits.append(low <= -1 <= high)
    assert np.mean(hits) >= 0.9


def test_a_censored_exponent_says_so() -> None:
    t = draws(1500 / GAMMA)
    whole, lower, upper = exponent("t", GAMMA, limited(t, 3e4), INVERSE)
    assert "Tobit" in whole.method
    assert whole.censored == lower.censored == int((t > 3e4).sum()) > 0
    assert "Tobit" not in upper.method
    assert upper.censored == 0
    assert whole.verdict() is Verdict.REPRODUCED
    assert whole.n == 5


def test_nothing_reached_decides_nothing() -> None:
    times = tuple(tuple(Time.never(100) for _ in GAMMA) for _ in range(3))
    for found in exponent("t", GAMMA, times, INVERSE):
        assert math.isnan(found.estimate)
        assert found.p is None
        assert found.verdict() is Verdict.INCONCLUSIVE
        assert found.smoke_verdict() is Verdict.INCONCLUSIVE
        assert "3 of 3 seeds have no slope" in found.note
    assert largest_range(GAMMA, times, INVERSE) is None
    with pytest.raises(ValueError, match="no time"):
        additive_delay("d", GAMMA, times)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100), st.floats(0.01, 100), st.permutations(range(5)))
def test_units_and_the_order_of_seeds_do_not_matter(
    time_unit: float, gamma_unit: float, order: list[int]
) -> None:
    t = draws(PILOT, noise=0.1)
    before = exponent("t", GAMMA, limited(t, 3e4), INVERSE)
    after = exponent(
        "t", GAMMA * gamma_unit, limited(t[order] * time_unit, 3e4 * time_unit), INVERSE
    )
    for a, b in zip(before, after, strict=True):
        assert b.estimate == pytest.approx(a.estimate, abs=1e-4)
        assert b.ci == pytest.approx(a.ci, abs=1e-3)


@settings(max_examples=20)
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_steeper_law_has_a_larger_exponent(a: float, b: float) -> None:
    noise = draws(np.ones(9) * 500)
    low, high = (
        exponent("t", GAMMA, limited(noise * GAMMA**power, 1e12), INVERSE)[0].estimate
        for power in sorted((a, b))
    )
    assert low <= high + 1e-9


def test_slope_equivalence() -> None:
    flat = slope_equivalent("t_train", GAMMA, limited(draws(np.full(9, 300.0)), 1e5))
    assert flat.verdict() is Verdict.REPRODUCED
    assert flat.level == 0.9
    assert flat.p is not None
    assert flat.p < 0.05
    steep = slope_equivalent("t_test", GAMMA, limited(draws(100 / GAMMA), 1e5))
    assert steep.verdict() is Verdict.REFUTED
    at_margin = slope_equivalent("x", GAMMA, limited(draws(300 * GAMMA**-0.15), 1e5))
    assert at_margin.verdict() is Verdict.INCONCLUSIVE
    assert (
        slope_equivalent(
            "x", GAMMA[:2], limited(draws(np.full(2, 300.0), noise=0.01), 1e5)
        ).verdict()
        is Verdict.REPRODUCED
    )


def test_slope_equivalence_with_censored_times_does_not_call_a_slope_flat() -> None:
    # Capped at the limit most of this curve would be flat.
    found = slope_equivalent("t", GAMMA, limited(draws(100 / GAMMA), 800))
    assert found.censored >= 15
    assert found.verdict() is Verdict.REFUTED


def test_largest_range_is_the_widest_that_holds() -> None:
    t = np.tile(np.where(GAMMA <= 0.3, 100 / GAMMA, 100 / 0.3), (5, 1)) * draws(
        np.ones(9), noise=0.005
    )
    narrow = Region(-1.03, -0.97)
    assert largest_range(GAMMA, limited(t, 1e5), narrow) == (0.03, 0.3)
    assert largest_range(GAMMA, limited(draws(np.full(9, 300.0)), 1e5), INVERSE) is None
    assert largest_range(GAMMA[:2], limited(draws(100 / GAMMA[:2]), 1e5), INVERSE) is None


@pytest.mark.parametrize("limit", [1e6, 2e4], ids=["all reached", "censored"])
def test_additive_delay_recovers_its_parameters(limit: float) -> None:
    t = draws(1400 / GAMMA + 1500, noise=0.01, offset=0.0)
    extra = additive_delay("d", GAMMA, limited(t, limit)).extra
    assert extra["a"] == pytest.approx(1400, rel=0.03)
    assert extra["b"] == pytest.approx(1500, rel=0.05)
    assert extra["aic_additive"] < extra["aic_proportional"]


def test_a_proportional_law_pays_two_for_an_unused_delay() -> None:
    found = additive_delay("d", GAMMA, limited(np.tile(100 / GAMMA, (3, 1)), 1e5))
    assert found.estimate == pytest.approx(-2)
    assert found.extra["b"] == 0
    assert found.extra["a"] == pytest.approx(100)
    assert found.estimate == found.extra["aic_proportional"] - found.extra["aic_additive"]


def test_bad_grids_are_refused() -> None:
    t = limited(draws(100 / GAMMA), 1e5)
    for bad in (GAMMA[::-1], -GAMMA, GAMMA[None, :]):
        with pytest.raises(ValueError, match="rising grid"):
            exponent("t", bad, t, INVERSE)
    with pytest.raises(ValueError, match="one time for each"):
        exponent("t", GAMMA[:-1], t, INVERSE)
    with pytest.raises(ValueError, match="at least 3"):
        exponent("t", GAMMA[:2], [row[:2] for row in t], INVERSE)


def test_theil_sen_is_the_median_between_two_points() -> None:
    t = draws(100 / GAMMA)
    t[0, 0] *= 50
    whole, lower, _ = exponent("t", GAMMA, limited(t, 1e9), INVERSE, estimator="theil-sen")
    assert whole.values == pytest.approx(
        [stats.theilslopes(np.log(row), np.log(GAMMA)).slope for row in t]
    )
    assert whole.ci == pytest.approx(
        stats.t.interval(0.95, 4, np.mean(whole.values), stats.sem(whole.values))
    )
    assert abs(whole.values[0] + 1) < abs(
        exponent("t", GAMMA, limited(t, 1e9), INVERSE)[0].values[0] + 1
    )
    assert "median between two points" in whole.method
    assert lower.n == 5


def test_theil_sen_has_no_slope_for_a_seed_that_was_cut() -> None:
    t = draws(100 / GAMMA)
    t[0] *= 10
    found = exponent("t", GAMMA, limited(t, 6000), INVERSE, estimator="theil-sen")[0]
    assert math.isnan(found.values[0])
    assert found.estimate == pytest.approx(np.nanmean(found.values))
    assert "1 of 5 seeds have no slope" in found.note
    none = exponent("t", GAMMA, limited(t, 1), INVERSE, estimator="theil-sen")[0]
    assert none.verdict() is Verdict.INCONCLUSIVE


def test_another_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="estimator is 'least squares' or 'theil-sen', not 'mean'"):
        exponent("t", GAMMA, limited(draws(100 / GAMMA), 1e6), INVERSE, estimator="mean")


def test_a_time_on_another_time() -> None:
    """The first goes as the square root of the second, whatever each seed's own times are."""
    on = draws(100 / GAMMA, noise=0.3)
    found = slope_on("t", limited(3 * on**0.5, 1e6), limited(on, 1e6), Region(0.4, 0.6))
    assert found.values == pytest.approx([0.5] * 5)
    assert found.verdict() is Verdict.REPRODUCED


def test_a_time_on_another_leaves_out_what_the_other_lacks_and_carries_what_it_lacks_itself() -> (
    None
):
    on = draws(100 / GAMMA, noise=0.3)
    missing = slope_on("t", limited(3 * on, 1e9), limited(on, 1500), Region(0.9, 1.1))
    assert missing.values == pytest.approx([1.0] * 5)
    assert missing.censored == 0
    noisy = on * draws(np.ones(9), noise=0.1, seed=1)
    cut = slope_on("t", limited(noisy, 1500), limited(on, 1e9), Region(0.9, 1.1))
    assert cut.censored > 0
    assert "Tobit" in cut.method
    assert cut.estimate == pytest.approx(1, abs=0.15)
    assert cut.verdict() is not Verdict.REFUTED


def test_tables_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="both tables must be"):
        slope_on("t", limited(np.ones((2, 3)), 9), limited(np.ones((2, 4)), 9), INVERSE)
