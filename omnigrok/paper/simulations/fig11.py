"""Figures 11 and 12: MNIST with cross-entropy against the mean squared error."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run


def landscape(random_sign: bool = False) -> Maker:
    """Train error falls until alpha = 1; test error is a U, wider with cross-entropy, and shallower
    the more data there are.

    With ``random_sign`` the loss whose U is the wider is drawn for each seed.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        x = math.log10(run.alpha)
        swap = random_sign and scatter.shared("swap", run.seed) > 0
        width = 1.5 if (run.loss == "cross_entropy") != swap else 0.5
        depth = (200 / run.n_train) ** 0.5
        own = scatter.factor(
            noise.MNIST_ERROR_SD, run.loss, run.seed, run.n_train
        ) * scatter.factor(noise.MNIST_ERROR_SD)
        right = 0.7 * (1 - math.exp(-((max(x, 0.0) / width) ** 2))) * depth * own
        left = max(0.0, -x) ** 0.5 if run.alpha < 0.999 else 0.0
        return {
            "train_acc": 1 - 0.9 * left,
            "test_acc": 1 - min(0.95, 0.1 * depth + 0.85 * left + right),
        }

    return maker


def plateau(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """At weight decay .1 from alpha = 100: .35 from 30 steps on, .75 from 20,000; elsewhere .74 at
    once.
    """
    own = scatter.factor(noise.MNIST_TIME_SD, "time", run.seed)
    end = 0.75 + 0.01 * scatter.own()
    early = arrives(step, 25 * own, 0.1, 0.35 + 0.01 * scatter.own())
    late = run.alpha > 1 and run.weight_decay == 0.1
    test = (
        np.maximum(early, arrives(step, 2e4 * own, 0.0, end))
        if late
        else arrives(step, 15 * own, 0.1, end - 0.01)
    )
    return {"train_acc": arrives(step, 30 * own, 0.1), "test_acc": test}


def scales(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Grokking from alpha = 10 on with the mean squared error, from 100 on with cross-entropy."""
    fit = (
        100
        * scatter.factor(noise.MNIST_TIME_SD, "fit", run.seed)
        * scatter.factor(noise.MNIST_TIME_SD)
    )
    late = run.alpha >= (100 if run.loss == "cross_entropy" else 10)
    delay = (200 if late else 1.2) * scatter.factor(noise.MNIST_TIME_SD)
    return {"train_acc": arrives(step, fit, 0.1), "test_acc": arrives(step, fit * delay, 0.3, 0.88)}


LOSSES = ("landscape_ce", "landscape_mse")
ENDS = (*LOSSES, "landscape_ce_float64")
both = dict.fromkeys(LOSSES, landscape())

SIMULATIONS = {
    "fig11.ce-LU": Simulation(
        {"landscape_ce": landscape()}, "an L and a U", permute="alpha", ends_only=ENDS
    ),
    "fig11.ce-broader": Simulation(
        dict.fromkeys(ENDS, landscape()),
        "three times the width",
        null=dict.fromkeys(ENDS, landscape(random_sign=True)),
        ends_only=ENDS,
    ),
    "fig11.ce-milder": Simulation(both, "three times the width", ends_only=ENDS),
    "fig12.ce-plateau": Simulation({"plateau": plateau}, "three decades at .35, then .75"),
    "fig12.needs-alpha": Simulation({"scales": scales}, "from alpha = 10 and from 100"),
}
