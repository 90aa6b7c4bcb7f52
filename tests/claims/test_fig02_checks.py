"""The checks of Figure 2 on made-up curves: worlds in which a claim or its control is true, and
others in which it is false.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import synthetic
from omnigrok.audit.case import Role
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import Outcome
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import Protocol

FIGURE = "fig02_teacher_student"
ENDS = np.array([0, 100_000])
THETAS = ("acc", "acc_code", "acc_euclid")
# The weight norm at alpha = 1, and the one at which the test accuracy arrives.
NORM, CRITICAL = 8.67, 10.0
NEVER = np.inf
Columns = dict[str, Any]
Maker = Callable[[Run], Columns]
REPRODUCED, REFUTED, INCONCLUSIVE = Verdict.REPRODUCED, Verdict.REFUTED, Verdict.INCONCLUSIVE


def wobble(run: Run, size: float = 0.03) -> float:
    """A factor near 1 that is the run's own."""
    key = [run.seed, round(1e4 * run.alpha), round(1e4 * run.weight_decay)]
    return float(np.exp(size * np.random.default_rng(key).normal()))


def found(
    claim: str, makers: dict[str, Maker], role: Role = "claim", protocol: Protocol = "paper"
) -> Outcome:
    grids: dict[str, Grid] = {}
    for name, maker in makers.items():
        runs = synthetic.runs(f"{FIGURE}:{name}", protocol=protocol)
        # What is read off a sphere is its last value.
        step = np.array([0, runs[0].steps]) if name.startswith("landscape") else synthetic.STEPS
        grids[name] = synthetic.grid_of(name, runs, maker, step)
    check = getattr(
        synthetic.load_checks(FIGURE), "test_" + claim.split(".")[1].replace("-", "_").lower()
    )
    return synthetic.judge(FIGURE, claim, check, grids, role, protocol)


def verdict(claim: str, makers: dict[str, Maker], role: Role = "claim") -> Verdict:
    return found(claim, makers, role).verdict


# Landscapes


def sphere(run: Run, swapped: bool = False, rise: float = 1.0, top: float = 1.0) -> Columns:
    """Training loss: an L with its break at .5; test loss: a U with its bottom at 1, whose right
    arm goes up to ``top`` times 1e3.
    """
    x = np.log10(run.alpha)
    train = 10 ** (-2 - 6 * (1 + min(x, 0))) * wobble(run)
    test = 10 ** (-4 - 2 * min(x, 0) + rise * (7 * max(x, 0))) * top ** max(x, 0) * wobble(run)
    return (
        {"train_loss": test, "test_loss": train}
        if swapped
        else {"train_loss": train, "test_loss": test}
    )


@pytest.mark.parametrize("claim", ["fig02.train-L", "fig02.test-U"])
@pytest.mark.parametrize(
    ("swapped", "claims", "controls"), [(False, REPRODUCED, REFUTED), (True, REFUTED, REPRODUCED)]
)
def test_l_and_u(claim: str, swapped: bool, claims: Verdict, controls: Verdict) -> None:
    makers: dict[str, Maker] = {"landscape": partial(sphere, swapped=swapped)}
    assert verdict(claim, makers) is claims
    assert verdict(claim, makers, "control") is controls


def test_the_right_arm_is_judged_on_its_own_height() -> None:
    """The left arm falls by a factor 100 and less than 1 % of the uncapped range; the right arm's
    ratio is its own.
    """
    findings = {each.name: each for each in found("fig02.test-U", {"landscape": sphere}).findings}
    left, right = (
        findings[f"reduced loss over alpha: {side}"]
        for side in ("left arm falling", "right arm rising")
    )
    assert left.estimate == pytest.approx(1e2, rel=0.1)
    assert right.estimate == pytest.approx(1e7, rel=0.1)
    change = findings["reduced loss over alpha: left arm, change over the curve's range"]
    assert "capped at its first value" in change.note
    assert change.estimate > 0.9
    assert next(each for each in findings.values() if each.leads).name == "bottom of the U (alpha)"


def test_a_test_loss_that_stays_low_is_no_u() -> None:
    assert verdict("fig02.test-U", {"landscape": partial(sphere, rise=0.0)}) is REFUTED


# Dynamics: times of both arms, and the norm


def dynamics(
    run: Run,
    fit: float = 200,
    late: float = 1.1,
    large: float = 0.03,
    slope: float = -1.0,
    decay: float = 1.0,
) -> Columns:
    """The test accuracy arrives at ``late`` times t_train from alpha = .5.

    From alpha = 2 it arrives at 20,000 steps at weight decay ``large``, else at a power of weight
    decay.
    """
    gamma = run.weight_decay
    at = fit * late if run.alpha < 1 else 20_000 * (gamma / large) ** slope if gamma else NEVER
    return curves(run, fit * wobble(run, 0.01), at * wobble(run), decay)


def curves(run: Run, fit: float, late: float, decay: float = 1.0) -> Columns:
    train = synthetic.sigmoid(fit)
    test = synthetic.sigmoid(late) if late < NEVER else np.zeros(synthetic.STEPS.size)
    norm = (
        NORM
        * run.alpha
        * wobble(run, 0.01)
        * np.exp(-run.lr * run.weight_decay * decay * synthetic.STEPS)
    )
    return {
        "weight_norm": norm,
        **{f"train_{name}": train for name in THETAS},
        **{f"test_{name}": test for name in THETAS},
    }


def exchanged(run: Run) -> Columns:
    """The large initialization does what the small one should, and the other way round."""
    other = dynamics(run.replace(alpha=0.5 if run.alpha > 1 else 2.0))
    return {**other, "weight_norm": dynamics(run)["weight_norm"]}


def sides_exchanged(run: Run) -> Columns:
    """The training accuracy hangs on weight decay as the test accuracy should."""
    columns = dynamics(run)
    return {
        **columns,
        **{
            f"{one}_{name}": columns[f"{other}_{name}"]
            for name in THETAS
            for one, other in (("train", "test"), ("test", "train"))
        },
    }


BY_ARM = ("fig02.no-reg", "fig02.grok", "fig02.small-init")
BY_SIDE = ("fig02.large-reg", "fig02.train-flat", "fig02.inverse")


@pytest.mark.parametrize(
    ("claim", "world"),
    [*((name, exchanged) for name in BY_ARM), *((name, sides_exchanged) for name in BY_SIDE)],
)
def test_each_is_the_other_s_control(claim: str, world: Maker) -> None:
    arms = ("large", "small") if claim in BY_ARM else ("large",)
    assert verdict(claim, dict.fromkeys(arms, dynamics)) is REPRODUCED
    assert verdict(claim, dict.fromkeys(arms, dynamics), "control") is REFUTED
    assert verdict(claim, dict.fromkeys(arms, world)) is REFUTED
    assert verdict(claim, dict.fromkeys(arms, world), "control") is REPRODUCED


def test_an_exponent_that_holds_in_one_half_only_is_refuted() -> None:
    def bent(run: Run) -> Columns:
        return dynamics(run, slope=-1.0 if run.weight_decay < 0.2 else -0.6)

    outcome = found("fig02.inverse", {"large": bent})
    assert outcome.verdict is REFUTED
    assert any("holds from 0.03 to 0.17" in finding.note for finding in outcome.findings)


# The norm


def at_norm(run: Run, spread: float = 1.0, stays: bool = False) -> Columns:
    """The test accuracy arrives where the norm comes down to a w_c, whose ends over weight decay
    lie a factor ``spread`` apart.
    """
    if not run.weight_decay:
        return curves(run, 200, NEVER)
    place = np.log(run.weight_decay / 0.03) / np.log(1 / 0.03)
    late = np.log(NORM * run.alpha / (14 * spread**-place)) / (run.lr * run.weight_decay)
    return curves(run, 200, late, decay=0.0 if stays else 1.0)


@pytest.mark.parametrize(
    ("world", "role", "expected"),
    [
        (at_norm, "claim", REPRODUCED),
        (partial(at_norm, spread=1.3), "claim", REFUTED),
        (at_norm, "control", REFUTED),
        (partial(at_norm, stays=True), "control", REPRODUCED),
    ],
)
def test_norm_at_grok(world: Maker, role: Role, expected: Verdict) -> None:
    assert verdict("fig02.norm-at-grok", {"large": world}, role) is expected


def test_the_range_of_weight_decay_in_which_one_norm_holds() -> None:
    """One norm up to .17, falling by a factor 1.3 from there on."""

    def broken(run: Run) -> Columns:
        return at_norm(run, spread=1.0 if run.weight_decay < 0.2 else 1.6)

    findings = found("fig02.norm-at-grok", {"large": broken}).findings
    row = next(each for each in findings if "largest contiguous range" in each.note)
    assert "0.03 to 0.17" in row.name
    assert not row.decides


def rate(run: Run, factor: float) -> Columns:
    """A norm that decays at ``factor`` times lr .03, whatever the weight decay is, and a test
    accuracy that arrives only with it.
    """
    columns = curves(run, 200, 30_000 if run.weight_decay else NEVER)
    return {
        **columns,
        "weight_norm": NORM
        * run.alpha
        * np.exp(-run.lr * 0.03 * factor * wobble(run, 0.01) * synthetic.STEPS),
    }


def lawful(run: Run) -> Columns:
    return rate(run, 1.0 if run.weight_decay == 0.03 else 0.01)


@pytest.mark.parametrize(
    ("world", "role", "expected"),
    [
        (lawful, "claim", REPRODUCED),
        (partial(rate, factor=1.3), "claim", REFUTED),
        (lawful, "control", REFUTED),
        (partial(rate, factor=1.0), "control", REPRODUCED),
    ],
)
def test_decay(world: Maker, role: Role, expected: Verdict) -> None:
    assert verdict("fig02.decay", {"large": world}, role) is expected


def test_the_rate_by_windows_says_where_it_leaves_the_law() -> None:
    """The norm stays from step 40,000 on, 10,000 after the test accuracy has arrived."""

    def stays(run: Run) -> Columns:
        norm = NORM * run.alpha * np.exp(-run.lr * 0.03 * np.minimum(synthetic.STEPS, 40_000))
        return {**lawful(run), "weight_norm": norm}

    outcome = found("fig02.decay", {"large": stays})
    assert outcome.verdict is REPRODUCED
    windows = [each for each in outcome.findings if each.name.startswith("the same in steps")]
    assert windows[0].estimate == pytest.approx(1)
    assert windows[-1].estimate == pytest.approx(0, abs=1e-6)
    assert [bool(each.note) for each in windows] == [False] * (len(windows) - 2) + [True] * 2
    assert not any(each.decides for each in windows)


def below(run: Run, critical: float = CRITICAL) -> Columns:
    """A sphere whose test accuracy falls from 1 to 0 around w_c."""
    norm = NORM * run.alpha
    accuracy = 1 / (
        1 + np.exp(20 * np.log(norm / (critical * wobble(run.replace(alpha=1.0), 0.02))))
    )
    return {"weight_norm": norm, **{f"test_{name}": accuracy for name in THETAS}}


def forecast(run: Run, factor: float = 1.0, critical: float = CRITICAL * 0.863) -> Columns:
    """t_test is when the norm comes down to ``critical``, times ``factor``; below() is at 95 % .147
    under its w_c in ln w.
    """
    late = (
        np.log(NORM * run.alpha / critical) / (run.lr * run.weight_decay)
        if run.weight_decay
        else NEVER
    )
    return curves(run, 200, factor * late * wobble(run))


@pytest.mark.parametrize(
    ("world", "role", "expected"),
    [
        (forecast, "claim", REPRODUCED),
        (partial(forecast, factor=2.0), "claim", REFUTED),
        (forecast, "control", REFUTED),
    ],
)
def test_predict(world: Maker, role: Role, expected: Verdict) -> None:
    assert verdict("fig02.predict", {"large": world, "landscape_fine": below}, role) is expected


def test_the_norm_at_t_train_can_be_a_forecast() -> None:
    """The training accuracy arrives when the test accuracy does, at w_c."""

    def together(run: Run) -> Columns:
        columns = forecast(run)
        return {**columns, **{f"train_{name}": columns[f"test_{name}"] for name in THETAS}}

    assert (
        verdict("fig02.predict", {"large": together, "landscape_fine": below}, "control")
        is REPRODUCED
    )


def test_a_critical_norm_off_the_grid_is_no_number() -> None:
    """Above it the forecast is step 1, since the grid holds the start; below it is known from
    below.
    """
    above = found(
        "fig02.predict", {"large": forecast, "landscape_fine": partial(below, critical=1e3)}
    )
    assert above.verdict is REFUTED
    assert above.findings[0].estimate < 1e-3
    under = found(
        "fig02.predict", {"large": forecast, "landscape_fine": partial(below, critical=0.1)}
    )
    assert under.findings[0].censored == 10
    assert under.findings[0].ci is not None
    assert under.findings[0].ci[1] == np.inf


def test_a_grid_too_coarse_to_interpolate_decides_nothing() -> None:
    """Every second scale of the recorded grid: linear and logit interpolation disagree by more than
    the margin.
    """
    checks = synthetic.load_checks(FIGURE)

    def step(run: Run) -> Columns:
        return {
            "weight_norm": NORM * run.alpha,
            **{f"test_{name}": 0.999 if run.alpha < 1.5 else 0.02 for name in THETAS},
        }

    runs = [
        run
        for run in synthetic.runs(f"{FIGURE}:landscape_fine")
        if run.alpha in (0.7, 1.40946, 2.0, 3.38062)
    ]
    large = synthetic.grid_of(
        "large",
        synthetic.runs(f"{FIGURE}:large"),
        partial(forecast, critical=14.5),
    )
    grids = {
        "large": large,
        "landscape_fine": synthetic.grid_of("landscape_fine", runs, step, ENDS),
    }
    outcome = synthetic.judge(FIGURE, "fig02.predict", checks.test_predict, grids)
    assert outcome.verdict is INCONCLUSIVE
    assert "where the accuracy itself is linear in ln w" in outcome.findings[0].note


# Readings


@pytest.mark.parametrize("protocol", ["paper", "code"])
def test_each_protocol_has_its_own_theta(protocol: Protocol) -> None:
    """Only the protocol's own column is as the claim says."""
    own = {"paper": "acc", "code": "acc_code"}[protocol]

    def one(run: Run) -> Columns:
        columns = dynamics(run)
        return {
            name: values if name.endswith(own) or name == "weight_norm" else 0.0 * values
            for name, values in columns.items()
        }

    outcome = found("fig02.grok", dict.fromkeys(("large", "small"), one), protocol=protocol)
    assert outcome.verdict is REPRODUCED
    others = [
        each
        for each in outcome.findings
        if not each.decides and f"({own}" not in each.name and own + "," not in each.name
    ]
    assert others
    assert all(each.estimate != outcome.findings[0].estimate for each in others)
