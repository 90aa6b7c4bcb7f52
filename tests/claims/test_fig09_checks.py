"""The checks of Figure 9 on made-up curves: an effect that is there, one that is not, and the
controls.
"""

import contextlib
from typing import Any, Literal

import numpy as np
import pytest

import synthetic
from made_up_arms import Columns, Maker, outcome, wobble
from omnigrok.audit.case import Case, Role
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import load_figure

FIG09 = "fig09_transformer_landscape"
ENDS = None
# Whoever generalises does so in the first half of the steps.
EARLY = np.array([0, 500, 15000])


def landscape(run: Run, rise: float = 1.0) -> Columns:
    """Training loss: an L with its break under .8; test loss: a U with its bottom at .8 if ``rise``
    is not 0.
    """
    x = np.log(run.alpha / 0.8)
    train = 4.5 * (1 - np.exp(x)) * wobble(run) + 1e-5 if x < 0 else 1e-5
    return {
        "train_loss": train,
        "test_loss": 0.05 + 3 * wobble(run) * abs(min(x, 0)) + rise * 8 * wobble(run) * max(x, 0),
    }


def test_lu() -> None:
    assert outcome(FIG09, "fig09.LU", {"landscape": landscape}, step=ENDS) is Verdict.REPRODUCED


def test_lu_swapped() -> None:
    assert (
        outcome(FIG09, "fig09.LU", {"landscape": landscape}, "control", step=ENDS)
        is Verdict.REFUTED
    )


def test_the_losses_exchanged_swap_claim_and_control() -> None:
    def exchanged(run: Run) -> Columns:
        falls, turns = landscape(run).values()
        return {"train_loss": turns, "test_loss": falls}

    arms = {"landscape": exchanged}
    assert outcome(FIG09, "fig09.LU", arms, "control", step=ENDS) is Verdict.REPRODUCED
    assert outcome(FIG09, "fig09.LU", arms, step=ENDS) is Verdict.REFUTED


def test_two_ls_are_no_lu() -> None:
    assert (
        outcome(FIG09, "fig09.LU", {"landscape": lambda run: landscape(run, 0.0)}, step=ENDS)
        is Verdict.REFUTED
    )


def dose(run: Run, critical: float) -> Columns:
    """Generalises at alpha = .57 and .8 from about a fraction on; with permuted labels never."""
    works = (
        run.n_train / 113**2 > critical * wobble(run.replace(n_train=1, alpha=1.0), 0.05)
        and 0.5 < run.alpha < 1
    )
    return {"test_acc": 0.99 if works and not run.option("shuffle_labels") else 0.02}


def judged(
    makers: dict[str, Maker],
    step: np.ndarray = EARLY,
    scale: Literal["full", "reduced"] = "full",
    role: Role = "claim",
) -> Any:
    """The whole outcome of fig09.critical."""
    grids = {
        name: synthetic.grid_of(name, synthetic.runs(f"{FIG09}:{name}", scale), maker, step)
        for name, maker in makers.items()
    }
    return synthetic.judge(
        FIG09, "fig09.critical", synthetic.load_checks(FIG09).test_critical, grids, role=role
    )


def critical_at(fraction: float) -> dict[str, Maker]:
    return dict.fromkeys(("fractions", "shuffled"), lambda run: dose(run, fraction))


@pytest.mark.parametrize(
    ("fraction", "verdict"),
    [(0.25, Verdict.REPRODUCED), (0.37, Verdict.REFUTED), (0.8, Verdict.REFUTED)],
)
def test_critical(fraction: float, verdict: Verdict) -> None:
    assert outcome(FIG09, "fig09.critical", critical_at(fraction), step=EARLY) is verdict


def test_critical_with_permuted_labels() -> None:
    assert (
        outcome(FIG09, "fig09.critical", critical_at(0.25), "control", step=EARLY)
        is Verdict.REFUTED
    )


def test_permuted_labels_that_generalise_all_the_same() -> None:
    def leaks(run: Run) -> Columns:
        return {"test_acc": 0.99 if run.n_train / 113**2 > 0.26 else 0.02}

    arms = {"fractions": leaks, "shuffled": leaks}
    assert outcome(FIG09, "fig09.critical", arms, "control", step=EARLY) is Verdict.REPRODUCED


def reduced_critical(fraction: float, role: Role = "claim") -> Any:
    """The same on the fractions of the reduced scale, which end where the region does."""
    return judged(critical_at(fraction), scale="reduced", role=role)


@pytest.mark.parametrize(
    ("fraction", "verdict"),
    [(0.25, Verdict.REPRODUCED), (0.1, Verdict.INCONCLUSIVE), (0.8, Verdict.INCONCLUSIVE)],
)
def test_five_fractions_hold_the_bracket_or_leave_it_open(
    fraction: float, verdict: Verdict
) -> None:
    found = reduced_critical(fraction)
    assert found.verdict is verdict
    assert found.findings[1].censored == (0 if verdict is Verdict.REPRODUCED else 8)


def test_the_permuted_labels_of_the_reduced_scale_can_be_refuted() -> None:
    assert reduced_critical(0.25, "control").verdict is Verdict.REFUTED


def test_a_seed_s_own_fraction_lies_between_two_of_the_grid() -> None:
    own = synthetic.load_checks(FIG09).own_bracket
    fractions = np.array([0.2, 0.25, 0.3])
    assert own(fractions, np.array([False, True, True])) == (0.2, 0.25)
    # As many fail as there are below: luck at one fraction does not move it further.
    assert own(fractions, np.array([True, False, True])) == (0.2, 0.25)
    assert own(fractions, np.array([True, True, True])) == (-np.inf, 0.2)
    assert own(fractions, np.array([False, False, False])) == (0.3, np.inf)


def test_an_accuracy_that_comes_and_goes_has_not_arrived() -> None:
    step = np.array([0, 40, 60, 80, 100])
    flash = np.array([0.02, 0.02, 0.99, 0.02, 0.02])

    def brief(run: Run) -> Columns:
        return {"test_acc": flash if run.n_train / 113**2 < 0.26 else 0.99}

    arms = {"fractions": brief, "shuffled": brief}
    assert outcome(FIG09, "fig09.critical", arms, step=step) is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("early_from", "verdict"), [(0.0, Verdict.REPRODUCED), (0.26, Verdict.INCONCLUSIVE)]
)
def test_a_fraction_that_still_falls_is_moved_on(early_from: float, verdict: Verdict) -> None:
    """Near the critical fraction networks take longest: what generalises in the second half of the
    steps says that more would.
    """

    def slow(run: Run) -> Columns:
        in_time = run.n_train / 113**2 > early_from
        last = dose(run, 0.24)["test_acc"]
        return {"test_acc": np.array([0.02, last if in_time else 0.02, last, last])}

    arms = {"fractions": slow, "shuffled": slow}
    step = np.array([0, 7000, 12000, 15000])
    found = judged(arms, step)
    assert found.findings[1].verdict() is Verdict.REPRODUCED
    assert found.verdict is verdict


def test_lu_of_the_best_values() -> None:
    """A run that ends worse than it once was is judged by what the universe asks for."""
    entry = load_figure(synthetic.CLAIMS / f"{FIG09}.yaml").claim("fig09.LU")
    best = entry.model_copy(update={"quantity": {**entry.quantity, "reduction": "best"}})

    def ends_flat(run: Run) -> Columns:
        return {name: np.array([value, 1.0]) for name, value in landscape(run).items()}

    runs = synthetic.runs(f"{FIG09}:landscape")
    grid = synthetic.grid_of("landscape", runs, ends_flat, ENDS)
    verdicts = []
    for claim in (entry, best):
        case = Case(claim, FIG09, "paper", "paper", "claim", {"landscape": grid})
        with contextlib.suppress(ClaimRefuted):
            synthetic.load_checks(FIG09).test_lu(case)
        assert case.outcome is not None
        verdicts.append(case.outcome.verdict)
    assert verdicts == [Verdict.REFUTED, Verdict.REPRODUCED]
