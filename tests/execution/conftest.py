"""A toy Run that trains in milliseconds, a store, and an engine that can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from omnigrok.execution import execute
from omnigrok.execution.engines import Job, Report
from omnigrok.execution.engines.worker import Worker
from omnigrok.run import Run, freeze
from omnigrok.store.store import Store

TOY = Run(
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
        worker = self.workers[job.number] = Worker(torch.device("cpu"), Path())
        worker.begin(job)

    def poll(self, seconds: float, save_after: float) -> list[Report]:
        reports = []
        for number, worker in list(self.workers.items()):
            job = worker.job
            assert job is not None
            report = worker.advance(seconds, save_after)
            report = (self.fault(job, report) if self.fault else None) or report
            reports.append(report)
            if report.lost or not report.left:
                del self.workers[number]
        return reports

    def cancel(self, job: Job) -> None:
        self.workers.pop(job.number, None)

    def stop(self) -> list[Report]:
        reports = [worker.save() for worker in self.workers.values()]
        self.workers = {}
        return [report for report in reports if report is not None]

    def rest(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def toy() -> Run:
    return TOY


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[FaultyEngine]:
    """The engine, for executors that save every chunk."""
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
    return FaultyEngine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.db") as one:
        yield one
