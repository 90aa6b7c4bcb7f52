"""The networks of a stack while they train, as one value with a leading replica axis."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from omnigrok.run import Run
from omnigrok.training.samples import Samples
from omnigrok.training.state import State


@dataclass(eq=False)
class Replicas:
    """R networks after ``step`` optimiser steps.

    Args:
        runs: one a row.
        weights, first, second: (R, P) parameters and AdamW's moments.
        held: (R,) the squared norm that the constraint holds.
        buffers: name to (R, ...).
        samples: what each trains and is tested on.
        step: optimiser steps taken.
    """

    runs: list[Run]
    weights: Tensor
    first: Tensor
    second: Tensor
    held: Tensor
    buffers: dict[str, Tensor]
    samples: Samples
    step: int = 0

    @property
    def device(self) -> torch.device:
        return self.weights.device

    @property
    def dtype(self) -> torch.dtype:
        return self.weights.dtype

    def keep(self, rows: list[int]) -> None:
        """Forget all replicas but these rows."""
        index = torch.tensor(rows, device=self.device)
        self.runs = [self.runs[row] for row in rows]
        self.weights, self.first, self.second, self.held = (
            tensor[index] for tensor in (self.weights, self.first, self.second, self.held)
        )
        self.buffers = {name: values[index] for name, values in self.buffers.items()}
        self.samples.keep(index)

    def load(self, row: int, state: State) -> None:
        """Go on from a checkpoint in one row."""
        for tensor, values in (
            (self.weights, state.weights),
            (self.first, state.first),
            (self.second, state.second),
        ):
            tensor[row] = torch.as_tensor(values, dtype=self.dtype)
        self.held[row] = state.held
        for name, carried in state.carried.items():
            self.buffers[name][row] = torch.as_tensor(carried)

    def saved(self, row: int, history: State, carries: tuple[str, ...]) -> State:
        """One row with its history, copied to the host, for a checkpoint."""
        weights, first, second = (
            tensor[row].cpu().numpy().copy() for tensor in (self.weights, self.first, self.second)
        )
        return State(
            weights,
            first,
            second,
            float(self.held[row]),
            self.step,
            list(history.logged),
            {name: list(values) for name, values in history.columns.items()},
            history.seconds,
            {name: self.buffers[name][row].cpu().numpy().copy() for name in carries},
        )
