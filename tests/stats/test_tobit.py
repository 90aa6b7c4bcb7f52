"""The censored regression underneath the exponents."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from omnigrok.stats.tobit import SMALLEST_SIGMA, _likelihood, common_slope, fit

X = np.linspace(-3.0, 0.0, 9)


def curves(n: int = 5, slope_sd: float = 0.05, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    slopes = -1 + slope_sd * rng.normal(size=(n, 1))
    return np.asarray(
        7 + 0.3 * rng.normal(size=(n, 1)) + slopes * X + noise * rng.normal(size=(n, 9))
    )


def cut_at(y: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(y, limit), y > limit


def test_without_censoring_it_is_least_squares() -> None:
    y = curves()[0]
    design = np.column_stack((X, np.ones(9)))
    found = fit(y, np.zeros(9, bool), design)
    slope, intercept = np.polyfit(X, y, 1)
    rss = float(((y - design @ [slope, intercept]) ** 2).sum())
    assert found.coefficients == pytest.approx([slope, intercept])
    assert found.sigma == pytest.approx(math.sqrt(rss / 9))
    assert found.loglik == pytest.approx(-4.5 * (math.log(2 * math.pi * rss / 9) + 1))


def test_censored_maximum_agrees_with_a_direct_search() -> None:
    y, cut = cut_at(curves(seed=3)[0], 9.0)
    design = np.column_stack((X, np.ones(9)))

    def negative(theta: np.ndarray) -> float:
        mean, sigma = design @ theta[:2], math.exp(theta[2])
        return -float(
            np.where(cut, stats.norm.logsf(y, mean, sigma), stats.norm.logpdf(y, mean, sigma)).sum()
        )

    direct = optimize.minimize(
        negative,
        [-1, 7, -2],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000},
    )
    found = fit(y, cut, design)
    assert cut.sum() == 2 or cut.sum() == 3
    assert found.coefficients == pytest.approx(direct.x[:2], abs=1e-5)
    assert found.sigma == pytest.approx(math.exp(direct.x[2]), abs=1e-5)
    assert found.loglik == pytest.approx(-direct.fun, abs=1e-8)


@pytest.mark.parametrize("h", [0.5, 3.0])
def test_scores_and_hessian_are_finite_differences(h: float) -> None:
    y, cut = cut_at(curves(seed=3)[0], 9.0)
    design = np.column_stack((X, np.ones(9)))
    theta = np.array([-1.1 * h, 7.0 * h, h])
    _, scores, hessian = _likelihood(theta, y, cut, design)
    slopes = optimize.approx_fprime(theta, lambda at: _likelihood(at, y, cut, design)[0])
    assert scores.sum(axis=0) == pytest.approx(slopes, rel=1e-4, abs=1e-4)
    for row, place in zip(hessian, range(3), strict=True):
        bends = optimize.approx_fprime(
            theta,
            lambda at, place=place: float(_likelihood(at, y, cut, design)[1].sum(axis=0)[place]),
        )
        assert row == pytest.approx(bends, rel=1e-4, abs=1e-4)


def test_at_the_maximum_the_gradient_vanishes_and_the_curvature_is_negative() -> None:
    y, cut = cut_at(curves(seed=3)[0], 9.0)
    found = fit(y, cut, np.column_stack((X, np.ones(9))))
    assert np.abs(found.scores.sum(axis=0)).max() < 1e-4
    assert (np.linalg.eigvalsh(found.hessian) < 0).all()


def test_a_point_censored_far_below_its_line_says_nothing() -> None:
    y, cut = curves()[0], np.zeros(9, bool)
    design = np.column_stack((X, np.ones(9)))
    without = fit(y[1:], cut[1:], design[1:])
    y[0], cut[0] = -500.0, True
    assert fit(y, cut, design).coefficients == pytest.approx(without.coefficients, abs=1e-6)


def test_exact_data_stop_at_the_smallest_sigma() -> None:
    found = fit(7 - X, np.zeros(9, bool), np.column_stack((X, np.ones(9))))
    assert found.coefficients == pytest.approx([-1, 7])
    assert found.sigma == pytest.approx(SMALLEST_SIGMA)


def test_a_held_sigma_is_held() -> None:
    y, cut = cut_at(curves()[0], 9.0)
    assert fit(y, cut, np.column_stack((X, np.ones(9))), sigma=0.4).sigma == pytest.approx(0.4)


def test_unidentified_coefficients_are_refused() -> None:
    cut = np.ones(9, bool)
    cut[0] = False
    with pytest.raises(ValueError, match="identify"):
        fit(curves()[0], cut, np.column_stack((X, np.ones(9))))


def test_without_censoring_the_common_slope_is_the_mean_of_the_seeds() -> None:
    y = curves(4)
    slopes = [np.polyfit(X, row, 1)[0] for row in y]
    found = common_slope(X, y, np.zeros_like(y, bool))
    assert found.per_seed == pytest.approx(slopes)
    assert (found.slope, found.df) == (pytest.approx(np.mean(slopes)), 3)
    expected = stats.t.interval(0.95, 3, np.mean(slopes), stats.sem(slopes))
    assert found.interval(0.95) == pytest.approx(expected)


def test_harmless_censoring_gives_the_same_answer_as_none() -> None:
    # The censored point lies 50 sigma under its line: the clustered likelihood must agree with the
    # per-seed slopes of the rest.
    y = curves(5, slope_sd=0.3, noise=0.02)
    cut = np.zeros_like(y, bool)
    dropped = y.copy()
    for seed in range(5):
        y[seed, 0], cut[seed, 0], dropped[seed, 0] = -200.0, True, math.nan
    with_limits, without = common_slope(X, y, cut), common_slope(X, dropped, np.zeros_like(y, bool))
    assert with_limits.slope == pytest.approx(without.slope, abs=1e-4)
    assert with_limits.se == pytest.approx(without.se, rel=1e-2)
    assert with_limits.per_seed == pytest.approx(without.per_seed, abs=1e-6)


def test_the_error_between_seeds_is_not_the_one_within_a_curve() -> None:
    y, cut = cut_at(curves(8, slope_sd=0.3, noise=0.01, seed=5), 9.0)
    found = common_slope(X, y, cut)
    between = float(np.std(found.per_seed, ddof=1)) / math.sqrt(8)
    assert found.se == pytest.approx(between, rel=0.35)
    assert found.se > 10 * 0.01 / math.sqrt(8 * 9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 10), st.floats(0.1, 10), st.permutations(range(5)))
def test_shift_scale_and_order(shift: float, scale: float, order: list[int]) -> None:
    y, cut = cut_at(curves(), 9.0)
    before, after = common_slope(X, y, cut), common_slope(X * scale, (y + shift)[order], cut[order])
    assert after.slope == pytest.approx(before.slope / scale, rel=1e-4)
    assert after.se == pytest.approx(before.se / scale, rel=1e-3)


def test_seeds_without_two_reached_points_have_no_slope() -> None:
    y = curves(4)
    cut = np.zeros_like(y, bool)
    cut[0], cut[1, 1:] = True, True
    found = common_slope(X, y, cut)
    assert np.isnan(found.per_seed).tolist() == [True, True, False, False]
    assert found.df == 1
    assert math.isfinite(found.slope)
    assert found.se > 0


def test_one_or_no_informative_seed() -> None:
    y = curves(2)
    cut = np.zeros_like(y, bool)
    cut[0] = True
    one = common_slope(X, y, cut)
    assert one.slope == pytest.approx(np.polyfit(X, y[1], 1)[0])
    assert math.isnan(one.interval(0.95)[0])
    cut[1] = True
    none = common_slope(X, y, cut)
    assert math.isnan(none.slope)
    assert math.isnan(none.interval(0.95)[1])
    single_cut = common_slope(X, *cut_at(y[:1], 9.0))
    assert math.isfinite(single_cut.slope)
    assert math.isnan(single_cut.se)
