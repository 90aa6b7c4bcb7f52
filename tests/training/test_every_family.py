"""Every data set and network of the audit: a replica's curves are the same alone and in a stack,
over 50 steps in float64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omnigrok.run import Run
from omnigrok.suite.experiment import expand
from omnigrok.suite.suite import load_suite
from omnigrok.training import train

CLAIMS = Path(__file__).parents[2] / "claims"
STEPS = 50


def smoke_families() -> dict[str, Run]:
    """One smoke run for each task, network, loss and constraint that the figures use."""
    found: dict[str, Run] = {}
    for figure in load_suite(CLAIMS).figures:
        for experiment in figure.experiments.values():
            for run in expand(experiment, "smoke", "paper"):
                if run.alpha > 0:
                    found.setdefault("-".join((run.task, run.model, run.loss, run.constraint)), run)
    return found


FAMILIES = smoke_families()


def test_no_family_of_the_paper_is_missing() -> None:
    tasks = {run.task for run in FAMILIES.values()}
    models = {run.model for run in FAMILIES.values()}
    assert tasks == {
        "teacher_student",
        "mnist",
        "imdb",
        "qm9",
        "addition",
        "modular",
        "mnist_representation",
    }
    assert models == {"mlp", "lstm", "nnconv", "graph_conv", "decoder", "transformer", "messy_mlp"}


@pytest.mark.parametrize("name", FAMILIES)
def test_alone_and_in_a_stack_of_four(name: str) -> None:
    run = FAMILIES[name].replace(
        steps=STEPS,
        log_every=10,
        eval_samples=0,
        precision="float64",
        loss_precision="float64",
        lr_drops=(),
    )
    stack = [
        run.replace(alpha=run.alpha * (1 + k / 8), weight_decay=run.weight_decay + 0.1 * k)
        for k in range(3)
    ]
    stack.append(run.replace(lr=run.lr / 2))
    alone, together = train([stack[1]])[0], train(stack)[1]
    for column, values in alone.columns.items():
        if column.endswith(("loss", "norm")):
            assert np.isfinite(values).all()
            np.testing.assert_allclose(
                together[column], values, rtol=1e-9, atol=1e-15, err_msg=column
            )
    assert alone["train_loss"][0] != alone["train_loss"][-1]
