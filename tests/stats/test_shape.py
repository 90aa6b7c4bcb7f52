"""Trends, U and L: what is one, and what must not be called one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from omnigrok.stats.finding import Finding, Verdict, conjunction
from omnigrok.stats.shape import arms, l_shape, page_p, trend, u_shape

ALPHA = np.logspace(-1, 1, 9)
LOG = np.linspace(-1, 1, 9)
SPLIT = 1.0


def seeds(mean: np.ndarray, n: int = 5, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """Curves with multiplicative noise, as losses have."""
    return mean * np.exp(noise * np.random.default_rng(seed).normal(size=(n, mean.size)))


U = 0.01 + LOG**2
L = np.where(LOG < 0, 10.0 ** (-4 * (LOG + 1)), 1e-4)
RISING = 0.01 * 10 ** (LOG + 1)


def verdict(findings: tuple[Finding, ...]) -> Verdict:
    return conjunction(finding.verdict() for finding in findings)


def smoke(findings: tuple[Finding, ...]) -> Verdict:
    return conjunction(finding.smoke_verdict() for finding in findings)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_u_is_a_u_with_any_number_of_seeds(n: int) -> None:
    found = u_shape("test loss", ALPHA, seeds(U, n), SPLIT)
    assert len(found) == 4
    assert verdict(found) is Verdict.REPRODUCED
    assert smoke(found) is Verdict.REPRODUCED


@pytest.mark.parametrize(
    "mean", [L, RISING, RISING[::-1], np.full(9, 0.3)], ids=["L", "rising", "falling", "flat"]
)
@pytest.mark.parametrize("n", [3, 5, 10])
def test_other_shapes_are_refuted_as_u(mean: np.ndarray, n: int) -> None:
    found = u_shape("test loss", ALPHA, seeds(mean, n, 0.05), SPLIT)
    assert verdict(found) is Verdict.REFUTED
    assert smoke(found) is Verdict.REFUTED


def test_an_l_shaped_curve_is_never_called_u_in_many_draws() -> None:
    calls = [verdict(u_shape("x", ALPHA, seeds(L, 5, 0.3, seed), SPLIT)) for seed in range(40)]
    assert Verdict.REPRODUCED not in calls


def test_dust_is_not_an_arm() -> None:
    # docs/statistics.md: 1e-14 rising to 1e-12 gave Page p = .013; here the ratio is 100 and p
    # smaller still.
    dust = np.where(LOG <= 0, 10.0 ** (-14 * (LOG + 1)), 1e-14 * 100**LOG)
    found = u_shape("train loss", ALPHA, seeds(dust, 5, 0.01), SPLIT)
    rise = found[2]
    assert page_p(dust[None, 4:].repeat(5, axis=0))[0] < 0.001  # type: ignore[operator]
    assert rise.estimate == pytest.approx(1, abs=0.03)
    assert rise.verdict() is Verdict.REFUTED
    assert found[3].verdict() is Verdict.REFUTED
    # Even with the guard against zeros switched off the range says no.
    loose = u_shape("train loss", ALPHA, seeds(dust, 5, 0.01), SPLIT, epsilon=1e-30)
    assert loose[2].verdict() is Verdict.REPRODUCED
    assert verdict(loose) is Verdict.REFUTED
    assert smoke(loose) is Verdict.REFUTED


def test_the_p_of_a_u_is_the_larger_of_its_arms() -> None:
    left, _, right, _ = u_shape("x", ALPHA, seeds(U + 0.002 * LOG, noise=0.4), SPLIT)
    assert left.p is not None
    assert right.p is not None
    assert left.extra["p_u"] == right.extra["p_u"] == max(left.p, right.p)


def test_a_single_seed_has_no_p_and_no_verdict() -> None:
    found = u_shape("x", ALPHA, seeds(U, 1), SPLIT)
    assert found[0].p is None
    assert math.isnan(found[0].extra["p_u"])
    assert verdict(found) is Verdict.INCONCLUSIVE
    assert smoke(found) is Verdict.REPRODUCED


@pytest.mark.parametrize("n", [3, 5, 10])
def test_an_l_is_an_l(n: int) -> None:
    found = l_shape("train loss", ALPHA, seeds(L, n), SPLIT)
    assert len(found) == 3
    assert verdict(found) is Verdict.REPRODUCED
    assert smoke(found) is Verdict.REPRODUCED


@pytest.mark.parametrize("mean", [U, RISING, np.full(9, 0.3)], ids=["U", "rising", "flat"])
def test_other_shapes_are_refuted_as_l(mean: np.ndarray) -> None:
    assert verdict(l_shape("x", ALPHA, seeds(mean, 5, 0.02), SPLIT)) is Verdict.REFUTED


def test_the_flat_arm_is_measured_against_the_whole_curve() -> None:
    curve = np.array([[10.0, 5.0, 0.0, 0.05, 0.02]] * 3)
    flat = l_shape("x", [1, 2, 3, 4, 5], curve, 3)[2]
    assert flat.values == pytest.approx([0.005] * 3)
    assert flat.verdict() is Verdict.REPRODUCED
    curve[:, 3] = 0.2
    assert l_shape("x", [1, 2, 3, 4, 5], curve, 3)[2].verdict() is Verdict.REFUTED


def test_a_curve_without_range_has_not_changed() -> None:
    found = u_shape("x", ALPHA, np.ones((3, 9)), SPLIT)
    assert found[1].values == (0, 0, 0)
    assert found[3].values == (0, 0, 0)
    assert verdict(found) is Verdict.REFUTED


@pytest.mark.parametrize("size", [0.5, 1.0, 2.0])
def test_a_change_over_the_range_has_no_unit(size: float) -> None:
    curve = size * np.array([[1.0, 0.25, 0.0, 0.25, 0.75]] * 3)
    found = u_shape("x", [1, 2, 3, 4, 5], curve, 3)
    assert found[1].values == pytest.approx([1.0] * 3)
    assert found[3].values == pytest.approx([0.75] * 3)


def test_trend_by_hand() -> None:
    y = np.array([[1.0, 2, 4], [1, 3, 9], [2, 3, 8]])
    found = trend("x", y, direction="rising")
    # All three seeds in order: p = (1 / 3!)**3, and the ratios are 4, 9 and 4.
    assert found.p == pytest.approx(1 / 216)
    assert found.smallest_p == pytest.approx(1 / 216)
    assert found.values == (4, 9, 4)
    assert found.estimate == pytest.approx(144 ** (1 / 3))
    logs = np.log([4, 9, 4])
    half = 4.3026527 * logs.std(ddof=1) / math.sqrt(3)
    assert found.ci == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert found.needs_p
    assert "rising" in found.method


def test_falling_is_rising_backwards() -> None:
    y = seeds(RISING, noise=0.5)
    up, down = trend("x", y, direction="rising"), trend("x", y[:, ::-1], direction="falling")
    assert (up.p, up.estimate, up.ci, up.values) == (down.p, down.estimate, down.ci, down.values)


@settings(max_examples=20)
@given(st.floats(0.01, 100), st.permutations(range(5)))
def test_trend_ignores_scale_and_the_order_of_seeds(scale: float, order: list[int]) -> None:
    y = seeds(RISING, noise=0.8)
    before, after = (
        trend("x", y, direction="rising"),
        trend("x", (y * scale)[order], direction="rising"),
    )
    assert after.p == pytest.approx(before.p)
    assert after.estimate == pytest.approx(before.estimate)
    assert after.ci == pytest.approx(before.ci)


@settings(max_examples=20)
@given(st.floats(0, 3), st.floats(0, 3))
def test_a_steeper_curve_has_a_larger_effect(a: float, b: float) -> None:
    noise = seeds(np.ones(9), noise=0.2)
    low, high = (
        trend("x", noise * np.exp(slope * LOG), direction="rising") for slope in sorted((a, b))
    )
    assert low.estimate <= high.estimate * (1 + 1e-12)


def test_page_error_rate_on_flat_noise() -> None:
    rng = np.random.default_rng(7)
    p = [page_p(rng.normal(size=(5, 6)))[0] for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) < 0.085


def test_page_needs_two_seeds_and_handles_two_levels() -> None:
    assert page_p(np.ones((1, 4))) == (None, None)
    assert page_p(np.array([[1.0, 2]] * 5)) == (1 / 32, 1 / 32)
    assert page_p(np.array([[1.0, 2]] * 4 + [[2, 1]])) == (6 / 32, 1 / 32)
    # A tie is not a rise.
    assert page_p(np.array([[1.0, 1]] * 3)) == (1, 1 / 8)


def test_page_is_scipys() -> None:
    y = np.random.default_rng(1).normal(size=(5, 6))
    assert page_p(y)[0] == stats.page_trend_test(y).pvalue


def test_a_flat_noisy_curve_is_no_trend() -> None:
    found = trend("x", seeds(np.ones(9), 10, 0.1), direction="rising")
    assert found.verdict() is Verdict.REFUTED


def test_a_large_but_disordered_change_is_inconclusive() -> None:
    y = np.array([[1.0, 9, 8, 7, 6, 5, 4, 3.5, 3]] * 5) * seeds(np.ones(9), noise=0.01)
    found = trend("x", y, direction="rising")
    assert found.p is not None
    assert found.p > 0.05
    assert found.estimate > 2.5
    assert found.verdict() is Verdict.INCONCLUSIVE


def test_zeros_are_guarded() -> None:
    found = trend("error", [[0.4, 0.1, 0.0]] * 3, direction="falling")
    assert found.values == pytest.approx([0.4 / 1e-12] * 3)
    assert trend("error", np.zeros((3, 4)), direction="rising").estimate == 1


def test_missing_seeds_leave_the_rest() -> None:
    y = np.vstack((seeds(RISING, 4), np.full(9, math.nan)))
    found = trend("x", y, direction="rising")
    assert found.n == 5
    assert math.isnan(found.values[4])
    assert "1 of 5" in found.note
    assert found.p == trend("x", y[:4], direction="rising").p
    u = u_shape("x", ALPHA, np.vstack((seeds(U, 4), np.full(9, math.nan))), SPLIT)
    assert verdict(u) is Verdict.REPRODUCED
    assert smoke(u) is Verdict.INCONCLUSIVE


def test_the_rng_is_honoured() -> None:
    y = seeds(U, 24, 0.5)
    one, again, other = (
        trend("x", y[:, 4:], direction="rising", rng=np.random.default_rng(k)).ci for k in (1, 1, 2)
    )
    assert one == again != other
    u_one, u_other = (
        u_shape("x", ALPHA, y, SPLIT, rng=np.random.default_rng(k))[0].ci for k in (1, 2)
    )
    assert u_one != u_other


def test_arms_share_the_split() -> None:
    left, right = arms([[5.0, 4, 3, 4, 5]], [1, 2, 3, 4, 5], 3)
    assert left.tolist() == [[5, 4, 3]]
    assert right.tolist() == [[3, 4, 5]]
    left, right = arms([[5.0, 4, 3, 4, 5]], [1, 2, 3, 4, 5], 2.5)
    assert left.tolist() == [[5, 4]]
    assert right.tolist() == [[3, 4, 5]]


def test_bad_input_is_named() -> None:
    y = seeds(U)
    with pytest.raises(ValueError, match="each arm needs two"):
        u_shape("x", ALPHA, y, 0.1)
    with pytest.raises(ValueError, match="rise strictly"):
        u_shape("x", ALPHA[::-1], y, 1)
    with pytest.raises(ValueError, match="curves"):
        u_shape("x", ALPHA[:-1], y, 1)
    with pytest.raises(ValueError, match=">= 0"):
        trend("x", -y, direction="rising")
    with pytest.raises(ValueError, match="2 levels"):
        trend("x", y[:, :1], direction="rising")
    with pytest.raises(ValueError, match="direction"):
        trend("x", y, direction="up")  # type: ignore[arg-type]


def test_the_cap_is_for_the_left_arm_alone() -> None:
    """A right arm a million times as high leaves the left arm's change under 1 % of the range,
    unless that is capped.
    """
    high = np.where(LOG > 0, U * 1e6, U)
    raw, capped = (
        u_shape("x", ALPHA, seeds(high, 5, 0.01), SPLIT, cap=cap) for cap in (False, True)
    )
    assert verdict(raw) is Verdict.REFUTED
    assert verdict(capped) is Verdict.REPRODUCED
    assert [one == other for one, other in zip(raw, capped, strict=True)] == [
        True,
        False,
        True,
        True,
    ]
    assert "capped at its first value" in capped[1].note
