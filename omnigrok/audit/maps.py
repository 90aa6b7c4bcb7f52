"""Maps of a reduced loss over weight norm and messiness (Figures 6 and 8), read off an experiment seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.audit.schema import Protocol
from omnigrok.errors import Diverged
from omnigrok.landscape import Landscape, from_runs
from omnigrok.runs.curves import Curves

Array = NDArray[np.float64]

# Which logged value is the reduced one (``omnigrok.landscape.reduce``). The code of Figure 6 takes the last step, that of Figure 8
# the best of each curve by itself; the text's Eq. (5) reads the test loss at the training minimiser.
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
    guide = curves["train_loss"] if how == "at_minimiser" else -values if column.endswith("acc") else values
    if not np.isfinite(guide).any():
        raise Diverged(f"run {curves.run.digest}: {column} holds no finite value")
    return float(values[np.nanargmin(guide)])


def reduced_map(grid: Grid, seed: int, column: str, protocol: Protocol, **where: Any) -> Landscape:
    """The map of one seed, w being the true norm at the end.

    Published code holds another norm, so that the true one can fail to rise with alpha on a fine grid: then w is that of the start.
    """
    chosen = list(grid.where(seed=seed, **where).curves.values())
    alpha = np.array([each.run.alpha for each in chosen])
    messiness = np.array([each.run.messiness for each in chosen])
    loss = [reduced(each, column, protocol) for each in chosen]
    norm = np.array([each["weight_norm"][-1] for each in chosen])
    order = np.lexsort((alpha, messiness))
    same = np.diff(messiness[order]) == 0
    if not (np.diff(norm[order])[same & (alpha[order][:-1] > 0)] > 0).all():
        norm = np.array([each["weight_norm"][0] for each in chosen])
    return from_runs(alpha, messiness, loss, norm)


def best_accuracy(grid: Grid, seed: int, messiness: float, protocol: Protocol) -> float:
    """The largest reduced test accuracy over w at one messiness."""
    return max(reduced(each, "test_acc", protocol) for each in grid.where(seed=seed, messiness=messiness).curves.values())


def neighbour(seeds: Sequence[int], seed: int, shift: int = 1) -> int:
    """The seed ``shift`` places on, around the end: the other one of a control that compares two seeds of one setting."""
    return seeds[(seeds.index(seed) + shift) % len(seeds)]
