"""What every detector must not care about: scale, shift, the order of seeds; and what it must: the
size of the effect, censoring.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.paper.trials import TRIALS
from omnigrok.stats import (
    Finding,
    Region,
    Time,
    argmin,
    bracket,
    critical_size,
    dose_response,
    equivalent,
    exponent,
    intraclass,
    knee,
    l_shape,
    mean_in_region,
    share,
    slope_equivalent,
    spearman_in_region,
    time_ratio,
    times_from,
    trend,
    two_lines,
    u_shape,
)
from omnigrok.stats.association import rank_agreement, stratified_correlation
from omnigrok.stats.contours import width_trend
from omnigrok.stats.contrast import slope_change
from omnigrok.stats.critical import advantages
from omnigrok.stats.grid_step import mean_between
from omnigrok.stats.learning_curves import SMOOTH
from omnigrok.stats.powerlaw import slope_on

ALPHA = np.geomspace(0.1, 10, 11)
DECAY = np.array([0.03, 0.1, 0.3, 1.0, 3.0])
SIZES = 100 * 2.0 ** np.arange(5)
WIDE = Region(0.5, 2.0, closed=True)
Detector = Callable[[np.ndarray], tuple[Finding, ...]]


def curves(seed: int, seeds: int = 6) -> np.ndarray:
    """Us over ``ALPHA`` with scatter."""
    rng = np.random.default_rng(seed)
    return np.exp(3 * np.abs(np.log10(ALPHA)) + 0.2 * rng.normal(size=(seeds, 11)))


def steps(seed: int, seeds: int = 6, slope: float = -1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    own = np.exp(0.3 * rng.normal(size=(seeds, 1)) + 0.1 * rng.normal(size=(seeds, 5)))
    return 100 * own * DECAY ** (slope + 0.05 * rng.normal(size=(seeds, 1)))


def one(found: Finding) -> tuple[Finding, ...]:
    return (found,)


def never(t: np.ndarray, limit: float = 1e9) -> tuple[tuple[Time, ...], ...]:
    return times_from(t, limit)


# Detectors of a (seeds, ...) array of positive numbers, in the shape of ``curves`` or of ``steps``.
OF_CURVES: dict[str, Detector] = {
    "trend": lambda y: one(trend("t", y[:, 5:], direction="rising")),
    "u_shape": lambda y: u_shape("u", ALPHA, y, 1.0),
    "l_shape": lambda y: l_shape("l", ALPHA, y, 1.0),
    "knee": lambda y: one(knee("k", ALPHA, y, 0.5, region=WIDE)),
    "argmin": lambda y: one(argmin("a", ALPHA, y, WIDE)),
    "width_trend": lambda y: one(
        width_trend("w", y[:, 5:], y[:, 5:] > 10 * y[:, 5:6], epsilon=1e-9)
    ),
}
OF_TIMES: dict[str, Detector] = {
    "exponent": lambda t: exponent("e", DECAY, never(t), Region(-1.15, -0.85, closed=True)),
    "slope_equivalent": lambda t: one(slope_equivalent("s", DECAY, never(t))),
    "intraclass": lambda t: one(intraclass("i", np.log(t), Region(0.5))),
    "slope_change": lambda t: one(slope_change("b", SIZES, never(t), Region(0.3))),
    "ratio": lambda t: one(
        time_ratio(
            "r",
            [Time.at(each) for each in t[:, 0].tolist()],
            [Time.at(each) for each in t[:, -1].tolist()],
            Region(2.0),
        )
    ),
    "mean of ratios": lambda t: one(mean_in_region("m", t[:, 0] / t[:, -1], Region(2.0), log=True)),
    "equivalence of ratios": lambda t: one(equivalent("m", t[:, 1] / t[:, 2], WIDE, log=True)),
    "correlation": lambda t: one(
        stratified_correlation("c", {"a": (np.tile(DECAY, (len(t), 1)), t)}, Region(0.5))
    ),
}
ALL = [
    *((name, OF_CURVES[name], curves) for name in OF_CURVES),
    *((name, OF_TIMES[name], steps) for name in OF_TIMES),
]
IDS = [name for name, _, _ in ALL]


def numbers(findings: tuple[Finding, ...]) -> list[float]:
    return [
        number
        for found in findings
        for number in (
            found.estimate,
            *(found.ci or ()),
            found.p if found.p is not None else math.nan,
        )
    ]


@pytest.mark.parametrize(("name", "detector", "data"), ALL, ids=IDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-3, 1e3))
def test_units_do_not_matter(
    name: str, detector: Detector, data: Callable[[int], np.ndarray], seed: int, factor: float
) -> None:
    assert numbers(detector(factor * data(seed))) == pytest.approx(
        numbers(detector(data(seed))), rel=1e-5, abs=1e-7, nan_ok=True
    )


@pytest.mark.parametrize(("name", "detector", "data"), ALL, ids=IDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_seeds_does_not_matter(
    name: str, detector: Detector, data: Callable[[int], np.ndarray], seed: int
) -> None:
    given_order = data(seed)
    order = np.random.default_rng(seed).permutation(len(given_order))
    first, second = detector(given_order), detector(given_order[order])
    for left, right in zip(first, second, strict=True):
        assert (left.estimate, *(left.ci or ())) == pytest.approx(
            (right.estimate, *(right.ci or ())), rel=1e-6, nan_ok=True
        )
        assert left.verdict() is right.verdict()
        if name not in ("intraclass",):
            assert np.array(left.values)[order] == pytest.approx(
                np.array(right.values), rel=1e-6, nan_ok=True
            )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100))
def test_a_shift_moves_a_mean_with_its_region(seed: int, shift: float) -> None:
    values = np.random.default_rng(seed).normal(size=6)
    plain, moved = (
        mean_in_region("m", values, Region(0.0)),
        mean_in_region("m", values + shift, Region(shift)),
    )
    assert moved.estimate == pytest.approx(plain.estimate + shift, abs=1e-9)
    assert moved.p == pytest.approx(plain.p)
    assert moved.verdict() is plain.verdict() or min(abs(end) for end in plain.ci or ()) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), by=st.floats(0.01, 3))
def test_a_larger_effect_has_a_larger_estimate_and_no_larger_p(seed: int, by: float) -> None:
    values = np.random.default_rng(seed).normal(size=6)
    small, large = (
        mean_in_region("m", values, Region(0.0)),
        mean_in_region("m", values + by, Region(0.0)),
    )
    assert large.estimate > small.estimate
    assert (large.p or 0) <= (small.p or 0)
    weak, strong = time_pair(seed, 1.0), time_pair(seed, math.exp(by))
    assert strong.estimate > weak.estimate
    assert (strong.p or 0) <= (weak.p or 0)
    y = curves(seed)
    steeper = y * np.exp(by * np.maximum(np.log10(ALPHA), 0))
    before, after = u_shape("u", ALPHA, y, 1.0)[2], u_shape("u", ALPHA, steeper, 1.0)[2]
    assert after.estimate > before.estimate
    assert (after.p or 0) <= (before.p or 0) + 1e-12


def time_pair(seed: int, factor: float) -> Finding:
    t = steps(seed)
    return time_ratio(
        "r",
        [Time.at(each * factor) for each in t[:, 0].tolist()],
        [Time.at(each) for each in t[:, 1].tolist()],
        Region(2.0),
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), slope=st.floats(-2, 2), by=st.floats(-1, 1))
def test_an_exponent_follows_the_exponent(seed: int, slope: float, by: float) -> None:
    t = steps(seed, slope=slope)
    plain, tilted = (
        exponent("e", DECAY, never(each), Region(-1.0, 1.0))[0] for each in (t, t * DECAY**by)
    )
    assert tilted.estimate == pytest.approx(plain.estimate + by, abs=1e-9)


# How far towards 0 censoring may move an exponent of -1: it became -.94 where the times beyond the
# limit were dropped, and -.80 where the limit stood in for them.
CENSORING_BOUND = 0.05


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), seeds=st.sampled_from([5, 10]), reach=st.floats(0.4, 2.0))
def test_censoring_does_not_move_an_exponent_towards_0(seed: int, seeds: int, reach: float) -> None:
    t = steps(seed, seeds)
    limit = reach * 100 / DECAY[0]
    cut = np.where(t > limit, math.nan, t)
    whole = exponent("e", DECAY, never(t), Region(-1.15, -0.85))[0]
    censored = exponent("e", DECAY, times_from(cut, limit), Region(-1.15, -0.85))[0]
    assert censored.censored == int((t > limit).sum())
    assert censored.estimate < whole.estimate + CENSORING_BOUND


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), limit=st.floats(0.3, 3.0))
def test_censoring_a_late_time_never_lowers_the_lower_bound_to_the_limits(
    seed: int, limit: float
) -> None:
    late = 1000 * np.exp(0.3 * np.random.default_rng(seed).normal(size=8))
    end = 1000 * limit
    times = [Time.at(each, end) if each <= end else Time.never(end) for each in late.tolist()]
    found = time_ratio("r", times, [Time.at(1.0)] * 8, Region(10.0))
    as_limit = mean_in_region("m", np.minimum(late, end), Region(10.0), log=True)
    # The limit in place of the time is the error that the package must not make.
    assert found.estimate >= as_limit.estimate * (1 - 1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-2, 1e2))
def test_a_dose_in_another_unit(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    dose, own = np.geomspace(1, 32, 6), np.exp(rng.normal(1.5, 0.5, size=(8, 1)))
    flags = dose > own * np.exp(0.3 * rng.normal(size=(8, 6)))
    plain, scaled = (dose_response("d", each, flags, Region(1.0)) for each in (dose, factor * dose))
    assert (scaled.estimate, *(scaled.ci or ())) == pytest.approx(
        [factor * end for end in (plain.estimate, *(plain.ci or ()))], rel=1e-3
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-5, 5), factor=st.floats(0.01, 100))
def test_two_lines_ignore_shift_and_scale(seed: int, shift: float, factor: float) -> None:
    y = np.log(curves(seed))
    plain, moved = two_lines(np.log(ALPHA), y), two_lines(np.log(ALPHA) + shift, factor * y)
    assert moved.p == pytest.approx(plain.p, rel=1e-4, abs=1e-12)
    assert moved.break_at == pytest.approx(plain.break_at + shift, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-2, 1e2))
def test_a_bracket_in_another_unit_and_order(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    dose = np.geomspace(1, 32, 6)
    flags = dose > 6 * np.exp(0.5 * rng.normal(size=(8, 1)))
    plain, scaled = (
        bracket("b", dose, flags),
        bracket("b", factor * dose, flags[rng.permutation(8)]),
    )
    assert scaled.ci == pytest.approx([factor * end for end in plain.ci or ()], rel=1e-9)
    # More success at every dose never moves the bracket up.
    more = bracket("b", dose, flags | (dose > 8))
    assert (more.ci or (0, 0))[1] <= (plain.ci or (0, 0))[1]


@given(
    st.permutations(range(6)),
    st.lists(st.floats(-5, 5).map(lambda v: round(v, 2)), min_size=6, max_size=6, unique=True),
    st.floats(0.1, 9),
)
def test_an_agreement_over_tasks_reads_ranks_alone(
    order: list[int], y: list[float], factor: float
) -> None:
    x, values = np.arange(6.0), np.array(y)
    plain = rank_agreement("r", x, values, Region(0.0))
    other = rank_agreement("r", np.exp(x)[order], (factor * values + 3)[order], Region(0.0))
    assert (other.estimate, *(other.ci or ()), other.p) == pytest.approx(
        (plain.estimate, *(plain.ci or ()), plain.p)
    )
    best = rank_agreement("r", x, np.sort(values), Region(0.0))
    assert best.estimate == pytest.approx(1)
    assert (best.p or 0) <= (plain.p or 0)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10))
def test_a_critical_size_in_another_unit_of_size_and_order(seed: int, factor: float) -> None:
    n, rng = np.geomspace(10, 10_000, 9), np.random.default_rng(seed)
    y = np.maximum(n / 60, 1.0) ** -0.6 * np.exp(0.05 * rng.normal(size=(5, 9)))
    plain, other = critical_size("c", n, y), critical_size("c", factor * n, y[rng.permutation(5)])
    assert other.estimate == pytest.approx(plain.estimate, abs=5e-2)
    assert other.verdict() is plain.verdict()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10))
def test_a_break_depends_on_the_unit_of_error_by_its_distance_from_chance_alone(
    seed: int, factor: float
) -> None:
    n = np.geomspace(10, 10_000, 9)
    y = np.maximum(n / 60, 1.0) ** -0.6 * np.exp(0.05 * np.random.default_rng(seed).normal(size=9))
    others = [name != "ceiling" for name in SMOOTH]
    assert advantages(n, factor * y)[others] == pytest.approx(advantages(n, y)[others], abs=2e-2)


@given(st.lists(st.booleans(), min_size=3, max_size=12))
def test_one_more_success_never_weakens_a_share(seeds: list[bool]) -> None:
    found = share("s", seeds, Region(0.5))
    for at, success in enumerate(seeds):
        if not success:
            more = share("s", [*seeds[:at], True, *seeds[at + 1 :]], Region(0.5))
            assert more.estimate > found.estimate
            assert (more.ci or (0,))[0] >= (found.ci or (0,))[0]
            assert (more.p or 0) <= (found.p or 0)


@given(st.lists(st.floats(-0.9, 0.9), min_size=3, max_size=8), st.floats(0, 0.09))
def test_larger_correlations_have_a_larger_mean(rhos: list[float], by: float) -> None:
    low, high = (
        spearman_in_region("c", each, Region(0.5), places=99).estimate
        for each in (rhos, np.array(rhos) + by)
    )
    assert high >= low - 1e-12


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), slope=st.floats(0.2, 2), factor=st.floats(0.1, 10))
def test_the_slope_of_a_power_of_times_is_the_power(seed: int, slope: float, factor: float) -> None:
    """In whatever unit either time is counted."""
    on = steps(seed)
    found = slope_on("s", never(factor * on**slope), never(on), WIDE)
    assert found.estimate == pytest.approx(slope, abs=1e-9)
    mixed = np.random.default_rng(seed).permutation(len(on))
    other = slope_on("s", never((on**slope)[mixed]), never(factor * on[mixed]), WIDE)
    assert (other.estimate, *(other.ci or ())) == pytest.approx(
        (found.estimate, *(found.ci or ())), abs=1e-9
    )


@given(
    middles=st.lists(st.floats(-5, 5), min_size=3, max_size=8),
    step=st.floats(0.01, 1),
    wider=st.floats(1, 3),
)
def test_a_wider_grid_step_never_narrows_the_interval(
    middles: list[float], step: float, wider: float
) -> None:
    """And it never raises p's certainty: what a coarse grid decides, a finer one decides too."""
    centre = np.array(middles)
    fine, coarse = (
        mean_between("m", centre - each, centre + each, Region(-1, 1))
        for each in (step, step * wider)
    )
    assert fine.ci is not None
    assert coarse.ci is not None
    assert coarse.ci[0] <= fine.ci[0] + 1e-9
    assert coarse.ci[1] >= fine.ci[1] - 1e-9
    assert (coarse.p or 0) >= (fine.p or 0) - 1e-12
    assert coarse.estimate == pytest.approx(fine.estimate)


def test_no_calibrated_detector_is_left_out() -> None:
    """Each is called by name in this file, in a property that holds for drawn data."""
    source = Path(__file__).read_text()
    assert [
        name
        for name in {trial.detector for trial in TRIALS}
        if f"{name.rpartition('.')[2]}(" not in source
    ] == []
