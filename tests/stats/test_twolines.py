"""The two-lines test at its calibrated level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats.twolines import LEVEL, two_lines

X = np.linspace(-1, 1, 13)


def draws(mean: np.ndarray, n: int = 5, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(
        mean + 0.3 * rng.normal(size=(n, 1)) + noise * rng.normal(size=(n, mean.size))
    )


@pytest.mark.parametrize("bottom", [-0.4, 0.0, 0.4])
def test_a_u_is_found_wherever_its_bottom_lies(bottom: float) -> None:
    found = two_lines(X, draws((X - bottom) ** 2))
    assert found.is_u
    assert found.left_slope < 0 < found.right_slope
    assert found.break_at == pytest.approx(bottom, abs=0.35)


@pytest.mark.parametrize("mean", [X, -X, -(X**2)], ids=["rising", "falling", "hump"])
def test_monotone_curves_and_humps_are_not_u(mean: np.ndarray) -> None:
    assert not two_lines(X, draws(mean)).is_u


@pytest.mark.parametrize("knee", [-0.4, 0.0, 0.5])
def test_the_level_keeps_its_error_on_an_l(knee: float) -> None:
    p = np.array([two_lines(X, draws(np.maximum(knee - X, 0), seed=seed)).p for seed in range(200)])
    # 200 draws at a true 5 % stay under 9 % in 99 of 100 tries.
    assert np.mean(p <= LEVEL) <= 0.09


def test_slopes_of_exact_lines() -> None:
    found = two_lines(X, draws(np.abs(X), noise=1e-9))
    assert (found.left_slope, found.right_slope) == (
        pytest.approx(-1, abs=1e-6),
        pytest.approx(1, abs=1e-6),
    )
    assert found.p < 1e-6


def test_flat_without_noise_is_no_u() -> None:
    assert not two_lines(X, np.ones((3, 13))).is_u


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10), st.floats(-5, 5), st.floats(0.1, 10), st.permutations(range(5)))
def test_units_shifts_and_order_do_not_matter(
    scale: float, shift: float, stretch: float, order: list[int]
) -> None:
    y = draws(X**2, noise=0.4)
    assert two_lines(X * stretch + shift, (y * scale + shift)[order]).p == pytest.approx(
        two_lines(X, y).p, rel=1e-5
    )


def test_seed_offsets_do_not_matter() -> None:
    y = draws(X**2, noise=0.4)
    assert two_lines(X, y + np.array([[100.0], [0], [-50], [7], [1]])).p == pytest.approx(
        two_lines(X, y).p
    )


def test_bad_input_is_named() -> None:
    y = draws(X**2)
    for x, curves in ((X[:5], y[:, :5]), (X, y[:1]), (X[:-1], y), (X[:, None], y), (X, y[0])):
        with pytest.raises(ValueError, match="expected a grid"):
            two_lines(x, curves)
    y[0, 0] = np.nan
    with pytest.raises(ValueError, match="without NaN"):
        two_lines(X, y)
