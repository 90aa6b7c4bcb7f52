"""A stack: R networks of one shape, trained as one model with a leading replica axis.

``train`` is a pure function of (Runs, device) to Curves; ``Stack`` is the same in pieces, so that a
caller can save what is finished, checkpoint the rest and stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from omnigrok.curves import Curves
from omnigrok.data import Split, default_root, find_task
from omnigrok.errors import BadInput, DataCheckFailed
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.training import graph
from omnigrok.training.calendar import effective_batch, log_steps
from omnigrok.training.contents import Contents, check_seeds
from omnigrok.training.device import (
    arithmetic,
    compile_any_shape,
    drawing_float32,
    quiet_compiler,
    share_compiler,
    should_compile,
)
from omnigrok.training.evaluate import evaluate
from omnigrok.training.feed import CHUNK, Feed
from omnigrok.training.native import native_step
from omnigrok.training.network import Flat, Network
from omnigrok.training.objective import storage_dtype
from omnigrok.training.optimizer import adamw_, clip
from omnigrok.training.samples import Samples
from omnigrok.training.shape import shape_key
from omnigrok.training.sphere import held_square, remove_radial, rescale_
from omnigrok.training.state import State
from omnigrok.training.stopping import stops_at
from omnigrok.training.work import work_of


class Stack:
    """R replicas in training.

    Args:
        runs: Runs with one ``shape_key``.
        device: where they train.
        root: the folder of downloaded data.
        states: checkpoints of some of the Runs, all at one step; the others must then be absent.

    Raises:
        BadInput: the Runs do not share a shape or a step, or a data or network option is not
            accepted.
        DataMissing, DataCorrupt: from the data module.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        device: torch.device | str = "cpu",
        root: Path | None = None,
        states: Mapping[Run, State] | None = None,
    ) -> None:
        keys = {shape_key(run) for run in runs}
        if len(keys) != 1:
            raise BadInput(f"a stack needs Runs of one shape; these have {len(keys)}")
        self.device = torch.device(device)
        self.root = root or default_root()
        self.runs = list(runs)
        self.size = len(self.runs)
        self.form = self.runs[0]
        self.dtype = storage_dtype(self.form)
        self.task = find_task(self.form.task)
        self.architecture = find_model(self.form.model)
        self._build(states or {})
        self.width = max(effective_batch(run) for run in self.runs)
        self._settle()
        self.finished: list[Curves] = []
        self.calendar = {run: frozenset(log_steps(run)) for run in self.runs}

    def _settle(self) -> None:
        """What depends on which replicas there are, and is made anew when some have left."""
        self.full_batch: tuple[tuple[Tensor, ...], Tensor, Tensor | None] | None = None
        self._compiled: (
            tuple[Callable[..., tuple[Tensor, dict[str, Tensor]]], Callable[..., None]] | None
        ) = None
        self.feed = Feed(self.runs, self.width, bool(self.carries), self.dtype, self.device)
        self.native = native_step(self)
        self.replayed = graph.Replayed(self.device) if graph.wanted(self.device) else None

    def _build(self, states: Mapping[Run, State]) -> None:
        splits, vectors, buffers = [], [], []
        contents = Contents()
        with torch.random.fork_rng(devices=[]), drawing_float32():
            for run in self.runs:
                torch.manual_seed(run.seed)
                splits.append(self.task.split(run, self.root))
                _check_split(run, splits[-1])
                if not getattr(self.task, "REPEATED_INPUTS", False):
                    contents.check(run, splits[-1])
                model = self.architecture.build(run).to(self.dtype)
                with torch.no_grad():
                    vectors.append(
                        torch.cat([parameter.reshape(-1) for parameter in model.parameters()])
                        * run.alpha
                    )
                buffers.append(dict(model.named_buffers()))
        check_seeds(self.runs, splits, vectors, contents)
        self.template = model.to("meta")
        self.carries: tuple[str, ...] = tuple(getattr(model, "carries", ()))
        self.flat = Flat(self.template)
        self.network = Network(self.form, self.template, self.flat, self.carries)
        self.buffers = {
            name: torch.stack([each[name] for each in buffers]).to(self.device)
            for name in buffers[0]
        }
        self.samples = Samples(splits, self.dtype, self.device)
        steps = {states[run].step if run in states else 0 for run in self.runs}
        if len(steps) != 1:
            raise BadInput(f"a stack resumes at one step; these checkpoints are at {sorted(steps)}")
        self.step = steps.pop()
        self.weights = torch.stack(vectors).to(self.device)
        self.first, self.second = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.held = held_square(self.weights, self.form.constraint, self.flat.sizes[0])
        self.histories = {
            run: states[run] if run in states else State(np.zeros(0), np.zeros(0), np.zeros(0), 0.0)
            for run in self.runs
        }
        if states:
            for row, run in enumerate(self.runs):
                state = states[run]
                for tensor, values in (
                    (self.weights, state.weights),
                    (self.first, state.first),
                    (self.second, state.second),
                ):
                    tensor[row] = torch.as_tensor(values, dtype=self.dtype)
                self.held[row] = state.held
                for name, carried in state.carried.items():
                    self.buffers[name][row] = torch.as_tensor(carried)

    @property
    def operations_per_step(self) -> float:
        """Floating-point operations of the matrix products of one step of one replica
        (``omnigrok.training.work``).
        """
        return work_of(shape_key(self.form), self.device.type).operations * self.width

    def _stepper(
        self,
    ) -> tuple[Callable[..., tuple[Tensor, dict[str, Tensor]]], Callable[..., None]]:
        """The gradient and the update, compiled where that pays.

        The projection stays outside: fused with a reduction over the weights it just wrote,
        inductor 2.13 fails on the CPU (KeyError on a buffer in outer-loop fusion).
        """
        if self._compiled is None:
            remaining = sum(run.steps - self.step for run in self.runs if run in self.histories)
            self._compiled = self.network.gradient, adamw_
            work = remaining * self.operations_per_step
            if should_compile(work, getattr(self.architecture, "COMPILE", True), self.device):
                share_compiler()
                self._compiled = (
                    torch.compile(self.network.gradient, dynamic=False),
                    torch.compile(adamw_, dynamic=compile_any_shape(work)),
                )
        return self._compiled

    def leave_uncompiled(self) -> None:
        """Take torch's steps as they are, to spare the seconds of compiling them."""
        self._compiled = self.network.gradient, adamw_

    def _take_step(self) -> None:
        """Batch, forward, backward, update and projection of all replicas, in place; the host is
        asked for nothing.
        """
        form, first_size, turn = self.form, self.flat.sizes[0], self.feed.take()
        gradient_of, update = self._stepper()
        if turn.begins is not None:
            for name in self.carries:
                values = self.buffers[name]
                values.masked_fill_(turn.begins.view(-1, *[1] * (values.ndim - 1)), 0)
        if turn.positions is None:
            inputs, targets, real = self._fixed_batch()
        else:
            inputs, targets = self.samples.take(self.samples.train.gather(1, turn.positions))
            real = turn.real
        gradient, carried = gradient_of(self.weights, self.buffers, inputs, targets, real)
        for name, values in carried.items():
            self.buffers[name].copy_(values)
        if form.constraint == "tangent":
            gradient = remove_radial(gradient, self.weights)
        if form.clip:
            gradient = clip(gradient, form.clip)
        if form.constraint == "published":
            rescale_(self.weights, self.held, form.constraint, first_size)
        update(
            self.weights,
            self.first,
            self.second,
            gradient,
            form.betas,
            turn.decay,
            turn.step_size,
            turn.second,
        )
        if form.constraint in ("rescale", "rescale_double", "tangent"):
            rescale_(self.weights, self.held, form.constraint, first_size)

    def _step(self) -> None:
        """Take one step; on CUDA the captured one, if there is one."""
        if self.replayed is None:
            self._take_step()
        else:
            self.replayed(self._take_step)

    def _fixed_batch(self) -> tuple[tuple[Tensor, ...], Tensor, Tensor | None]:
        if self.full_batch is None:
            inputs, targets = self.samples.take(self.samples.train)
            real = self.samples.train_real if self.samples.filled_up else None
            self.full_batch = inputs, targets, real
        return self.full_batch

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
                self.native.train(self, ahead)
            else:
                self._take_torch_steps(ahead)
            self.step += ahead

    def _take_torch_steps(self, count: int) -> None:
        with quiet_compiler():
            for _ in range(count):
                self._step()

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
        columns = evaluate(self)
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
        finished since the last call.
        """
        with arithmetic(self.form.precision, self.device):
            return self._advance_for(seconds)

    def _advance_for(self, seconds: float) -> list[Curves]:
        start = last = time.perf_counter()
        self._log()
        while self.histories:
            ahead = min(self._next_log(run) for run in self.histories)
            active = len(self.histories)
            self.take_steps(min(CHUNK, ahead - self.step))
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
        if self.replayed is not None or self._compiled not in (
            None,
            (self.network.gradient, adamw_),
        ):
            if active > target // 2:
                return
            while target // 2 >= active:
                target //= 2
        else:
            target = active
        idle = [row for row, run in enumerate(self.runs) if run not in self.histories]
        rows = sorted(
            [row for row, run in enumerate(self.runs) if run in self.histories]
            + idle[: target - active]
        )
        index = torch.tensor(rows, device=self.device)
        self.runs = [self.runs[row] for row in rows]
        self.weights, self.first, self.second = (
            self.weights[index],
            self.first[index],
            self.second[index],
        )
        self.held = self.held[index]
        self.buffers = {name: values[index] for name, values in self.buffers.items()}
        self.samples.keep(index)
        self._settle()

    def states(self) -> dict[Run, State]:
        """The unfinished replicas, copied to the host, for a checkpoint."""
        saved: dict[Run, State] = {}
        for row, run in enumerate(self.runs):
            if run in self.histories:
                old = self.histories[run]
                weights, first, second = (
                    tensor[row].cpu().numpy().copy()
                    for tensor in (self.weights, self.first, self.second)
                )
                columns = {name: list(values) for name, values in old.columns.items()}
                carried = {
                    name: self.buffers[name][row].cpu().numpy().copy() for name in self.carries
                }
                saved[run] = State(
                    weights,
                    first,
                    second,
                    float(self.held[row]),
                    self.step,
                    list(old.logged),
                    columns,
                    old.seconds,
                    carried,
                )
        return saved


def _check_split(run: Run, split: Split) -> None:
    """Refuse a split of another size, or one that tests on what it trains on."""
    if len(split.train) != run.n_train:
        raise BadInput(
            f"task {run.task}: split gave {len(split.train)} training samples, n_train is "
            f"{run.n_train}"
        )
    shared = np.intersect1d(split.train.numpy(), split.test.numpy())
    if shared.size:
        raise DataCheckFailed(
            f"task {run.task}, seed {run.seed}: {shared.size} samples are in the training set and "
            "in the test set"
        )


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
