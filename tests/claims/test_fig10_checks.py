"""The checks of Figure 10 on made-up curves: an effect that is there, one that is not, and the
controls.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import synthetic
from made_up_arms import Columns, Maker, outcome, slowness, wobble
from omnigrok.audit.case import Role
from omnigrok.audit.outcome import Outcome
from omnigrok.audit.summary import is_neutral
from omnigrok.run import Run
from omnigrok.stats import Time
from omnigrok.stats.finding import Verdict

sigmoid = synthetic.sigmoid
FIG10 = "fig10_time_vs_decay"


def power(
    run: Run, slope: float, at_one: float, seed: float = 0.0, jitter: float = 0.03
) -> Columns:
    late = at_one * run.weight_decay**slope * slowness(run, seed) * wobble(run, jitter)
    return {
        "train_acc": sigmoid(200 * wobble(run)),
        "test_acc": sigmoid(late) if late < 8e4 else 0.3,
    }


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.REPRODUCED), (-0.6, Verdict.REFUTED)]
)
def test_transformer_inverse(slope: float, verdict: Verdict) -> None:
    assert (
        outcome(
            FIG10, "fig10.transformer-inverse", {"transformer": lambda run: power(run, slope, 3000)}
        )
        is verdict
    )


def test_transformer_inverse_holds_with_censored_times() -> None:
    assert (
        outcome(
            FIG10, "fig10.transformer-inverse", {"transformer": lambda run: power(run, -1, 6000)}
        )
        is Verdict.REPRODUCED
    )


def test_transformer_time_to_fit() -> None:
    assert (
        outcome(
            FIG10,
            "fig10.transformer-inverse",
            {"transformer": lambda run: power(run, -1, 3000)},
            "control",
        )
        is Verdict.REFUTED
    )


def sides_exchanged(slope: float, at_one: float) -> Maker:
    """The training accuracy arrives when the test accuracy should."""

    def maker(run: Run) -> Columns:
        columns = power(run, slope, at_one)
        return {"train_acc": columns["test_acc"], "test_acc": columns["train_acc"]}

    return maker


def test_a_time_to_fit_that_goes_as_one_over_weight_decay() -> None:
    assert (
        outcome(
            FIG10,
            "fig10.transformer-inverse",
            {"transformer": sides_exchanged(-1, 3000)},
            "control",
        )
        is Verdict.REPRODUCED
    )
    assert (
        outcome(FIG10, "fig10.mnist-inverse", {"mnist": sides_exchanged(-1, 2000)}, "control")
        is Verdict.REPRODUCED
    )


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.INCONCLUSIVE), (-0.6, Verdict.REFUTED)]
)
def test_less_than_two_decades_can_refute_but_not_show_it(slope: float, verdict: Verdict) -> None:
    """The reduced scale's weight decays, .2 to 5."""
    runs = synthetic.runs(f"{FIG10}:transformer", "reduced")
    grids = {
        "transformer": synthetic.grid_of("transformer", runs, lambda run: power(run, slope, 3000))
    }
    check = synthetic.load_checks(FIG10).test_transformer_inverse
    found = synthetic.judge(FIG10, "fig10.transformer-inverse", check, grids)
    assert found.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert found.reason.startswith("decades of weight decay that were tested: 1.4 [1.4, inf]")


def test_a_slope_that_changes_is_not_inverse() -> None:
    def bent(run: Run) -> Columns:
        return power(run, -0.7 if run.weight_decay > 0.5 else -1.3, 1500)

    assert outcome(FIG10, "fig10.transformer-inverse", {"transformer": bent}) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("seed", "jitter", "role", "verdict"),
    [
        (0.4, 0.1, "claim", Verdict.REPRODUCED),
        (0.0, 0.3, "claim", Verdict.REFUTED),
        (0.4, 0.1, "control", Verdict.REFUTED),
    ],
)
def test_seed_offset(seed: float, jitter: float, role: Role, verdict: Verdict) -> None:
    assert (
        outcome(
            FIG10,
            "fig10.seed-offset",
            {"transformer": lambda run: power(run, -1, 2000, seed, jitter)},
            role,
        )
        is verdict
    )


def test_seed_offset_in_rows_that_were_permuted() -> None:
    """Who is slow changes with weight decay as the control permutes the seeds, so that its rows are
    slow throughout.
    """
    runs = synthetic.runs(f"{FIG10}:transformer")
    gammas, seeds = sorted({run.weight_decay for run in runs}), sorted({run.seed for run in runs})
    places = synthetic.load_checks(FIG10).mixed(
        np.tile(np.arange(len(seeds), dtype=float)[:, None], len(gammas))
    )

    def moved(run: Run) -> Columns:
        row = int(np.flatnonzero(places[:, gammas.index(run.weight_decay)] == run.seed)[0])
        return power(run, -1, 2000 * float(np.exp(0.1 * row)), 0.0)

    assert (
        outcome(FIG10, "fig10.seed-offset", {"transformer": moved}, "control") is Verdict.REPRODUCED
    )
    assert outcome(FIG10, "fig10.seed-offset", {"transformer": moved}) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.REPRODUCED), (-0.5, Verdict.REFUTED)]
)
def test_mnist_inverse(slope: float, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-inverse", {"mnist": lambda run: power(run, slope, 2000)})
        is verdict
    )


def test_mnist_time_to_fit() -> None:
    assert (
        outcome(
            FIG10, "fig10.mnist-inverse", {"mnist": lambda run: power(run, -1, 2000)}, "control"
        )
        is Verdict.REFUTED
    )


def delayed(run: Run, low: float, b: float = 500.0) -> Columns:
    """50 / weight decay + b inside the range, and ``low`` times that below it."""
    late = (
        (50 / run.weight_decay + b)
        * (1.0 if run.weight_decay >= 0.05 else low)
        * slowness(run)
        * wobble(run)
    )
    return {"train_acc": sigmoid(200), "test_acc": sigmoid(late)}


def low_and_inside(curves: Callable[[Run], Columns]) -> dict[str, Callable[[Run], Columns]]:
    return {"mnist": curves, "mnist_low": curves}


@pytest.mark.parametrize(
    ("low", "verdict"),
    [(0.2, Verdict.REPRODUCED), (1.5, Verdict.REFUTED), (1.0, Verdict.INCONCLUSIVE)],
)
def test_mnist_low(low: float, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-low", low_and_inside(lambda run: delayed(run, low))) is verdict
    )


def test_mnist_low_is_open_where_runs_are_cut() -> None:
    def cut(run: Run) -> Columns:
        return (
            power(run, -1, 3000)
            if run.weight_decay >= 0.05
            else {"train_acc": 1.0, "test_acc": 0.5}
        )

    assert outcome(FIG10, "fig10.mnist-low", low_and_inside(cut)) is Verdict.INCONCLUSIVE


def test_mnist_low_reports_the_lowest_weight_decays() -> None:
    """They do not decide: a time that is late at .003 leaves the claim as it is."""

    def late(run: Run) -> Columns:
        return delayed(run, 3.0 if run.weight_decay < 0.005 else 0.2)

    found = outcome_of_low(late)
    assert found.verdict is Verdict.REPRODUCED
    assert {finding.name.rpartition(" ")[2]: finding.decides for finding in found.findings} == {
        "0.01": True,
        "0.03": True,
        "0.001": False,
        "0.003": False,
    }


def outcome_of_low(maker: Maker, role: Role = "claim") -> Outcome:
    grids = {
        name: synthetic.grid_of(
            name,
            synthetic.runs(f"{FIG10}:{name}"),
            maker,
        )
        for name in ("mnist", "mnist_low")
    }
    return synthetic.judge(
        FIG10, "fig10.mnist-low", synthetic.load_checks(FIG10).test_mnist_low, grids, role=role
    )


@pytest.mark.parametrize("low", [0.2, 1.0])
def test_times_simulated_from_the_law_are_neutral(low: float) -> None:
    """The control is on the region's edge whatever the times at low weight decay are, and closer to
    it than the claim.
    """
    found = outcome_of_low(lambda run: delayed(run, low), "control")
    assert found.verdict is Verdict.INCONCLUSIVE
    claim = outcome_of_low(lambda run: delayed(run, low))
    rows = [each.row() for each in (claim, found)]
    assert is_neutral(*rows) == (low == 0.2)


@pytest.mark.parametrize(("factor", "verdict"), [(0.3, Verdict.REPRODUCED), (3.0, Verdict.REFUTED)])
def test_simulated_times_that_leave_the_law_would_be_seen(
    factor: float, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = synthetic.load_checks(FIG10)
    honest = checks.simulated

    def biased(found: Any, delay: bool) -> Any:
        drawn = honest(found, delay)
        return replace(
            drawn,
            low={
                gamma: [Time.at(factor * time.value) for time in row]
                for gamma, row in drawn.low.items()
                if gamma > 0.005
            },
        )

    monkeypatch.setattr(checks, "simulated", biased)
    assert outcome_of_low(lambda run: delayed(run, 0.2), "control").verdict is verdict


def spoils(run: Run, from_decay: float) -> Columns:
    return {"train_acc": (0.2 if run.weight_decay >= from_decay else 0.99) + 0.001 * run.seed / 10}


@pytest.mark.parametrize(
    ("from_decay", "role", "verdict"),
    [
        (10, "claim", Verdict.REPRODUCED),
        (100, "claim", Verdict.REPRODUCED),
        (1000, "claim", Verdict.REFUTED),
        (10, "control", Verdict.REFUTED),
    ],
)
def test_mnist_high(from_decay: float, role: Role, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-high", {"mnist": lambda run: spoils(run, from_decay)}, role)
        is verdict
    )


def test_mnist_high_where_the_second_half_of_the_seeds_fits_worse() -> None:
    makers: dict[str, Maker] = {"mnist": lambda run: {"train_acc": 0.9 if run.seed >= 5 else 0.99}}
    assert outcome(FIG10, "fig10.mnist-high", makers, "control") is Verdict.REPRODUCED


def test_mnist_high_is_open_where_the_seeds_disagree() -> None:
    makers: dict[str, Maker] = {"mnist": lambda run: spoils(run, 30 if run.seed % 2 else 1000)}
    assert outcome(FIG10, "fig10.mnist-high", makers) is Verdict.INCONCLUSIVE
