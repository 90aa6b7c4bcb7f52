"""Right-censored log times: means and ratios."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from omnigrok.stats.censoring import bounded_mean, censored_mean, time_ratio
from omnigrok.stats.comparison import interval
from omnigrok.stats.finding import Region, Verdict
from omnigrok.stats.times import Time

VALUES = np.array([6.1, 6.9, 7.3, 7.8, 8.0])
CUT = np.array([False, False, False, True, True])


def test_without_censoring_it_is_the_interval() -> None:
    assert censored_mean(VALUES, np.zeros(5, bool)) == interval(VALUES)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=8, unique=True), st.data())
@settings(max_examples=30)
def test_bounds_from_above_mirror_those_from_below(
    values: list[float], data: st.DataObject
) -> None:
    data_array = np.array(values)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    none = np.zeros(len(values), dtype=bool)
    estimate, low, high = censored_mean(data_array, flags)
    assert bounded_mean(data_array, flags, none) == pytest.approx((estimate, low, high))
    mirrored = bounded_mean(-data_array, none, flags)
    assert mirrored == pytest.approx((-estimate, -high, -low))


def test_bounds_of_both_kinds_bound_no_mean() -> None:
    found = bounded_mean([1.0, 2.0, 3.0], [True, False, False], [False, False, True])
    assert found[1:] == (-math.inf, math.inf)
    assert math.isnan(found[0])
    # A seed without a value bounds nothing.
    assert bounded_mean([math.nan, 2.0, 3.0, 4.0], [True] + [False] * 3, [False] * 4) == interval(
        [2.0, 3.0, 4.0]
    )


def test_the_estimate_maximises_scipys_censored_likelihood() -> None:
    data = stats.CensoredData(uncensored=VALUES[:3], right=VALUES[3:])
    mean, _ = stats.norm.fit(data)
    assert censored_mean(VALUES, CUT)[0] == pytest.approx(mean, abs=1e-3)


def test_the_ends_lie_on_the_stated_cut() -> None:
    def loglik(mean: float, log_sigma: float) -> float:
        sigma = math.exp(log_sigma)
        return float(
            stats.norm.logpdf(VALUES[:3], mean, sigma).sum()
            + stats.norm.logsf(VALUES[3:], mean, sigma).sum()
        )

    def profile(mean: float) -> float:
        return -float(
            optimize.minimize_scalar(
                lambda s: -loglik(mean, s), bounds=(-5, 5), method="bounded"
            ).fun
        )

    estimate, low, high = censored_mean(VALUES, CUT)
    t = stats.t.ppf(0.975, 4)
    cut = profile(estimate) - 2.5 * math.log1p(t * t / 4)
    assert profile(low) == pytest.approx(cut, abs=1e-4)
    assert profile(high) == pytest.approx(cut, abs=1e-4)


def test_barely_censored_is_nearly_students_interval() -> None:
    # A censored value whose limit lies where the value would be impossible to tell: the cut makes
    # it Student's, not chi-squared's.
    values = np.array([0.0, 1.0, 2.0, 3.0, -40.0])
    _, low, high = censored_mean(values, [False, False, False, False, True])
    plain = interval(values[:4])
    # One more (empty) degree of freedom, so a little narrower than with four values.
    assert plain[1] < low < 1.5 < high < plain[2]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-2, 2).map(lambda v: round(v, 2)), min_size=4, max_size=8, unique=True),
    st.integers(1, 2),
)
def test_the_mean_is_never_below_the_one_of_the_limits(values: list[float], count: int) -> None:
    data = np.array(values)
    cut = np.zeros(data.size, bool)
    cut[np.argsort(data)[-count:]] = True
    estimate, low, high = censored_mean(data, cut)
    assert low <= estimate <= high
    assert estimate >= data.mean() - 1e-6


@settings(max_examples=15, deadline=None)
@given(st.floats(-20, 20), st.floats(0.05, 20))
def test_shift_and_scale(shift: float, scale: float) -> None:
    before, after = (
        np.array(censored_mean(VALUES, CUT)),
        np.array(censored_mean(VALUES * scale + shift, CUT)),
    )
    assert after == pytest.approx(before * scale + shift, abs=1e-3 * scale)


def test_a_later_limit_moves_the_mean_up() -> None:
    early, late = censored_mean(VALUES, CUT)[0], censored_mean(VALUES + 0.5 * CUT, CUT)[0]
    assert late > early


@pytest.mark.parametrize(("n", "low"), [(3, -math.inf), (4, -math.inf), (5, 7.0), (10, 7.0)])
def test_all_censored_is_bounded_from_below_when_n_allows(n: int, low: float) -> None:
    # 2**-5 = .031 <= .05 < 2**-4.
    assert censored_mean(7.0 + np.arange(n), np.ones(n, bool)) == (math.inf, low, math.inf)


def test_one_uncensored_value_has_no_likelihood_maximum() -> None:
    cut = np.array([False, True, True, True, True])
    assert censored_mean([6.0, 7, 7, 7, 7], cut) == (math.inf, 6.0, math.inf)
    assert censored_mean([6.0, 6.0, 7, 7, 7], [False, False, True, True, True]) == (
        math.inf,
        6.0,
        math.inf,
    )


def test_missing_values_are_dropped_and_shapes_checked() -> None:
    assert censored_mean([*VALUES, math.nan], [*CUT, False]) == censored_mean(VALUES, CUT)
    assert all(math.isnan(end) for end in censored_mean([], []))
    with pytest.raises(ValueError, match="equally long"):
        censored_mean(VALUES, CUT[:3])


@pytest.mark.parametrize(("n", "floor"), [(5, 0.9), (10, 0.9)])
def test_coverage_under_a_third_censored(n: int, floor: float) -> None:
    rng = np.random.default_rng(n)
    hits = []
    for _ in range(120):
        values = rng.normal(size=n)
        cut = values > 0.45
        _, low, high = censored_mean(np.where(cut, 0.45, values), cut)
        hits.append(low <= 0 <= high)
    assert np.mean(hits) >= floor


EARLY = [Time.at(100, 1e5), Time.at(150, 1e5), Time.at(120, 1e5)]


def late(*values: float, limit: float = 1e5) -> list[Time]:
    return [Time.never(limit) if math.isnan(value) else Time.at(value, limit) for value in values]


def test_ratio_by_hand() -> None:
    found = time_ratio("t_test / t_train", late(2000, 3000, 2400), EARLY, Region(10))
    assert found.values == pytest.approx((20, 20, 20))
    assert found.estimate == pytest.approx(20)
    assert found.ci == pytest.approx((20, 20))
    assert (found.p, found.n, found.censored) == (1 / 8, 3, 0)
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("n", "method"), [(3, "t interval"), (19, "t interval"), (20, "BCa"), (21, "BCa")]
)
def test_a_ratio_names_its_interval(n: int, method: str) -> None:
    values = np.linspace(2000, 3000, n)
    known = time_ratio("r", late(*values), late(*[100.0] * n), Region(10))
    assert method in known.method
    cut = time_ratio("r", late(*values[1:], math.nan), late(*[100.0] * n), Region(10))
    assert "Tobit" in cut.method


def test_a_censored_ratio_is_inside_only_if_its_bound_is() -> None:
    found = time_ratio("r", late(2000, 3000, math.nan, limit=5000), EARLY, Region(10))
    assert found.values[2] == math.inf
    assert found.censored == 1
    assert found.smoke_verdict() is Verdict.REPRODUCED
    short = time_ratio("r", late(2000, 3000, math.nan, limit=1000), EARLY, Region(10))
    assert math.isnan(short.values[2])
    assert short.smoke_verdict() is Verdict.INCONCLUSIVE


def test_a_censored_ratio_is_never_inside_a_region_with_an_upper_end() -> None:
    for region in (Region(hi=3), Region(0.67, 1.5)):
        assert math.isnan(time_ratio("r", late(110, 160, math.nan), EARLY, region).values[2])


def test_all_late_times_censored() -> None:
    early = [Time.at(100, 1e5)] * 5
    found = time_ratio("r", late(*[math.nan] * 5), early, Region(10))
    assert found.estimate == math.inf
    assert found.ci == pytest.approx((1000, math.inf))
    assert found.verdict() is Verdict.REPRODUCED
    assert found.p == 1 / 32
    assert time_ratio("r", late(*[math.nan] * 5), early, Region(hi=3)).verdict() is Verdict.REFUTED
    assert (
        time_ratio("r", late(*[math.nan] * 3), early[:3], Region(10)).verdict()
        is Verdict.INCONCLUSIVE
    )


def test_a_censored_early_time_gives_no_ratio() -> None:
    found = time_ratio("r", late(2000, 3000, 2400), [*EARLY[:2], Time.never(1e5)], Region(10))
    assert math.isnan(found.values[2])
    assert found.censored == 1
    assert "1 of 3" in found.note
    assert found.n == 3
    assert found.smallest_p == 1 / 4


def test_censoring_raises_the_ratio_instead_of_capping_it() -> None:
    early = [Time.at(100, 1e5)] * 6
    full = time_ratio("r", late(1000, 2000, 3000, 4000, 6000, 9000), early, Region(10))
    cut = time_ratio(
        "r", late(1000, 2000, 3000, 4000, math.nan, math.nan, limit=5000), early, Region(10)
    )
    capped = time_ratio("r", late(1000, 2000, 3000, 4000, 5000, 5000), early, Region(10))
    assert cut.estimate > capped.estimate
    assert abs(math.log(cut.estimate / full.estimate)) < abs(
        math.log(capped.estimate / full.estimate)
    )
    assert "Tobit" in cut.method


def test_p_of_an_upper_bound_takes_the_censored_ratio_at_its_worst() -> None:
    early = [Time.at(100, 1e5)] * 3
    assert time_ratio("r", late(110, 120, 130), early, Region(hi=3)).p == 1 / 8
    # Beyond every other ratio it decides the sum: the four patterns that flip it, and the data
    # themselves.
    assert time_ratio("r", late(110, 120, math.nan, limit=140), early, Region(hi=3)).p == 5 / 8


def test_nothing_known_at_all() -> None:
    found = time_ratio("r", late(2000, 3000), [Time.never(1e5)] * 2, Region(10))
    assert found.p is None
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert found.smoke_verdict() is Verdict.INCONCLUSIVE


def test_pairs_and_rng() -> None:
    with pytest.raises(ValueError, match="paired by seed"):
        time_ratio("r", EARLY, EARLY[:2], Region(10))
    rng = np.random.default_rng(0)
    times = [Time.at(t, 1e5) for t in np.exp(rng.normal(7, 1, 24))]
    one, again, other = (
        time_ratio("r", times, [Time.at(10)] * 24, Region(10), rng=np.random.default_rng(k)).ci
        for k in (1, 1, 2)
    )
    assert one == again != other
