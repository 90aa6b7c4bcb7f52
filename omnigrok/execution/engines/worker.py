"""One process that trains one stack after another: the body of every engine."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import torch

from omnigrok.curves import Curves
from omnigrok.errors import BadInput, DataCheckFailed, OmnigrokError, OutOfMemory
from omnigrok.execution.engines.engine import Failure, Job, Report
from omnigrok.run import Run
from omnigrok.store.store import Environment
from omnigrok.training.device import describe, is_out_of_memory
from omnigrok.training.identity import identity
from omnigrok.training.stack import Stack


class Worker:
    """Trains on one device.

    Args:
        device: where.
        root: the folder of downloaded data.
    """

    def __init__(self, device: torch.device, root: Path) -> None:
        self.device, self.root = device, root
        self.job: Job | None = None
        self.stack: Stack | None = None
        self.saved = 0.0

    def begin(self, job: Job) -> None:
        """Take a job; building its stack is part of the first ``advance``."""
        self.job, self.stack, self.saved = job, None, time.monotonic()

    def advance(self, seconds: float, save_after: float) -> Report:
        """Train for about this many seconds.

        Args:
            save_after: seconds after which the report brings a checkpoint.
        """
        job = self.job
        if job is None:
            raise RuntimeError("a worker without a job is asked to train")
        try:
            if self.stack is None:
                self.stack = Stack(list(job.runs), self.device, self.root, dict(job.states))
            active = tuple(self.stack.histories)
            done = self.stack.advance(seconds)
        except Exception as error:
            failure = as_failure(error)
            if failure is None:
                raise
        else:
            return self._report(job, self.stack, active, done, save_after)
        self.drop()
        # An error that went through torch.func leaves a cycle that holds the stack.
        gc.collect()
        torch.cuda.empty_cache()
        return Report(job.number, active=job.runs, failure=failure)

    def _report(
        self,
        job: Job,
        stack: Stack,
        active: tuple[Run, ...],
        done: list[Curves],
        save_after: float,
    ) -> Report:
        now = time.monotonic()
        due = bool(stack.histories) and now - self.saved > save_after
        report = Report(
            job.number,
            stack.step,
            active,
            done,
            tuple(stack.histories),
            stack.states() if due else {},
            losses_of(stack),
            self.environment(stack),
        )
        if due:
            self.saved = now
        if not stack.histories:
            self.drop()
        return report

    def save(self) -> Report | None:
        """Where the job is, with a checkpoint; None if there is nothing to save."""
        if self.job is None or self.stack is None:
            return None
        left = tuple(self.stack.histories)
        return Report(
            self.job.number,
            self.stack.step,
            active=left,
            left=left,
            states=self.stack.states(),
            losses=losses_of(self.stack),
            env=self.environment(self.stack),
        )

    def environment(self, stack: Stack) -> Environment:
        """What besides a Run decides its numbers here."""
        return Environment(identity(stack.form), str(torch.__version__), describe(self.device))

    def drop(self) -> None:
        """Forget the job."""
        self.job = self.stack = None


def losses_of(stack: Stack) -> tuple[float, ...]:
    """The last training loss of each network that is not finished."""
    return tuple(
        history.columns["train_loss"][-1] for history in stack.histories.values() if history.logged
    )


def as_failure(error: Exception) -> Failure | None:
    """An error without what it holds in memory; None where it is a fault of the program."""
    if isinstance(error, RuntimeError) and is_out_of_memory(error):
        return Failure(OutOfMemory(str(error)), memory=True, divisible=True)
    if isinstance(error, OmnigrokError):
        divisible = isinstance(error, BadInput | DataCheckFailed)
        return Failure(error.with_traceback(None), divisible=divisible)
    return None
