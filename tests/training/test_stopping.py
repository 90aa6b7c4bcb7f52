"""Runs that end early: the times up to their level are those of whole runs, and they always end at
the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.stats import time_to
from omnigrok.store.encode import decode, encode
from omnigrok.training import Stack, State, train
from omnigrok.training.calendar import log_steps
from omnigrok.training.stackable import shape_key
from omnigrok.training.stopping import end_of, stops_at

LEVELS = [k / 20 for k in range(1, 21)]
Stepwise = Callable[[Sequence[Run], Callable[[State], State]], list[Curves]]


def run(**changes: Any) -> Run:
    settings = {
        "task": "made_up",
        "model": "none",
        "seed": 0,
        "n_train": 20,
        "steps": 400,
        "lr": 1e-3,
        "stop_at": {"test_acc": 0.9},
    }
    return Run(**(settings | changes))


@st.composite
def whole_runs(draw: st.DrawFn) -> tuple[Run, dict[str, list[float]]]:
    """A Run with the accuracies of its whole log: twentieths, which rise and fall and stay."""
    level = draw(st.sampled_from(LEVELS))
    log = draw(
        st.sampled_from(
            [{"log_ratio": 0.02}, {"log_ratio": 0.05}, {"log_ratio": 0.2}, {"log_every": 7}]
        )
    )
    names = draw(st.sampled_from([("test_acc",), ("train_acc",), ("train_acc", "test_acc")]))
    one = run(
        stop_at=dict.fromkeys(names, level),
        precision=draw(st.sampled_from(["float32", "float64"])),
        **log,
    )
    points = len(log_steps(one))
    columns = {}
    for name in ("train_acc", "test_acc"):
        pieces = st.tuples(st.sampled_from([0.0, *LEVELS, float("nan")]), st.integers(1, points))
        values = [
            value
            for value, length in draw(st.lists(pieces, min_size=1, max_size=8))
            for _ in range(length)
        ]
        columns[name] = [*values, *[values[-1]] * points][:points]
    return one, columns


@given(whole_runs())
def test_times_up_to_the_level_are_those_of_the_whole_run(
    drawn: tuple[Run, dict[str, list[float]]],
) -> None:
    one, columns = drawn
    step = log_steps(one)
    end = end_of(one, step, columns)
    if end is None:
        return
    assert stops_at(one, step, columns, end)
    cut = Curves(
        one,
        np.array(step[: end + 1]),
        {name: np.array(values[: end + 1]) for name, values in columns.items()},
    )
    whole = Curves(
        one, np.array(step), {name: np.array(values) for name, values in columns.items()}
    )
    cut, whole = decode(encode(cut)), decode(encode(whole))
    # Where it stopped is where its own record says.
    assert end_of(one, cut.step.tolist(), cut.columns) == end
    for name, level in one.stop_at:
        for threshold in (each for each in LEVELS if each <= level):
            for hold in (0.05, 0.1):
                early, late = (
                    time_to(each.step, each[name], threshold, hold) for each in (cut, whole)
                )
                assert (early.value, early.reached) == (late.value, late.reached) or not (
                    early.reached or late.reached
                )
                assert early.reached or float(np.float32(level)) < level


def accuracies(one: Run, reached: int, value: float = 1.0) -> dict[str, list[float]]:
    return {"test_acc": [value if step >= reached else 0.0 for step in log_steps(one)]}


@given(st.integers(1, 300))
@example(1)
def test_it_ends_when_a_fifth_of_the_elapsed_steps_has_been_held(reached: int) -> None:
    one = run(log_every=1)
    end = end_of(one, log_steps(one), accuracies(one, reached))
    assert end == -(-reached * 5 // 4)


def test_a_fall_begins_the_wait_anew() -> None:
    one = run(log_every=1)
    values = accuracies(one, 100)
    values["test_acc"][110] = 0.89
    assert (
        end_of(one, log_steps(one), values) == 139
    )  # the first step whose last fifth begins at 111


def test_all_columns_have_to_hold_at_once() -> None:
    one = run(log_every=1, stop_at={"test_acc": 0.9, "train_acc": 0.5})
    columns = accuracies(one, 40) | {
        "train_acc": [0.6 if step >= 80 else 0.4 for step in log_steps(one)]
    }
    assert end_of(one, log_steps(one), columns) == 100


@pytest.mark.parametrize("value", [0.899, float("nan")])
def test_what_is_below_the_level_ends_nothing(value: float) -> None:
    one = run()
    assert end_of(one, log_steps(one), accuracies(one, 10, value)) is None


def test_without_a_level_nothing_ends() -> None:
    one = run(stop_at={})
    assert end_of(one, log_steps(one), accuracies(one, 1)) is None
    assert not stops_at(one, log_steps(one), {}, 5)


# The trainer


def settings(student: Run, digits: Run) -> dict[str, list[Run]]:
    """A few runs of several families, with a level each that some of them reach."""
    addition = Run(
        task="addition",
        model="decoder",
        seed=0,
        n_train=45,
        steps=400,
        lr=1e-2,
        precision="float64",
        data={"representation": "planar", "labels": "modular"},
        network={"hidden": (32, 32), "activation": "relu"},
    )
    return {
        "teacher-student": [
            student.replace(
                seed=k,
                steps=600,
                alpha=alpha,
                weight_decay=1.0,
                stop_at={"train_acc": 0.5},
                log_every=0,
                log_ratio=0.05,
            )
            for k in range(2)
            for alpha in (0.5, 2.0)
        ],
        "mini-batches": [
            digits.replace(seed=k, n_train=n, steps=200, stop_at={"train_acc": 0.6}, log_every=2)
            for k, n in enumerate((40, 50, 60))
        ],
        "addition": [
            addition.replace(seed=k, log_ratio=0.05, stop_at={"train_acc": 0.8}) for k in range(3)
        ],
    }


@pytest.mark.parametrize("family", ["teacher-student", "mini-batches", "addition"])
def test_trained_times_are_those_without_stopping(student: Run, digits: Run, family: str) -> None:
    runs = settings(student, digits)[family]
    stopping, whole = train(runs), train([each.replace(stop_at={}) for each in runs])
    assert any(each.stopped for each in stopping)
    for early, late in zip(stopping, whole, strict=True):
        assert not early.diverged
        ((name, level),) = early.run.stop_at
        points = len(early.step)
        expected = end_of(early.run, late.step.tolist(), late.columns)
        assert points == (len(late.step) if expected is None else expected + 1)
        assert early.stopped == (points < len(late.step))
        np.testing.assert_array_equal(early.step, late.step[:points])
        np.testing.assert_allclose(early["train_loss"], late["train_loss"][:points], rtol=1e-9)
        for threshold in (level / 2, level):
            one, other = (
                time_to(each.step, each[name], threshold, hold=0.1) for each in (early, late)
            )
            assert (one.reached, one.reached and one.value) == (
                other.reached,
                other.reached and other.value,
            )


def test_a_run_that_never_gets_there_goes_to_its_end(digits: Run) -> None:
    (curves,) = train([digits.replace(stop_at={"test_acc": 1.0})])
    assert not curves.stopped
    assert curves.step[-1] == digits.steps


def test_interrupted_runs_stop_at_the_same_step(
    student: Run,
    digits: Run,
    stepwise: Stepwise,
    encoded: Callable[[State], State],
    assert_equal: Callable[..., None],
) -> None:
    runs = settings(student, digits)["mini-batches"]
    whole = train(runs)
    assert any(each.stopped for each in whole)
    for one, other in zip(whole, stepwise(runs, encoded), strict=True):
        assert_equal(one, other, 1e-9)


def test_levels_share_a_stack_and_the_stopped_ones_leave_it(digits: Run) -> None:
    runs = [
        digits.replace(seed=k, steps=100, stop_at={"train_acc": level})
        for k, level in enumerate((0.1, 0.2, 1.0))
    ]
    runs.append(digits.replace(seed=3, steps=100))
    assert len({shape_key(each) for each in runs}) == 1
    stack, done = Stack(runs), []
    while stack.histories:
        done += stack.advance(0)
        assert len(stack.replicas.weights) == max(1, len(stack.histories))
    assert {each.run.seed for each in done if each.stopped} >= {0, 1}


def test_a_run_that_diverges_has_not_stopped(student: Run) -> None:
    (curves,) = train([student.replace(lr=1e200, stop_at={"train_acc": 1.0})])
    assert curves.diverged
    assert not curves.stopped


def test_a_column_that_is_not_logged_is_named(student: Run) -> None:
    with pytest.raises(
        BadInput,
        match=r"stop_at: teacher_student logs no column 'test_acc_top5'; it logs .*test_acc",
    ):
        train([student.replace(stop_at={"test_acc_top5": 0.5})])
