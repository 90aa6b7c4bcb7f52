"""Figure 9: the transformer's landscape over scale and training fraction."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Columns, Scatter, Simulation, Steps
from omnigrok.paper import noise
from omnigrok.run import Run

PAIRS = 113**2


def landscape(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Training loss: an L with its break under .8; test loss: a U with its bottom at .8."""
    x = math.log(run.alpha / 0.8)
    own = scatter.factor(noise.TRANSFORMER_LOSS_SD, "loss", run.seed) * scatter.factor(
        noise.TRANSFORMER_LOSS_SD
    )
    train = 4.5 * (1 - math.exp(x)) * own + 1e-5 if x < 0 else 1e-5
    return {
        "train_loss": train,
        "test_loss": 0.05 + 3 * own * abs(min(x, 0.0)) + 8 * own * max(x, 0.0),
    }


def fraction(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Generalises at alpha = .57 and .8 from about a fraction of .25 on, in about a tenth of the
    steps; with permuted labels never.
    """
    own = 0.25 * scatter.factor(0.06, "fraction", run.seed)
    works = (
        run.n_train / PAIRS > own * scatter.factor(0.03, "luck", run.seed, run.n_train)
        and 0.5 < run.alpha < 1
    )
    arrives = 0.1 * run.steps * scatter.factor(0.3, "time", run.seed, run.n_train, run.alpha)
    top = 0.99 if works and not run.option("shuffle_labels") else 0.02
    return {"test_acc": np.where(step < arrives, 0.02, top)}


SIMULATIONS = {
    "fig09.LU": Simulation(
        {"landscape": landscape},
        "an L and a U with their corner at .8",
        permute="alpha",
        ends_only=("landscape",),
    ),
    "fig09.critical": Simulation(
        dict.fromkeys(("fractions", "shuffled"), fraction),
        "critical fraction .25",
    ),
}
