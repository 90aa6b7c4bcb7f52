"""Conclusions: the experiments of several figures at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from omnigrok.calibration import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.paper import noise
from omnigrok.paper.simulations import fig03, fig04, fig05, fig06, fig07, fig08
from omnigrok.run import Run

# concl.LU: (scale, size) of the cells of each task; tasks are told apart by ``task_of``.
CELLS = {
    "teacher_student": ((0.5, 100), (2.0, 100)),
    "mnist": ((1.0, 1000), (8.0, 1000), (1.0, 8192), (8.0, 8192)),
    "cross_entropy": ((3.0, 1000), (10.0, 1000), (30.0, 1000), (100.0, 1000)),
    "imdb": ((1.0, 1000), (6.0, 1000), (6.0, 37500)),
    "qm9": ((1.0, 200), (3.0, 200), (3.0, 3000)),
    "modular": ((1.0, 3830), (0.8, 3830)),
}
BOTTOM = 0.6


def task_of(run: Run) -> str:
    return "cross_entropy" if run.task == "mnist" and run.loss == "cross_entropy" else run.task


def mismatch(run: Run, step: Steps, scatter: Scatter) -> Columns:
    """A landscape whose gap opens right of alpha = .6 and closes with the data."""
    x = math.log10(run.alpha / BOTTOM)
    gap = (
        0.3
        * max(x, 0.0)
        * (200 / run.n_train) ** 0.5
        * scatter.factor(noise.MNIST_ERROR_SD, "gap", run.seed)
    )
    left = 0.3 * max(-x, 0.0)
    test = (0.1 + left + gap) * scatter.factor(0.01)
    return {
        "train_acc": 1 - (0.05 + left),
        "test_acc": 1 - test,
        "train_loss": 0.05 + left,
        "test_loss": test,
    }


def delays(share: float) -> Maker:
    """t_test / t_train follows the gap in this share of seeds; in the others the delays of a task's
    cells are permuted.
    """

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        task = task_of(run)
        cells = CELLS[task]
        own = min(
            range(len(cells)),
            key=lambda place: (
                abs(math.log(cells[place][0] / run.alpha)) + abs(cells[place][1] - run.n_train)
            ),
        )
        follows = _uniform(scatter.shared("follows", task, run.seed)) < share
        alpha, size = cells[own if follows else scatter.order(len(cells), task, run.seed)[own]]
        gap = max(math.log10(alpha / BOTTOM), 0.0) ** 2 * (1000 / size) ** 0.5
        fit = (
            50
            * scatter.factor(noise.MNIST_TIME_SD, "fit", run.seed)
            * scatter.factor(noise.MNIST_TIME_SD)
        )
        late = fit * (1.2 + 60 * gap) * scatter.factor(noise.MNIST_TIME_SD)
        return {
            **fig05.TARGETS,
            "train_acc": arrives(step, fit, 0.1),
            "test_acc": arrives(step, late, 0.1),
            "train_loss": fig05.VARIANCE * arrives(step, fit, 1.0, 1e-3),
            "test_loss": fig05.VARIANCE * arrives(step, late, 1.0, 1e-2),
        }

    return maker


def _uniform(normal: float) -> float:
    return 0.5 * math.erfc(-normal / math.sqrt(2))


def read_for_lu(run: Run) -> bool:
    """Sizes and weight decays that concl.LU reads: of the landscapes those nearest to an arm's."""
    if run.constraint != "free":
        return run.task != "mnist" or run.n_train in (1000, 7196)
    return run.task != "mnist" or run.loss == "cross_entropy" or run.n_train in (1000, 8192)


def abrupt(decades: Callable[[str, Run, Scatter], float]) -> Maker:
    """The test accuracy rises steadily in log steps, from 1,000 on, over so many decades."""

    def maker(run: Run, step: Steps, scatter: Scatter) -> Columns:
        width = (
            decades(run.task, run, scatter)
            * scatter.factor(noise.MNIST_TIME_SD, "width", run.task, run.seed)
            / 0.8
        )
        rise = np.clip((np.log10(np.maximum(step, 1)) - 3) / width, 0, 1)
        return {"train_acc": arrives(step, 50, 0.5), "test_acc": 0.3 + 0.5 * rise}

    return maker


DECADES = {"modular": 0.15, "mnist": 0.4, "imdb": 0.8}


def in_order(task: str, run: Run, scatter: Scatter) -> float:
    return DECADES[task]


def some_exchanged(task: str, run: Run, scatter: Scatter) -> float:
    """MNIST and IMDb exchange their places in a random half of the seeds."""
    other = {"mnist": "imdb", "imdb": "mnist"}.get(task, task)
    return DECADES[other if scatter.shared("exchange", run.seed) > 0 else task]


LANDSCAPES = (
    "fig02_teacher_student:landscape",
    "fig03_mnist:landscape",
    "fig11_cross_entropy:landscape_ce",
    "fig04_imdb:landscape",
    "fig05_qm9:landscape",
    "fig09_transformer_landscape:landscape",
)
DYNAMICS = (
    "fig02_teacher_student:small",
    "fig02_teacher_student:large",
    "fig03_mnist:dynamics",
    "fig03_mnist:dynamics_large",
    "fig11_cross_entropy:scales",
    "fig04_imdb:dynamics",
    "fig04_imdb:large",
    "fig05_qm9:dynamics",
    "fig05_qm9:large",
    "fig07_transformer:free",
    "fig07_transformer:others",
)


def associated(share: float) -> dict[str, Maker]:
    return {**dict.fromkeys(LANDSCAPES, mismatch), **dict.fromkeys(DYNAMICS, delays(share))}


# The correlation is .964 where every delay follows the gap and 0 in the mean where none does.
LU, HALF = associated(1.0), associated(0.5 / 0.964)
FREE, IMAGES, TEXT = "fig07_transformer:free", "fig03_mnist:dynamics", "fig04_imdb:dynamics"
MOLECULES, PLAIN = "fig05_qm9:dynamics", "fig05_qm9:graph_conv"
ADDITION, DIGITS = "fig06_addition:landscape", "fig08_mnist_representation:landscape"
groks = {
    IMAGES: fig03.dynamics,
    TEXT: fig04.dynamics,
    MOLECULES: fig05.recorded,
    PLAIN: fig05.recorded,
}

SIMULATIONS = {
    "concl.LU": Simulation(
        LU, "the delay follows the gap", null=HALF, ends_only=LANDSCAPES, reads=read_for_lu
    ),
    "concl.everywhere": Simulation(
        groks, "delays as in Figures 3, 4 and 5", null={**groks, IMAGES: fig03.delayed(10.0, 5.0)}
    ),
    "concl.most-dramatic": Simulation(
        dict.fromkeys((FREE, IMAGES, TEXT), abrupt(in_order)),
        "rises over .15, .4 and .8 decades",
        null=dict.fromkeys((FREE, IMAGES, TEXT), abrupt(some_exchanged)),
    ),
    "concl.representation": Simulation(
        {
            FREE: fig07.transformer,
            IMAGES: fig03.dynamics,
            ADDITION: fig06.plain,
            DIGITS: fig08.landscape(),
        },
        "delays of 50 and 5, ranges of 90 and 4 points",
        ends_only=(ADDITION, DIGITS),
    ),
}
