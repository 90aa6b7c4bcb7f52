"""Data checks before any verdict: curves that break them mean a fault of bookkeeping, not a
finding.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from omnigrok.curves import Curves
from omnigrok.errors import DataCheckFailed
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


def check_curves(curves: Iterable[Curves]) -> None:
    """Refuse curves with a shifted logging grid, an end where their Run does not end, accuracies
    outside [0, 1], a norm that moved though it is held, or equal numbers under different seeds.

    Raises:
        DataCheckFailed: naming the rule and the run.
    """
    seen: dict[bytes, Curves] = {}
    for each in curves:
        run = each.run
        expected = log_steps(run)
        end = end_of(run, each.step.tolist(), each.columns)
        whole = len(each.step) == (len(expected) if end is None else end + 1)
        if tuple(each.step) != expected[: len(each.step)] or not (
            whole or (end is None and each.diverged)
        ):
            raise DataCheckFailed(
                f"run {run.digest}: its time axis is not the logging grid of its settings, up to "
                "its end; "
                "delete the record and train it again"
            )
        for name in ("train_acc", "test_acc"):
            values = each.columns.get(name)
            if (
                values is not None
                and not each.diverged
                and (np.nanmin(values) < -1e-6 or np.nanmax(values) > 1 + 1e-6)
            ):
                raise DataCheckFailed(f"run {run.digest}: column {name} leaves [0, 1]")
        held = HELD.get(run.constraint)
        norms = each.columns.get(held) if held else None
        if norms is not None and not each.diverged and np.ptp(norms) > NORM_TOLERANCE * norms.max():
            raise DataCheckFailed(
                f"run {run.digest}: its norm was not held ({held} from {norms.min():.6g} to "
                f"{norms.max():.6g})"
            )
        # At alpha = 0 every network is the same; elsewhere equal losses mean that the seed was
        # ignored.
        if run.alpha > 0 and len(each.step) > 2:
            key = (
                run.replace(seed=0).digest.encode()
                + np.ascontiguousarray(each["train_loss"]).tobytes()
            )
            other = seen.setdefault(key, each)
            if other is not each:
                raise DataCheckFailed(
                    f"runs {other.run.digest} (seed {other.run.seed}) and {run.digest} (seed "
                    f"{run.seed}) have identical training losses: "
                    "the seed was ignored; delete the records and train them again"
                )
