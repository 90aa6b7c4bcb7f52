"""The checks of Figures 6 and 8 on made-up maps: a planted effect is REPRODUCED, an absent one is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest

import synthetic
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import Outcome
from omnigrok.runs.run import Run
from omnigrok.stats.finding import Verdict

FIG06, FIG08 = "fig06_addition", "fig08_mnist_representation"
STEP = np.array([0, 100])
ALPHAS, M = np.geomspace(0.75, 9, 18), np.linspace(0, 0.2, 5)
NORM, SHARP, PLACE = 13.0, 16.0, float(np.log(25.0))

Loss = Callable[[float, float, Run], tuple[float, float]]


def wall(u: float, m: float, lean: float = 4.0, shift: float = 0.0) -> float:
    """A training loss that falls steadily up to ln w = PLACE + lean m and is exponentially small to the right of it."""
    return float(np.log1p(np.exp(-SHARP * (u - PLACE - shift - lean * m))) / SHARP)


E = PLACE + 0.22  # ln w where the wall's slope balances g = .0316


def grokking(u: float, m: float, run: Run, lean: float = 4.0) -> tuple[float, float]:
    """A boundary that leans, and a test loss that is low at m = 0 alone."""
    return wall(u, m, lean, 0.01 * np.sin(run.seed)), 0.01 + 10 * m + (u - E) ** 2 + 0.001 * run.seed


def flat(u: float, m: float, run: Run) -> tuple[float, float]:
    """Training and test loss fall alike, whatever m is, and nothing is ever fitted."""
    return 0.3 + 0.1 * wall(u, 0.1, 0) + 0.001 * m, 0.31 + 0.1 * wall(u, 0.1, 0) + 0.001 * (m + run.seed)


def alike(u: float, m: float, run: Run) -> tuple[float, float]:
    """MNIST as the paper has it: a U over w in both losses, hardly any m."""
    loss = 0.01 * (1 + 5 * abs(u - E) + 0.1 * m)
    return loss, 1.02 * loss + 1e-5 * run.seed


def make(
    loss: Loss, seeds: int = 3, norm: float = NORM, sizes: tuple[int, ...] = (45,), task: str = "addition", acc: object = None
) -> Grid:
    runs = [
        Run(task=task, model="decoder", seed=seed, n_train=size, steps=100, lr=1e-3, alpha=alpha, messiness=m)
        for seed in range(seeds)
        for size in sizes
        for alpha in ALPHAS
        for m in M
    ]

    def columns(run: Run) -> dict[str, float]:
        train, test = loss(float(np.log(run.alpha * norm)), run.messiness, run)
        right = acc(run) if callable(acc) else 0.5
        return {"train_loss": train, "test_loss": test, "test_acc": right, "weight_norm": run.alpha * norm}

    return synthetic.grid_of("made up", runs, columns, STEP)


def judged(figure: str, claim: str, maps: dict[str, Grid], **options: str) -> Outcome:
    checks = synthetic.load_checks(figure)
    names = {mark.args[0]: check for check in vars(checks).values() for mark in getattr(check, "pytestmark", [])}
    return synthetic.judge(figure, claim, names[claim], maps, **options)


def addition(claim: str, loss: Loss, other: Loss = alike, tier: str = "paper", role: str = "claim", **options: object) -> Verdict:
    grid = make(loss, **options)
    fewer = {key: value for key, value in options.items() if key in ("seeds", "norm")}
    maps = {"landscape": grid, "variants": grid, "sizes": grid, "fig08_mnist_representation:landscape": make(other, **fewer)}
    return judged(FIG06, claim, maps, tier=tier, role=role).verdict


@pytest.mark.parametrize("claim", ["fig06.regions", "fig06.test-depends-on-m", "fig06.wc-order"])
class TestRegions:
    def test_planted(self, claim):
        assert addition(claim, grokking, seeds=8) is Verdict.REPRODUCED

    def test_a_loss_that_never_falls_is_refuted(self, claim):
        assert addition(claim, flat, seeds=8) is Verdict.REFUTED

    def test_control(self, claim):
        found = addition(claim, grokking, seeds=8, role="control")
        assert found is (Verdict.INCONCLUSIVE if claim == "fig06.wc-order" else Verdict.REFUTED)


def test_without_a_lean_a_messy_representation_needs_no_larger_norm():
    def straight(u, m, run):
        return grokking(u + 0.01 * (-1) ** run.seed * m, m, run, lean=0.0)

    assert addition("fig06.wc-order", straight, seeds=8) is not Verdict.REPRODUCED


def test_a_messy_representation_that_is_never_fitted_is_censored():
    def stuck(u, m, run):
        train, test = grokking(u, m, run)
        return (train if m < 0.2 else 1.0), test

    assert addition("fig06.wc-order", stuck, seeds=8) is Verdict.REPRODUCED


class TestPath:
    """At norms far below 1 the 1 / w^2 of Eq. (6) is no hindrance: w rises to the boundary, then m falls and w with it."""

    @staticmethod
    def twice(u, m, run, rising=4.0):
        right = u - float(np.log(4 * 0.01))
        train = float(np.log1p(np.exp(-12 * (right - 2.5 * m))))
        return train / 12, float(0.1 + 5 * m + rising * right**2 + 0.001 * run.seed)

    def test_planted(self):
        assert addition("fig06.path", self.twice, tier="smoke", norm=0.01, seeds=1) is Verdict.REPRODUCED

    def test_absent(self):
        assert addition("fig06.path", partial(self.twice, rising=0.0), tier="smoke", norm=0.01, seeds=1) is Verdict.REFUTED

    def test_control(self):
        assert addition("fig06.path", self.twice, tier="smoke", norm=0.01, seeds=1, role="control") is Verdict.REFUTED


@pytest.mark.parametrize("claim", ["fig06.time", "fig06.time-eta"])
class TestTime:
    def test_planted(self, claim):
        assert addition(claim, grokking, tier="smoke", seeds=1) is Verdict.REPRODUCED

    def test_control(self, claim):
        assert addition(claim, grokking, tier="smoke", seeds=1, role="control") is Verdict.REFUTED


def test_a_goal_that_is_never_reached_in_smoke_may_come_later():
    found = addition("fig06.time", lambda u, m, run: (wall(u, m), grokking(u + 0.8, m, run)[1]), tier="smoke", seeds=1)
    assert found is Verdict.INCONCLUSIVE


class TestSizes:
    sizes = (25, 35, 45, 55)

    @staticmethod
    def by_size(u, m, run, shift=0.8, lean=2.0):
        reaches = run.n_train >= 45
        train = wall(u, m, lean * (2 if run.n_train > 45 else 1), 0.2 if reaches else 0.2 + shift)
        return train, grokking(u, m, run)[1]

    def test_planted(self):
        assert addition("fig06.data-size", self.by_size, sizes=self.sizes, seeds=5) is Verdict.REPRODUCED

    def test_contours_that_coincide(self):
        assert addition("fig06.data-size", partial(self.by_size, shift=0.0), sizes=self.sizes, seeds=5) is Verdict.REFUTED

    def test_control(self):
        assert addition("fig06.data-size", self.by_size, sizes=self.sizes, seeds=5, role="control") is Verdict.REFUTED

    def test_never_fitted(self):
        assert addition("fig06.data-size", flat, sizes=self.sizes, seeds=5) is Verdict.REFUTED

    @staticmethod
    def faster(u, m, run, factor=2.0):
        return wall(u, m, 2.0 * (factor if run.n_train > 45 else 1) + 0.01 * run.seed), grokking(u, m, run)[1]

    def test_planted_angle(self):
        assert addition("fig06.more-data-faster", self.faster, sizes=(45, 55), tier="smoke", seeds=2) is Verdict.REPRODUCED

    def test_equal_angles(self):
        found = addition("fig06.more-data-faster", partial(self.faster, factor=1.0), sizes=(45, 55), tier="smoke", seeds=2)
        assert found is Verdict.REFUTED

    def test_control_of_the_angle(self):
        found = addition("fig06.more-data-faster", self.faster, sizes=(45, 55), tier="smoke", seeds=2, role="control")
        assert found is not Verdict.REPRODUCED


def mnist_acc(run: Run) -> float:
    return (0.96 if run.messiness > 0.1 else 0.999) if run.task == "mnist_representation" else (0.1 if run.messiness > 0.1 else 1.0)


@cache
def both(planted: bool = True) -> dict[str, Grid]:
    losses, acc = ((alike, grokking), mnist_acc) if planted else ((grokking, alike), lambda run: 1 - 2 * run.messiness)
    image, toy = (make(loss, seeds=5, task=task, acc=acc) for loss, task in zip(losses, ("mnist_representation", "addition"), strict=True))
    return {"landscape": image, "fig06_addition:landscape": toy}


@pytest.mark.parametrize("claim", ["fig08.similar", "fig08.weak-m", "fig08.no-grok", "fig08.accuracy-range"])
class TestMnist:
    def test_planted(self, claim):
        assert judged(FIG08, claim, both()).verdict is Verdict.REPRODUCED

    def test_absent(self, claim):
        assert judged(FIG08, claim, both(planted=False)).verdict is Verdict.REFUTED

    def test_control(self, claim):
        assert judged(FIG08, claim, both(), role="control").verdict is Verdict.REFUTED


def test_maps_on_which_nothing_is_learnt_are_no_evidence_against_grokking():
    image = make(lambda u, m, run: (0.1, 0.1 + 1e-4 * run.seed), seeds=5, task="mnist_representation")
    assert judged(FIG08, "fig08.no-grok", {**both(), "landscape": image}).verdict is Verdict.REFUTED
