"""Which Runs can be trained in one stack."""

from __future__ import annotations

from omnigrok.run import Run
from omnigrok.training.calendar import effective_batch


def shape_key(run: Run) -> Run:
    """Runs with equal keys can be trained in one stack.

    Mini-batches of different training sizes share a stack when their batches are within a factor 2,
    so that little is filled up.
    """
    width = effective_batch(run)
    size = width if not run.batch_size else min(run.batch_size, 1 << (width - 1).bit_length())
    return run.replace(
        seed=0,
        alpha=1.0,
        weight_decay=0.0,
        lr=1.0,
        messiness=0.0,
        n_train=size,
        steps=1,
        lr_drops=(),
        lr_factor=1.0,
        stop_at=(),
    )
