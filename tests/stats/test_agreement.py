"""Equivalence, shares and intraclass correlation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omnigrok.stats.agreement import equivalent, intraclass, share, tost_p
from omnigrok.stats.comparison import interval
from omnigrok.stats.finding import Region, Verdict

MARGIN = Region(-0.15, 0.15)


def test_tost_equals_two_t_tests() -> None:
    values = np.array([0.02, -0.05, 0.08, 0.01, -0.03])
    found = equivalent("slope", values, MARGIN)
    lower = stats.ttest_1samp(values, -0.15, alternative="greater").pvalue
    upper = stats.ttest_1samp(values, 0.15, alternative="less").pvalue
    assert found.p == pytest.approx(max(lower, upper))
    assert found.ci == pytest.approx(interval(values, 0.9)[1:])
    assert found.level == 0.9


@settings(max_examples=60)
@given(st.lists(st.floats(-0.4, 0.4).map(lambda v: round(v, 3)), min_size=2, max_size=12))
def test_interval_inside_is_p_under_five_percent(values: list[float]) -> None:
    found = equivalent("slope", values, MARGIN)
    assert found.p is not None
    if abs(found.p - 0.05) > 1e-9:
        assert (found.verdict() is Verdict.REPRODUCED) == (found.p < 0.05)


def test_tost_is_a_t_interval_at_any_n() -> None:
    values = np.random.default_rng(0).normal(size=20)
    half = stats.t.ppf(0.95, 19) * values.std(ddof=1) / math.sqrt(20)
    assert equivalent("x", values, Region(-9, 9)).ci == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )


def test_absence_of_evidence_is_not_equivalence() -> None:
    assert equivalent("slope", [-1.0, 0.0, 1.0], MARGIN).verdict() is Verdict.INCONCLUSIVE


def test_an_effect_beyond_the_margin_is_refuted() -> None:
    assert equivalent("slope", [-1.0, -1.02, -0.98], MARGIN).verdict() is Verdict.REFUTED


def test_equal_values_are_sure() -> None:
    assert equivalent("slope", [0.1] * 3, MARGIN).p == pytest.approx(0)
    assert equivalent("slope", [0.5] * 3, MARGIN).p == pytest.approx(1)
    assert tost_p(0.1, 0.0, 2, -0.15, 0.15) == 0
    assert tost_p(0.15, 0.0, 2, -0.15, 0.15) == 1


def test_equivalence_of_a_ratio_is_symmetric_in_logs() -> None:
    ratios = [0.9, 1.0, 1.1, 1.05]
    found = equivalent("gamma 0 over .03", ratios, Region(0.8, 1.25), log=True)
    inverse = equivalent("gamma .03 over 0", [1 / r for r in ratios], Region(0.8, 1.25), log=True)
    assert found.estimate == pytest.approx(1 / inverse.estimate)
    assert found.p == pytest.approx(inverse.p)
    # A t test has no smallest p.
    assert found.smallest_p == 0.0
    for wrong in (0.0, -0.5, -1.0):
        with pytest.raises(ValueError, match="> 0"):
            equivalent("x", [1.0, wrong], Region(0.8, 1.25), log=True)


def test_a_ratio_below_an_end_is_tested_at_that_end_alone() -> None:
    values = np.array([0.8, 0.9, 1.05, 0.95])
    found = equivalent("ratio", values, Region(hi=1.1), log=True)
    one_sided = stats.ttest_1samp(np.log(values), math.log(1.1), alternative="less").pvalue
    assert found.p == pytest.approx(one_sided)


def test_equivalence_with_missing_seeds() -> None:
    found = equivalent("slope", [0.1, math.nan, math.nan], MARGIN)
    assert found.p is None
    assert found.n == 3
    assert "2 of 3" in found.note
    assert found.verdict() is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("hits", "n"), [(5, 5), (0, 5), (7, 10), (10, 10), (3, 3)])
def test_clopper_pearson_by_beta_quantiles(hits: int, n: int) -> None:
    found = share("share", [True] * hits + [False] * (n - hits), Region(0.5))
    low = 0.0 if hits == 0 else stats.beta.ppf(0.025, hits, n - hits + 1)
    high = 1.0 if hits == n else stats.beta.ppf(0.975, hits + 1, n - hits)
    assert found.estimate == hits / n
    assert found.ci == pytest.approx((low, high), abs=1e-7)
    assert found.method == "share of seeds, Clopper-Pearson interval, exact binomial test"


def test_a_share_in_a_region_without_ends_inside_has_no_test() -> None:
    found = share("share", [True, False], Region(0, 1, closed=True))
    assert (found.p, found.smallest_p) == (None, None)
    assert found.method == "share of seeds, Clopper-Pearson interval"


def test_all_of_five_cannot_pass_one_half_but_all_of_six_can() -> None:
    # (.025)**(1/5) = .478, (.025)**(1/6) = .541.
    five, six = share("s", [True] * 5, Region(0.5)), share("s", [True] * 6, Region(0.5))
    assert five.ci is not None
    assert five.ci[0] == pytest.approx(0.025 ** (1 / 5))
    assert five.verdict() is Verdict.INCONCLUSIVE
    assert "too few" in five.note
    assert six.verdict() is Verdict.REPRODUCED
    assert six.note == ""
    assert five.smoke_verdict() is Verdict.REPRODUCED
    assert [share("s", [True] * n, Region(0.5)).note == "" for n in (3, 4, 7)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        ([1, 1, 1], Verdict.REPRODUCED),
        ([0, 0, 0], Verdict.REFUTED),
        ([1, 0, 1], Verdict.INCONCLUSIVE),
        ([1, 1, math.nan], Verdict.INCONCLUSIVE),
    ],
)
def test_share_under_the_smoke_rule(flags: list[float], verdict: Verdict) -> None:
    assert share("s", flags, Region(0.5)).smoke_verdict() is verdict


def test_share_p_is_binomial() -> None:
    found = share("s", [1] * 9 + [0], Region(0.5))
    assert found.p == pytest.approx(11 / 1024)
    assert found.smallest_p == pytest.approx(2**-10)
    assert share("s", [0] * 9 + [1], Region(hi=0.5)).p == pytest.approx(11 / 1024)
    assert share("s", [1], Region(-1, 2)).p is None


def test_share_counts_only_yes_and_no() -> None:
    with pytest.raises(ValueError, match="True and False"):
        share("s", [0.5, 1.0], Region(0.5))
    empty = share("s", [math.nan], Region(0.5))
    assert math.isnan(empty.estimate)
    assert empty.verdict() is Verdict.INCONCLUSIVE


# Shrout & Fleiss (1979), six targets by four judges: ICC(3,1) = .71, its published 95 % interval
# [.34, .95].
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]],
    dtype=float,
)


def test_intraclass_on_the_published_example() -> None:
    found = intraclass("icc", SHROUT_FLEISS, Region(0.1))
    assert found.estimate == pytest.approx(0.7148, abs=1e-4)
    assert found.ci == pytest.approx((0.3425, 0.9459), abs=1e-3)
    assert found.n == 6
    assert len(found.values) == 6


def test_intraclass_p_inverts_the_interval() -> None:
    low = intraclass("icc", SHROUT_FLEISS, Region(0.1)).ci
    assert low is not None
    assert intraclass("icc", SHROUT_FLEISS, Region(low[0])).p == pytest.approx(0.025)


@settings(max_examples=25)
@given(
    st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.floats(0.1, 9), st.permutations(range(6))
)
def test_intraclass_ignores_condition_means_scale_and_order(
    shifts: list[float], scale: float, order: list[int]
) -> None:
    changed = intraclass("icc", (SHROUT_FLEISS * scale + np.array(shifts))[order], Region(0.5))
    assert changed.estimate == pytest.approx(intraclass("icc", SHROUT_FLEISS, Region(0.5)).estimate)


def test_a_seed_that_is_slow_everywhere_gives_one() -> None:
    additive = np.add.outer([0.0, 1.0, 3.0], [5.0, 2.0, 1.0, 0.0])
    found = intraclass("icc", additive, Region(0.5))
    assert found.estimate == 1
    assert found.ci == (1, 1)
    assert found.values == (1, 1, 1)
    assert found.verdict() is Verdict.REPRODUCED


def test_permuted_seeds_are_not_correlated() -> None:
    noise = np.random.default_rng(4).normal(size=(10, 8))
    found = intraclass("icc", noise, Region(0.5))
    assert found.verdict() is Verdict.REFUTED
    assert found.smoke_verdict() is Verdict.REFUTED


def test_no_variance_has_no_correlation() -> None:
    assert math.isnan(intraclass("icc", np.ones((3, 4)), Region(0.5)).estimate)


def test_missing_times_cost_their_condition_or_their_seed() -> None:
    holed = np.vstack((SHROUT_FLEISS, np.full(4, math.nan)))
    holed[0, 3] = math.nan
    found = intraclass("icc", holed, Region(0.5))
    assert found.estimate == pytest.approx(
        intraclass("icc", SHROUT_FLEISS[:, :3], Region(0.5)).estimate
    )
    assert (found.n, found.censored) == (7, 5)
    assert math.isnan(found.values[6])
    assert "1 of 7 seeds" in found.note
    assert "3 of 4 conditions" in found.note


def test_two_seeds_and_one() -> None:
    two = intraclass("icc", SHROUT_FLEISS[:2], Region(0.5))
    assert two.values == (two.estimate, two.estimate)
    one = intraclass("icc", SHROUT_FLEISS[:1], Region(0.5))
    assert one.verdict() is Verdict.INCONCLUSIVE
    assert one.p is None
    with pytest.raises(ValueError, match="seeds, conditions"):
        intraclass("icc", [1.0, 2.0], Region(0.5))
