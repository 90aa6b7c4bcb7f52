"""What the next steps of a stack read, laid out ahead on its device: batches, and the optimiser's
factors.

A counter on the device says which step is next, so that a step asks the host for nothing, and one
captured as a CUDA graph is replayed as it is. Page-locked memory lies between the two, so that the
host lays the next steps out while the card still trains.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omnigrok.run import Run
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.optimizer import schedule

# Steps laid out at once, and between two looks at the clock.
CHUNK = 100


@dataclass(frozen=True)
class Turn:
    """What one step reads.

    Args:
        decay, step_size: (R,) and ``second``: scalar, of a ``Schedule``.
        positions: (R, B) places in each replica's training set; None where every step takes all of
            it.
        real: (R, B) whether a place is a sample or fills the batch up; None where all are samples.
        begins: (R,) whether an epoch begins; None if unused.
    """

    decay: Tensor
    step_size: Tensor
    second: Tensor
    positions: Tensor | None
    real: Tensor | None
    begins: Tensor | None


class _Stage:
    """A copy of what is laid out, in page-locked memory. Of two that take turns the host fills one
    while the card reads the other.
    """

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        self.kinds = {name: (column.shape, column.dtype) for name, column in columns.items()}
        self.columns: dict[str, Tensor] = {}
        self.sent: torch.cuda.Event | None = None

    def send(self, ahead: Mapping[str, Tensor], count: int, columns: Mapping[str, Tensor]) -> None:
        """Copy ``count`` steps to the card's ``columns``; the host does not wait for it."""
        if self.sent is None:
            self.columns = {
                name: torch.empty(shape, dtype=kind, pin_memory=True)
                for name, (shape, kind) in self.kinds.items()
            }
            self.sent = torch.cuda.Event()  # type: ignore[no-untyped-call]
        else:
            self.sent.synchronize()  # the copy of two chunks ago
        for name, column in columns.items():
            self.columns[name][:count] = ahead[name]
            column[:count].copy_(self.columns[name][:count], non_blocking=True)
        self.sent.record()


class Feed:
    """The next ``CHUNK`` steps of R replicas, in tensors that keep their place in memory.

    Args:
        runs: of one ``shape_key``.
        width: samples a batch; smaller ones are filled up.
        epochs: whether a step has to know where its epoch begins.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        width: int,
        epochs: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.runs, self.width, self.dtype = list(runs), width, dtype
        self.whole = all(effective_batch(run) == run.n_train for run in runs)
        # Whether any place is filled must not depend on the chunk: it would recompile the step.
        self.ragged = not self.whole and any(run.n_train % width for run in runs)
        self.next = torch.zeros(1, dtype=torch.int64, device=device)
        shapes: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
            "decay": (dtype, (len(runs),)),
            "step_size": (dtype, (len(runs),)),
            "second": (dtype, ()),
        }
        if not self.whole:
            shapes["positions"] = torch.int64, (len(runs), width)
        if self.ragged:
            shapes["real"] = torch.bool, (len(runs), width)
        if epochs:
            shapes["begins"] = torch.bool, (len(runs),)
        self.columns = {
            name: torch.zeros((CHUNK, *shape), dtype=kind, device=device)
            for name, (kind, shape) in shapes.items()
        }
        self.stages = itertools.cycle([_Stage(self.columns), _Stage(self.columns)])

    def load(self, first_step: int, count: int) -> None:
        """Lay out ``count`` steps, at most ``CHUNK``, the first of which is optimiser step
        ``first_step`` + 1.
        """
        plan = schedule(self.runs, first_step, count, self.dtype, torch.device("cpu"))
        ahead = {"decay": plan.decay, "step_size": plan.step_size, "second": plan.second}
        if not self.whole:
            orders = [batch_order(run, first_step, count, self.width) for run in self.runs]
            ahead["positions"] = torch.from_numpy(np.stack([order[0] for order in orders], axis=1))
            ahead["real"] = torch.from_numpy(np.stack([order[1] for order in orders], axis=1))
        steps = np.arange(first_step, first_step + count)[:, None]
        per_epoch = np.array([-(-run.n_train // effective_batch(run)) for run in self.runs])
        ahead["begins"] = torch.from_numpy(steps % per_epoch == 0)
        if self.next.device.type == "cuda":
            next(self.stages).send(ahead, count, self.columns)
        else:
            for name, column in self.columns.items():
                column[:count] = ahead[name]
        self.next.zero_()

    def take(self) -> Turn:
        """The next step's; every call moves on by one."""
        now = {
            name: column.index_select(0, self.next).squeeze(0)
            for name, column in self.columns.items()
        }
        self.next += 1
        return Turn(
            now["decay"],
            now["step_size"],
            now["second"],
            now.get("positions"),
            now.get("real"),
            now.get("begins"),
        )
