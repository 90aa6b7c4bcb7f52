"""The paper's own data pass the check that refuses a test set whose inputs are in the training
set, with room to spare.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omnigrok.data import default_root, find_task
from omnigrok.errors import DataMissing
from omnigrok.run import Run
from omnigrok.suite.schema import Tier
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.contents import MOST_SHARED, Contents

CLAIMS = Path(__file__).parents[2] / "claims"
# Of IMDb with 37,500 training reviews: 160 of 12,500.
LARGEST = 0.0128


def largest(tier: Tier) -> list[Run]:
    """Of each task with inputs of its own, the Run with the most training samples."""
    suite = load_suite(CLAIMS)
    found: dict[str, Run] = {}
    for figure in suite.figures:
        for name in figure.experiments:
            for run in suite.runs(f"{figure.figure}:{name}", Setting(tier, "paper")):
                if run.n_train > (found[run.task].n_train if run.task in found else 0):
                    found[run.task] = run
    return [
        run for task, run in found.items() if not getattr(find_task(task), "REPEATED_INPUTS", False)
    ]


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_hardly_any_test_sample_is_a_training_sample(tier: Tier) -> None:
    runs, checked = largest(tier), 0
    assert {"mnist", "imdb", "qm9", "modular", "teacher_student"} <= {run.task for run in runs}
    for run in runs:
        torch.manual_seed(run.seed)
        try:
            split = find_task(run.task).split(run, default_root())
        except DataMissing:
            continue  # a clone without the downloads has the other tasks
        digests = Contents().of(split.pool)
        shared = np.isin(digests[split.test.numpy()], digests[split.train.numpy()]).mean()
        assert shared <= LARGEST < MOST_SHARED / 3, run
        checked += 1
    assert checked >= (len(runs) if tier == "smoke" else 2)
