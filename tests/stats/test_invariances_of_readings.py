"""What is read off single curves does not depend on units, shifts or the length of a step: falls,
rises, gaps, zones, variances.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats import gap_integral, longest_stay, zone_width
from omnigrok.stats.contours import contour_width, has_tip, one_interval
from omnigrok.stats.divergence import divergence
from omnigrok.stats.drop import largest_fall
from omnigrok.stats.factors import variance_ratio
from omnigrok.stats.finding import Region
from omnigrok.stats.mismatch import gap_right_of_minimum
from omnigrok.stats.rise import rise_decades
from omnigrok.stats.times import Time

STEP = np.unique(np.geomspace(1, 1e5, 200).astype(int))
ALPHA = np.geomspace(0.1, 10, 11)
seeds = st.integers(0, 10**6)


def fallen(seed: int, by: float, at: float = 3e3) -> np.ndarray:
    """A loss that falls by a factor at a step, with scatter."""
    scatter = np.exp(0.02 * np.random.default_rng(seed).normal(size=STEP.size))
    return np.where(at < STEP, 1 / by, 1.0) * scatter


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(1.5, 100), st.floats(1e-3, 1e3), st.integers(2, 9))
def test_a_fall(seed: int, by: float, factor: float, longer: int) -> None:
    y = fallen(seed, by)
    plain = largest_fall(STEP, y, 10)
    assert largest_fall(STEP, factor * y, 10) == pytest.approx(plain, rel=1e-9)
    size, at = largest_fall(longer * STEP, y, longer * 10)
    assert (size, at) == pytest.approx((plain[0], longer * plain[1]), rel=1e-9)
    assert largest_fall(STEP, fallen(seed, 2 * by), 10)[0] == pytest.approx(2 * plain[0], rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.2, 1.5), st.floats(0.1, 1.0), st.floats(0, 5))
def test_a_rise(seed: int, width: float, factor: float, shift: float) -> None:
    height = np.clip((np.log10(STEP) - 2.5) / width, 0, 1) + 0.001 * np.random.default_rng(
        seed
    ).normal(size=STEP.size)
    plain = rise_decades(STEP, height, 10.0)
    assert rise_decades(STEP, factor * height + shift, 10.0) == pytest.approx(plain, abs=1e-6)
    wider = np.clip((np.log10(STEP) - 2.5) / (1.3 * width), 0, 1)
    assert rise_decades(STEP, wider, 10.0) > rise_decades(
        STEP, np.clip((np.log10(STEP) - 2.5) / width, 0, 1), 10.0
    )


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 10), st.floats(0.01, 100), st.floats(-3, 3))
def test_gaps_over_a_scale(seed: int, factor: float, unit: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    train = rng.uniform(0, 0.1, 11)
    test = train + np.abs(np.log10(ALPHA)) + rng.uniform(0, 0.01, 11)
    whole, right = (
        float(gap_integral(ALPHA, train, test)),
        gap_right_of_minimum(ALPHA, train, test, 8.0),
    )
    # Another unit of the scale, of the error, and a shift of both curves.
    assert float(
        gap_integral(unit * ALPHA, factor * train + shift, factor * test + shift)
    ) == pytest.approx(factor * whole, rel=1e-6)
    moved = gap_right_of_minimum(
        unit * ALPHA, factor * train + shift, factor * test + shift, unit * 8.0
    )
    assert moved == pytest.approx(factor * right, rel=1e-6, abs=1e-12)
    assert gap_right_of_minimum(ALPHA, train, test + np.maximum(np.log10(ALPHA), 0), 8.0) > right


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100), st.floats(-3, 3), st.floats(0.05, 0.3))
def test_zones_and_contours(seed: int, unit: float, shift: float, within: float) -> None:
    y = np.log10(ALPHA) ** 2 + np.random.default_rng(seed).uniform(0, 0.01, 11)
    (width, cut), (moved, moved_cut) = (
        zone_width(ALPHA, y, within),
        zone_width(unit * ALPHA, y + shift, within),
    )
    assert (moved, moved_cut) == (pytest.approx(width, rel=1e-6), cut)
    assert zone_width(ALPHA, y, 2 * within)[0] >= width
    level = float(y.min()) + within
    assert contour_width(unit * ALPHA, y, level)[0] == pytest.approx(width, rel=1e-6)
    assert one_interval(y + shift, level + shift) == one_interval(y, level)
    # One hole is enough, however wide the rest is.
    assert not one_interval(np.where(np.arange(11) == 5, level + 1, np.full(11, level - 1)), level)
    assert has_tip([level + 1, level - 1], level)
    assert not has_tip([level - 1, level - 1], level)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(-5, 5), st.floats(0.1, 10))
def test_a_ratio_of_variances(seed: int, shift: float, factor: float) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(6, 1)) * 3 + rng.normal(size=(1, 4)) + 0.1 * rng.normal(size=(6, 4))
    used = np.ones((6, 4), dtype=bool)
    plain = variance_ratio(table, used)
    order = rng.permutation(6)
    assert variance_ratio((factor * table + shift)[order], used) == pytest.approx(plain, rel=1e-6)
    assert variance_ratio(table.T, used.T) == pytest.approx(1 / plain, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(-2, 2), st.integers(2, 9))
def test_a_stay_in_a_band(seed: int, shift: float, longer: int) -> None:
    y = np.where((STEP > 100) & (STEP < 5000), 0.35, 0.8) + np.random.default_rng(seed).uniform(
        -0.01, 0.01, STEP.size
    )
    plain = longest_stay(STEP, y, Region(0.25, 0.45, closed=True), 10.0)
    assert longest_stay(
        longer * STEP, y, Region(0.25, 0.45, closed=True), longer * 10.0
    ) == pytest.approx(plain, abs=1e-9)
    assert longest_stay(
        STEP, y + shift, Region(0.25 + shift, 0.45 + shift, closed=True), 10.0
    ) == pytest.approx(plain, abs=1e-9)
    assert longest_stay(STEP, y, Region(0.0, 0.9, closed=True), 10.0) > plain


@settings(max_examples=5, deadline=None)
@given(seeds, st.floats(0.1, 10))
def test_a_divergence(seed: int, factor: float) -> None:
    n, rng = 128 * 2.0 ** np.arange(8), np.random.default_rng(seed)
    times = (1e5 * (n - 100) ** -0.8 + 500) * np.exp(0.05 * rng.normal(size=(4, 8)))

    def found(sizes: np.ndarray, table: np.ndarray) -> float:
        return divergence(
            "d", sizes, [[Time.at(float(each)) for each in row] for row in table]
        ).estimate

    plain = found(n, times)
    assert not math.isnan(plain)
    assert found(factor * n, times[::-1]) == pytest.approx(plain, abs=0.1)
