"""Several workers on one store train every Run once, help each other, and wait for what the others
train.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from omnigrok.errors import BadInput
from omnigrok.execution import execute
from omnigrok.execution.execute import Executor
from omnigrok.execution.interruption import BudgetSpent
from omnigrok.execution.tally import Progress
from omnigrok.run import Run
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Store

Make = Callable[..., Executor]
Check = Callable[[Executor, Sequence[Run]], None]
Stacks = list[tuple[list[Run], int]]
Before = Callable[[pytest.MonkeyPatch, int, Callable[[], object]], None]
Trainer = Callable[[int], Any]
Take = Callable[[Executor, Sequence[Run]], Callable[[], None]]


def test_two_workers_on_one_store_train_every_run_once(
    store: Store, make: Make, trainer: Trainer, toy: Run, assert_trained: Check
) -> None:
    """One holds its first stack until the other has trained the rest and waits for it."""
    sizes = range(10, 14)
    runs = [toy.replace(n_train=n, seed=seed) for n in sizes for seed in (0, 1)]
    with trainer(len(sizes)) as worker:
        assert worker.hear() == "0 40"
        told: list[int] = []

        def report(progress: Progress) -> None:
            told.append(progress.runs_done)
            if progress.runs_done == 6:
                worker.tell(100)

        executor = make(runs, report=report)
        executor.ensure(runs)
        *_, last = worker.process.communicate()[0].splitlines()
    assert (last, executor.tally.runs_done, told[-1]) == ("trained 2", 6, 6)
    assert worker.process.returncode == 0
    assert store.count() == len(runs)
    assert_trained(executor, runs)


@pytest.fixture
def elsewhere(store: Store) -> Take:
    """Lease Runs as another live worker does; the result gives them back."""
    leases = Leases(store)

    def take(executor: Executor, runs: Sequence[Run]) -> Callable[[], None]:
        tokens = leases.acquire(runs, executor.environment(runs[0]), new_owner(), 3600)
        assert len(tokens) == len(runs)
        return lambda: leases.release(tokens)

    return take


def test_while_others_train_what_it_needs_it_helps_and_another_items_failure_does_not_stop_it(
    make: Make,
    elsewhere: Take,
    monkeypatch: pytest.MonkeyPatch,
    stacks: Stacks,
    toy: Run,
    digits: Run,
    assert_trained: Check,
) -> None:
    """A training set that the data does not have is the error of the item that asks for it, here of
    none.
    """
    good, too_many = toy.replace(n_train=11), digits.replace(n_train=5001, steps=10_000)
    executor = make([toy, too_many, good])
    give_back = elsewhere(executor, [toy])
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        assert executor.missing([good]) == []
        give_back()

    monkeypatch.setattr(time, "sleep", nap)
    executor.ensure([toy])
    assert len(naps) == 1
    assert [members for members, _ in stacks] == [[good], [toy]]
    assert_trained(executor, [toy, good])
    with pytest.raises(BadInput, match=r"n_train = 5001, but the bundled source has 5000"):
        executor.ensure([too_many])


def test_the_budget_ends_waiting_too(make: Make, elsewhere: Take, toy: Run) -> None:
    executor = make([toy], budget=0.0)
    elsewhere(executor, [toy])
    with pytest.raises(BudgetSpent):
        executor.ensure([toy])


def test_an_interrupt_ends_waiting_too(make: Make, elsewhere: Take, toy: Run) -> None:
    executor = make([toy])
    elsewhere(executor, [toy])
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        executor.ensure([toy])
    timer.join()


def test_leases_of_the_parts_that_wait_are_kept_alive(make: Make, toy: Run) -> None:
    """A stack whose replicas resume from two steps is trained in two parts; the second waits longer
    than a lease lasts.
    """
    runs = [toy, toy.replace(seed=1)]
    with pytest.raises(BudgetSpent):
        make(runs[:1], budget=0.0).ensure(runs[:1])
    executor = make(runs)
    now = time.time()
    executor.leases.clock = lambda: now
    overtaken: dict[str, int] = {}

    def report(_: Progress) -> None:
        nonlocal now
        now += 0.6 * execute.LEASE_SECONDS
        others = Leases(executor.store, clock=lambda: now)
        overtaken.update(
            others.acquire(executor.missing(runs), executor.environment(toy), new_owner(), 3600)
        )

    executor.report = report
    executor.ensure(runs)
    assert overtaken == {}


def test_leases_outlast_chunks_that_take_longer_than_a_lease(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    toy: Run,
    assert_trained: Check,
    before_chunk: Before,
) -> None:
    """Or two workers would take the same stack from each other for ever, and neither would come to
    an end of it.
    """
    executor = make([toy])
    now = time.time()
    executor.leases.clock = lambda: now
    monkeypatch.setattr(execute, "time", SimpleNamespace(monotonic=lambda: now, sleep=time.sleep))
    others: list[dict[str, int]] = []

    def long_chunk() -> None:
        nonlocal now
        now += 3 * execute.LEASE_SECONDS

    def longer_chunk() -> None:
        nonlocal now
        now += 6 * execute.LEASE_SECONDS
        others.append(
            Leases(executor.store, clock=lambda: now).acquire(
                [toy], executor.environment(toy), new_owner(), 3600
            )
        )

    before_chunk(monkeypatch, 2, long_chunk)
    before_chunk(monkeypatch, 3, longer_chunk)
    executor.ensure([toy])
    assert others == [{}]
    assert_trained(executor, [toy])
