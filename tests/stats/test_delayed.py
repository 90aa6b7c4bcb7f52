"""t = a / x + b, fitted to one seed's times."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from omnigrok.stats import fit_delayed_inverse

X = np.array([0.1, 0.18, 0.3, 0.55, 1.0])


@settings(max_examples=50)
@given(st.floats(1, 1e5), st.floats(0, 1e5))
def test_an_exact_law_is_found(a: float, b: float) -> None:
    found = fit_delayed_inverse(X, a / X + b)
    assert found.a == pytest.approx(a, rel=1e-3)
    assert found.at(0.01) == pytest.approx(a / 0.01 + b, rel=1e-3)
    assert np.abs(found.residuals).max() < 1e-4


def test_noisy_times_agree_with_a_direct_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        times = (2000 / X + 3000) * np.exp(0.1 * rng.normal(size=5))
        found = fit_delayed_inverse(X, times)

        def squares(logs: np.ndarray, times: np.ndarray = times) -> float:
            return float(
                ((np.log(times) - np.log(np.exp(logs[0]) / X + np.exp(logs[1]))) ** 2).sum()
            )

        best = optimize.minimize(
            squares,
            [math.log(2000), math.log(3000)],
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-14},
        )
        assert float(found.residuals @ found.residuals) == pytest.approx(best.fun, rel=1e-4)
        assert np.log(times) - found.residuals == pytest.approx(np.log([found.at(x) for x in X]))


def test_neither_part_is_below_zero() -> None:
    """Times that fall faster than 1 / x have no delay, and times that rise with x have nothing but
    one.
    """
    steep, rising = fit_delayed_inverse(X, 100 * X**-1.5), fit_delayed_inverse(X, 100 * X)
    assert steep.b == 0
    assert rising.a >= 0
    assert rising.at(0.01) == pytest.approx(float(np.exp(np.log(100 * X).mean())), rel=0.01)


def test_without_a_delay_it_is_the_geometric_mean() -> None:
    times = 700 / X + 5000
    found = fit_delayed_inverse(X, times, delay=False)
    assert found.b == 0
    assert found.a == pytest.approx(float(np.exp(np.log(times * X).mean())))


def test_what_cannot_be_fitted_is_refused() -> None:
    for x, times in (([0.1], [3.0]), ([0.1, 0.1], [3.0, 4.0]), ([0.1, 0.2], [3.0])):
        with pytest.raises(ValueError, match="two different x"):
            fit_delayed_inverse(x, times)
    for x, times in (
        ([0.0, 0.1], [3.0, 4.0]),
        ([0.1, 0.2], [0.0, 4.0]),
        ([0.1, 0.2], [math.nan, 4.0]),
    ):
        with pytest.raises(ValueError, match="above 0"):
            fit_delayed_inverse(x, times)
