"""What the samples of a stack hold, by digests: test sets that repeat the training set under other
indices, and seeds that draw nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.errors import DataCheckFailed
from omnigrok.run import Run

# Share of the test samples whose inputs may be in the training set, and one sample of a small
# set. Some of IMDb's 50,000 reviews are there twice: with 37,500 to train on, 1.3 % of the others
# are among them. The other data sets of the paper share none.
MOST_SHARED = 0.05


class Contents:
    """Digests of samples' inputs, made once for each pool of tensors."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], NDArray[np.uint64]] = {}

    def of(self, pool: Pool) -> NDArray[np.uint64]:
        """(n,) a digest of each sample's inputs."""
        key = tuple(id(tensor) for tensor in pool.inputs)
        if key not in self._known:
            self._known[key] = _digests(pool.inputs)
        return self._known[key]

    def check(self, run: Run, split: Split) -> None:
        """Refuse a split that tests on inputs of its training set.

        Raises:
            DataCheckFailed: more than one, and more than ``MOST_SHARED``, of the test samples; or a
                position lies outside the pool.
        """
        digests = self.of(split.pool)
        places = np.concatenate((split.train.numpy(), split.test.numpy()))
        outside = places[(places < 0) | (places >= len(digests))]
        if outside.size:
            raise DataCheckFailed(
                f"task {run.task}, seed {run.seed}: position {outside[0]} lies outside the pool of "
                f"{len(digests)} samples"
            )
        train, test = digests[split.train.numpy()], digests[split.test.numpy()]
        shared = int(np.isin(test, train).sum())
        if shared > max(1, MOST_SHARED * len(test)):
            raise DataCheckFailed(
                f"task {run.task}, seed {run.seed}: the inputs of {shared} of {len(test)} test "
                "samples are in the training set, too"
            )


def check_seeds(
    runs: Sequence[Run], splits: Sequence[Split], weights: Sequence[Tensor], contents: Contents
) -> None:
    """Refuse two seeds of one setting with the same training samples and the same weights.

    Raises:
        DataCheckFailed: naming the two; at alpha = 0 all weights are 0.
    """
    seen: dict[bytes, Run] = {}
    for run, split, vector in zip(runs, splits, weights, strict=True):
        if run.alpha == 0:
            continue
        total = hashlib.sha256(run.replace(seed=0).digest.encode())
        total.update(contents.of(split.pool)[split.train.numpy()].tobytes())
        total.update(split.pool.targets[split.train].contiguous().numpy().tobytes())
        total.update(vector.contiguous().numpy().tobytes())
        other = seen.setdefault(total.digest(), run)
        if other.seed != run.seed:
            raise DataCheckFailed(
                f"task {run.task}: seeds {other.seed} and {run.seed} have the same training "
                "samples and the same weights: the seed was ignored"
            )


def _digests(tensors: Sequence[Tensor]) -> NDArray[np.uint64]:
    rows = [
        np.ascontiguousarray(tensor.detach().numpy()).reshape(len(tensor), -1) for tensor in tensors
    ]
    found = [
        hashlib.blake2b(b"".join(row.tobytes() for row in sample), digest_size=8).digest()
        for sample in zip(*rows, strict=True)
    ]
    return np.frombuffer(b"".join(found), dtype=np.uint64)
