"""Made-up maps over (w, m) for the checks of Figures 6 and 8, and what these say of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import synthetic
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import Outcome
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict

FIG06, FIG08 = "fig06_addition", "fig08_mnist_representation"
STEP = np.array([0, 100])
# Steps of .0578 in ln w, as the fine maps have.
ALPHAS, M = np.geomspace(1, 9, 39), np.linspace(0, 0.2, 5)
NORM, SHARP, PLACE = 13.0, 16.0, float(np.log(25.0))

Loss = Callable[[float, float, Run], tuple[float, float]]


def wall(u: float, m: float, lean: float = 4.0, shift: float = 0.0) -> float:
    """A training loss that falls steadily up to ln w = PLACE + lean m and is exponentially small to
    the right of it.
    """
    return float(np.log1p(np.exp(-SHARP * (u - PLACE - shift - lean * m))) / SHARP)


E = PLACE + 0.22  # ln w where the wall's slope balances g = .0316


def grokking(u: float, m: float, run: Run, lean: float = 4.0) -> tuple[float, float]:
    """A boundary that leans, and a test loss that is low at m = 0 alone."""
    return wall(u, m, lean, 0.01 * np.sin(run.seed)), 0.01 + 10 * m + (
        u - E
    ) ** 2 + 0.001 * run.seed


def flat(u: float, m: float, run: Run) -> tuple[float, float]:
    """Training and test loss fall alike, whatever m is, and nothing is ever fitted."""
    return 0.3 + 0.1 * wall(u, 0.1, 0) + 0.001 * m, 0.31 + 0.1 * wall(u, 0.1, 0) + 0.001 * (
        m + run.seed
    )


def alike(u: float, m: float, run: Run) -> tuple[float, float]:
    """MNIST as the paper has it: a U over w in both losses, hardly any m."""
    loss = 0.01 * (1 + 5 * abs(u - E) + 0.1 * m)
    return loss, 1.02 * loss + 1e-5 * run.seed


def of_linear(run: Run) -> float:
    """The linear representation generalises."""
    return 1.0 if run.messiness == 0 else 0.1


def make(
    loss: Loss,
    seeds: int = 3,
    norm: float = NORM,
    sizes: tuple[int, ...] = (45,),
    task: str = "addition",
    acc: Callable[[Run], float] = of_linear,
    alphas: np.ndarray = ALPHAS,
    messiness: np.ndarray = M,
) -> Grid:
    runs = [
        Run(
            task=task,
            model="decoder",
            seed=seed,
            n_train=size,
            steps=100,
            lr=1e-3,
            alpha=alpha,
            messiness=m,
        )
        for seed in range(seeds)
        for size in sizes
        for alpha in alphas
        for m in messiness
    ]

    def columns(run: Run) -> dict[str, float]:
        train, test = loss(float(np.log(run.alpha * norm)), run.messiness, run)
        return {
            "train_loss": train,
            "test_loss": test,
            "test_acc": acc(run),
            "weight_norm": run.alpha * norm,
        }

    return synthetic.grid_of("made up", runs, columns, STEP)


def judged(figure: str, claim: str, maps: dict[str, Grid], **options: str) -> Outcome:
    checks = synthetic.load_checks(figure)
    names = {
        mark.args[0]: check
        for check in vars(checks).values()
        for mark in getattr(check, "pytestmark", [])
    }
    return synthetic.judge(figure, claim, names[claim], maps, **options)


def outcome(
    claim: str,
    loss: Loss,
    other: Loss = alike,
    tier: str = "paper",
    role: str = "claim",
    **options: object,
) -> Outcome:
    grid = make(loss, **options)
    fewer = {
        key: value
        for key, value in options.items()
        if key in ("seeds", "norm", "alphas", "messiness")
    }
    digits = make(other, acc=lambda run: 1.0, **fewer)
    maps = dict.fromkeys(("landscape", "variants", "fine"), grid.where(n_train=45))
    maps |= {"sizes": grid, "fig08_mnist_representation:landscape": digits}
    return judged(FIG06, claim, maps, tier=tier, role=role)


def addition(claim: str, loss: Loss, other: Loss = alike, **options: object) -> Verdict:
    return outcome(claim, loss, other, **options).verdict
