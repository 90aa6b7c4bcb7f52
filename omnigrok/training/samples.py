"""The samples of a stack: tensors shared where replicas share them, and each replica's indices into
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from omnigrok.data.split import Split


class Shelf:
    """One tensor of the pools (an input, or the targets) for all replicas: each distinct tensor is
    kept once.

    Args:
        tensors: the tensor of each replica's pool, leading axis samples.
        dtype: floating tensors are cast to it.
    """

    def __init__(self, tensors: Sequence[Tensor], dtype: torch.dtype, device: torch.device) -> None:
        places: dict[int, int] = {}
        distinct: list[Tensor] = []
        offsets = []
        rows = 0
        for tensor in tensors:
            if id(tensor) not in places:
                places[id(tensor)] = rows
                distinct.append(tensor)
                rows += len(tensor)
            offsets.append(places[id(tensor)])
        joined = distinct[0] if len(distinct) == 1 else torch.cat(distinct)
        self.values = joined.to(device=device, dtype=dtype if joined.is_floating_point() else None)
        self.offsets = torch.tensor(offsets, device=device)[:, None]

    def take(self, positions: Tensor, rows: list[int] | None = None) -> Tensor:
        """(R, B) pool positions to (R, B, ...) samples; ``rows`` are the replicas meant, where not
        all.
        """
        places = positions + (self.offsets if rows is None else self.offsets[rows])
        # Faster than indexing with the matrix of places.
        return self.values.index_select(0, places.reshape(-1)).view(
            *places.shape, *self.values.shape[1:]
        )

    def take_shared(self, positions: Tensor) -> tuple[Tensor, int | None]:
        """Samples as of ``take`` and the axis of replicas: (R, B, ...) and 0, or (B, ...) and None
        where all have the same.
        """
        rows = positions + self.offsets
        if bool((rows == rows[:1]).all()):
            return self.values.index_select(0, rows[0]), None
        taken = self.values.index_select(0, rows.reshape(-1))
        return taken.view(*rows.shape, *self.values.shape[1:]), 0

    def keep(self, replicas: Tensor) -> None:
        """Forget all replicas but these."""
        self.offsets = self.offsets[replicas]


class Samples:
    """Inputs, targets, training and test indices of R replicas."""

    def __init__(self, splits: Sequence[Split], dtype: torch.dtype, device: torch.device) -> None:
        arity = len(splits[0].pool.inputs)
        self.inputs = [
            Shelf([split.pool.inputs[slot] for split in splits], dtype, device)
            for slot in range(arity)
        ]
        self.targets = Shelf([split.pool.targets for split in splits], dtype, device)
        self.train, self.train_real = _pad([split.train for split in splits], device)
        self.sizes = [len(split.train) for split in splits]
        self.test, self.test_real = _pad([split.test for split in splits], device)

    @property
    def filled_up(self) -> bool:
        """Whether some training sets are smaller than others, so that their rows are filled up;
        known without asking the device.
        """
        return min(self.sizes) < self.train.shape[1]

    def take(
        self, positions: Tensor, rows: list[int] | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """(R, B) pool positions to the inputs and targets, each (R, B, ...); ``rows`` are the
        replicas meant, where not all.
        """
        return tuple(shelf.take(positions, rows) for shelf in self.inputs), self.targets.take(
            positions, rows
        )

    def keep(self, replicas: Tensor) -> None:
        """Forget all replicas but these."""
        for shelf in (*self.inputs, self.targets):
            shelf.keep(replicas)
        self.train, self.train_real = self.train[replicas], self.train_real[replicas]
        self.sizes = [self.sizes[row] for row in replicas.tolist()]
        self.test, self.test_real = self.test[replicas], self.test_real[replicas]


def _pad(indices: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ragged index lists as (R, longest), and which entries are real."""
    width = max(len(part) for part in indices)
    padded = torch.zeros(len(indices), width, dtype=torch.int64)
    real = torch.zeros(len(indices), width, dtype=torch.bool)
    for row, part in enumerate(indices):
        padded[row, : len(part)] = part
        real[row, : len(part)] = True
    return padded.to(device), real.to(device)
