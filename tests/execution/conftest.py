"""Executors and worker processes on a store, and an engine
that can be told to fail.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from store_fixtures import (
    TOY,
    env,
    make_curves,
    refusal_naming,
    same,
    small_disk,
    start,
    start_python,
    store,
    toy,
)

from omnigrok.curves import Curves
from omnigrok.execution import execute
from omnigrok.execution.engines import Job, LocalEngine, Report, worker
from omnigrok.execution.engines.worker import Worker
from omnigrok.execution.execute import Executor
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.training import Stack, train

__all__ = ["env", "make_curves", "refusal_naming", "same", "small_disk", "start", "store", "toy"]


@pytest.fixture(scope="session")
def digits() -> Run:
    """A mini-batch setting on the bundled MNIST images, of which there are 5000 to train on."""
    data = {"source": "bundled", "n_test": 10}
    return TOY.replace(
        task="mnist",
        batch_size=4,
        steps=20,
        data=data,
        network={"widths": (784, 4, 10), "activation": "relu"},
    )


@lru_cache(maxsize=64)
def _uninterrupted(run: Run) -> Curves:
    return train([run])[0]


def _assert_trained(executor: Executor, runs: Sequence[Run]) -> None:
    for run in runs:
        found, expected = executor.store.get(run, executor.environment(run)), _uninterrupted(run)
        assert found is not None
        assert found.run == run
        np.testing.assert_array_equal(found.step, expected.step)
        for name in expected.columns:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
        assert executor.store.load_checkpoint(run, executor.environment(run)) is None
    assert executor.leases.holders(runs, executor.environment(runs[0])) == {}


@pytest.fixture(scope="session")
def assert_trained() -> Callable[[Executor, Sequence[Run]], None]:
    """Every Run has the Curves of an uninterrupted training, and nothing is left of the
    work on it.
    """
    return _assert_trained


@pytest.fixture
def make(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Executor]:
    """Makes executors of one store, for which every chunk is a heartbeat."""
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)

    def executor(runs: Sequence[Run], **options: object) -> Executor:
        return Executor(store, LocalEngine(torch.device("cpu"), Path()), runs, **options)

    return executor


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Run], int]]:
    """The Runs of every stack that is trained, and the step it starts from."""
    made: list[tuple[list[Run], int]] = []

    class Noted(Stack):
        def __init__(self, runs: Sequence[Run], *arguments: object) -> None:
            super().__init__(runs, *arguments)  # type: ignore[arg-type]
            made.append((list(runs), self.step))

    monkeypatch.setattr(worker, "Stack", Noted)
    return made


def _before_chunk(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    advance, calls = Stack.advance, iter(range(1, 1_000_000))

    def acting(self: Stack, seconds: float = float("inf")) -> list[Curves]:
        if next(calls) == number:
            act()
        return advance(self, seconds)

    monkeypatch.setattr(Stack, "advance", acting)


@pytest.fixture(scope="session")
def before_chunk() -> Callable[[pytest.MonkeyPatch, int, Callable[[], object]], None]:
    """Does something, once, before the ``number``-th chunk of training of all stacks."""
    return _before_chunk


# Arguments: the store, a Run, the number of training sizes. Says after each chunk how far it is,
# and goes on when told to.
_WORKER = """
import json, sys, torch
from pathlib import Path
from omnigrok.run import Run
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine
from omnigrok.store.store import Store
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
toy = Run.from_dict(json.loads(sys.argv[2]))
def report(progress):
    print(progress.runs_done, progress.steps_done, flush=True)
    sys.stdin.readline()
with Store(sys.argv[1]) as store:
    sizes = range(10, 10 + int(sys.argv[3]))
    runs = [toy.replace(n_train=n, seed=seed) for n in sizes for seed in (0, 1)]
    engine = LocalEngine(torch.device("cpu"), Path())
    executor = execute.Executor(store, engine, runs, report=report)
    executor.ensure(runs)
    print("trained", executor.tally.runs_done, flush=True)
"""


class Trainer:
    """Another process that trains the toy Run at several training sizes, two seeds each; every
    chunk is a heartbeat and a checkpoint.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __enter__(self) -> Trainer:
        self.process.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.__exit__(*raised)  # type: ignore[arg-type]

    def hear(self) -> str:
        """What it says after a chunk: runs done, steps done."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, times: int = 1) -> None:
        """Let it take so many chunks more."""
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n" * times)
        self.process.stdin.flush()


@pytest.fixture
def trainer(store: Store) -> Callable[[int], Trainer]:
    """Starts a Trainer on the store of this test, with so many training sizes from 10 on."""
    return lambda sizes: Trainer(
        start_python(_WORKER, store.path, json.dumps(TOY.as_dict()), sizes)
    )


class FaultyEngine:
    """An ``Engine`` of several workers in this process, which take turns; a fault may replace any
    report.

    Args:
        slots: jobs at once.
        fault: what to report of a job instead, after it has trained; None for the truth.
    """

    kind, background, shared = "cpu", True, ""
    device, memory = "cpu", float("inf")
    torch = str(torch.__version__)

    def __init__(
        self, slots: int = 2, fault: Callable[[Job, Report], Report | None] | None = None
    ) -> None:
        self.slots, self.fault = slots, fault
        self.workers: dict[int, Worker] = {}
        self.submitted: list[Job] = []
        self.closed = False

    def submit(self, job: Job) -> None:
        assert len(self.workers) < self.slots
        self.submitted.append(job)
        made = self.workers[job.number] = Worker(torch.device("cpu"), Path())
        made.begin(job)

    def poll(self, seconds: float, save_after: float) -> list[Report]:
        reports = []
        for number, each in list(self.workers.items()):
            job = each.job
            assert job is not None
            report = each.advance(seconds, save_after)
            report = (self.fault(job, report) if self.fault else None) or report
            reports.append(report)
            if report.lost or not report.left:
                del self.workers[number]
        return reports

    def cancel(self, job: Job) -> None:
        self.workers.pop(job.number, None)

    def stop(self) -> list[Report]:
        reports = [each.save() for each in self.workers.values()]
        self.workers = {}
        return [report for report in reports if report is not None]

    def rest(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[FaultyEngine]:
    """The engine, for executors that save every chunk."""
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
    return FaultyEngine
