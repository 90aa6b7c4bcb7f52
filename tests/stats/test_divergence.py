"""A diverging time against a power law."""

import numpy as np
import pytest

from omnigrok.stats.divergence import divergence
from omnigrok.stats.times import times_from

N = 128.0 * 2.0 ** np.arange(9)


def noisy(t: np.ndarray, seeds: int = 3) -> np.ndarray:
    return t * np.exp(0.01 * np.random.default_rng(0).normal(size=(seeds, 9)))


def test_a_divergence_is_found_where_it_is() -> None:
    found = divergence("d", N, times_from(noisy(1e5 * (N - 110) ** -0.8 + 300), 1e6))
    assert found.estimate > 0
    assert found.extra["critical"] == pytest.approx(110, rel=0.05)
    assert found.note == "a divergence is preferred"
    assert not found.decides


def test_a_power_law_has_none() -> None:
    found = divergence("d", N, times_from(noisy(1e5 * N**-0.8 + 300), 1e6))
    assert found.estimate < 0
    assert found.note == "no divergence is preferred"


@pytest.mark.parametrize("points", [9, 13])
def test_without_a_critical_size_the_difference_is_the_price_of_one_parameter(points: int) -> None:
    """AICc of five parameters (scale of the errors included) against four: 2 and the corrections
    2 k (k + 1) / (n - k - 1).
    """
    sizes = np.geomspace(100, 10_000, points)
    times = times_from(1e5 * (sizes[None] + 300) ** -0.8, 1e6)
    found = divergence("d", sizes, times)
    assert found.extra["critical"] == 0
    assert found.values[0] == pytest.approx(-(2 + 60 / (points - 6) - 40 / (points - 5)))


def test_a_seed_with_a_time_that_was_not_reached_has_no_value() -> None:
    t = noisy(1e5 * N**-0.8 + 300)
    t[0, 0] = np.nan
    found = divergence("d", N, times_from(t, 1e6))
    assert np.isnan(found.values[0])
    assert np.isfinite(found.values[1:]).all()
    assert found.censored == 1
    nothing = divergence("d", N, times_from(np.full((2, 9), np.nan), 1e6))
    assert np.isnan(nothing.estimate)
    assert nothing.extra == {}


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 sizes"):
        divergence("d", N[:5], times_from(noisy(N)[:, :5], 1e6))
