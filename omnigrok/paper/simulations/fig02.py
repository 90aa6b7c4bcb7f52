"""Figure 2: teacher-student landscapes and dynamics, as recorded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run
from omnigrok.stats.comparison import Array

# The weight norm at alpha = 1.
NORM = 8.67
THETAS = ("acc", "acc_code", "acc_euclid")


def landscape(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """The recorded means and standard deviations, with what a seed shares over the grid."""
    share = noise.LOSS_CORRELATION
    at = math.log(run.alpha)

    def loss(mean: Array, sd: Array, name: str) -> float:
        size = float(np.interp(at, np.log(noise.ALPHAS), sd))
        draw = (
            math.sqrt(share) * scatter.shared(name, run.seed) + math.sqrt(1 - share) * scatter.own()
        )
        return math.exp(float(np.interp(at, np.log(noise.ALPHAS), mean)) + size * draw)

    return {
        "train_loss": loss(noise.TRAIN_LOSS, noise.TRAIN_LOSS_SD, "train"),
        "test_loss": loss(noise.TEST_LOSS, noise.TEST_LOSS_SD, "test"),
    }


def initial(run: Run, scatter: Scatter) -> float:
    """The initial weight norm, the same for a seed's free runs and for its spheres."""
    return NORM * run.alpha * scatter.factor(noise.INITIAL_NORM_SD, "w0", run.seed)


def depth(run: Run, scatter: Scatter) -> float:
    """ln(w0 / w_c) of a seed at alpha = 2."""
    return noise.CRITICAL_DEPTH * scatter.factor(noise.CRITICAL_DEPTH_SD, "w_c", run.seed)


def sphere(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """The test accuracy falls with the norm and is at 95 % at w_c: the logit is linear in ln w."""
    norm = initial(run, scatter)
    over = math.log(run.alpha / 2) + depth(run, scatter)
    return {
        "weight_norm": norm,
        "test_acc": float(expit(logit(0.95) - noise.ACCURACY_SLOPE * over)),
    }


def dynamics(
    t_train: Callable[[Run, Scatter], float],
    t_test: Callable[[Run, Scatter], float],
    decay: Callable[[Run], float] = lambda run: 1.0,
) -> Maker:
    """Accuracies that arrive at two times, and a norm that decays at ``decay`` times its nominal
    rate.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        own = scatter.factor(noise.DECAY_RATE_SD, "decay", run.seed)
        norm = initial(run, scatter) * np.exp(-run.lr * run.weight_decay * decay(run) * own * step)
        fit, late = arrives(step, t_train(run, scatter)), arrives(step, t_test(run, scatter))
        return {
            "weight_norm": norm,
            **{f"train_{name}": fit for name in THETAS},
            **{f"test_{name}": late for name in THETAS},
        }

    return maker


def fits(run: Run, scatter: Scatter, slope: float = 0.0) -> float:
    """t_train: hardly any scatter within a seed."""
    base = noise.FIT_TIME if run.alpha > 1 else 22.0
    gamma = max(run.weight_decay, 0.03) / 0.03
    own = (slope + noise.FIT_SLOPE_SD * scatter.shared("fit slope", run.seed)) * math.log(gamma)
    return (
        base
        * math.exp(own)
        * scatter.factor(noise.FIT_LEVEL_SD, "fit", run.seed)
        * scatter.factor(noise.FIT_RESIDUAL_SD)
    )


def fits_by_decay(run: Run, scatter: Scatter) -> float:
    """t_train whose exponent lies on the margin."""
    return fits(run, scatter, 0.15)


def late(slope: float) -> Callable[[Run, Scatter], float]:
    """t_test: a power of weight decay from a large initialization, soon after t_train from a small
    one.
    """

    def time(run: Run, scatter: Scatter) -> float:
        if run.alpha < 1:
            return early(0.0)(run, scatter)
        if run.weight_decay == 0:
            return math.inf
        own = (slope + noise.TEST_SLOPE_SD * scatter.shared("slope", run.seed)) * math.log(
            run.weight_decay / 0.17
        )
        middle = noise.TEST_TIME * 0.03 / 0.17
        return (
            middle
            * math.exp(own)
            * scatter.factor(noise.TEST_LEVEL_SD, "late", run.seed)
            * scatter.factor(noise.TEST_RESIDUAL_SD)
        )

    return time


def early(slope: float) -> Callable[[Run, Scatter], float]:
    """t_test from a small initialization: 1.1 times t_train."""

    def time(run: Run, scatter: Scatter) -> float:
        # A time is seen at the next whole step, half a step late on average, which is much where
        # times are some 25 steps.
        return (
            1.1
            * fits(run, scatter, slope)
            * scatter.factor(noise.SMALL_DELAY_SD, "small", run.seed)
            - 0.5
        )

    return time


def small(slope: float) -> Maker:
    """The small initialization's t_test depends on weight decay; the large one's is as recorded."""
    return dynamics(
        fits, lambda run, scatter: (early(slope) if run.alpha < 1 else late(-1.0))(run, scatter)
    )


def at_norm(spread: float) -> Maker:
    """t_test is where the norm comes down to w_c, which differs between the ends of weight decay by
    the factor ``spread``.
    """

    def time(run: Run, scatter: Scatter) -> float:
        if run.weight_decay == 0:
            return math.inf
        place = math.log(run.weight_decay / 0.03) / math.log(1 / 0.03)
        target = (
            14.0
            * spread**-place
            * scatter.factor(noise.NORM_SPREAD_SD, "spread", run.seed) ** place
            * scatter.factor(0.002)
        )
        return math.log(NORM * run.alpha / target) / (run.lr * run.weight_decay)

    return dynamics(fits, time)


def predicted(ratio: float) -> Maker:
    """t_test is what the landscape's w_c forecasts, divided by ``ratio``."""

    def time(run: Run, scatter: Scatter) -> float:
        if run.weight_decay == 0:
            return math.inf
        nominal = depth(run, scatter) / (run.lr * run.weight_decay)
        return nominal / ratio * scatter.factor(noise.FORECAST_SD)

    return dynamics(fits, time)


def decaying(factor: float) -> Maker:
    return dynamics(fits, late(-1.0), lambda run: factor)


recorded = dynamics(fits, late(-1.0))
both = {"large": recorded, "small": recorded}

SIMULATIONS = {
    "fig02.train-L": Simulation(
        {"landscape": landscape},
        "the recorded landscape",
        permute="alpha",
        ends_only=("landscape",),
    ),
    "fig02.test-U": Simulation(
        {"landscape": landscape},
        "the recorded landscape",
        permute="alpha",
        ends_only=("landscape",),
    ),
    "fig02.no-reg": Simulation(both, "never without decay at alpha = 2"),
    "fig02.grok": Simulation(both, "t_test / t_train = 74"),
    "fig02.large-reg": Simulation({"large": recorded}, "exponent -1"),
    "fig02.small-init": Simulation(
        both, "no dependence on weight decay", null={"small": small(0.15), "large": recorded}
    ),
    "fig02.train-flat": Simulation(
        {"large": recorded},
        "no dependence on weight decay",
        null={"large": dynamics(fits_by_decay, late(-1.0))},
    ),
    "fig02.inverse": Simulation(
        {"large": recorded}, "exponent -1", null={"large": dynamics(fits, late(-0.85))}
    ),
    "fig02.norm-at-grok": Simulation(
        {"large": at_norm(1.0)}, "one norm", null={"large": at_norm(1.1)}
    ),
    "fig02.decay": Simulation(
        {"large": recorded}, "the nominal rate", null={"large": decaying(1.1)}
    ),
    "fig02.predict": Simulation(
        {"large": predicted(1.0), "landscape_fine": sphere},
        "the forecast time",
        null={"large": predicted(1.5), "landscape_fine": sphere},
        ends_only=("landscape_fine",),
    ),
}
