"""Data checks before any verdict: curves that break them mean a fault of bookkeeping, not a
finding.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.errors import DataCheckFailed
from omnigrok.run import Run
from omnigrok.training.calendar import log_steps
from omnigrok.training.stopping import end_of

# The column that stays constant under each constraint (``omnigrok.training.sphere``).
HELD = {
    "rescale": "weight_norm",
    "tangent": "weight_norm",
    "rescale_double": "weight_norm_double",
    "published": "weight_norm_double",
}
# Relative. Today's trainer holds a norm to 1e-5; recorded runs in float32 at alpha = .1, whose
# squares were summed by a matrix product, moved by 1.2e-4 in 30,000 steps. A norm that is not held
# moves by far more.
NORM_TOLERANCE = 1e-3


# Two seeds whose losses differ by less at every point are one seed, scaled or not.
SAME = 1e-9
# Seeds are compared at this many logged points, evenly spread.
POINTS = 64
NEEDED = ("train_loss", "weight_norm")


def check_curves(curves: Iterable[Curves]) -> None:
    """Refuse curves that no training of their Run can have given, one at a time, and equal losses
    under different seeds.

    Raises:
        DataCheckFailed: naming the rule and the run.
    """
    seeds = _Seeds()
    for each in curves:
        _check_grid(each)
        _check_values(each)
        _check_norm(each)
        seeds.check(each)


def _check_grid(curves: Curves) -> None:
    """The steps are those of the logging grid, up to the end of the Run."""
    run = curves.run
    expected = log_steps(run)
    end = end_of(run, curves.step.tolist(), curves.columns)
    whole = len(curves.step) == (len(expected) if end is None else end + 1)
    if tuple(curves.step) != expected[: len(curves.step)] or not (
        whole or (end is None and curves.diverged)
    ):
        raise DataCheckFailed(
            f"run {run.digest}: its time axis is not the logging grid of its settings, up to its "
            "end; delete the record and train it again"
        )


def _check_values(curves: Curves) -> None:
    """Accuracies lie in [0, 1], losses are not negative, norms are positive, and all are finite
    unless the Run diverged or has no test set.
    """
    digest = curves.run.digest
    missing = [name for name in NEEDED if name not in curves.columns]
    if missing:
        raise DataCheckFailed(f"run {digest}: it has no column {missing[0]}")
    if curves.diverged:
        return
    for name, values in curves.columns.items():
        if name.startswith("test_") and np.isnan(values).all():
            continue
        if not np.isfinite(values).all():
            raise DataCheckFailed(
                f"run {digest}: column {name} is not finite, though the run did not diverge"
            )
        if "_acc" in name and not (values.min() >= -1e-6 and values.max() <= 1 + 1e-6):
            raise DataCheckFailed(f"run {digest}: column {name} leaves [0, 1]")
        if name.endswith("_loss") and values.min() < 0:
            raise DataCheckFailed(f"run {digest}: column {name} is negative")


def _check_norm(curves: Curves) -> None:
    """A norm that is held does not move."""
    run = curves.run
    held = HELD.get(run.constraint)
    norms = curves.columns.get(held) if held else None
    if norms is None or curves.diverged:
        return
    if np.ptp(norms) > NORM_TOLERANCE * norms.max():
        raise DataCheckFailed(
            f"run {run.digest}: its norm was not held ({held} from {norms.min():.6g} to "
            f"{norms.max():.6g})"
        )


class _Seeds:
    """Losses of the seeds seen so far, by setting: a few numbers each, not the curves."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, int], list[tuple[Run, NDArray[np.float64]]]] = {}

    def check(self, curves: Curves) -> None:
        """Refuse losses that another seed of the same setting has, too.

        At alpha = 0 every network is the same. Losses that never move say nothing.
        """
        run, points = curves.run, len(curves.step)
        if run.alpha == 0 or points <= 2:
            return
        places = np.unique(np.linspace(0, points - 1, POINTS).astype(int))
        for name in ("train_loss", "test_loss"):
            if name not in curves.columns:
                continue
            values = curves[name][places]
            if name == "test_loss" and not np.ptp(values) > 0:
                continue
            known = self._seen.setdefault((run.replace(seed=0).digest, name, points), [])
            for other, theirs in known:
                if other.seed != run.seed and np.allclose(values, theirs, rtol=SAME, atol=0):
                    kind = "training" if name == "train_loss" else "test"
                    raise DataCheckFailed(
                        f"runs {other.digest} (seed {other.seed}) and {run.digest} (seed "
                        f"{run.seed}) have identical {kind} losses: the seed was ignored; delete "
                        "the records and train them again"
                    )
            known.append((run, values))
