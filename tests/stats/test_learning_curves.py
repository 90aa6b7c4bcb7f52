"""Broken lines and smooth curves over size: exact fits, the best of many starts, nested families,
draws from a fit.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from omnigrok.stats.learning_curves import (
    CHANCE,
    SMOOTH,
    broken_line,
    ceiling_curve,
    corrected_aic,
    drift,
    learning_curve,
)

CURVES = {**SMOOTH, "break": broken_line}
N = np.geomspace(10, 2682, 18)
BROKEN = np.where(N < 100, 0.5 * (N / 100) ** -0.1, 0.5 * (N / 100) ** -0.8)
NOISE = st.builds(
    lambda seed, sd: sd * np.random.default_rng(seed).normal(size=18),
    st.integers(0, 10**6),
    st.floats(0.01, 0.2),
)


def test_exact_fits_recover_their_parameters() -> None:
    line = broken_line(N, BROKEN)
    assert (line.break_at, line.slope_below, line.slope_above) == pytest.approx(
        (100, -0.1, -0.8), rel=1e-3
    )
    curve = learning_curve(N, 3 * N**-0.5 + 0.02)
    assert (curve.scale, curve.rate, curve.floor) == pytest.approx((3, 0.5, 0.02), rel=1e-3)
    bounded = ceiling_curve(N, CHANCE / (1 + (N / 21) ** 0.647) + 0.0051)
    assert (bounded.size, bounded.rate, bounded.floor) == pytest.approx(
        (21, 0.647, 0.0051), rel=1e-3
    )
    x = np.log(N)
    assert drift(N, np.exp(-0.1 * x**2 + 0.3 * x - 1), 2).rss == pytest.approx(0, abs=1e-20)


def test_a_pure_power_law_has_no_floor() -> None:
    assert learning_curve(N, 3 * N**-0.5).floor == pytest.approx(0, abs=1e-5)


def test_no_break_makes_a_flattening_curve_steeper() -> None:
    line = broken_line(N, np.where(N < 100, (N / 100) ** -0.8, (N / 100) ** -0.1))
    assert math.isnan(line.break_at)
    assert line.slope_above == pytest.approx(line.slope_below)
    straight = np.polynomial.polynomial.polyfit(np.log(N), line.logs, 1)
    np.testing.assert_allclose(line.logs, straight[0] + straight[1] * np.log(N))


def test_parameters_count_the_variance() -> None:
    y = BROKEN * np.exp(0.05 * np.random.default_rng(0).normal(size=18))
    counted = {name: fit(N, y).parameters + 1 for name, fit in CURVES.items()}
    assert counted == {"floor": 4, "ceiling": 4, "quadratic drift": 4, "cubic drift": 5, "break": 5}
    for fit in (fit(N, y) for fit in CURVES.values()):
        assert fit.rss == pytest.approx(float(((np.log(y) - fit.logs) ** 2).sum()))
        k = fit.parameters + 1
        assert fit.aicc == pytest.approx(
            18 * math.log(fit.rss / 18) + 2 * k + 2 * k * (k + 1) / (18 - k - 1)
        )


def test_perfect_fits_are_not_ranked_by_rounding() -> None:
    assert corrected_aic(1e-30, 18, 4) == corrected_aic(0.0, 18, 4)


@settings(max_examples=15, deadline=None)
@given(noise=NOISE, world=st.sampled_from(["broken", "ceiling", "floor"]))
def test_fits_are_as_good_as_from_other_starts(noise: np.ndarray, world: str) -> None:
    """A general optimiser from four far starts, over the same families and bounds, finds nothing
    better.
    """
    mean = {
        "broken": BROKEN,
        "ceiling": CHANCE / (1 + (N / 21) ** 0.647) + 0.0051,
        "floor": 4 * N**-0.8 + 0.01,
    }[world]
    y, x = mean * np.exp(noise), np.log(N)

    def least(
        curve: object, starts: list[list[float]], bounds: tuple[list[float], list[float]]
    ) -> float:
        fits = [
            optimize.least_squares(lambda p: curve(p) - np.log(y), start, bounds=bounds)
            for start in starts
        ]  # type: ignore[operator]
        return 2 * min(float(fit.cost) for fit in fits)

    starts = [[1.0, 0.5, 0.001], [3.0, 1.0, 0.01], [5.0, 0.4, 0.05], [2.0, 2.0, 0.1]]
    ceiling = least(
        lambda p: np.log(CHANCE / (1 + np.exp(p[1] * (x - p[0]))) + p[2]),
        starts,
        ([-9.0, 0.01, 0.0], [20.0, 20.0, 1.0]),
    )
    assert ceiling_curve(N, y).rss <= ceiling * (1 + 1e-4)
    floor = least(
        lambda p: np.log(np.exp(p[0] - p[1] * x) + p[2]),
        starts,
        ([-9.0, 0.01, 0.0], [60.0, 20.0, 1.0]),
    )
    assert learning_curve(N, y).rss <= floor * (1 + 1e-4)


@settings(max_examples=25, deadline=None)
@given(noise=NOISE, factor=st.floats(0.1, 10))
def test_nested_curves_and_the_unit_of_size(noise: np.ndarray, factor: float) -> None:
    y = BROKEN * np.exp(noise)
    straight = drift(N, y, 1).rss
    assert drift(N, y, 3).rss <= drift(N, y, 2).rss + 1e-12 <= straight + 2e-12
    assert learning_curve(N, y).rss <= straight * (1 + 1e-6)
    assert broken_line(N, y).rss <= straight * (1 + 1e-6)
    for fit in CURVES.values():
        assert fit(factor * N, y).rss == pytest.approx(fit(N, y).rss, rel=1e-3)


@pytest.mark.parametrize("curve", [*SMOOTH, "break"])
def test_bad_input_is_named(curve: str) -> None:
    with pytest.raises(ValueError, match="at least 7 sizes"):
        CURVES[curve](N[:6], BROKEN[:6])
    with pytest.raises(ValueError, match="strictly rising"):
        CURVES[curve](N[::-1], BROKEN)
    with pytest.raises(ValueError, match="positive values"):
        CURVES[curve](N, -BROKEN)
