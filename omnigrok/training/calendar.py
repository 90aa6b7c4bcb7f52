"""Which steps are logged, and which samples each step trains on; both follow from the Run alone, so
a resumed run sees the same.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from omnigrok.run import Run

# Streams of the same seed that must not repeat each other.
_ORDER, _EVALUATION = 1, 2


@lru_cache(maxsize=256)
def _geometric(steps: int, ratio: float) -> tuple[int, ...]:
    logged, step = [0], 0
    while step < steps:
        step = min(steps, max(step + 1, int(step * (1 + ratio))))
        logged.append(step)
    return tuple(logged)


def log_steps(run: Run) -> tuple[int, ...]:
    """The logged steps, from 0 to the last: every step at first, then at most ``log_ratio`` apart,
    or every ``log_every``.
    """
    if run.log_every:
        return (*range(0, run.steps, run.log_every), run.steps)
    return _geometric(run.steps, run.log_ratio)


def effective_batch(run: Run) -> int:
    """Samples a step: the batch size, or all training samples where there are fewer."""
    return min(run.batch_size, run.n_train) if run.batch_size else run.n_train


def _permutation(run: Run, epoch: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.Philox(key=[run.seed * 4 + _ORDER, epoch])).permutation(
        run.n_train
    )


def batch_order(
    run: Run, first_step: int, count: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Positions in the training set of ``count`` mini-batches, shuffled again each epoch; the last,
    smaller batch of an epoch is kept.

    Args:
        first_step: the optimiser steps taken before the first of these batches.
        width: columns of the result; batches with fewer samples are filled up.

    Returns:
        (count, width) positions, and (count, width) whether a position is a sample (False:
        filling).
    """
    batch = effective_batch(run)
    per_epoch = -(-run.n_train // batch)
    first_epoch, skipped = divmod(first_step, per_epoch)
    epochs = -(-(skipped + count) // per_epoch)
    # (epochs, batches, samples): each epoch's order, filled up to whole batches.
    places = np.zeros((epochs, per_epoch * batch), dtype=np.int64)
    kept = np.zeros_like(places, dtype=np.bool_)
    kept[:, : run.n_train] = True
    for row in range(epochs):
        places[row, : run.n_train] = (
            _permutation(run, first_epoch + row) if batch < run.n_train else np.arange(run.n_train)
        )
    positions = np.zeros((count, width), dtype=np.int64)
    real = np.zeros((count, width), dtype=np.bool_)
    chosen = slice(skipped, skipped + count)
    positions[:, :batch] = places.reshape(-1, batch)[chosen]
    real[:, :batch] = kept.reshape(-1, batch)[chosen]
    return positions, real


def evaluation_sample(run: Run, step: int, available: int, which: int) -> NDArray[np.int64]:
    """Positions of a fresh random sample of ``eval_samples`` of the ``available`` (published code
    of Figures 3 and 8).
    """
    size = min(run.eval_samples, available)
    generator = np.random.Generator(
        np.random.Philox(key=[run.seed * 4 + _EVALUATION, 2 * step + which])
    )
    return generator.choice(available, size=size, replace=False)
