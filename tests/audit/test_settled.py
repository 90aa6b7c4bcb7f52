"""Whether runs at constant norm have settled, and the second judgement where they have not."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.case import Case, judge_again
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import final
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.settled import Settling, last_change
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.stats import Verdict, mean_in_region
from omnigrok.suite.schema import Claim

STEP = np.arange(0, 1001, 50, dtype=np.int64)
RUN = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=8,
    steps=1000,
    lr=0.1,
    constraint="rescale",
    network=(("widths", (2, 2)),),
)
CLAIM = Claim.model_validate(
    {
        "id": "toy.a",
        "statement": "the loss ends under 1",
        "place": "p",
        "criterion": {"mean": {"below": 1.0}},
        "experiments": ["tiny"],
        "control": {"why": "w"},
        "null": "control arm",
    }
)


def curves(run: Run, loss: np.ndarray, accuracy: float = 1.0) -> Curves:
    return Curves(
        run,
        STEP,
        {"train_loss": loss, "test_loss": loss.copy(), "test_acc": np.full(STEP.shape, accuracy)},
    )


def falling(rate: float, end: float = 0.0) -> np.ndarray:
    return end + np.exp(-rate * STEP / 1000)


def settling(*losses: np.ndarray, paper: int = 1000, **changes: object) -> Settling:
    runs = {
        RUN.replace(alpha=alpha, **changes): loss
        for alpha, loss in zip((0.1, 1.0, 2.0), losses, strict=False)
    }
    return Settling(
        {run: curves(run, loss) for run, loss in runs.items()}, dict.fromkeys(runs, paper)
    )


def read(watch: Settling, column: str = "train_loss") -> None:
    for each in watch.watched().values():
        each[column]


def check(case: Case) -> None:
    values = case.grid().per_seed(final("train_loss"))
    case.judge([mean_in_region("mean", values, case.region("mean"))])


def judged(*ends: float, slope: float, lower: float = 0.0) -> Case:
    """Seeds whose loss ends at ``ends`` and changes by ``slope`` from the one median to the other;
    step 0 logs ``lower`` less.
    """
    ramp = slope * (STEP - 1000) / 375 - np.where(STEP == 0, lower - slope * 1000 / 375, 0.0)
    made = {
        RUN.replace(seed=seed): curves(RUN.replace(seed=seed), end + ramp)
        for seed, end in enumerate(ends)
    }
    case = Case(
        CLAIM,
        "toy",
        "paper",
        "paper",
        "claim",
        {"tiny": Grid("tiny", made)},
        paper_steps=dict.fromkeys(made, 1000),
    )
    with contextlib.suppress(ClaimRefuted):
        check(case)
    judge_again(check, case)
    return case


def test_the_medians_are_of_the_second_quarter_and_of_the_second_half() -> None:
    assert last_change(STEP, STEP.astype(float)) == (400.0, 775.0)


def test_what_was_logged_before_stands_for_an_empty_quarter() -> None:
    step = np.array([0, 1, 600, 1000])
    assert last_change(step, np.array([5.0, 4.0, 2.0, 1.0])) == (4.0, 1.5)


def test_a_flat_curve_has_settled_and_a_falling_one_has_not() -> None:
    watch = settling(np.ones(21), falling(1.0), falling(40.0))
    read(watch)
    assert {run.alpha for run in watch.moving()} == {1.0}
    assert watch.cells == 3


def test_a_change_under_a_hundredth_of_the_curve_over_alpha_has_settled() -> None:
    """A loss of 1e-6 that still halves is no longer seen beside one of 1."""
    small = 1e-6 * falling(1.0)
    watch = settling(np.ones(21), small)
    read(watch)
    assert not watch.moving()
    alone = settling(small)
    read(alone)
    assert alone.moving()


def test_too_few_steps_have_not_settled_however_flat() -> None:
    for paper, loose in ((4000, 0), (4001, 1)):
        watch = settling(np.ones(21), paper=paper)
        read(watch)
        assert len(watch.moving()) == loose


def test_only_columns_that_were_read_and_only_constrained_runs_count() -> None:
    watch = settling(falling(1.0))
    read(watch, "test_acc")
    assert not watch.moving()
    free = settling(falling(1.0), constraint="free")
    read(free)
    assert (free.cells, free.moving()) == (0, {})


def test_looking_for_a_column_reads_nothing() -> None:
    watch = settling(falling(1.0))
    (each,) = watch.watched().values()
    assert "train_loss" in each.columns
    assert set(each.columns) == {"train_loss", "test_loss", "test_acc"}
    replace(each, seconds=1.0)
    assert watch.cells == 0


@given(st.floats(0.3, 3.0), st.floats(0.0, 1.0))
def test_moved_on_curves_end_at_twice_the_last_change_within_the_range(
    rate: float, end: float
) -> None:
    watch = settling(falling(rate, end))
    read(watch)
    (old,), (new,) = watch.curves.values(), watch.further().values()
    early, late = last_change(STEP, old["train_loss"])
    if watch.moving():
        expected = max(old["train_loss"][-1] + 2 * (late - early), old["train_loss"].min())
        assert new["train_loss"][-1] == pytest.approx(expected)
    assert (new["train_loss"][STEP <= 500] == old["train_loss"][STEP <= 500]).all()
    assert (new["test_acc"] == old["test_acc"]).all()


def test_a_verdict_that_moving_on_would_change_is_open() -> None:
    outcome = judged(0.9, 0.91, 0.92, slope=0.3).outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert (outcome.moving, outcome.cells) == (3, 3)
    assert (
        "3 of 3 runs at constant norm have not settled: REPRODUCED as they ended, REFUTED moved on"
        in outcome.reason
    )


def test_the_rule_holds_for_refuted_as_for_reproduced() -> None:
    outcome = judged(1.1, 1.11, 1.12, slope=-0.3, lower=0.5).outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "REFUTED as they ended" in outcome.reason


@pytest.mark.parametrize(("slope", "moving"), [(0.1, 3), (0.0, 0)])
def test_a_verdict_that_moving_on_would_not_change_stands_and_says_so(
    slope: float, moving: int
) -> None:
    outcome = judged(0.3, 0.31, 0.32, slope=slope).outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.REPRODUCED
    assert outcome.moving == moving
    assert ("say the same" in outcome.reason) == bool(moving)


def test_where_settling_is_not_asked_nothing_is_judged_again() -> None:
    case = judged(0.9, 0.91, 0.92, slope=0.3)
    other = replace(case, paper_steps=None, outcome=None)
    check(other)
    judge_again(check, other)
    assert other.outcome is not None
    assert (other.outcome.verdict, other.outcome.cells) == (Verdict.REPRODUCED, 0)
