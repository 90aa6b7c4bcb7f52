"""A training that ends before its time, by its budget, a signal, an error or a kill, goes on from
its checkpoint as if nothing had been.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from omnigrok.execution import execute
from omnigrok.execution.execute import Executor
from omnigrok.execution.interruption import BudgetSpent
from omnigrok.run import Run
from omnigrok.store.encode import decode_state
from omnigrok.training import State

Make = Callable[..., Executor]
Check = Callable[[Executor, Sequence[Run]], None]
Stacks = list[tuple[list[Run], int]]
Before = Callable[[pytest.MonkeyPatch, int, Callable[[], object]], None]
Trainer = Callable[[int], Any]


def test_a_spent_budget_ends_with_a_checkpoint_and_the_next_session_goes_on(
    make: Make, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    runs = [toy.replace(seed=seed) for seed in range(2)]
    with pytest.raises(
        BudgetSpent,
        match=r"the --budget is spent; what was trained is saved in .*runs.db: run the same",
    ):
        make(runs, budget=0.0).ensure(runs)
    executor = make(runs)
    assert executor.missing(runs) == runs
    executor.ensure(runs)
    assert [start for _, start in stacks] == [0, 20]
    assert_trained(executor, runs)


def test_small_budgets_add_up(make: Make, toy: Run, assert_trained: Check) -> None:
    for _ in range(4):
        with pytest.raises(BudgetSpent):
            make([toy], budget=0.0).ensure([toy])
    executor = make([toy], budget=0.0)
    with pytest.raises(BudgetSpent):
        executor.ensure([toy])
    assert_trained(executor, [toy])


def test_what_is_recorded_is_served_after_the_budget(
    make: Make, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    make([toy]).ensure([toy])
    executor = make([toy], budget=0.0)
    executor.ensure([toy])
    assert len(stacks) == 1
    assert_trained(executor, [toy])


def test_nothing_is_begun_after_the_budget(make: Make, stacks: Stacks, toy: Run) -> None:
    other = toy.replace(n_train=11)
    executor = make([toy, other], budget=0.0)
    for run in (toy, other):
        with pytest.raises(BudgetSpent):
            executor.ensure([run])
    assert len(stacks) == 1


@pytest.mark.fault("SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_chunk_saves_and_raises(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    stacks: Stacks,
    number: signal.Signals,
    toy: Run,
    assert_trained: Check,
    before_chunk: Before,
) -> None:
    """As Ctrl-C: the chunk is finished and its state saved; what a batch system or a shutdown sends
    costs nothing.
    """
    before = signal.getsignal(number)
    executor = make([toy])
    with monkeypatch.context() as patch:
        before_chunk(patch, 3, lambda: os.kill(os.getpid(), number))
        with pytest.raises(KeyboardInterrupt, match="interrupted; what was trained is saved in"):
            executor.ensure([toy])
    assert signal.getsignal(number) == before
    saved = executor.store.load_checkpoint(toy, executor.environment(toy))
    assert saved is not None
    assert saved[0] == 60
    assert State.from_arrays(60, decode_state(saved[1])[0]).logged == [0, 20, 40, 60]
    executor = make([toy])
    executor.ensure([toy])
    assert [start for _, start in stacks] == [0, 60]
    assert_trained(executor, [toy])


def test_an_interrupt_between_two_chunks_saves_too(make: Make, toy: Run) -> None:
    executor = make([toy], report=lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        executor.ensure([toy])
    assert executor.store.load_checkpoint(toy, executor.environment(toy)) is not None


def test_an_error_in_the_middle_gives_the_leases_back(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    toy: Run,
    assert_trained: Check,
    before_chunk: Before,
) -> None:
    executor = make([toy])

    def fail() -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        before_chunk(patch, 2, fail)
        with pytest.raises(RuntimeError, match="a fault"):
            executor.ensure([toy])
    make([toy]).ensure([toy])
    assert_trained(executor, [toy])


def test_checkpoints_are_written_from_time_to_time(
    make: Make, monkeypatch: pytest.MonkeyPatch, toy: Run
) -> None:
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
    steps = []
    executor = make([toy])
    executor.report = lambda _: steps.append(
        (executor.store.load_checkpoint(toy, executor.environment(toy)) or (None,))[0]
    )
    executor.ensure([toy])
    assert steps == [20, 40, 60, 80, None]


def test_replicas_with_checkpoints_of_several_steps_are_resumed_each_from_its_own(
    make: Make, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    runs = [toy.replace(seed=seed) for seed in range(3)]
    for run, chunks in ((runs[0], 1), (runs[1], 2)):
        for _ in range(chunks):
            with pytest.raises(BudgetSpent):
                make([run], budget=0.0).ensure([run])
    stacks.clear()
    executor = make(runs)
    executor.ensure(runs)
    assert sorted((start, [run.seed for run in members]) for members, start in stacks) == [
        (0, [2]),
        (20, [0]),
        (40, [1]),
    ]
    assert_trained(executor, runs)


def test_killed_in_the_middle_the_same_command_goes_on(
    make: Make, trainer: Trainer, stacks: Stacks, toy: Run, assert_trained: Check
) -> None:
    """SIGKILL after the second chunk's checkpoint: its dead lease is taken over at once, and the
    curves are those of no kill.
    """
    with trainer(1) as worker:
        assert worker.hear() == "0 40"  # two networks, 20 steps
        worker.tell()
        assert worker.hear() == "0 80"
        worker.process.send_signal(signal.SIGKILL)
    assert worker.process.returncode == -signal.SIGKILL
    runs = [toy, toy.replace(seed=1)]
    executor = make(runs)
    assert executor.missing(runs) == runs
    began = time.monotonic()
    executor.ensure(runs)
    assert time.monotonic() - began < execute.LEASE_SECONDS / 4
    assert [start for _, start in stacks] == [40]
    assert_trained(executor, runs)
