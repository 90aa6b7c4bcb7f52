"""One tiny setting of each family of networks, for CUDA and for the simulated card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from omnigrok.curves import Curves
from omnigrok.run import Run, freeze


def _setting(
    task: str, model: str, n_train: int, data: dict[str, Any], network: dict[str, Any], **more: Any
) -> Run:
    fields = {
        "seed": 0,
        "steps": 12,
        "lr": 1e-2,
        "log_every": 1,
        "precision": "float64",
        "loss_precision": "float64",
        **more,
    }
    return Run(
        task=task,
        model=model,
        n_train=n_train,
        data=freeze(data),
        network=freeze(network),
        **fields,
    )


IMAGES = {"source": "bundled", "n_test": 10}
PIXELS = {"widths": (784, 6, 10), "activation": "relu"}
FAMILIES = {
    "full batch": _setting(
        "teacher_student",
        "mlp",
        12,
        {"n_test": 7},
        {"widths": (3, 6, 5, 2), "activation": "tanh"},
        weight_decay=0.5,
    ),
    # Batches of 8, 8 and 4.
    "mini-batch": _setting("mnist", "mlp", 20, IMAGES, PIXELS, batch_size=8, weight_decay=0.5),
    "messy": _setting(
        "mnist_representation", "messy_mlp", 20, IMAGES, PIXELS, batch_size=8, messiness=0.5
    ),
    "addition": _setting(
        "addition",
        "decoder",
        20,
        {"representation": "scalar"},
        {"hidden": (6,), "activation": "relu"},
    ),
    "transformer": _setting(
        "modular",
        "transformer",
        40,
        {"p": 7},
        {"d_model": 8, "d_mlp": 12, "n_heads": 2},
        loss="cross_entropy",
    ),
    "lstm": _setting(
        "imdb",
        "lstm",
        10,
        {"source": "bundled", "length": 12, "vocabulary": 50, "n_test": 5},
        {"hidden": 4, "embedding": 4, "carry": True},
        batch_size=4,
        loss="binary_cross_entropy",
        clip=5.0,
    ),
    "nnconv": _setting(
        "qm9", "nnconv", 10, {"n_test": 4}, {"widths": (11, 4, 4), "edge_hidden": 4}, batch_size=4
    ),
    "graph-conv": _setting(
        "qm9", "graph_conv", 10, {"n_test": 4}, {"widths": (11, 4, 4)}, batch_size=4
    ),
}


def replicas(run: Run, count: int) -> list[Run]:
    """So many Runs of one shape that differ in all that replicas of a stack may differ in."""
    return [
        run.replace(
            seed=k,
            alpha=1 + k / 4,
            lr=run.lr * (1 + k / 8),
            weight_decay=run.weight_decay * (1 + k),
        )
        for k in range(count)
    ]


def assert_near(found: Sequence[Curves], expected: Sequence[Curves], rtol: float = 1e-6) -> None:
    """Curves of the same Runs over their first steps: the order of sums may differ, and nothing
    else.
    """
    assert [curves.run for curves in found] == [curves.run for curves in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.diverged, sorted(one.columns)) == (other.diverged, sorted(other.columns))
        np.testing.assert_array_equal(one.step, other.step)
        for name in one.columns:
            np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=1e-12, err_msg=name)
