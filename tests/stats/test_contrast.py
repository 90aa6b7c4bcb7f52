"""Whether a time bends over a logarithmic grid."""

import math

import numpy as np
import pytest

from omnigrok.stats.contrast import slope_change
from omnigrok.stats.finding import Region, Verdict
from omnigrok.stats.times import Time, times_from

X = 128.0 * 2.0 ** np.arange(9)
BEND = Region(0.3, math.inf)


def times(t: np.ndarray, limit: float = 1e6) -> tuple[tuple[Time, ...], ...]:
    return times_from(np.where(t > limit, np.nan, t), limit)


def bent(low: float, high: float, seeds: int = 10, noise: float = 0.02) -> np.ndarray:
    logs = np.interp(
        np.log(X), np.log(X)[[0, 4, 8]], np.cumsum([9.0, low * np.log(16), high * np.log(16)])
    )
    return np.exp(logs + noise * np.random.default_rng(0).normal(size=(seeds, 9)))


def test_difference_of_the_slopes() -> None:
    found = slope_change("b", X, times(bent(-1.0, -0.2, noise=0.0)), BEND)
    assert found.values == pytest.approx([0.8] * 10)
    uneven = np.array([1.0, 2.0, 5.0, 11.0, 12.0, 30.0])
    found = slope_change("b", uneven, times(np.tile(uneven**-0.7, (3, 1))), BEND, window=5.0)
    assert found.values == pytest.approx([0.0] * 3, abs=1e-12)


@pytest.mark.parametrize("base", [1.3, 1.7, 3.0, 7.0])
def test_the_middle_of_three_points_has_no_say(base: float) -> None:
    """So that a time there that was not reached costs no value."""
    x = 10.0 * base ** np.arange(7)
    curves = np.tile(x**-0.5, (3, 1))
    whole = slope_change("b", x, times(curves), BEND, window=base**2)
    curves[:, [1, 5]] = math.nan
    holed = slope_change("b", x, times(curves), BEND, window=base**2)
    assert holed.values == pytest.approx(whole.values, abs=1e-9)
    assert whole.values == pytest.approx([0.0] * 3, abs=1e-9)


def test_verdicts() -> None:
    assert slope_change("b", X, times(bent(-1.0, -0.2)), BEND).verdict() is Verdict.REPRODUCED
    assert slope_change("b", X, times(bent(-0.5, -0.5)), BEND).verdict() is Verdict.REFUTED
    assert slope_change("b", X, times(bent(-0.2, -1.0)), BEND).verdict() is Verdict.REFUTED
    assert slope_change("b", X, times(bent(-1.0, -0.2, seeds=5)), BEND).p == pytest.approx(2**-5)


def test_a_time_not_reached_at_the_smallest_size_bounds_the_bend_from_below() -> None:
    t = bent(-1.0, -0.2, seeds=6)
    limit = float(np.sort(t[:, 0])[2])
    cut = slope_change("b", X, times(t, limit), BEND)
    whole = slope_change("b", X, times(t), BEND)
    assert cut.censored == 3
    assert sum(math.isinf(value) for value in cut.values) == 3
    assert cut.estimate == pytest.approx(whole.estimate, abs=0.05)
    # A bound that does not reach the region says nothing about a seed.
    assert np.isnan(slope_change("b", X, times(t, limit), Region(3.0, math.inf)).values).sum() == 3


def test_a_time_not_reached_where_it_counts_against_bounds_the_bend_from_above() -> None:
    t = bent(-1.0, -0.2, seeds=4)
    t[0, 2] = 1e9
    t[1, 6] = 1e9
    found = slope_change("b", X, times(t), BEND)
    assert found.censored == 2
    # Both bounds lie outside the region, so these seeds are outside whatever the times are.
    assert (np.array(found.values[:2]) < BEND.lo).all()
    assert found.ci[0] < -2.5
    # One bound within the region decides nothing.
    assert np.isnan(slope_change("b", X, times(t), Region(-10.0, math.inf)).values[:2]).all()
    # The middle one of three has no weight.
    t = bent(-1.0, -0.2, seeds=4)
    t[0, 1] = 1e9
    assert np.isfinite(slope_change("b", X, times(t), BEND).values).all()


def test_a_time_known_from_above_at_the_largest_size_cannot_show_a_bend() -> None:
    t = bent(-1.0, -0.2, seeds=6)
    soon = np.zeros(t.shape, dtype=bool)
    soon[:, -1] = True
    found = slope_change("b", X, times(t), BEND, at_most=soon)
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert np.isnan(found.values).all()
    # Where it is outside even so, it is refuted.
    straight = slope_change("b", X, times(bent(-0.5, -0.5, seeds=6)), BEND, at_most=soon)
    assert straight.verdict() is Verdict.REFUTED
    # Not reached and known from above at once: nothing is known.
    t[:, -1] = 1e9
    assert "6 of 6 seeds have no value" in slope_change("b", X, times(t), BEND, at_most=soon).note


def test_bounds_on_both_sides_leave_no_value() -> None:
    t = bent(-1.0, -0.2, seeds=3)
    t[0, 0] = t[0, 2] = 1e9
    found = slope_change("b", X, times(t), BEND)
    assert math.isnan(found.values[0])
    assert "1 of 3 seeds have no value" in found.note


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at most one in common, got 3 and 3 of 4"):
        slope_change("b", X[:4], times(bent(-1, 0)[:, :4]), BEND)
    with pytest.raises(ValueError, match="two grid points each"):
        slope_change("b", X, times(bent(-1, 0)), BEND, window=1.5)


def test_a_finer_grid_reads_the_same_stretch() -> None:
    fine = 128.0 * 2.0 ** (np.arange(17) / 2)
    coarse, halved = (
        slope_change("b", x, times(np.tile(x**-0.5 * np.exp(0.05 * np.log(x) ** 2), (3, 1))), BEND)
        for x in (X, fine)
    )
    assert halved.estimate == pytest.approx(coarse.estimate, rel=1e-9)
    with pytest.raises(ValueError, match="strictly rising"):
        slope_change("b", X[::-1], times(bent(-1, 0)), BEND)
    with pytest.raises(ValueError, match="one time for each"):
        slope_change("b", X, times(bent(-1, 0)[:, :4]), BEND)
