"""A break against smooth curves: what is found, how often it errs, and what is refused."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from omnigrok.calibration.rates import LARGEST_FALSE_POSITIVE, Rate
from omnigrok.stats.critical import advantages, critical_size
from omnigrok.stats.finding import Finding, Region, Verdict
from omnigrok.stats.learning_curves import SMOOTH

Array = np.ndarray
GRID = np.array(
    [
        10,
        13,
        19,
        26,
        37,
        51,
        71,
        100,
        138,
        193,
        268,
        372,
        517,
        719,
        1000,
        1389,
        1930,
        2682,
        3727,
        5179,
        7196,
        10000,
        13894,
        19306,
        26826,
        37275,
        51794,
        60000,
    ]
)
# Sizes and seeds at reduced and at full scale.
DESIGNS = {"reduced": (GRID[:18], 8), "full": (GRID, 10)}
SCATTER = 0.05
LEAST_POWER = 0.8
N, SEEDS = DESIGNS["reduced"]


def hinge(n: Array) -> Array:
    return 0.55 * np.maximum(n / 30, 1.0) ** -0.7


def ceiling(n: Array) -> Array:
    """What fits the errors recorded under ``code``; it has no critical size."""
    return 0.9 / (1 + (n / 21) ** 0.647) + 0.0051


def drifting(n: Array) -> Array:
    """A quadratic in log-log whose exponent goes from 0 to -.7 over the grid, as the
    hinge's does.
    """
    x = np.log(n / n[0])
    return 0.55 * np.exp(-0.35 * x**2 / x[-1])


def nearest(curve: str) -> Callable[[Array], Array]:
    """The member of a family that is nearest to the hinge."""
    return lambda n: np.exp(SMOOTH[curve](n, hinge(n)).logs)


def floor(n: Array) -> Array:
    return 0.8 * (n / 5) ** -0.4 + 0.0051


NULLS: dict[str, Callable[[Array], Array]] = {
    "ceiling": ceiling,
    "floor": floor,
    "drifting exponent": drifting,
    "nearest ceiling": nearest("ceiling"),
    "nearest cubic": nearest("cubic drift"),
}


def draws(mean: Array, seeds: int = SEEDS, noise: float = SCATTER, seed: int = 0) -> Array:
    return np.asarray(
        mean * np.exp(noise * np.random.default_rng(seed).normal(size=(seeds, mean.size)))
    )


def found(curve: Callable[[Array], Array], design: str, times: int) -> list[Finding]:
    sizes, seeds = DESIGNS[design]
    return [
        critical_size("c", sizes, draws(curve(sizes), seeds, seed=seed)) for seed in range(times)
    ]


def reproduced(findings: list[Finding]) -> int:
    return sum(each.verdict() is Verdict.REPRODUCED for each in findings)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("null", ["ceiling", "floor", "drifting exponent"])
def test_a_smooth_curve_is_not_called_a_break(null: str, design: str) -> None:
    findings = found(NULLS[null], design, 20)
    # With so few draws only what a rate of 7 % would do once in ten thousand times is a failure.
    assert binom.sf(reproduced(findings) - 1, 20, LARGEST_FALSE_POSITIVE) > 1e-4
    assert binom.sf(sum((each.p or 0) <= 0.05 for each in findings) - 1, 20, 0.05) > 1e-4


@pytest.mark.parametrize("design", DESIGNS)
def test_a_hinge_is_found(design: str) -> None:
    findings = found(hinge, design, 20)
    assert binom.cdf(reproduced(findings), 20, LEAST_POWER) > 1e-4
    assert np.median([each.extra["break"] for each in findings]) == pytest.approx(30, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("null", NULLS)
def test_false_positives(null: str, design: str) -> None:
    findings = found(NULLS[null], design, 2000)
    assert Rate(reproduced(findings), 2000).ci[1] < LARGEST_FALSE_POSITIVE
    # Holm's correction takes p at its word.
    assert Rate(sum((each.p or 0) <= 0.05 for each in findings), 2000).ci[0] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_power(design: str) -> None:
    assert Rate(reproduced(found(hinge, design, 2000)), 2000).ci[0] > LEAST_POWER


def test_what_a_finding_says() -> None:
    y = draws(hinge(N))
    finding = critical_size("critical size", N, y)
    assert finding.verdict() is finding.smoke_verdict() is Verdict.REPRODUCED
    table = np.array([advantages(N, row) for row in y])
    assert finding.values == pytest.approx(table.min(axis=1))
    assert finding.estimate == pytest.approx(table.min(axis=1).mean())
    assert {name: finding.extra[f"over {name}"] for name in SMOOTH} == pytest.approx(
        dict(zip(SMOOTH, table.mean(axis=0), strict=True))
    )
    assert finding.extra["slope_above"] < -0.5 < finding.extra["slope_below"]
    assert finding.p == finding.smallest_p == 2.0**-SEEDS
    assert finding.method.startswith(
        "least AICc(smooth) - AICc(broken line) over floor, ceiling, quadratic drift, cubic drift"
    )
    assert critical_size("c", N, y, Region(1000.0)).verdict() is Verdict.REFUTED


@pytest.mark.parametrize("null", NULLS)
def test_a_smooth_curve_of_little_scatter_is_refuted(null: str) -> None:
    finding = critical_size("critical size", N, draws(NULLS[null](N), noise=0.01))
    assert finding.verdict() is Verdict.REFUTED
    assert finding.estimate < 0


def test_a_flat_curve_shows_no_break() -> None:
    assert critical_size("critical size", N, draws(np.full(18, 0.3))).verdict() is Verdict.REFUTED


def test_a_break_that_flattens_is_none() -> None:
    flattens = np.where(N < 100, (N / 100) ** -0.8, (N / 100) ** -0.1) / 10
    assert critical_size("critical size", N, draws(flattens)).verdict() is Verdict.REFUTED


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 10**6))
def test_the_unit_of_size_and_the_order_of_seeds_do_not_matter(unit: float, seed: int) -> None:
    y = draws(hinge(N), 3, seed=seed)
    plain, other = critical_size("c", N, y), critical_size("c", N * unit, y[::-1])
    assert other.values[::-1] == pytest.approx(plain.values, abs=0.05)
    assert other.extra["break"] == pytest.approx(unit * plain.extra["break"], rel=1e-2)


def test_a_sharper_break_is_preferred_more() -> None:
    noise = draws(np.ones(18), 1)[0]
    worst = [
        advantages(N, noise * 0.5 * np.maximum(N / 60, 1) ** -power).min()
        for power in (0.3, 0.6, 1.0, 2.0)
    ]
    assert worst == sorted(worst)


def test_one_data_set_has_no_interval() -> None:
    finding = critical_size("c", N, draws(hinge(N), 1))
    assert finding.n == 1
    assert finding.verdict() is Verdict.INCONCLUSIVE


def test_missing_seeds_and_rng() -> None:
    y = draws(hinge(N), 4)
    y[1, 3] = math.nan
    finding = critical_size("c", N, y)
    assert finding.n == 4
    assert math.isnan(finding.values[1])
    assert "1 of 4" in finding.note
    many = draws(hinge(N), 20)
    one, again, other = (
        critical_size("c", N, many, rng=np.random.default_rng(k)).ci for k in (1, 1, 2)
    )
    assert one == again != other
    assert critical_size("c", N, np.full((2, 18), math.nan)).verdict() is Verdict.INCONCLUSIVE


def test_bad_input_is_named() -> None:
    y = draws(hinge(N))
    with pytest.raises(ValueError, match="at least 7 sizes"):
        critical_size("c", N[:6], y[:, :6])
    with pytest.raises(ValueError, match="y > 0"):
        critical_size("c", N, -y)
    with pytest.raises(ValueError, match="expected sizes"):
        critical_size("c", N[:-1], y)
