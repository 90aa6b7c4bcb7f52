"""Runs of Figure 3 for made-up curves, and a scatter that is the run's own."""

import numpy as np

from omnigrok.run import Run


def base(**fields: object) -> Run:
    return Run(
        **{
            "task": "mnist",
            "model": "mlp",
            "seed": 0,
            "n_train": 1000,
            "steps": 100_000,
            "lr": 1e-3,
            **fields,
        }
    )  # type: ignore[arg-type]


def seeded(run: Run) -> np.random.Generator:
    return np.random.default_rng([run.seed, run.n_train, round(1e4 * run.alpha)])
