"""What is missing is trained once, whoever asks, and whatever ends the training before its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from omnigrok.errors import BadInput
from omnigrok.runs import Curves, Run, execute, freeze
from omnigrok.runs.encode import decode_state
from omnigrok.runs.execute import BudgetSpent, Executor
from omnigrok.runs.lease import Leases, new_owner
from omnigrok.runs.store import Store
from omnigrok.runs.tally import Progress
from omnigrok.training import Stack, State, train

CPU = torch.device("cpu")
FORM = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=10,
    steps=100,
    lr=1e-2,
    log_every=20,
    precision="float64",
    data=freeze({"n_test": 5}),
    network=freeze({"widths": (3, 4, 2), "activation": "tanh"}),
)
BUNDLED = {"source": "bundled", "n_test": 10}
DIGITS = FORM.replace(task="mnist", batch_size=4, steps=20, data=BUNDLED, network={"widths": (784, 4, 10), "activation": "relu"})
TOO_MANY = DIGITS.replace(n_train=5001)
UNKNOWN = FORM.replace(network={"widths": (3, 4, 2), "activation": "sine"})

# Arguments: the store, a Run, the number of training sizes. Says after each chunk how far it is, and goes on when told to.
WORKER = """
import json, sys, torch
from pathlib import Path
from omnigrok.runs import Run, execute
from omnigrok.runs.store import Store
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
FORM = Run.from_dict(json.loads(sys.argv[2]))
def report(progress):
    print(progress.runs_done, progress.steps_done, flush=True)
    sys.stdin.readline()
with Store(sys.argv[1]) as store:
    runs = [FORM.replace(n_train=n, seed=seed) for n in range(10, 10 + int(sys.argv[3])) for seed in (0, 1)]
    executor = execute.Executor(store, torch.device("cpu"), Path(), runs, report=report)
    executor.ensure(runs)
    print("trained", executor.tally.runs_done, flush=True)
"""

Make = Callable[..., Executor]
Start = Callable[..., "subprocess.Popen[str]"]
Take = Callable[[Executor, Sequence[Run]], Callable[[], None]]


@pytest.fixture(autouse=True)
def _every_chunk_is_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)


@pytest.fixture
def make(store: Store) -> Make:
    def executor(runs: Sequence[Run], **options: object) -> Executor:
        return Executor(store, CPU, Path(), runs, **options)  # type: ignore[arg-type]

    return executor


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Run], int]]:
    """The Runs of every stack that is trained, and the step it starts from."""
    made: list[tuple[list[Run], int]] = []

    class Noted(Stack):
        def __init__(self, runs: Sequence[Run], *arguments: object) -> None:
            super().__init__(runs, *arguments)  # type: ignore[arg-type]
            made.append((list(runs), self.step))

    monkeypatch.setattr(execute, "Stack", Noted)
    return made


def before_chunk(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Do something before the ``number``-th chunk of training of all stacks."""
    advance, calls = Stack.advance, iter(range(1, 1_000_000))

    def acting(self: Stack, seconds: float) -> list[Curves]:
        if next(calls) == number:
            act()
        return advance(self, seconds)

    monkeypatch.setattr(Stack, "advance", acting)


def recorded(executor: Executor, run: Run) -> Curves:
    curves = executor.store.get(run, executor.environment(run))
    assert curves is not None
    return curves


def read(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def say(worker: subprocess.Popen[str], times: int = 1) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go on\n" * times)
    worker.stdin.flush()


@lru_cache(maxsize=64)
def uninterrupted(run: Run) -> Curves:
    return train([run])[0]


def assert_trained(executor: Executor, runs: Sequence[Run]) -> None:
    """Every Run has the Curves of an uninterrupted training, and nothing is left of the work on it."""
    for run in runs:
        found, expected = recorded(executor, run), uninterrupted(run)
        assert found.run == run
        np.testing.assert_array_equal(found.step, expected.step)
        for name in expected.columns:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
        assert executor.store.load_checkpoint(run, executor.environment(run)) is None
    assert executor.leases.holders(runs, executor.environment(runs[0])) == {}


# Trained once


def test_trains_what_is_missing_and_no_more(make: Make, stacks: list[tuple[list[Run], int]]) -> None:
    runs = [FORM.replace(seed=seed) for seed in range(4)]
    executor = make(runs)
    executor.ensure(runs[:1])
    assert [sorted(run.seed for run in members) for members, _ in stacks] == [[0, 1, 2, 3]]  # the whole stack, for the items to come
    executor.ensure(runs)
    make(runs).ensure(runs)
    assert len(stacks) == 1
    assert_trained(executor, runs)


def test_a_second_session_trains_what_it_has_more(make: Make, stacks: list[tuple[list[Run], int]]) -> None:
    old, new = [FORM], [FORM, FORM.replace(seed=1)]
    make(old).ensure(old)
    executor = make(new)
    assert executor.missing(new) == [new[1]]
    executor.ensure(new)
    assert [members for members, _ in stacks] == [[FORM], [new[1]]]
    assert_trained(executor, new)


def test_runs_that_were_not_planned_are_trained(make: Make) -> None:
    executor = make([])
    executor.ensure([FORM])
    assert_trained(executor, [FORM])


def test_records_say_where_they_were_trained(make: Make) -> None:
    executor = make([FORM, FORM.replace(seed=1)])
    executor.ensure([FORM])
    provenance = recorded(executor, FORM).provenance
    assert {"torch": torch.__version__, "device": "cpu", "precision": "float64", "stack": 2}.items() <= provenance.items()
    assert provenance["fingerprint"] == executor.environment(FORM).fingerprint
    assert recorded(executor, FORM).seconds > 0


def test_another_fingerprint_is_another_result(make: Make, monkeypatch: pytest.MonkeyPatch, stacks: list[tuple[list[Run], int]]) -> None:
    make([FORM]).ensure([FORM])
    monkeypatch.setattr(execute, "fingerprint", lambda _: "0" * 16)
    executor = make([FORM])
    assert executor.missing([FORM]) == [FORM]
    executor.ensure([FORM])
    assert len(stacks) == 2
    assert executor.store.count() == 2


def test_diverged_runs_are_recorded(make: Make) -> None:
    wild = FORM.replace(lr=1e200)
    executor = make([wild, FORM])
    executor.ensure([wild, FORM])
    assert recorded(executor, wild).diverged
    assert not recorded(executor, FORM).diverged


def test_progress_counts_to_the_plan(make: Make) -> None:
    told: list[Progress] = []
    runs = [FORM, FORM.replace(n_train=11, steps=40)]
    make(runs, report=told.append).ensure(runs)
    last = told[-1]
    assert (last.runs_done, last.runs_planned, last.steps_done, last.steps_planned) == (2, 2, 140, 140)
    assert [each.steps_done for each in told] == sorted(each.steps_done for each in told)
    assert told[0].label.startswith("teacher_student, 1 networks, step 20, training losses 0.")


# Ended before its time


def test_a_spent_budget_ends_with_a_checkpoint_and_the_next_session_goes_on(make: Make, stacks: list[tuple[list[Run], int]]) -> None:
    runs = [FORM.replace(seed=seed) for seed in range(2)]
    with pytest.raises(BudgetSpent, match=r"the --budget is spent; what was trained is saved in .*runs.db: run the same command"):
        make(runs, budget=0.0).ensure(runs)
    executor = make(runs)
    assert executor.missing(runs) == runs
    executor.ensure(runs)
    assert [start for _, start in stacks] == [0, 20]
    assert_trained(executor, runs)


def test_small_budgets_add_up(make: Make) -> None:
    for _ in range(4):
        with pytest.raises(BudgetSpent):
            make([FORM], budget=0.0).ensure([FORM])
    executor = make([FORM], budget=0.0)
    with pytest.raises(BudgetSpent):
        executor.ensure([FORM])
    assert_trained(executor, [FORM])


def test_what_is_recorded_is_served_after_the_budget(make: Make) -> None:
    make([FORM]).ensure([FORM])
    make([FORM], budget=0.0).ensure([FORM])


def test_nothing_is_begun_after_the_budget(make: Make, stacks: list[tuple[list[Run], int]]) -> None:
    other = FORM.replace(n_train=11)
    executor = make([FORM, other], budget=0.0)
    for run in (FORM, other):
        with pytest.raises(BudgetSpent):
            executor.ensure([run])
    assert len(stacks) == 1


@pytest.mark.fault("SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_chunk_saves_and_raises(
    make: Make, monkeypatch: pytest.MonkeyPatch, stacks: list[tuple[list[Run], int]], number: signal.Signals
) -> None:
    """As Ctrl-C: the chunk is finished and its state saved; what a batch system or a shutdown sends costs nothing."""
    before = signal.getsignal(number)
    executor = make([FORM])
    with monkeypatch.context() as patch:
        before_chunk(patch, 3, lambda: os.kill(os.getpid(), number))
        with pytest.raises(KeyboardInterrupt, match="interrupted; what was trained is saved in"):
            executor.ensure([FORM])
    assert signal.getsignal(number) == before
    saved = executor.store.load_checkpoint(FORM, executor.environment(FORM))
    assert saved is not None
    assert saved[0] == 60
    assert State.from_arrays(60, decode_state(saved[1])[0]).logged == [0, 20, 40, 60]
    executor = make([FORM])
    executor.ensure([FORM])
    assert [start for _, start in stacks] == [0, 60]
    assert_trained(executor, [FORM])


def test_an_interrupt_between_two_chunks_saves_too(make: Make) -> None:
    executor = make([FORM], report=lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        executor.ensure([FORM])
    assert executor.store.load_checkpoint(FORM, executor.environment(FORM)) is not None


def test_an_error_in_the_middle_gives_the_leases_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = make([FORM])

    def fail() -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        before_chunk(patch, 2, fail)
        with pytest.raises(RuntimeError, match="a fault"):
            executor.ensure([FORM])
    make([FORM]).ensure([FORM])
    assert_trained(executor, [FORM])


def test_checkpoints_are_written_from_time_to_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
    steps = []
    executor = make([FORM])
    executor.report = lambda _: steps.append((executor.store.load_checkpoint(FORM, executor.environment(FORM)) or (None,))[0])
    executor.ensure([FORM])
    assert steps == [20, 40, 60, 80, None]


def test_replicas_with_checkpoints_of_several_steps_are_resumed_each_from_its_own(make: Make, stacks: list[tuple[list[Run], int]]) -> None:
    runs = [FORM.replace(seed=seed) for seed in range(3)]
    for run, chunks in ((runs[0], 1), (runs[1], 2)):
        for _ in range(chunks):
            with pytest.raises(BudgetSpent):
                make([run], budget=0.0).ensure([run])
    stacks.clear()
    executor = make(runs)
    executor.ensure(runs)
    assert sorted((start, [run.seed for run in members]) for members, start in stacks) == [(0, [2]), (20, [0]), (40, [1])]
    assert_trained(executor, runs)


def test_killed_in_the_middle_the_same_command_goes_on(store: Store, make: Make, start: Start, stacks: list[tuple[list[Run], int]]) -> None:
    """SIGKILL after the second chunk's checkpoint: its dead lease is taken over at once, and the curves are those of no kill."""
    with start(WORKER, store.path, json.dumps(FORM.as_dict()), 1) as worker:
        assert read(worker) == "0 40"  # two networks, 20 steps
        say(worker)
        assert read(worker) == "0 80"
        worker.send_signal(signal.SIGKILL)
    assert worker.returncode == -signal.SIGKILL
    runs = [FORM, FORM.replace(seed=1)]
    executor = make(runs)
    assert executor.missing(runs) == runs
    began = time.monotonic()
    executor.ensure(runs)
    assert time.monotonic() - began < execute.LEASE_SECONDS / 4
    assert [start for _, start in stacks] == [40]
    assert_trained(executor, runs)


# Several workers


def test_two_workers_on_one_store_train_every_run_once(store: Store, make: Make, start: Start) -> None:
    """One holds its first stack until the other has trained the rest and waits for it."""
    sizes = range(10, 14)
    runs = [FORM.replace(n_train=n, seed=seed) for n in sizes for seed in (0, 1)]
    with start(WORKER, store.path, json.dumps(FORM.as_dict()), len(sizes)) as worker:
        assert read(worker) == "0 40"
        told: list[int] = []

        def report(progress: Progress) -> None:
            told.append(progress.runs_done)
            if progress.runs_done == 6:
                say(worker, 100)

        executor = make(runs, report=report)
        executor.ensure(runs)
        *_, last = worker.communicate()[0].splitlines()
    assert (last, executor.tally.runs_done, told[-1]) == ("trained 2", 6, 6)
    assert worker.returncode == 0
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
    make: Make, elsewhere: Take, monkeypatch: pytest.MonkeyPatch, stacks: list[tuple[list[Run], int]]
) -> None:
    """A training set that the data does not have is the error of the item that asks for it, here of none."""
    good = FORM.replace(n_train=11)
    executor = make([FORM, TOO_MANY.replace(steps=10_000), good])
    give_back = elsewhere(executor, [FORM])
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        assert executor.missing([good]) == []
        give_back()

    monkeypatch.setattr(time, "sleep", nap)
    executor.ensure([FORM])
    assert len(naps) == 1
    assert [members for members, _ in stacks] == [[good], [FORM]]
    assert_trained(executor, [FORM, good])
    with pytest.raises(BadInput, match=r"n_train = 5001, but the bundled source has 5000"):
        executor.ensure([TOO_MANY.replace(steps=10_000)])


def test_the_budget_ends_waiting_too(make: Make, elsewhere: Take) -> None:
    executor = make([FORM], budget=0.0)
    elsewhere(executor, [FORM])
    with pytest.raises(BudgetSpent):
        executor.ensure([FORM])


def test_an_interrupt_ends_waiting_too(make: Make, elsewhere: Take) -> None:
    executor = make([FORM])
    elsewhere(executor, [FORM])
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        executor.ensure([FORM])
    timer.join()


def test_leases_of_the_parts_that_wait_are_kept_alive(make: Make) -> None:
    """A stack whose replicas resume from two steps is trained in two parts; the second waits longer than a lease lasts."""
    runs = [FORM, FORM.replace(seed=1)]
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
        overtaken.update(others.acquire(executor.missing(runs), executor.environment(FORM), new_owner(), 3600))

    executor.report = report
    executor.ensure(runs)
    assert overtaken == {}


# Settings that are not accepted


def test_a_setting_that_is_not_accepted_stops_only_who_asks_for_it(make: Make) -> None:
    executor = make([UNKNOWN, FORM])
    executor.ensure([FORM])
    assert_trained(executor, [FORM])
    with pytest.raises(BadInput, match="activation = 'sine' is not accepted"):
        executor.ensure([UNKNOWN])


def test_a_training_set_that_is_too_large_stops_only_who_asks_for_it(make: Make) -> None:
    executor = make([DIGITS, TOO_MANY])
    assert len(executor.stacks) == 1
    executor.ensure([DIGITS])
    assert_trained(executor, [DIGITS])


def test_options_of_a_wrong_type_stop_only_who_asks_for_them(make: Make) -> None:
    executor = make([FORM.replace(network={"widths": ("three", 4, 2), "activation": "tanh"}), FORM])
    executor.ensure([FORM])
