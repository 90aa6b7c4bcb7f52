"""Means, ratios and correlations of one value a seed against regions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from omnigrok.stats.comparison import (
    BOOTSTRAP_FROM,
    interval,
    mean_in_region,
    sign_flip_p,
    spearman_in_region,
)
from omnigrok.stats.finding import Finding, Region, Verdict

FIVE = [1.0, 2.0, 3.0, 4.0, 5.0]
numbers = st.floats(-50, 50).map(lambda v: round(v, 3))


def test_t_interval_by_hand() -> None:
    # mean 3, s = sqrt(2.5), t(.975, 4) = 2.7764451: half = 2.7764451 * sqrt(2.5 / 5).
    estimate, low, high = interval(FIVE)
    assert estimate == 3
    assert (low, high) == pytest.approx((3 - 1.9632432, 3 + 1.9632432), abs=1e-6)


def test_three_seeds_at_90_percent_by_hand() -> None:
    # t(.95, 2) = 2.9199856; s = 1, n = 3.
    assert interval([1.0, 2.0, 3.0], level=0.9)[1:] == pytest.approx(
        (2 - 2.9199856 / math.sqrt(3), 2 + 2.9199856 / math.sqrt(3))
    )


@pytest.mark.parametrize("n", [10, BOOTSTRAP_FROM - 1])
def test_t_interval_below_the_bootstrap_is_scipys(n: int) -> None:
    values = np.exp(np.random.default_rng(3).normal(size=n))
    assert interval(values)[1:] == pytest.approx(
        stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
    )


def test_t_interval_of_ten_covers_what_it_says() -> None:
    # 2000 draws at a true .95 have a standard error of .005.
    draws = np.random.default_rng(0).normal(size=(2000, 10))
    ends = np.array([interval(row)[1:] for row in draws])
    assert np.mean((ends[:, 0] < 0) & (ends[:, 1] > 0)) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("n", [BOOTSTRAP_FROM, 30])
def test_bca_from_twenty_is_scipys(n: int) -> None:
    values = np.exp(np.random.default_rng(3).normal(size=n))
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=9999,
        method="BCa",
        confidence_level=0.95,
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert interval(values, rng=np.random.default_rng(5)) == (
        values.mean(),
        expected.low,
        expected.high,
    )


def test_bca_is_not_symmetric_on_a_skewed_sample() -> None:
    values = np.exp(np.random.default_rng(3).normal(size=24))
    mean, low, high = interval(values)
    assert high - mean > mean - low


def test_the_rng_is_honoured_and_the_default_is_fixed() -> None:
    values = np.random.default_rng(0).normal(size=25)
    assert interval(values) == interval(values)
    one, same, other = (interval(values, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other
    p1, p1_again, p2 = (
        mean_in_region("x", values, Region(-0.1), rng=np.random.default_rng(seed)).p
        for seed in (1, 1, 2)
    )
    assert p1 == p1_again != p2


@pytest.mark.parametrize("size", [2, 3, 5, 10, 20])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e5, 1e-300])
def test_equal_values_give_a_degenerate_interval(size: int, value: float) -> None:
    assert interval([value] * size) == (value, value, value)


def test_values_equal_but_for_the_last_bit_do_not_break_the_bootstrap() -> None:
    estimate, low, high = interval([0.1] * 21 + [np.nextafter(0.1, 1)])
    assert low <= estimate <= high
    assert high - low < 1e-12


def test_one_outlier_among_twenty_equal_values_has_an_interval() -> None:
    estimate, low, high = interval([0.0] * 19 + [1.0])
    assert low <= estimate <= high


def test_too_few_values() -> None:
    assert all(math.isnan(end) for end in interval([]))
    estimate, low, high = interval([math.nan, 2.0])
    assert estimate == 2
    assert math.isnan(low)
    assert math.isnan(high)


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="censor"):
        interval([1.0, math.inf])


@settings(max_examples=40)
@given(st.lists(numbers, min_size=2, max_size=9), st.floats(-100, 100), st.floats(0.01, 100))
def test_interval_moves_and_stretches_with_the_data(
    values: list[float], shift: float, scale: float
) -> None:
    before, after = np.array(interval(values)), np.array(interval(np.array(values) * scale + shift))
    assert after == pytest.approx(before * scale + shift, abs=1e-6)


@settings(max_examples=30)
@given(st.permutations([*FIVE, 7.5, -2.0]))
def test_interval_ignores_the_order_of_seeds(values: list[float]) -> None:
    assert interval(values) == pytest.approx(interval(sorted(values)))


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.125), (5, 0.03125), (10, 2**-10)])
def test_smallest_p_of_a_sign_flip_test(n: int, smallest: float) -> None:
    # docs/statistics.md: .125 with 3 seeds, .031 with 5, .001 with 10.
    assert sign_flip_p(np.arange(1, n + 1)) == (smallest, smallest)


def test_sampled_sign_flips_count_the_observed_one() -> None:
    """(1 + hits) / (1 + 9,999) of the signs of more seeds than are enumerated."""
    for n in (13, 16):
        p, smallest = sign_flip_p(np.arange(1, n + 1))
        assert p * 10_000 == pytest.approx(round(p * 10_000), abs=1e-9)
        assert smallest <= p <= 2.0**-n + 5e-4
        assert smallest == max(2.0**-n, 1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_sign_flips_equal_scipys_permutation_test(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.4, 1, size=7)
    expected = stats.permutation_test(
        (values, np.zeros(7)),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    ).pvalue
    assert sign_flip_p(values)[0] == pytest.approx(expected)


def test_sign_flips_by_enumeration_in_plain_python() -> None:
    values = [0.3, -0.1, 0.8, 0.2]
    sums = [
        sum(s * v for s, v in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=4)
    ]
    assert sign_flip_p(values)[0] == sum(total >= sum(values) - 1e-12 for total in sums) / 16


def test_no_difference_at_all_has_p_one() -> None:
    assert sign_flip_p([0.0, 0.0, 0.0])[0] == 1


def test_sampled_flips_agree_with_the_exact_ones() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, size=13)
    signs = np.array(list(itertools.product((1, -1), repeat=13)))
    exact = np.mean(signs @ values >= values.sum() - 1e-12)
    p, smallest = sign_flip_p(values)
    assert p == pytest.approx(exact, abs=0.02)
    assert smallest == 2**-13


@settings(max_examples=40)
@given(st.lists(numbers, min_size=1, max_size=8), st.integers(0, 7), st.floats(0, 20))
def test_p_falls_as_one_seed_rises(values: list[float], which: int, by: float) -> None:
    assume(which < len(values))
    raised = list(values)
    raised[which] += by
    assert sign_flip_p(raised)[0] <= sign_flip_p(values)[0] + 1e-12


def test_mean_in_region_carries_both_tiers() -> None:
    found = mean_in_region("rise", FIVE, Region(0.2))
    assert (found.estimate, found.n, found.values) == (3, 5, tuple(FIVE))
    assert (found.p, found.smallest_p) == (1 / 32, 1 / 32)
    assert "t interval" in found.method
    assert "sign-flip" in found.method
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("values", "region", "p"),
    [
        ([1, 2, 3], Region(0), 1 / 8),
        ([1, 2, 3], Region(hi=4), 1 / 8),
        ([1, 2, 3], Region(hi=0), 1),
        # Against 0: only the identity; against 2.5 from below: deviations 1.5 .5 -.5, three of
        # eight patterns.
        ([1, 2, 3], Region(0, 2.5), 3 / 8),
    ],
)
def test_p_against_the_regions_ends(values: list[float], region: Region, p: float) -> None:
    assert mean_in_region("x", values, region).p == p


def test_two_sided_p_is_the_larger_of_both() -> None:
    values = [0.95, 1.02, 1.08, 0.99]
    both = mean_in_region("x", values, Region(0.9, 1.1)).p
    assert both == max(
        mean_in_region("x", values, Region(0.9)).p or 0,
        mean_in_region("x", values, Region(hi=1.1)).p or 0,
    )


def test_null_replaces_the_bound() -> None:
    assert mean_in_region("x", [1, 2, 3], Region(2.5), null=0).p == 1 / 8
    assert mean_in_region("x", [1, 2, 3], Region(hi=1.5), null=9).p == 1 / 8
    with pytest.raises(ValueError, match="one finite end"):
        mean_in_region("x", [1, 2, 3], Region(0, 1), null=0.5)


def test_without_bounds_there_is_no_test() -> None:
    found = mean_in_region("x", FIVE, Region())
    assert found.p is None
    assert found.smallest_p is None
    assert "sign-flip" not in found.method


def test_log_reports_the_geometric_mean() -> None:
    found = mean_in_region("ratio", [2.0, 8.0], Region(1), log=True)
    half = 12.7062047 * math.log(2) / 1  # t(.975, 1) times s / sqrt(2) = log(2) sqrt(2) / sqrt(2)
    assert found.estimate == pytest.approx(4)
    assert found.ci == pytest.approx((4 * math.exp(-half), 4 * math.exp(half)), rel=1e-6)
    assert found.values == (2, 8)
    assert found.p == 0.25


@settings(max_examples=30)
@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=7), st.floats(0.1, 10))
def test_log_is_equivariant_under_inversion(values: list[float], bound: float) -> None:
    over = mean_in_region("a/b", values, Region(bound), log=True)
    under = mean_in_region("b/a", [1 / v for v in values], Region(hi=1 / bound), log=True)
    assert over.estimate == pytest.approx(1 / under.estimate)
    assert over.ci is not None
    assert under.ci is not None
    assert over.p == pytest.approx(under.p)
    assert over.ci == pytest.approx((1 / under.ci[1], 1 / under.ci[0]))


def test_log_needs_positive_values_and_ignores_bounds_at_or_under_zero() -> None:
    with pytest.raises(ValueError, match="> 0"):
        mean_in_region("x", [1.0, 0.0], Region(1), log=True)
    assert mean_in_region("x", [1.0, 2.0], Region(0, 3), log=True).smallest_p == 0.25
    assert mean_in_region("x", [1.0, 2.0], Region(0), log=True).p is None


def test_missing_seeds_are_counted_and_named() -> None:
    found = mean_in_region("x", [1.0, math.nan, 2.0, 3.0], Region(0), note="80 %")
    assert (found.n, found.estimate, found.smallest_p) == (4, 2, 0.125)
    assert found.note == "80 %; 1 of 4 seeds have no value"
    assert found.smoke_verdict() is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("values", [[math.nan] * 3, [1.0, math.nan, math.nan]])
def test_fewer_than_two_values_decide_nothing(values: list[float]) -> None:
    found = mean_in_region("x", values, Region(0))
    assert found.ci is not None
    assert all(math.isnan(end) for end in found.ci)
    assert found.verdict() is Verdict.INCONCLUSIVE


def test_a_matrix_is_not_one_value_a_seed() -> None:
    with pytest.raises(ValueError, match="one value per seed"):
        mean_in_region("x", np.ones((2, 3)), Region(0))


def test_extra_arguments_reach_the_finding() -> None:
    found = mean_in_region("x", FIVE, Region(0), decides=False, level=0.9)
    assert (found.decides, found.level) == (False, 0.9)
    assert found.ci == pytest.approx(interval(FIVE, 0.9)[1:])


def test_spearman_interval_on_fisher_z_by_hand() -> None:
    rhos = np.tanh([1.0, 1.5, 2.0])
    found = spearman_in_region("rho", rhos, Region(0.5), places=30)
    half = 4.3026527 * 0.5 / math.sqrt(3)
    assert found.estimate == pytest.approx(math.tanh(1.5))
    assert found.ci == pytest.approx((math.tanh(1.5 - half), math.tanh(1.5 + half)), abs=1e-6)
    assert found.p == 1 / 8


def test_a_perfect_seed_does_not_worsen_the_verdict() -> None:
    def found(*rhos: float) -> Finding:
        return spearman_in_region("rho", rhos, Region(0.8), places=5)

    perfect = found(1.0, 1.0, 1.0)
    # Half-way between 1 and .9, the next value of 5 ranks.
    assert perfect.estimate == pytest.approx(0.95)
    assert perfect.values == (1, 1, 1)
    for each in (perfect, found(0.9, 0.9, 0.9, 0.9, 1.0), found(0.9, 0.9, 1.0, 1.0, 1.0)):
        assert each.verdict() is Verdict.REPRODUCED
    assert found(1.0, 1.0, 1.0, 1.0, 0.5).verdict() is Verdict.INCONCLUSIVE
    with pytest.raises(ValueError, match="needs 3 places, got 2"):
        spearman_in_region("rho", [0.5, 0.6], Region(0.8), places=2)


def test_spearman_bound_outside_the_scale_is_no_bound() -> None:
    assert spearman_in_region("rho", [0.1, 0.2, 0.3], Region(-1, 0.9), places=9).smallest_p == 1 / 8
    assert spearman_in_region("rho", [0.1, 0.2, 0.3], Region(-1), places=9).p is None


def test_a_correlation_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        spearman_in_region("rho", [1.2, 0.3], Region(0.5), places=9)


@settings(max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_spearman_interval_stays_on_the_scale_and_flips_with_the_sign(rhos: list[float]) -> None:
    found, flipped = (
        spearman_in_region("rho", rhos, Region(0.5), places=9),
        spearman_in_region("rho", [-r for r in rhos], Region(hi=-0.5), places=9),
    )
    assert found.ci is not None
    assert flipped.ci is not None
    assert -1 <= found.ci[0] <= found.ci[1] <= 1
    assert found.ci == pytest.approx((-flipped.ci[1], -flipped.ci[0]))
    assert found.p == flipped.p
