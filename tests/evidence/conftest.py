"""Made-up results for the tests of evidence files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from omnigrok.curves import Curves
from omnigrok.evidence import Result
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store

ENVIRONMENT = Environment("trainer 1, made_up 1, none 1", "2.5", "cpu")


def make_result(seed: int = 0, points: int = 12, **changes: object) -> Result:
    """A result that follows from the arguments alone."""
    run = Run(task="made_up", model="none", seed=seed, n_train=5, steps=100, lr=1e-3).replace(
        **changes
    )
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.random(points).astype(np.float32).astype(np.float64)
        for name in ("train_loss", "test_loss", "weight_norm")
    }
    step = np.arange(points, dtype=np.int64) * 7
    curves = Curves(run, step, columns, seconds=float(seed), provenance={"seed": seed})
    return curves, ENVIRONMENT


def make_results(count: int, points: int = 12) -> dict[Run, Result]:
    """Results of so many seeds, by Run."""
    results = [make_result(seed, points) for seed in range(count)]
    return {curves.run: (curves, environment) for curves, environment in results}


@pytest.fixture(scope="session")
def one_result() -> Callable[..., Result]:
    return make_result


@pytest.fixture(scope="session")
def results_of() -> Callable[..., dict[Run, Result]]:
    return make_results


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.db") as opened:
        yield opened
