"""The simulated card's memory: counted by storage, with a limit."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

# The real allocator hands out multiples of this.
BLOCK = 512


def rounded(size: int) -> int:
    """Bytes that an allocation of ``size`` bytes takes."""
    return -(-size // BLOCK) * BLOCK


class Pool:
    """Memory that captured graphs share: what their calls held at once at most. It stays taken
    until the graphs are gone, and nothing else can use it.
    """

    def __init__(self) -> None:
        self.live = self.peak = 0


class Memory:
    """Bytes in use, and the most there may be.

    Args:
        total: bytes of the card.
    """

    def __init__(self, total: int) -> None:
        self.total = self.limit = total
        self.allocated = self.peak = 0
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self._allocations: weakref.WeakValueDictionary[int, Allocation] = (
            weakref.WeakValueDictionary()
        )

    @property
    def in_use(self) -> int:
        """Bytes of all tensors and of all graphs' pools."""
        return self.allocated + sum(pool.peak for pool in self.pools)

    def hold(self, tensor: Tensor, pool: Pool | None, is_pooled: bool) -> Allocation:
        """What keeps the memory of a tensor counted; the same object for all views of one storage.

        Args:
            tensor: a CPU tensor that a ``CardTensor`` wraps.
            pool: of the graph that is being captured, if any.
            is_pooled: whether the storage belongs to a graph that has counted it already.

        Raises:
            torch.cuda.OutOfMemoryError: it does not fit.
        """
        storage = tensor.untyped_storage()
        key = storage._cdata
        found = self._allocations.get(key)
        if found is None:
            size = 0 if is_pooled else rounded(storage.nbytes())
            self._take(size, pool)
            found = self._allocations[key] = Allocation(self, size, pool)
        return found

    def _take(self, size: int, pool: Pool | None) -> None:
        grown = size if pool is None else max(0, pool.live + size - pool.peak)
        if self.in_use + grown > self.limit:
            raise torch.cuda.OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {size} bytes. GPU 0 has a total capacity "
                f"of {self.total} bytes of which {self.limit - self.in_use} are free."
            )
        if pool is None:
            self.allocated += size
        else:
            pool.live += size
            pool.peak = max(pool.peak, pool.live)
        self.peak = max(self.peak, self.in_use)


class Allocation:
    """One storage on the card; its memory is free again when this object is gone."""

    def __init__(self, memory: Memory, size: int, pool: Pool | None) -> None:
        self._memory, self._size, self._pool = memory, size, pool

    def __del__(self) -> None:
        if self._pool is None:
            self._memory.allocated -= self._size
        else:
            self._pool.live -= self._size
