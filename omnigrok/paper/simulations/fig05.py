"""Figure 5: the graph network on QM9, landscapes and dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run

# Of the targets, Bohr^6; a loss is a share of it.
VARIANCE = 64.0
TARGETS = {"train_target": 75.0, "train_target_square": 75.0**2 + VARIANCE}
FEW = 1000
# t_fit, the time and the size of the fall after it, natural-log scatter of falls about 1 to 2.
FIT, LATE, DROP, SMALL_FALL_SD = 1000.0, 1e4, 100.0, 0.2


def landscape(random_sign: bool = False) -> Maker:
    """Losses are Us about alpha = 1, astronomical at alpha = 10; on few molecules test losses are a
    decade above training losses.

    With ``random_sign`` the gap on few molecules is a decade up or down for each seed.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        x = math.log10(run.alpha)
        loss = (
            0.02
            * VARIANCE
            * 10 ** (-3 * x if x < 0 else 3 * x + 4 * x**2)
            * scatter.factor(noise.QM9_LOSS_SD)
        )
        sign = math.copysign(1.0, scatter.shared("sign", run.seed)) if random_sign else 1.0
        gap = 10**sign if run.n_train < FEW else 1.1
        return {
            **TARGETS,
            "train_loss": loss,
            "test_loss": loss * gap * scatter.factor(noise.QM9_GAP_SD),
        }

    return maker


def dynamics(fall: Callable[[Run], float], norm: float = 0.8) -> Maker:
    """Fits at 1,000 steps; at 1e4 the test loss falls by a factor ``fall``, and the free norm has
    come down to ``norm`` of its start.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        fit = FIT * scatter.factor(noise.MNIST_TIME_SD, "fit", run.seed)
        late = (
            LATE
            * scatter.factor(noise.MNIST_TIME_SD, "late", run.seed)
            * scatter.factor(noise.MNIST_TIME_SD)
        )
        size = fall(run)
        size *= scatter.factor(noise.QM9_LOSS_SD if size > 2 else SMALL_FALL_SD)
        level = scatter.factor(noise.QM9_LOSS_SD, "level", run.seed)
        own = 1.0 if run.constraint == "rescale" else norm * scatter.factor(0.02, "norm", run.seed)
        # The norm is read at the middle of the fall.
        norms = 50 * own ** np.minimum(np.log(np.maximum(step, 1)) / math.log(late), 1.0)
        return {
            **TARGETS,
            "train_loss": VARIANCE * arrives(step, fit, 1.0, 1e-3),
            "test_loss": VARIANCE * level * arrives(step, late, 1.0, 1 / size),
            "weight_norm": norms,
        }

    return maker


def grokking(run: Run) -> float:
    """A fall by 100 with few molecules from alpha = 3, unless the norm is held; elsewhere hardly
    any.
    """
    return DROP if run.alpha == 3 and run.n_train < FEW and run.constraint == "free" else 1.05


def with_fall(factor: float, where: Callable[[Run], bool]) -> Callable[[Run], float]:
    """The same with another fall in some of the runs."""
    return lambda run: factor if where(run) else grokking(run)


ENDS = ("landscape",)
GROK, LARGE = ("dynamics", "graph_conv"), ("large", "dynamics")
recorded = dynamics(grokking)

SIMULATIONS = {
    "fig05.mismatch-small": Simulation(
        {"landscape": landscape()},
        "a decade between test and train on few molecules",
        null={"landscape": landscape(True)},
        ends_only=ENDS,
    ),
    "fig05.similar-large": Simulation(
        {"landscape": landscape()}, "Us that are alike", permute="alpha", ends_only=ENDS
    ),
    "fig05.grok": Simulation(
        dict.fromkeys(GROK, recorded),
        "the test loss falls by 100 at 1e4 steps",
        null=dict.fromkeys(GROK, dynamics(with_fall(10.0, lambda run: run.alpha == 3))),
    ),
    "fig05.standard": Simulation(
        {"dynamics": recorded},
        "hardly any fall from alpha = 1",
        null={"dynamics": dynamics(with_fall(2.0, lambda run: run.alpha == 1))},
    ),
    "fig05.implicit": Simulation(
        {"dynamics": recorded},
        "a fall by 100 with the norm at .8 of its start",
        null={"dynamics": dynamics(grokking, 0.95)},
    ),
    "fig05.no-grok-large": Simulation(
        dict.fromkeys(LARGE, recorded),
        "hardly any fall with 3,000 molecules",
        null=dict.fromkeys(LARGE, dynamics(with_fall(2.0, lambda run: run.n_train > FEW))),
    ),
}
