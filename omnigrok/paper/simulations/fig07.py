"""Figure 7: the transformer on modular addition, free and at constant norm."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run

# Between the arrival of 10 % and of 99 % test accuracy, as a factor in steps.
RISE = 1.3
TIMES = "fig10_time_vs_decay:transformer"


def transformer(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Grokking after 50 times t_train from the free standard initialization with weight decay, none
    at constant norm; the norm humps.
    """
    own = scatter.factor(noise.TRANSFORMER_TIME_SD, "seed", run.seed) * scatter.factor(
        noise.TRANSFORMER_TIME_SD
    )
    fit = 150 * own
    if run.constraint != "free" or run.alpha < 1:
        late = 1.1 * fit
    else:
        late = (
            7500 * own * scatter.factor(noise.TRANSFORMER_TIME_SD) if run.weight_decay else math.inf
        )
    bump = (
        0.4 * np.exp(-2 * (np.log10(np.maximum(step, 1)) - 3) ** 2)
        if run.weight_decay
        else 0.3 * arrives(step, 1000)
    )
    norm = 42 * (1 + bump * scatter.factor(0.1) - bump[0] - 0.3 * arrives(step, late))
    return {
        "train_acc": arrives(step, fit),
        "test_acc": np.maximum(
            arrives(step, late / RISE, 0.01, 0.5), arrives(step, late * RISE, 0.0, 1.0)
        ),
        "weight_norm": norm,
    }


def tracked(ratio: float) -> Maker:
    """The norm peaks earlier at larger decay, and falls under its start at ``ratio`` times
    t_test.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        own = scatter.factor(noise.TRANSFORMER_TIME_SD, "seed", run.seed)
        late = 2000 / run.weight_decay * own * scatter.factor(noise.TRANSFORMER_TIME_SD)
        fall = (
            ratio
            * late
            * scatter.factor(noise.TRANSFORMER_TIME_SD, "fall", run.seed)
            * scatter.factor(noise.TRANSFORMER_TIME_SD)
        )
        bump = 0.3 * (arrives(step, 100) - arrives(step, 300 * run.weight_decay**-0.1)) + 1e-9 * (
            step > 0
        )
        return {
            "train_acc": arrives(step, 150),
            "test_acc": arrives(step, late),
            "weight_norm": 1 + bump - 0.5 * arrives(step, fall),
        }

    return maker


SIMULATIONS = {
    "fig07.norm-hump": Simulation(
        {"free": transformer}, "the norm rises by .4 and falls when the test accuracy arrives"
    ),
    "fig07.norm-tracks": Simulation(
        {TIMES: tracked(1.0)}, "the norm falls at t_test", null={TIMES: tracked(1.5)}
    ),
    "fig07.degrok-constraint": Simulation(
        dict.fromkeys(("free", "held", "others"), transformer), "t_test / t_train = 1.1 and 50"
    ),
}
