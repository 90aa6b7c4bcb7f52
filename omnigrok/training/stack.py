"""A stack: R networks of one shape, trained as one model with a leading replica axis.

``train`` is a pure function of (Runs, device) to Curves; ``Stack`` is the same in pieces, so that a
caller can save what is finished, checkpoint the rest and stop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from omnigrok.curves import Curves
from omnigrok.data import default_root
from omnigrok.run import Run
from omnigrok.training.beginning import begin
from omnigrok.training.calendar import effective_batch, log_steps
from omnigrok.training.device import arithmetic
from omnigrok.training.evaluate import evaluate
from omnigrok.training.feed import CHUNK, Feed
from omnigrok.training.native import native_step
from omnigrok.training.stackable import shape_key
from omnigrok.training.state import State
from omnigrok.training.step import TorchStep
from omnigrok.training.stopping import stops_at
from omnigrok.training.work import work_of


class Stack:
    """R replicas in training.

    Args:
        runs: Runs with one ``shape_key``.
        device: where they train.
        root: the folder of downloaded data.
        states: checkpoints of all Runs, all at one step; or none.

    Raises:
        BadInput: the Runs do not share a shape or a step, or a data or network option is not
            accepted.
        DataMissing, DataCorrupt, DataCheckFailed: the data are missing or wrong.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        device: torch.device | str = "cpu",
        root: Path | None = None,
        states: Mapping[Run, State] | None = None,
    ) -> None:
        states = states or {}
        self.network, self.replicas = begin(
            runs, torch.device(device), root or default_root(), states
        )
        self.size = len(runs)
        self.width = max(effective_batch(run) for run in runs)
        self.calendar = {run: frozenset(log_steps(run)) for run in runs}
        self.histories = {
            run: states[run] if run in states else State(np.zeros(0), np.zeros(0), np.zeros(0), 0.0)
            for run in runs
        }
        self.finished: list[Curves] = []
        # Seconds of a step on a CPU, once some were taken.
        self._pace = 0.0
        self._settle()

    def _settle(self) -> None:
        """What depends on which replicas there are, and is made again when some have left."""
        network, replicas = self.network, self.replicas
        self.feed = Feed(
            replicas.runs, self.width, bool(network.carries), replicas.dtype, replicas.device
        )
        self.native = native_step(network, replicas)
        self.torch_step = TorchStep(network, replicas, self.feed)

    @property
    def form(self) -> Run:
        """A Run of the stack, to read what all share from."""
        return self.network.form

    @property
    def runs(self) -> list[Run]:
        """The Runs of the rows, those that have finished and not left yet included."""
        return self.replicas.runs

    @property
    def step(self) -> int:
        """Optimiser steps taken."""
        return self.replicas.step

    @property
    def operations_per_step(self) -> float:
        """Floating-point operations of the matrix products of one step of one replica
        (``omnigrok.training.work``).
        """
        kind = self.replicas.device.type
        return work_of(shape_key(self.form), kind).operations * self.width

    @property
    def operations_left(self) -> float:
        """Those of all steps that are left."""
        return sum(run.steps - self.step for run in self.histories) * self.operations_per_step

    def take_steps(self, count: int) -> None:
        """Take ``count`` optimiser steps of all replicas, logged or not, with no host
        synchronisation between them.

        They are the native ones (``omnigrok.training.native``) where there are, or else torch's,
        compiled where that pays. The caller has set the ``arithmetic``.
        """
        for start in range(0, count, CHUNK):
            ahead = min(CHUNK, count - start)
            self.feed.load(self.step, ahead)
            if self.native is not None:
                self.native.train(self.replicas, self.feed, ahead)
            else:
                self.torch_step.take(ahead, self.operations_left)
            self.replicas.step += ahead

    def evaluate(self) -> dict[str, list[float]]:
        """Train and test metrics of all replicas (``omnigrok.training.evaluate``)."""
        return evaluate(self.network, self.replicas, self.native)

    def _log(self) -> None:
        rows = [
            row
            for row, run in enumerate(self.runs)
            if run in self.histories and self.step in self.calendar[run]
        ]
        if not rows or all(
            self.histories[self.runs[row]].logged[-1:] == [self.step] for row in rows
        ):
            return
        columns = self.evaluate()
        for row in rows:
            run = self.runs[row]
            history = self.histories[run]
            history.logged.append(self.step)
            for name, values in columns.items():
                history.columns.setdefault(name, []).append(float(values[row]))
            broken = not np.isfinite(history.columns["train_loss"][-1]) or not np.isfinite(
                history.columns["weight_norm"][-1]
            )
            if (
                broken
                or self.step >= run.steps
                or stops_at(run, history.logged, history.columns, len(history.logged) - 1)
            ):
                self._finish(run, broken)

    def _finish(self, run: Run, diverged: bool) -> None:
        history = self.histories.pop(run)
        columns = {name: np.asarray(values) for name, values in history.columns.items()}
        self.finished.append(
            Curves(
                run, np.asarray(history.logged, dtype=np.int64), columns, diverged, history.seconds
            )
        )

    def advance(self, seconds: float = float("inf")) -> list[Curves]:
        """Train until every replica has finished or ``seconds`` have gone by; returns the Curves
        finished since the last call. With 0 it takes up to 100 steps.

        On a CPU a piece of steps without a look at the clock is no longer than ``seconds``, by the
        pace of the piece before.
        """
        with arithmetic(self.form.precision, self.replicas.device):
            return self._advance_for(seconds)

    def _advance_for(self, seconds: float) -> list[Curves]:
        start = last = time.perf_counter()
        self._log()
        while self.histories:
            ahead = min(self._next_log(run) for run in self.histories) - self.step
            active = len(self.histories)
            count = min(self._piece(seconds), ahead)
            begun = time.perf_counter()
            self.take_steps(count)
            self._pace = (time.perf_counter() - begun) / count
            self._log()
            now = time.perf_counter()
            for history in self.histories.values():
                history.seconds += (now - last) / active
            last = now
            self._compact()
            if now - start > seconds:
                break
        done, self.finished = self.finished, []
        return done

    def _piece(self, seconds: float) -> int:
        """Steps to take before the clock is looked at again."""
        if not 0 < seconds < float("inf") or self.replicas.device.type != "cpu":
            return CHUNK
        return max(1, min(CHUNK, int(seconds / self._pace))) if self._pace else 1

    def _next_log(self, run: Run) -> int:
        steps = log_steps(run)
        return steps[int(np.searchsorted(steps, self.step, side="right"))]

    def _compact(self) -> None:
        """Drop finished replicas: at once, or where the step is compiled or captured for each size,
        when half of the stack is idle.
        """
        active, target = len(self.histories), len(self.runs)
        if not active or active == target:
            return
        if self.torch_step.fixed:
            if active > target // 2:
                return
            while target // 2 >= active:
                target //= 2
        else:
            target = active
        idle = [row for row, run in enumerate(self.runs) if run not in self.histories]
        rows = [row for row, run in enumerate(self.runs) if run in self.histories]
        self.replicas.keep(sorted(rows + idle[: target - active]))
        self._settle()

    def states(self) -> dict[Run, State]:
        """The unfinished replicas, copied to the host, for a checkpoint."""
        return {
            run: self.replicas.saved(row, self.histories[run], self.network.carries)
            for row, run in enumerate(self.runs)
            if run in self.histories
        }


def train(
    runs: Sequence[Run], device: torch.device | str = "cpu", root: Path | None = None
) -> list[Curves]:
    """Train Runs of one shape as one stack: a pure function of (Runs, device) to Curves, in the
    order of ``runs``.

    Raises:
        BadInput: the Runs do not share a shape.
    """
    finished = {curves.run: curves for curves in Stack(runs, device, root).advance()}
    return [finished[run] for run in runs]
