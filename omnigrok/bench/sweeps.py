"""The Runs that cheap arithmetic is compared on: each family of claims, about as large as in the
smoke tier.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omnigrok.run import Run, freeze


@dataclass(frozen=True)
class Sweep:
    """One family of claims at about the size of the smoke tier: the Runs of a seed, which differ in
    what a claim varies.

    Args:
        name: as the table shows it.
        run: its setting.
        axes: field of a Run to its values.
    """

    name: str
    run: Run
    axes: Mapping[str, Sequence[float]]

    def runs(self, seeds: int) -> list[Run]:
        """Seed by seed."""
        points = [
            dict(zip(self.axes, values, strict=True))
            for values in itertools.product(*self.axes.values())
        ]
        return [self.run.replace(seed=seed, **point) for seed in range(seeds) for point in points]


def _sweep(
    name: str,
    task: str,
    model: str,
    n_train: int,
    data: Mapping[str, Any],
    network: Mapping[str, Any],
    axes: Mapping[str, Sequence[float]],
    **more: Any,
) -> Sweep:
    return Sweep(
        name,
        Run(
            task=task,
            model=model,
            seed=0,
            n_train=n_train,
            data=freeze(data),
            network=freeze(network),
            **more,
        ),
        axes,
    )


STUDENT = {"widths": (5, 64, 64, 5), "activation": "tanh"}
IMAGES = {"source": "bundled", "n_test": 100}
PIXELS = {"widths": (784, 32, 32, 10), "activation": "relu"}
REVIEWS = {"source": "bundled", "length": 50, "vocabulary": 500, "n_test": 200}
LSTM = {"hidden": 16, "embedding": 16}
MOLECULES = {"subset": "random", "n_test": 64}
GRAPH = {"widths": (11, 8, 8)}
TRANSFORMER = {"d_model": 32, "d_mlp": 128}
# Claims read the last values at constant norm; times to a threshold, which need more logged steps,
# they read off free training.
HELD: dict[str, Any] = {"constraint": "rescale", "lr": 3e-3, "log_ratio": 0.1}
SUMS = {"representation": "scalar", "labels": "sum", "base": 6, "target_dim": 6}

SWEEPS = {
    sweep.name: sweep
    for sweep in (
        _sweep(
            "teacher-student, held",
            "teacher_student",
            "mlp",
            100,
            {"n_test": 100},
            STUDENT,
            {"alpha": (0.3, 1.0, 3.0)},
            steps=800,
            **HELD,
        ),
        _sweep(
            "teacher-student, free",
            "teacher_student",
            "mlp",
            100,
            {"n_test": 100},
            STUDENT,
            {"weight_decay": (0.3, 1.0)},
            alpha=2.0,
            steps=2500,
            lr=3e-3,
        ),
        _sweep(
            "MNIST, held",
            "mnist",
            "mlp",
            200,
            IMAGES,
            PIXELS,
            {"alpha": (0.3, 1.0, 3.0)},
            steps=300,
            batch_size=50,
            **HELD,
        ),
        _sweep(
            "MNIST, free",
            "mnist",
            "mlp",
            300,
            IMAGES,
            PIXELS,
            {"alpha": (1.0, 3.0)},
            steps=400,
            batch_size=50,
            weight_decay=0.3,
            lr=3e-3,
        ),
        _sweep(
            "MNIST cross-entropy, held",
            "mnist",
            "mlp",
            200,
            IMAGES,
            PIXELS,
            {"alpha": (1.0, 10.0, 100.0)},
            steps=250,
            batch_size=50,
            loss="cross_entropy",
            **HELD,
        ),
        _sweep(
            "MNIST cross-entropy, free",
            "mnist",
            "mlp",
            200,
            IMAGES,
            PIXELS,
            {"alpha": (1.0, 100.0)},
            steps=300,
            batch_size=50,
            loss="cross_entropy",
            weight_decay=0.1,
            lr=1e-2,
        ),
        _sweep(
            "IMDb, held",
            "imdb",
            "lstm",
            100,
            REVIEWS,
            LSTM,
            {"alpha": (0.3, 1.0, 3.0)},
            steps=60,
            batch_size=20,
            loss="binary_cross_entropy",
            **{**HELD, "lr": 1e-2},
        ),
        _sweep(
            "IMDb, free",
            "imdb",
            "lstm",
            100,
            REVIEWS,
            LSTM,
            {"alpha": (1.0, 6.0)},
            steps=120,
            batch_size=20,
            loss="binary_cross_entropy",
            weight_decay=1.0,
            lr=1e-2,
        ),
        _sweep(
            "QM9, held",
            "qm9",
            "nnconv",
            32,
            MOLECULES,
            {**GRAPH, "edge_hidden": 8},
            {"alpha": (0.3, 1.0, 3.0)},
            steps=200,
            batch_size=16,
            **{**HELD, "lr": 1e-2},
        ),
        _sweep(
            "QM9, free",
            "qm9",
            "nnconv",
            32,
            MOLECULES,
            {**GRAPH, "edge_hidden": 8},
            {"alpha": (1.0, 3.0)},
            steps=400,
            batch_size=16,
            lr=1e-2,
        ),
        _sweep(
            "QM9, plain convolutions",
            "qm9",
            "graph_conv",
            32,
            MOLECULES,
            GRAPH,
            {"alpha": (1.0, 3.0)},
            steps=400,
            batch_size=16,
            lr=1e-2,
        ),
        _sweep(
            "addition, held",
            "addition",
            "decoder",
            17,
            SUMS,
            {"hidden": (64, 64), "activation": "relu"},
            {"alpha": (1.5, 4.5), "messiness": (0.0, 1.0)},
            steps=600,
            lr_drops=(300, 450),
            lr_factor=0.2,
            **{**HELD, "lr": 1e-2},
        ),
        _sweep(
            "MNIST representation, held",
            "mnist_representation",
            "messy_mlp",
            300,
            IMAGES,
            {**PIXELS, "template": "label"},
            {"alpha": (1.0, 3.0), "messiness": (0.0, 1.0)},
            steps=300,
            batch_size=50,
            **HELD,
        ),
        _sweep(
            "transformer, held",
            "modular",
            "transformer",
            265,
            {"p": 23},
            TRANSFORMER,
            {"alpha": (1.0, 3.0)},
            steps=250,
            betas=(0.9, 0.98),
            loss="cross_entropy",
            **{**HELD, "lr": 1e-2},
        ),
        _sweep(
            "transformer, free",
            "modular",
            "transformer",
            265,
            {"p": 23},
            TRANSFORMER,
            {"weight_decay": (0.3, 1.0)},
            steps=500,
            betas=(0.9, 0.98),
            loss="cross_entropy",
            lr=1e-2,
        ),
    )
}
