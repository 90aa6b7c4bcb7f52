"""The checks of Figure 8 on made-up maps: a planted effect is REPRODUCED, an absent one is not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import synthetic
from made_up_maps import ALPHAS, FIG08, M, alike, grokking, judged, make
from omnigrok.audit.case import Case
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import load_figure


def mnist_acc(run: Run) -> float:
    return (
        (0.96 if run.messiness > 0.1 else 0.999)
        if run.task == "mnist_representation"
        else (0.1 if run.messiness > 0.1 else 1.0)
    )


@cache
def both(planted: bool = True) -> dict[str, Grid]:
    losses, acc = (
        ((alike, grokking), mnist_acc)
        if planted
        else ((grokking, alike), lambda run: 1 - 2 * run.messiness)
    )
    image, toy = (
        make(loss, seeds=5, task=task, acc=acc)
        for loss, task in zip(losses, ("mnist_representation", "addition"), strict=True)
    )
    return {"landscape": image, "fig06_addition:landscape": toy}


@pytest.mark.parametrize(
    "claim", ["fig08.similar", "fig08.weak-m", "fig08.no-grok", "fig08.accuracy-range"]
)
class TestMnist:
    def test_planted(self, claim):
        assert judged(FIG08, claim, both()).verdict is Verdict.REPRODUCED

    def test_absent(self, claim):
        assert judged(FIG08, claim, both(planted=False)).verdict is Verdict.REFUTED

    def test_control(self, claim):
        assert judged(FIG08, claim, both(), role="control").verdict is Verdict.REFUTED


def test_maps_on_which_nothing_is_learned_are_no_evidence_against_grokking():
    image = make(
        lambda u, m, run: (0.1, 0.1 + 1e-4 * run.seed), seeds=5, task="mnist_representation"
    )
    found = judged(FIG08, "fig08.no-grok", {**both(), "landscape": image})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("premise not met: smallest test loss on the path")


def swapped(planted: bool) -> dict[str, Grid]:
    """What the two tasks show, exchanged: on the control's map the sentence is true."""
    maps = both(planted)
    return {
        "landscape": maps["fig06_addition:landscape"],
        "fig06_addition:landscape": maps["landscape"],
    }


@pytest.mark.parametrize("claim", ["fig08.similar", "fig08.weak-m", "fig08.no-grok"])
def test_a_control_on_a_map_like_that_of_mnist_is_reproduced(claim):
    assert judged(FIG08, claim, swapped(planted=True), role="control").verdict is Verdict.REPRODUCED


def test_a_control_whose_seeds_differ_as_representations_should_is_reproduced():
    def accuracy(run: Run) -> float:
        first = run.seed < 3
        return (
            (0.999 if first else 0.96)
            if run.task == "mnist_representation"
            else (1.0 if first else 0.1)
        )

    image, toy = (
        make(alike, seeds=6, task=task, acc=accuracy)
        for task in ("mnist_representation", "addition")
    )
    maps = {"landscape": image, "fig06_addition:landscape": toy}
    assert judged(FIG08, "fig08.accuracy-range", maps, role="control").verdict is Verdict.REPRODUCED


def test_cells_that_have_not_settled_do_not_count():
    """Where the losses still fall, they are alike; where they rest, they are not."""

    def curves(run: Run) -> dict[str, object]:
        moving = run.alpha < 1.5
        level = run.alpha**-3.0 * (1 - run.messiness)
        train = level * np.array([9.0, 4.0, 2.0, 1.0]) if moving else np.full(4, level)
        test = 1.02 * train if moving else 1 / train
        return {"train_loss": train, "test_loss": test, "test_acc": 0.5, "weight_norm": run.alpha}

    step = np.array([0, 30, 60, 100])
    runs = [
        run.replace(constraint="rescale")
        for run in make(alike, seeds=5, task="mnist_representation").curves
    ]
    maps = {**both(), "landscape": synthetic.grid_of("made up", runs, curves, step)}
    entry = load_figure(synthetic.CLAIMS / f"{FIG08}.yaml").claim("fig08.similar")
    case = Case(entry, FIG08, "paper", "paper", "claim", maps, paper_steps=dict.fromkeys(runs, 100))
    with pytest.raises(ClaimRefuted):
        synthetic.load_checks(FIG08).test_similar(case)
    assert case.outcome is not None
    settled = 5 * len(M) * int((ALPHAS >= 1.5).sum())
    assert (
        case.outcome.findings[0].note
        == f"{settled} of {5 * len(M) * len(ALPHAS)} cells have settled"
    )
    assert (case.cells, case.moving) == (settled, 0)
