"""Maps of a reduced loss over weight norm and messiness (Figures 6 and 8), read off an experiment
seed by seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.errors import Diverged
from omnigrok.paper.landscape import Landscape, from_runs
from omnigrok.suite.schema import Protocol

# Which logged value is the reduced one. The code of Figure 6 takes the last step, that of Figure 8
# the best of each curve by itself; the text's Eq. (5) reads the test loss at the training
# minimiser.
REDUCTION: dict[str, dict[Protocol, str]] = {
    "addition": {"paper": "final", "code": "final", "corrected": "at_minimiser"},
    "mnist_representation": {"paper": "at_minimiser", "code": "best", "corrected": "at_minimiser"},
}


def reduced(curves: Curves, column: str, protocol: Protocol) -> float:
    """One run's reduced value of a loss (the best is the smallest) or of an accuracy (the largest).

    Raises:
        Diverged: the curve holds no finite value.
    """
    how = REDUCTION[curves.run.task][protocol]
    values = curves.whole(column)
    if how == "final":
        return float(values[-1])
    guide = (
        curves["train_loss"]
        if how == "at_minimiser"
        else -values
        if column.endswith("acc")
        else values
    )
    if not np.isfinite(guide).any():
        raise Diverged(f"run {curves.run.digest}: {column} holds no finite value")
    return float(values[np.nanargmin(guide)])


def reduced_map(grid: Grid, seed: int, column: str, protocol: Protocol, **where: Any) -> Landscape:
    """The map of one seed, w being the true weight norm at which its runs start, and which they
    hold.

    The published code of Figure 6 holds another norm. The true one then changes while a run learns,
    and can end smaller for a larger alpha.
    """
    chosen = list(grid.where(seed=seed, **where).curves.values())
    return from_runs(
        [each.run.alpha for each in chosen],
        [each.run.messiness for each in chosen],
        [reduced(each, column, protocol) for each in chosen],
        [each["weight_norm"][0] for each in chosen],
    )


def best_accuracy(
    grid: Grid, seed: int, messiness: float, protocol: Protocol, column: str = "test_acc"
) -> float:
    """The largest reduced test accuracy over w at one messiness."""
    chosen = grid.where(seed=seed, messiness=messiness).curves.values()
    return max(reduced(each, column, protocol) for each in chosen)


def disjoint_pairs(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The first half of the seeds and the second: each against one other, for a control in which
    nothing differs but the seeds."""
    half = len(values) // 2
    return list(values[:half]), list(values[half : 2 * half])
