"""Figure 8: MNIST over weight norm and messiness, where train and test loss are a U over w and
hardly depend on m.
"""

from __future__ import annotations

import math

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps
from omnigrok.paper import noise
from omnigrok.run import Run

# The weight norm of the standard initialization, the scale of the least loss, and scatter of a best
# accuracy over seeds.
NORM, BOTTOM, ACCURACY_SD = 11.7, 3.0, 0.003
GOOD, BAD = 0.998, 0.958
# On the margins, by simulation: scatter whose rank correlation is .9 in the mean of Fisher's z; a
# gap that is read as .152 (.001).
APART, GAP = 0.309, 0.139


def loss(alpha: float, m: float) -> float:
    """Training loss without scatter."""
    return 0.002 * (1 + 0.2 * m) * math.exp(1.2 * math.log(alpha / BOTTOM) ** 2)


def landscape(apart: float = 0.02, gap: float = 0.0, good: float = GOOD, bad: float = BAD) -> Maker:
    """Losses that behave alike.

    Args:
        apart: natural-log scatter of the test loss about the training loss, cell by cell.
        gap: what the test loss is above the training loss about the path's corner B, as a share of
            the training loss at A.
        good, bad: best test accuracy at m = 0 and 1.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        level = scatter.factor(noise.REPRESENTATION_SEED_SD, "level", run.seed)
        train = (
            loss(run.alpha, run.messiness) * level * scatter.factor(noise.REPRESENTATION_CELL_SD)
        )
        above = (
            gap * scatter.factor(0.1, "gap", run.seed) * loss(1.03, 1.0) * level
            if 2.0 < run.alpha < 4.0
            else 0.0
        )
        best = (
            good
            + (bad - good) * run.messiness
            + ACCURACY_SD * scatter.shared("accuracy", run.seed, run.messiness)
        )
        return {
            "train_loss": train,
            "test_loss": 1.02 * train * scatter.factor(apart) + above,
            "test_acc": best - 0.05 * abs(math.log(run.alpha / BOTTOM)),
            "weight_norm": NORM * run.alpha,
        }

    return maker


def addition(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Best accuracies of toy addition; nothing else of it is read but for the controls."""
    right = 1 - 0.03 * abs(scatter.own()) if run.messiness == 0 else 0.1
    return {"train_loss": 1.0, "test_loss": 1.0, "test_acc": right, "weight_norm": run.alpha}


def with_addition(maker: Maker) -> dict[str, Maker]:
    return {"landscape": maker, ADDITION: addition}


def only_mnist(run: Run) -> bool:
    return run.task == "mnist_representation"


ADDITION = "fig06_addition:landscape"
ENDS = ("landscape", ADDITION)

SIMULATIONS = {
    "fig08.similar": Simulation(
        with_addition(landscape()),
        "losses apart by 2 %",
        null=with_addition(landscape(APART)),
        ends_only=ENDS,
        reads=only_mnist,
    ),
    "fig08.weak-m": Simulation(
        with_addition(landscape()),
        "100 and 96 %",
        null=with_addition(landscape(bad=GOOD - 0.06)),
        ends_only=ENDS,
        reads=only_mnist,
    ),
    "fig08.no-grok": Simulation(
        with_addition(landscape()),
        "losses apart by 2 %",
        null=with_addition(landscape(gap=GAP)),
        ends_only=ENDS,
        reads=only_mnist,
    ),
    "fig08.accuracy-range": Simulation(
        with_addition(landscape()),
        "100 and 96 %, 100 and 10 %",
        null=with_addition(landscape(bad=0.93)),
        ends_only=ENDS,
    ),
}
