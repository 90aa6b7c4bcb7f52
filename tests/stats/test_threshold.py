"""Critical doses: logistic, perfect separation, brackets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from omnigrok.stats.finding import Region, Verdict
from omnigrok.stats.threshold import bracket, dose_response

FRACTION = np.array([0.1, 0.14, 0.18, 0.2, 0.22, 0.25, 0.28, 0.32, 0.4, 0.5, 0.7])
CRITICAL = Region(0.2, 0.3, closed=True)


def flags(thresholds: list[float]) -> np.ndarray:
    return np.array(thresholds)[:, None] < FRACTION


def test_perfect_separation_is_a_bracket() -> None:
    found = dose_response("critical fraction", FRACTION, flags([0.23] * 5), CRITICAL)
    assert found.ci == (0.22, 0.25)
    assert found.estimate == pytest.approx(math.sqrt(0.22 * 0.25))
    assert found.values == pytest.approx([math.sqrt(0.22 * 0.25)] * 5)
    assert "separation" in found.method
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED


def test_one_mixed_dose_has_no_logistic_maximum_either() -> None:
    found = dose_response("c", FRACTION, flags([0.23, 0.23, 0.26]), CRITICAL)
    assert found.ci == (0.22, 0.28)
    assert found.estimate == 0.25
    assert "separation" in found.method


def test_a_single_mixed_dose_bounds_nothing() -> None:
    found = dose_response("c", [0.3], [[True], [False], [True]], Region(0.2, 0.4))
    assert (found.estimate, found.ci) == (0.3, (0.0, math.inf))
    assert found.method.startswith("perfect separation")


def test_never_and_always() -> None:
    never = dose_response("c", FRACTION, flags([0.9] * 3), CRITICAL)
    assert (never.estimate, never.ci, never.values) == (math.inf, (0.7, math.inf), (math.inf,) * 3)
    assert never.verdict() is Verdict.REFUTED
    assert never.smoke_verdict() is Verdict.REFUTED
    assert never.censored == 3
    always = dose_response("c", FRACTION, flags([0.01] * 3), CRITICAL)
    assert (always.estimate, always.ci, always.values) == (0, (0, 0.1), (0.0,) * 3)
    assert always.verdict() is Verdict.REFUTED


def overlapping() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.asarray(rng.random((10, 11)) < special.expit(6 * np.log(FRACTION / 0.25)))


def test_logistic_midpoint_is_the_maximum_likelihood_one() -> None:
    table = overlapping()
    x = np.log(FRACTION)

    def negative(theta: np.ndarray) -> float:
        eta = theta[0] * (x - theta[1])
        return -float((table * special.log_expit(eta) + ~table * special.log_expit(-eta)).sum())

    direct = optimize.minimize(
        negative, [3.0, -1.4], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    found = dose_response("c", FRACTION, table, CRITICAL)
    assert found.estimate == pytest.approx(math.exp(direct.x[1]), rel=1e-4)
    assert found.extra["slope"] == pytest.approx(direct.x[0], rel=1e-2)
    assert found.ci is not None
    for end in found.ci:
        held = optimize.minimize_scalar(
            lambda s, e=end: negative(np.array([s, math.log(e)])), bounds=(0, 50), method="bounded"
        ).fun
        # At the profile interval's ends twice the drop is the chi-squared quantile; a widened end
        # lies beyond it.
        assert 2 * (held - direct.fun) >= stats.chi2.ppf(0.95, 1) - 1e-3


def test_the_interval_holds_the_seeds_own() -> None:
    thresholds = np.exp(math.log(0.25) + 0.4 * np.random.default_rng(1).normal(size=5)).tolist()
    found = dose_response("c", FRACTION, flags(thresholds), CRITICAL)
    logs = np.log(found.values)
    half = stats.t.ppf(0.975, 4) * logs.std(ddof=1) / math.sqrt(5)
    assert found.ci is not None
    assert "widened" in found.method
    assert found.ci[0] <= math.exp(logs.mean() - half) * (1 + 1e-9)
    assert found.ci[1] >= math.exp(logs.mean() + half) * (1 - 1e-9)


@pytest.mark.parametrize("spread", [0.05, 0.15])
def test_coverage_over_seeds(spread: float) -> None:
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(25):
        found = dose_response(
            "c", FRACTION, flags((0.25 * np.exp(spread * rng.normal(size=5))).tolist()), CRITICAL
        )
        assert found.ci is not None
        hits.append(found.ci[0] <= 0.25 <= found.ci[1])
    assert np.mean(hits) >= 0.88


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100), st.permutations(range(10)))
def test_units_and_order(unit: float, order: list[int]) -> None:
    table = overlapping()
    before, after = (
        dose_response("c", FRACTION, table, CRITICAL),
        dose_response("c", FRACTION * unit, table[order], CRITICAL),
    )
    assert after.estimate == pytest.approx(before.estimate * unit, rel=1e-4)
    assert before.ci is not None
    assert after.ci == pytest.approx((before.ci[0] * unit, before.ci[1] * unit), rel=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9), st.integers(0, 10))
def test_one_more_success_never_raises_the_midpoint_of_its_seed(row: int, column: int) -> None:
    table = overlapping()
    before = dose_response("c", FRACTION, table, CRITICAL).values[row]
    table[row, column] = True
    assert dose_response("c", FRACTION, table, CRITICAL).values[row] <= before


def test_shuffled_labels_have_no_midpoint_to_speak_of() -> None:
    table = np.random.default_rng(0).random((5, 11)) < 0.3
    found = dose_response("c", FRACTION, table, CRITICAL)
    assert found.verdict() is not Verdict.REPRODUCED
    assert found.ci is not None
    assert found.ci[0] <= found.ci[1]


def test_a_falling_response_is_not_taken_for_a_rising_one() -> None:
    found = dose_response("c", FRACTION, ~flags([0.2, 0.23, 0.3]), CRITICAL)
    assert found.verdict() is not Verdict.REPRODUCED


def test_bracket_over_seeds() -> None:
    x = [3, 10, 30, 100]
    found = bracket("smallest gamma", x, [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]], Region(3, 100))
    assert found.values == (30, 10, 30)
    assert found.ci == (3, 30)
    assert found.estimate == 30
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert found.smoke_verdict() is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("row", "ci", "estimate"),
    [
        ([0, 0, 1, 0], (10, 30), 30),
        ([1, 1, 1, 1], (0, 3), 3),
        ([0, 0, 0, 0], (100, math.inf), math.inf),
        ([0, 0, 0, 1], (30, 100), 100),
    ],
)
def test_bracket_of_one_row(row: list[int], ci: tuple[float, float], estimate: float) -> None:
    found = bracket("b", [3, 10, 30, 100], row)
    assert (found.ci, found.estimate, found.region) == (ci, estimate, None)
    assert found.censored == (0 if any(row) else 1)


@settings(max_examples=30)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6))
def test_a_bracket_holds_its_estimate(rows: list[list[bool]]) -> None:
    found = bracket("b", [3, 10, 30, 100], rows)
    assert found.ci is not None
    assert found.ci[0] < found.estimate <= found.ci[1]


def test_bad_grids_are_refused() -> None:
    for call in (lambda x, f: dose_response("c", x, f, CRITICAL), lambda x, f: bracket("c", x, f)):
        with pytest.raises(ValueError, match="rise strictly"):
            call([2, 1], [[True, False]])
        with pytest.raises(ValueError, match="expected a grid"):
            call([1, 2, 3], [[True, False]])
