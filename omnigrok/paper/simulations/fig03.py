"""Figure 3: MNIST landscapes over scale and data size, and dynamics from a large initialization."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.run import Run
from omnigrok.stats.comparison import Array

PLATEAU = 0.3


def landscape(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Least error flat up to N = 30, then a power law; the rise right of alpha = 1 comes later the
    more data there are.
    """
    return _errors(run, 0.55 * max(run.n_train / 30, 1.0) ** -0.7, scatter)


def _errors(run: Run, least: float, scatter: Scatter) -> Columns:
    x = math.log10(run.alpha)
    reach = 0.3 * (run.n_train / 10) ** 0.2
    left, right = (
        1 - math.exp(-((min(x, 0.0) / 0.5) ** 2)),
        1 - math.exp(-((max(x, 0.0) / reach) ** 2)),
    )
    own = scatter.factor(noise.MNIST_ERROR_SD, "error", run.seed, run.n_train) * scatter.factor(
        noise.MNIST_ERROR_SD
    )
    test = min(
        least * own + (0.9 - least) * (left + right) * scatter.factor(noise.MNIST_ERROR_SD), 0.95
    )
    if run.option("shuffle_labels"):
        test = 0.9
    return {
        "train_acc": 1 - 0.9 * left * scatter.factor(noise.MNIST_ERROR_SD) ** -1,
        "test_acc": 1 - test,
    }


def delayed(small: float, large: float, decay: float = 1.0) -> Maker:
    """From the large initialization t_test / t_train is ``small`` on 1,000 images and ``large`` on
    more; from the standard one near 1.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        fit = (
            100
            * scatter.factor(noise.MNIST_TIME_SD, "fit", run.seed)
            * scatter.factor(noise.MNIST_TIME_SD)
        )
        delay = 1.1 if run.alpha < 2 else large if run.n_train > 1000 else small
        late = fit * delay * scatter.factor(noise.MNIST_TIME_SD) if run.weight_decay else math.inf
        own = decay * scatter.factor(noise.DECAY_RATE_SD, "decay", run.seed)
        return {
            "train_acc": arrives(step, fit, 0.1),
            "test_acc": arrives(step, late, PLATEAU, 0.91),
            "weight_norm": 90 * np.exp(-own * run.lr * run.weight_decay * step),
        }

    return maker


def over_size(time: Callable[[float], float]) -> dict[str, Maker]:
    """Half-way at ``time`` of N; t_train rises slowly with N."""

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        own = scatter.factor(noise.MNIST_TIME_SD, "time", run.seed) * scatter.factor(
            noise.MNIST_TIME_SD
        )
        fit = 50 * (run.n_train / 128) ** 0.3 * own
        late = max(time(run.n_train) * own, 2 * fit)
        return {
            "train_acc": arrives(step, fit, 0.1),
            "test_acc": np.maximum(
                arrives(step, fit / 2, 0.1, PLATEAU), arrives(step, late, 0.0, 0.9)
            ),
        }

    return {"time_vs_size": maker}


def diverging(size: float) -> float:
    """Diverges towards N = 100."""
    return float(1e5 * (size - 100.0) ** -0.8 + 500)


def drifting(size: float) -> float:
    """A power of N whose exponent is -.75 at 256 and -.45 at 1,024: .3 apart, the margin."""
    u = math.log(size / 128)
    return 2e4 * math.exp(-0.9 * u + 0.15 / math.log(4) * u * u)


def hinge(size: ArrayLike) -> Array:
    """A least error flat up to N = 30, then a power law."""
    return np.asarray(0.55 * np.maximum(np.asarray(size) / 30, 1.0) ** -0.7)


def ceiling(size: ArrayLike) -> Array:
    """The curve with a ceiling that fits the errors recorded under ``code``."""
    return np.asarray(0.9 / (1 + (np.asarray(size) / 21) ** 0.647) + 0.0051)


def floor(size: ArrayLike) -> Array:
    """A power law that falls to the same floor."""
    return np.asarray(0.8 * (np.asarray(size) / 5) ** -0.4 + 0.0051)


def drift(degree: int) -> Callable[[ArrayLike], Array]:
    """The drifting exponent (a polynomial in log-log) that is nearest to ``hinge`` over the sizes
    of Figure 3.
    """
    sizes = np.geomspace(10, 60_000, 28)
    nearest = np.polynomial.Polynomial.fit(np.log(sizes), np.log(hinge(sizes)), degree)
    return lambda size: np.asarray(np.exp(nearest(np.log(np.asarray(size)))))


def least_error(curve: Callable[[ArrayLike], Array]) -> dict[str, Maker]:
    """Errors of the scale with the least error, with the scatter of random subsets."""

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        error = float(curve(run.n_train)) * scatter.factor(noise.least_error_sd(run.n_train))
        return {"test_acc": 1 - min(error, 1.0)}

    return {"critical": maker}


def falls(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """Power laws of N through the mean errors after 2,000 steps at N = 138 and 7,196."""
    first, last = (0.862, 0.175) if run.alpha > 2 else (0.226, 0.032)
    share = math.log(run.n_train / 138) / math.log(7196 / 138)
    own = scatter.factor(noise.MNIST_ERROR_SD, "error", run.seed, run.n_train) * scatter.factor(
        noise.MNIST_ERROR_SD
    )
    return {"test_acc": 1 - min(first * (last / first) ** share * own, 0.95)}


ENDS = ("landscape", "shuffled")
dynamics = delayed(300.0, 5.0)
map_of_errors = {"landscape": landscape}
WORDS = "least error flat to N = 30, then a power law"

SIMULATIONS = {
    "fig03.LU-small": Simulation(
        map_of_errors, WORDS, permute="alpha", ends_only=ENDS, reads=lambda run: run.n_train == 193
    ),
    "fig03.larger-norm": Simulation(
        map_of_errors,
        WORDS,
        flip=("alpha", 1.0, 6.30957),
        ends_only=ENDS,
        reads=lambda run: run.n_train == 138,
    ),
    "fig03.degrok-data": Simulation(
        {"landscape": falls},
        "error down by .69 from alpha = 6.3, by .19 from 1",
        flip=("alpha", 1.0, 6.30957),
        ends_only=ENDS,
        reads=lambda run: run.alpha in (1.0, 6.30957),
    ),
    "fig03.zone-broadens": Simulation(map_of_errors, WORDS, permute="n_train", ends_only=ENDS),
    "fig03.LU-milder": Simulation(map_of_errors, WORDS, permute="n_train", ends_only=ENDS),
    "fig03.thumb": Simulation({**map_of_errors, "shuffled": landscape}, WORDS, ends_only=ENDS),
    "fig03.critical": Simulation(
        least_error(hinge),
        WORDS,
        ends_only=("critical",),
        reads=lambda run: run.alpha == 1.0,
        mechanisms={
            "ceiling": least_error(ceiling),
            "floor": least_error(floor),
            "quadratic drift": least_error(drift(2)),
            "cubic drift": least_error(drift(3)),
        },
    ),
    "fig03.grok": Simulation({"dynamics": dynamics}, "t_test / t_train = 300"),
    "fig03.degrok-dynamics": Simulation(
        {"dynamics": dynamics, "dynamics_large": dynamics}, "delays of 300 and 5"
    ),
    "fig03.decay": Simulation(
        {"dynamics": delayed(800.0, 5.0), "no_decay": dynamics},
        "the nominal rate",
        null={"dynamics": delayed(800.0, 5.0, decay=1.1), "no_decay": dynamics},
    ),
    "fig03.time-vs-N": Simulation(
        over_size(diverging),
        "divergence at N = 100",
        mechanisms={"drift": over_size(drifting)},
    ),
}
