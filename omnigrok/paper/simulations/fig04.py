"""Figure 4: the LSTM on IMDb reviews, landscapes and dynamics."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run

SMALL = 1000
# The loss of a constant.
CHANCE = {"imdb": 0.6931, "mnist": 0.09, "qm9": 67.0}


def landscape(gap: bool) -> Maker:
    """Errors are Us about alpha = 1; on few reviews training errors are smaller by .25, or by a gap
    of random sign for each seed.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        u = 0.1 + 0.3 * math.log10(run.alpha) ** 2
        own = noise.IMDB_ERROR_SD * scatter.own() / 3
        if run.n_train > SMALL:
            return {"train_acc": 1 - (u - 0.01 + own), "test_acc": 1 - (u + own)}
        sign = 1.0 if gap else math.copysign(1.0, scatter.shared("sign", run.seed))
        wander = noise.IMDB_ERROR_SD * scatter.own()
        return {
            "train_acc": 1 - (0.3 + wander),
            "test_acc": 1 - (0.3 + 0.25 * sign + noise.IMDB_ERROR_SD * scatter.own()),
        }

    return maker


def dynamics(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """On few reviews the large initialization fits at 60 and generalises from 1,000; the standard
    one, and all reviews, at once.
    """
    own = scatter.factor(noise.MNIST_TIME_SD, "fit", run.seed) * scatter.factor(noise.MNIST_TIME_SD)
    if run.option("shuffle_labels"):
        return {"train_acc": arrives(step, 500 * own, 0.5), "test_acc": 0.5}
    if run.n_train > SMALL:
        return {
            "train_acc": arrives(step, 300 * own, 0.5),
            "test_acc": arrives(step, 330 * own, 0.5, 0.86),
        }
    late = (1000 if run.alpha == 6 else 20) * own * scatter.factor(noise.MNIST_TIME_SD)
    return {"train_acc": arrives(step, 60 * own, 0.5), "test_acc": arrives(step, late, 0.5, 0.7)}


def longer(cured: float) -> Maker:
    """Training loss at the largest scales over the least: 10 at the figure's own steps, 5 at three
    and ``cured`` at ten times as many.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        rises = np.interp(step / run.steps, (0.1, 0.3, 1.0), (10.0, 5.0, cured))
        share = min(max(math.log(run.alpha) / math.log(6), 0.0), 1.0)
        size = noise.QM9_LOSS_SD / 3 if run.task == "qm9" else noise.IMDB_LOSS_SD
        loss = (
            0.02
            * CHANCE[run.task]
            * (1 + max(-math.log10(run.alpha), 0.0))
            * rises**share
            * scatter.factor(size)
        )
        return {"train_loss": loss, "test_loss": 2 * loss}

    return maker


ENDS = ("landscape",)
LONG = ("long", "fig03_mnist:long", "fig05_qm9:long")
SIMULATIONS = {
    "fig04.mismatch-small": Simulation(
        {"landscape": landscape(True)},
        "a gap of .25 on few reviews",
        null={"landscape": landscape(False)},
        ends_only=ENDS,
    ),
    "fig04.similar-large": Simulation(
        {"landscape": landscape(True)}, "Us that are alike", permute="alpha", ends_only=ENDS
    ),
    "fig04.grok": Simulation(
        dict.fromkeys(("dynamics", "shuffled"), dynamics), "fits at 60, generalises from 1,000"
    ),
    "fig04.standard": Simulation({"dynamics": dynamics}, "generalises before it fits"),
    "fig04.rise-is-optimisation": Simulation(
        dict.fromkeys(LONG, longer(1.2)),
        "a rise of 10, of 1.2 after ten times the steps",
        null=dict.fromkeys(LONG, longer(2.0)),
    ),
    "fig04.no-grok-large": Simulation(
        dict.fromkeys(("large", "dynamics"), dynamics), "t_test / t_train = 1.1 on all reviews"
    ),
}
