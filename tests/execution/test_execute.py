"""What is missing is trained once, and recorded with where it was trained; a setting that is not
accepted stops only who asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.execution import execute
from omnigrok.execution.engines import worker
from omnigrok.execution.execute import Executor
from omnigrok.execution.tally import Progress
from omnigrok.run import Run

Make = Callable[..., Executor]
Check = Callable[[Executor, Sequence[Run]], None]
Stacks = list[tuple[list[Run], int]]


def recorded(executor: Executor, run: Run) -> Curves:
    curves = executor.store.get(run, executor.environment(run))
    assert curves is not None
    return curves


def test_trains_what_is_missing_and_no_more(
    make: Make, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    runs = [toy.replace(seed=seed) for seed in range(4)]
    executor = make(runs)
    executor.ensure(runs[:1])
    assert [sorted(run.seed for run in members) for members, _ in stacks] == [
        [0, 1, 2, 3]
    ]  # the whole stack, for the items to come
    executor.ensure(runs)
    make(runs).ensure(runs)
    assert len(stacks) == 1
    assert_trained(executor, runs)


def test_a_second_session_trains_what_it_has_more(
    make: Make, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    old, new = [toy], [toy, toy.replace(seed=1)]
    make(old).ensure(old)
    executor = make(new)
    assert executor.missing(new) == [new[1]]
    executor.ensure(new)
    assert [members for members, _ in stacks] == [[toy], [new[1]]]
    assert_trained(executor, new)


def test_runs_that_were_not_planned_are_trained(
    make: Make, toy: Run, assert_trained: Check
) -> None:
    executor = make([])
    executor.ensure([toy])
    assert_trained(executor, [toy])


def test_records_say_where_they_were_trained(make: Make, toy: Run) -> None:
    executor = make([toy, toy.replace(seed=1)])
    executor.ensure([toy])
    provenance = recorded(executor, toy).provenance
    assert {
        "torch": torch.__version__,
        "device": "cpu",
        "precision": "float64",
        "stack": 2,
    }.items() <= provenance.items()
    assert provenance["identity"] == executor.environment(toy).identity
    assert recorded(executor, toy).seconds > 0


def test_another_identity_is_another_result(
    make: Make, monkeypatch: pytest.MonkeyPatch, stacks: Stacks, toy: Run
) -> None:
    make([toy]).ensure([toy])
    for module in (execute, worker):
        monkeypatch.setattr(module, "identity", lambda _: "0" * 16)
    executor = make([toy])
    assert executor.missing([toy]) == [toy]
    executor.ensure([toy])
    assert len(stacks) == 2
    assert executor.store.count() == 2


def test_diverged_runs_are_recorded(make: Make, toy: Run) -> None:
    wild = toy.replace(lr=1e200)
    executor = make([wild, toy])
    executor.ensure([wild, toy])
    assert recorded(executor, wild).diverged
    assert not recorded(executor, toy).diverged


def test_progress_counts_to_the_plan(make: Make, toy: Run) -> None:
    told: list[Progress] = []
    runs = [toy, toy.replace(n_train=11, steps=40)]
    make(runs, report=told.append).ensure(runs)
    last = told[-1]
    assert (last.runs_done, last.runs_planned, last.steps_done, last.steps_planned) == (
        2,
        2,
        140,
        140,
    )
    assert [each.steps_done for each in told] == sorted(each.steps_done for each in told)
    assert told[0].label.startswith("teacher_student, 1 networks, step 20, training losses 0.")


# Settings that are not accepted


def test_a_setting_that_is_not_accepted_stops_only_who_asks_for_it(
    make: Make, toy: Run, assert_trained: Check
) -> None:
    unknown = toy.replace(network={"widths": (3, 4, 2), "activation": "sine"})
    executor = make([unknown, toy])
    executor.ensure([toy])
    assert_trained(executor, [toy])
    with pytest.raises(BadInput, match="activation = 'sine' is not accepted"):
        executor.ensure([unknown])


def test_a_training_set_that_is_too_large_stops_only_who_asks_for_it(
    make: Make, digits: Run, assert_trained: Check
) -> None:
    executor = make([digits, digits.replace(n_train=5001)])
    assert len(executor.stacks) == 1
    executor.ensure([digits])
    assert_trained(executor, [digits])


def test_options_of_a_wrong_type_stop_only_who_asks_for_them(
    make: Make, toy: Run, assert_trained: Check
) -> None:
    strange = toy.replace(network={"widths": ("three", 4, 2), "activation": "tanh"})
    executor = make([strange, toy])
    executor.ensure([toy])
    assert_trained(executor, [toy])
    with pytest.raises(BadInput, match="widths"):
        executor.ensure([strange])
