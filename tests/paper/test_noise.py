"""The scatter that simulations assume, held against the recorded runs of the paper tier: within a
factor of two.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.paper import noise
from omnigrok.report.recorded import NotRecorded, Recorded
from omnigrok.stats.comparison import Array
from omnigrok.stats.times import time_to
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
# Errors above this are those of a network that has learned nothing.
LEARNED = 0.8


def recorded_grid(experiment: str, protocol: Protocol = "paper") -> Grid:
    """The recorded curves; the test is skipped where the planned runs have not been trained."""
    try:
        return Recorded(load_suite(CLAIMS), "paper").load(experiment, protocol).grid
    except NotRecorded as error:
        pytest.skip(f"nothing to compare with: {error}")


def by_setting(
    experiment: str, measure: Callable[[Curves], float], protocol: Protocol = "paper"
) -> Array:
    """(settings, seeds) natural logarithm of a number of each recorded run; skips the test if there
    are none.
    """
    if not (CLAIMS / "evidence" / f"{experiment.replace(':', '.')}.{protocol}.parquet").exists():
        pytest.skip(f"{experiment} has not been recorded under {protocol}")
    found: dict[tuple[object, ...], dict[int, float]] = defaultdict(dict)
    for run, curves in recorded_grid(experiment, protocol).curves.items():
        found[run.alpha, run.messiness, run.n_train, run.weight_decay][run.seed] = np.log(
            measure(curves)
        )
    return np.array(
        [[values[seed] for seed in sorted(values)] for _, values in sorted(found.items())]
    )


def arrival(curves: Curves, column: str, right: float) -> float:
    """The step at which an accuracy is reached and held."""
    found = time_to(curves.step, curves[column], right)
    assert found.reached
    return found.value


def end(column: str) -> Callable[[Curves], float]:
    return lambda curves: float(curves[column][-1])


def test_errors_of_mnist() -> None:
    errors = by_setting("fig03_mnist:landscape", lambda curves: 1 - float(curves["test_acc"][-1]))
    learned = errors[errors.max(axis=1) < np.log(LEARNED)]
    assert len(learned) > 20
    # Two factors make the least error of a simulated run.
    recorded = np.median(learned.std(axis=1, ddof=1)) / (np.sqrt(2) * noise.MNIST_ERROR_SD)
    # The simulated scatter is smaller than the recorded one by this factor.
    assert recorded == pytest.approx(1.7, abs=0.05)


def test_least_errors_of_mnist() -> None:
    grid = recorded_grid("fig03_mnist:landscape")
    least: dict[tuple[int, int], float] = defaultdict(lambda: np.inf)
    for run, curves in grid.curves.items():
        error = 1 - float(curves["test_acc"][-1])
        least[run.n_train or 0, run.seed] = min(least[run.n_train or 0, run.seed], error)
    for size in (size for size in grid.axis("n_train") if size <= 2682):
        recorded = np.std([np.log(error) for (n, _), error in least.items() if n == size], ddof=1)
        assert 0.5 < recorded / noise.least_error_sd(size) < 2


@pytest.mark.parametrize(("column", "right"), [("train_acc", 0.95), ("test_acc", 0.8)])
def test_times_of_mnist(column: str, right: float) -> None:
    times = by_setting("fig03_mnist:dynamics", lambda curves: arrival(curves, column, right))
    # Two factors, or three: the assumption is on the safe side.
    assert times.std(axis=1, ddof=1).max() < np.sqrt(2) * noise.MNIST_TIME_SD


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("column", ["train_loss", "test_loss"])
def test_losses_of_the_representation(protocol: Protocol, column: str) -> None:
    losses = by_setting("fig08_mnist_representation:landscape", end(column), protocol)
    seeds = (losses - losses.mean(axis=1, keepdims=True)).mean(axis=0)
    assert 0.5 < seeds.std(ddof=1) / noise.REPRESENTATION_SEED_SD < 2
    assert (
        0.5
        < np.median(losses.std(axis=1, ddof=1))
        / np.hypot(noise.REPRESENTATION_SEED_SD, noise.REPRESENTATION_CELL_SD)
        < 2
    )


@pytest.mark.parametrize("column", ["train_loss", "test_loss"])
def test_losses_of_toy_addition(column: str) -> None:
    losses = by_setting("fig06_addition:landscape", end(column))
    assert (
        0.5
        < np.median(losses.std(axis=1, ddof=1))
        / np.hypot(noise.ADDITION_SEED_SD, noise.ADDITION_CELL_SD)
        < 2
    )


@pytest.mark.parametrize(
    ("columns", "assumed"),
    [(("train_loss",), noise.QM9_LOSS_SD), (("test_loss", "train_loss"), noise.QM9_GAP_SD)],
)
def test_losses_of_molecules(columns: tuple[str, ...], assumed: float) -> None:
    first, *rest = (by_setting("fig05_qm9:landscape", end(column)) for column in columns)
    logs = first - rest[0] if rest else first
    assert 0.5 < np.sqrt(logs.var(axis=1, ddof=1).mean()) / assumed < 2


def test_times_of_the_teacher_student() -> None:
    """Figure 2 is where these come from: the line through each seed's times, and what it leaves
    (the bend included).
    """
    grid = Recorded(load_suite(CLAIMS), "paper").load("fig02_teacher_student:large", "paper").grid
    decays = noise.WEIGHT_DECAYS
    times = np.log(
        [[arrival(curves, "test_acc", 0.95) for curves in _over(grid, seed)] for seed in grid.seeds]
    )
    x = np.log(decays) - np.log(decays).mean()
    slopes = times @ x / (x @ x)
    left = times - times.mean(axis=1, keepdims=True) - slopes[:, None] * x
    assert times.mean(axis=1).std(ddof=1) == pytest.approx(noise.TEST_LEVEL_SD, rel=0.5)
    assert slopes.std(ddof=1) == pytest.approx(noise.TEST_SLOPE_SD, rel=0.5)
    assert left.std(ddof=1) == pytest.approx(noise.TEST_RESIDUAL_SD, rel=0.5)


def _over(grid: Grid, seed: int) -> list[Curves]:
    return [grid.one(seed, weight_decay=decay) for decay in noise.WEIGHT_DECAYS]
