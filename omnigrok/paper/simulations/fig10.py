"""Figure 10: time to generalise over weight decay, transformer and MNIST."""

from __future__ import annotations

import math

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run


def power(slope: float, at_one: float, residual: float, middle: float) -> Maker:
    """t_test a power of weight decay with each seed's own level and slope; t_train does not depend
    on it.

    The scatter of levels and slopes is the teacher-student's, the only one recorded over a range of
    weight decays so far.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        own = slope + noise.TEST_SLOPE_SD * scatter.shared("slope", run.seed)
        level = at_one * middle**slope * scatter.factor(noise.TEST_LEVEL_SD, "level", run.seed)
        late = (
            level
            * math.exp(own * math.log(max(run.weight_decay, 1e-9) / middle))
            * scatter.factor(residual)
        )
        fit = (
            200
            * scatter.factor(noise.FIT_LEVEL_SD, "fit", run.seed)
            * scatter.factor(noise.FIT_RESIDUAL_SD)
        )
        return {"train_acc": arrives(step, fit), "test_acc": arrives(step, late, 0.3)}

    return maker


def low(sooner: float) -> Maker:
    """A / weight decay + B, with each seed's own A; below the range ``sooner`` times that."""

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        level = scatter.factor(noise.TEST_LEVEL_SD, "level", run.seed)
        law = 1200 * (1 / run.weight_decay + noise.DELAY_SHARE) * level
        late = (
            law
            * (sooner if run.weight_decay < 0.05 else 1.0)
            * scatter.factor(noise.TEST_RESIDUAL_SD)
        )
        return {"train_acc": arrives(step, 200), "test_acc": arrives(step, late, 0.3)}

    return maker


def spoiled(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Training is spoilt from weight decay 10 on."""
    return {"train_acc": (0.3 if run.weight_decay >= 10 else 0.98) + 0.01 * scatter.own()}


transformer = power(-1.0, 3000, noise.TRANSFORMER_TIME_SD, 0.5)
mnist = power(-1.0, 2000, noise.TEST_RESIDUAL_SD, 0.3)

SIMULATIONS = {
    "fig10.transformer-inverse": Simulation(
        {"transformer": transformer},
        "exponent -1",
        null={"transformer": power(-0.85, 3000, noise.TRANSFORMER_TIME_SD, 0.5)},
    ),
    "fig10.seed-offset": Simulation(
        {"transformer": transformer}, "seeds differ as the recorded ones", permute="seed"
    ),
    "fig10.mnist-inverse": Simulation(
        {"mnist": mnist},
        "exponent -1",
        null={"mnist": power(-0.85, 2000, noise.TEST_RESIDUAL_SD, 0.3)},
    ),
    "fig10.mnist-low": Simulation(
        {"mnist": low(0.2), "mnist_low": low(0.2)},
        "five times sooner",
        null={"mnist": low(1.0), "mnist_low": low(1.0)},
    ),
    "fig10.mnist-high": Simulation(
        {"mnist": spoiled}, "train error .7 from weight decay 10 on", ends_only=("mnist",)
    ),
}
