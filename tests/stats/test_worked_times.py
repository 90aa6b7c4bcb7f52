"""Worked examples of the detectors that read times, answered by survival and regression libraries
or in closed form.
"""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines import LogNormalAFTFitter, LogNormalFitter
from statsmodels.stats.weightstats import DescrStatsW

from omnigrok.stats import (
    Region,
    Time,
    additive_delay,
    censored_mean,
    exponent,
    slope_equivalent,
    time_ratio,
    times_from,
)
from omnigrok.stats.contrast import slope_change

DECAYS = np.array([0.03, 0.1, 0.3, 1.0])
# Steps; two seeds never got there within 20,000 steps at the smallest weight decay.
STEPS = np.array(
    [
        [9500, 3100, 1050, 330],
        [14000, 3900, 1500, 420],
        [8100, 2500, 900, 300],
        [16500, 5100, 1500, 560],
    ],
    dtype=float,
)
CUT = np.array(
    [
        [9500, 3100, 1050, 330],
        [np.nan, 3900, 1500, 420],
        [8100, 2500, 900, 300],
        [np.nan, 5100, 1500, 560],
    ]
)
LIMIT = 10_000.0
INVERSE = Region(-1.15, -0.85, closed=True)


def test_exponent_is_the_mean_of_the_seeds_slopes() -> None:
    slopes = [sm.OLS(np.log(row), sm.add_constant(np.log(DECAYS))).fit().params[1] for row in STEPS]
    whole, lower, upper = exponent("t", DECAYS, times_from(STEPS, 1e6), INVERSE)
    assert whole.values == pytest.approx(slopes)
    assert whole.estimate == pytest.approx(np.mean(slopes))
    assert whole.ci == pytest.approx(DescrStatsW(slopes).tconfint_mean())
    first = [
        sm.OLS(np.log(row[:3]), sm.add_constant(np.log(DECAYS[:3]))).fit().params[1]
        for row in STEPS
    ]
    assert (
        min(abs(lower.estimate - np.mean(first)), abs(upper.estimate - np.mean(first))) < 1e-9
        or lower.n == 4
    )


def test_exponent_with_censored_times_is_a_tobit() -> None:
    table = pd.DataFrame(
        [
            {
                "t": LIMIT if math.isnan(t) else t,
                "seen": not math.isnan(t),
                "x": x,
                **{f"s{k}": float(k == seed) for k in (1, 2, 3)},
            }
            for seed, row in enumerate(CUT.tolist())
            for x, t in zip(np.log(DECAYS).tolist(), row, strict=True)
        ]
    )
    fitted = LogNormalAFTFitter().fit(table, "t", "seen")
    whole, *_ = exponent("t", DECAYS, times_from(CUT, LIMIT), INVERSE)
    assert whole.censored == 2
    assert whole.estimate == pytest.approx(fitted.params_["mu_", "x"], abs=2e-3)


def test_a_slope_within_its_margin() -> None:
    flat = np.array([[100, 104, 99, 101], [90, 88, 93, 91], [120, 118, 121, 125]], dtype=float)
    slopes = [sm.OLS(np.log(row), sm.add_constant(np.log(DECAYS))).fit().params[1] for row in flat]
    found = slope_equivalent("t", DECAYS, times_from(flat, 1e6), 0.15)
    p, *_ = DescrStatsW(slopes).ttost_mean(-0.15, 0.15)
    assert found.p == pytest.approx(p)
    assert found.ci == pytest.approx(DescrStatsW(slopes).tconfint_mean(alpha=0.1))


def test_ratio_of_paired_times() -> None:
    late, early = [2000.0, 900.0, 1500.0], [20.0, 18.0, 10.0]
    found = time_ratio(
        "late / early", [Time.at(t) for t in late], [Time.at(t) for t in early], Region(10.0)
    )
    assert found.estimate == pytest.approx((100 * 50 * 150) ** (1 / 3))
    assert found.ci == pytest.approx(np.exp(DescrStatsW(np.log([100, 50, 150])).tconfint_mean()))
    assert found.p == pytest.approx(1 / 8)


@pytest.mark.parametrize("never", [1, 2, 3])
def test_mean_of_log_times_of_which_some_were_not_reached(never: int) -> None:
    steps = np.array([310.0, 480.0, 520.0, 700.0, 900.0, 1400.0, 1500.0, 1500.0])
    seen = np.arange(8) < 8 - never
    fitted = LogNormalFitter().fit(steps, seen)
    estimate, low, high = censored_mean(np.log(steps), ~seen)
    assert estimate == pytest.approx(fitted.mu_, abs=2e-3)
    assert low < fitted.mu_ < high


def test_bend_between_the_ends() -> None:
    # t falls as n^-2 up to 400 and as n^-.5 from there: the slopes of both ends differ by 1.5.
    sizes = np.array([100.0, 200, 400, 800, 1600])
    times = np.where(sizes <= 400, 1e6 * (sizes / 400) ** -2.0, 1e6 * (sizes / 400) ** -0.5)
    found = slope_change("t", sizes, times_from(np.tile(times, (3, 1)), 1e12), Region(0.3))
    assert found.estimate == pytest.approx(1.5)
    assert found.p == pytest.approx(1 / 8)


def test_delay_against_proportionality() -> None:
    found = additive_delay("aic", DECAYS, times_from(STEPS, 1e6))
    y = np.log(STEPS * DECAYS).ravel()
    seeds = np.repeat(np.eye(4), 4, axis=0)
    # statsmodels does not count sigma as a parameter.
    assert found.extra["aic_proportional"] == pytest.approx(sm.OLS(y, seeds).fit().aic + 2)
    exact = additive_delay(
        "aic",
        DECAYS,
        times_from(np.tile(300 / DECAYS + 200, (3, 1)) * np.array([[1.0], [1.001], [0.999]]), 1e6),
    )
    assert exact.extra["b"] / exact.extra["a"] == pytest.approx(2 / 3, rel=1e-3)
