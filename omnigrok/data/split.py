"""What a data set hands to the trainer: a pool of samples, and which of them one Run trains and
tests on.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pool:
    """Samples that one or more replicas draw from; replicas that share the object share the memory.

    Args:
        inputs: tensors with a leading sample axis, passed to the model's ``forward`` in this order.
        targets: (n, ...) tensor; class indices are int64, regression targets floating point.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one Run.

    Args:
        pool: where they come from.
        train: (n_train,) int64 indices into the pool.
        test: (n_test,) int64 indices into the pool, disjoint from ``train``; may be empty where the
            paper has no test set.
    """

    pool: Pool
    train: Tensor
    test: Tensor
