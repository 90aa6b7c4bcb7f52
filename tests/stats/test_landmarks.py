"""Knees, minima, zones and gaps of curves over a logarithmic grid."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats.finding import Region, Verdict
from omnigrok.stats.landmarks import argmin, gap_integral, knee, logit, zone_width

ALPHA = np.logspace(-1, 1, 21)
REGION = Region(0.1, 1.0, closed=True)


def test_knee_of_a_power_law_in_closed_form() -> None:
    # y = x^-4 from x = .1 is under 1 % of its start at .1 * 100^(1/4), between grid points too.
    found = knee("break", ALPHA, np.tile(ALPHA**-4.0, (3, 1)), region=REGION)
    assert found.estimate == pytest.approx(0.1 * 100**0.25)
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED
    assert knee(
        "break", ALPHA, np.tile(ALPHA**-4.0, (3, 1)), 0.1, region=REGION
    ).estimate == pytest.approx(0.1 * 10**0.25)


@settings(max_examples=25)
@given(st.floats(1.5, 8), st.floats(1e-6, 1e6), st.floats(0.01, 100))
def test_knee_ignores_the_height_and_follows_the_grid(
    power: float, height: float, stretch: float
) -> None:
    plain = knee("k", ALPHA, [ALPHA**-power], region=REGION).values[0]
    moved = knee("k", ALPHA * stretch, [height * ALPHA**-power], region=REGION).values[0]
    assert moved == pytest.approx(plain * stretch)


def test_knee_of_a_curve_that_falls_to_zero_is_finite() -> None:
    y = np.where(ALPHA < 0.5, 1.0, 0.0)
    value = knee("k", ALPHA, [y], region=REGION).values[0]
    last_high, first_low = ALPHA[ALPHA < 0.5][-1], ALPHA[ALPHA >= 0.5][0]
    assert last_high < value < first_low


def test_a_curve_that_never_falls_is_censored_not_dropped() -> None:
    y = np.vstack([np.exp(-20 * ALPHA * (1 + 0.1 * k)) for k in range(4)] + [np.ones(21)])
    found = knee("k", ALPHA, y, region=REGION)
    assert found.censored == 1
    assert math.isnan(found.values[4])
    assert "1 of 5" in found.note
    assert found.estimate > knee("k", ALPHA, y[:4], region=REGION).estimate
    assert "Tobit" in found.method
    assert found.smoke_verdict() is Verdict.INCONCLUSIVE


def test_a_rising_curve_has_its_knee_beyond_the_grid() -> None:
    found = knee("k", ALPHA, np.tile(ALPHA, (5, 1)), region=REGION)
    assert found.estimate == math.inf
    assert found.ci == pytest.approx((10, math.inf))
    assert found.verdict() is Verdict.REFUTED
    assert found.smoke_verdict() is Verdict.INCONCLUSIVE


def test_a_curve_without_a_start_has_no_knee() -> None:
    y = np.tile(ALPHA**-4.0, (3, 1))
    y[0, 0], y[1, 5] = 0.0, math.nan
    found = knee("k", ALPHA, y, region=REGION)
    assert np.isnan(found.values).tolist() == [True, True, False]
    assert found.censored == 0
    assert found.verdict() is Verdict.INCONCLUSIVE


def test_the_rng_is_honoured() -> None:
    shift = np.exp(np.random.default_rng(0).normal(0, 0.3, size=(24, 1)))
    y = np.exp(-20 * ALPHA * shift)
    one, again, other = (
        knee("k", ALPHA, y, region=REGION, rng=np.random.default_rng(k)).ci for k in (1, 1, 2)
    )
    assert one == again != other


def test_argmin_is_averaged_in_log() -> None:
    x = [0.25, 0.5, 1.0, 2.0, 4.0]
    y = [[9, 1, 2, 3, 4], [9, 8, 7, 1, 4]]
    found = argmin("argmin", x, y, Region(0.5, 2, closed=True))
    # The vertex of a parabola in logs through (-1, ln 9), (0, 0), (1, ln 2) is (ln 9 - ln 2) / (ln
    # 9 + ln 2) / 2 steps off.
    off = (math.log(9) - math.log(2)) / (math.log(9) + math.log(2)) / 2
    far = (math.log(7) - math.log(4)) / (math.log(7) + math.log(4)) / 2
    assert found.values == pytest.approx((0.5 * 2**off, 2 * 2**far))
    assert found.estimate == pytest.approx(2 ** ((off + far) / 2))
    assert found.smoke_verdict() in (Verdict.REPRODUCED, Verdict.INCONCLUSIVE)
    assert found.censored == 0


def test_seeds_that_agree_on_a_grid_point_do_not_know_more_than_the_grid() -> None:
    x, y = np.array([0.25, 0.5, 1.0, 2.0, 4.0]), np.abs(np.log([0.25, 0.5, 1.0, 2.0, 4.0])) + 1
    found = argmin("argmin", x, np.tile(y, (10, 1)), Region(0.5, 2, closed=True))
    assert found.estimate == pytest.approx(1)
    assert found.ci == pytest.approx((2**-0.25, 2**0.25))
    broken = knee("k", x, np.tile([1.0, 0.5, 0.005, 0.004, 0.003], (10, 1)), region=REGION)
    assert broken.ci == pytest.approx((broken.estimate / 2**0.5, broken.estimate * 2**0.5))


def test_equal_minima_count_at_their_middle() -> None:
    assert argmin("a", [1, 10, 100], [[0, 0, 0], [5, 0, 0]], Region(0)).values == pytest.approx(
        (10, math.sqrt(1000))
    )


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_argmin_of_a_mirrored_curve_is_mirrored(y: list[int]) -> None:
    x = np.array([0.25, 0.5, 1, 2, 4])
    there, here = argmin("a", x, [y[::-1]] * 3, Region(0)), argmin("a", x, [y] * 3, Region(0))
    assert there.values[0] == pytest.approx(1 / here.values[0], nan_ok=True)
    assert there.censored == here.censored
    assert there.ci == pytest.approx(
        (
            math.inf if here.ci[1] == 0 else 1 / here.ci[1],
            math.inf if here.ci[0] == 0 else 1 / here.ci[0],
        )
    )


@settings(max_examples=25)
@given(st.floats(-2.4, 2.4), st.floats(0.1, 5), st.floats(1e-6, 1e6))
def test_the_minimum_of_a_log_parabola_is_found_between_grid_points(
    bottom: float, steep: float, height: float
) -> None:
    x = 2.0 ** np.arange(-4, 5)
    y = height * np.exp(steep * (np.log2(x) - bottom) ** 2)
    assert argmin("a", x, [y], Region(0)).values[0] == pytest.approx(2**bottom, rel=1e-6)


def test_a_minimum_beside_a_diverged_value_stays_on_the_grid() -> None:
    assert argmin("a", [0.5, 1, 2, 4], [[math.inf, 1, 2, 3]], Region(0)).values[0] == pytest.approx(
        1
    )


def test_a_minimum_at_the_end_is_noted() -> None:
    found = argmin(
        "a", [1, 10, 100], [[3, 2, 1], [3, 1, 2], [math.nan, 1, 2]], Region(0), note="why"
    )
    assert found.censored == 1
    assert found.values[1] == pytest.approx(10, rel=0.5)
    assert math.isnan(found.values[0])
    assert "1 minima at an end" in found.note
    assert "1 of 3" in found.note
    assert "why" in found.note


def test_a_minimum_that_may_lie_beyond_the_grid_is_censored_there() -> None:
    x, inside = [1, 10, 100, 1000], Region(5, 500, closed=True)
    falling, rising, middle = [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 1.1, 4]
    beyond = argmin("a", x, [falling] * 6, inside)
    assert beyond.ci == (pytest.approx(1000 / 10**0.25), math.inf)
    assert beyond.verdict() is Verdict.REFUTED
    assert argmin("a", x, [rising] * 6, inside).ci == (0, pytest.approx(10**0.25))
    assert argmin("a", x, [middle] * 5 + [falling], inside).ci[1] > 500
    assert argmin("a", x, [rising, middle, falling], inside).ci == (0, math.inf)


def test_zone_of_a_parabola_in_closed_form() -> None:
    x = np.logspace(-2, 2, 2001)
    width, cut = zone_width(x, np.log(x) ** 2, within=0.25)
    assert width == pytest.approx(1, abs=1e-3)
    assert not cut


def test_zone_interpolates_linearly_in_log() -> None:
    width, cut = zone_width([1, 10, 100], [0.2, 0.0, 0.4], within=0.1)
    assert width == pytest.approx((0.5 + 0.25) * math.log(10))
    assert not cut


def test_a_zone_of_errors_is_interpolated_in_logit() -> None:
    x = np.geomspace(1, 100, 3)
    error = 1 / (1 + np.exp(-2 * np.log(x) + 3))  # its logit is linear in log x
    width, cut_at_the_minimum = zone_width(x, error, 0.5 - error[0], "logit")
    assert width == pytest.approx(1.5)
    assert cut_at_the_minimum
    assert zone_width(x, error, 0.5 - error[0])[0] != pytest.approx(1.5, rel=0.05)
    # Errors of 0 and 1 have a place, and equal ones no slope.
    assert math.isfinite(zone_width([1, 10, 100], [0.0, 0.0, 1.0], 0.1, "logit")[0])
    assert logit([0.5, 0.0, 1.0]).tolist() == pytest.approx([0, -9.21024, 9.21024])


@pytest.mark.parametrize(
    "curve", [[0.05, 0.0, 0.4], [0.4, 0.0, 0.05], [0.0, 0.4, 0.5], [0.0, 0.0, 0.0]]
)
def test_a_zone_cut_by_the_grid_is_censored(curve: list[float]) -> None:
    assert zone_width([1, 10, 100], curve)[1]


def test_only_the_contiguous_zone_counts() -> None:
    width, _ = zone_width([1, 10, 100, 1000, 10000], [0.5, 0.0, 0.5, 0.01, 0.5])
    assert width == pytest.approx(2 * 0.2 * math.log(10))


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 1000).map(lambda v: v / 1000), min_size=4, max_size=12),
    st.floats(0.01, 0.5),
    st.floats(0.01, 0.5),
    st.floats(-1, 1),
)
def test_zones_grow_with_their_height_and_ignore_a_shift(
    y: list[float], a: float, b: float, shift: float
) -> None:
    x = np.logspace(0, 2, len(y))
    low, high = zone_width(x, y, min(a, b))[0], zone_width(x, y, max(a, b))[0]
    assert 0 < low <= high + 1e-9 <= math.log(100) + 2e-9
    assert zone_width(x, np.array(y) + shift, min(a, b))[0] == pytest.approx(low, abs=1e-6)


def test_zone_edge_cases() -> None:
    assert math.isnan(zone_width([1, 10], [math.nan, 1])[0])
    with pytest.raises(ValueError, match="height > 0"):
        zone_width([1, 10], [0, 1], within=0)
    with pytest.raises(ValueError, match="positive"):
        zone_width([0, 10], [0, 1])


def test_gap_integral_in_decades() -> None:
    # A gap of .3 over two decades is .6; a triangle from 0 to 1 over two decades is 1.
    x = np.logspace(-1, 1, 11)
    assert gap_integral(x, np.zeros(11), np.full(11, 0.3)) == pytest.approx(0.6)
    both = gap_integral(
        x, np.zeros((2, 11)), np.vstack((np.linspace(0, 1, 11), np.linspace(1, 0, 11)))
    )
    assert both == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="one shape"):
        gap_integral(x, np.zeros(11), np.zeros((2, 11)))
    for points in (10, 12):
        with pytest.raises(ValueError, match=r"expected a grid \(k,\)"):
            gap_integral(x, np.zeros(points), np.zeros(points))
    with pytest.raises(ValueError, match="rise strictly"):
        gap_integral(x[::-1], np.zeros(11), np.zeros(11))
    with pytest.raises(ValueError, match="rise strictly"):
        gap_integral([1.0, 2.0, 2.0], np.zeros(3), np.zeros(3))


@settings(max_examples=20)
@given(st.floats(0.01, 100), st.floats(-3, 3))
def test_gap_integral_is_linear_and_ignores_the_unit_of_x(stretch: float, factor: float) -> None:
    x, gap = np.logspace(-1, 1, 11), np.linspace(0, 1, 11) ** 2
    assert gap_integral(x * stretch, gap, gap + factor * gap) == pytest.approx(
        factor * gap_integral(x, np.zeros(11), gap)
    )
