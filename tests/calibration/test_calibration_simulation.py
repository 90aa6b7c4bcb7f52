"""Simulated data sets have the claim's own Runs, and nulls break what they should and
nothing else.
"""

from pathlib import Path

import numpy as np
import pytest

from omnigrok.calibration.simulation import (
    Scatter,
    Simulation,
    arrives,
    design_of,
    exchanged,
    flipped,
    generator,
    permuted,
)
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.paper.simulations import SIMULATIONS
from omnigrok.run import Run
from omnigrok.stats.comparison import Array
from omnigrok.suite.suite import Setting, load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
SUITE = load_suite(CLAIMS)


def curves(seeds: int = 6, **axes: list[float]) -> dict[Run, Curves]:
    (axis, values), *_ = axes.items()
    runs = [
        Run(task="mnist", model="mlp", seed=seed, n_train=100, steps=10, lr=1e-3, **{axis: value})
        for seed in range(seeds)
        for value in values
    ]
    step = np.array([0, 10])
    return {
        run: Curves(run, step, {"x": np.full(2, 100.0 * run.seed + getattr(run, axis))})
        for run in runs
    }


def read(found: dict[Run, Curves], axis: str) -> dict[tuple[int, float], float]:
    assert all(each.run == run for run, each in found.items())
    return {(run.seed, getattr(run, axis)): float(each["x"][0]) for run, each in found.items()}


def test_a_design_has_the_paper_tiers_runs_or_another_number_of_seeds() -> None:
    design = design_of(CLAIMS, "fig02.inverse")
    assert design.runs("large") == SUITE.runs(
        "fig02_teacher_student:large", Setting("paper", "paper")
    )
    assert design.seeds_used == 10
    more = design_of(CLAIMS, "fig02.inverse", seeds=13)
    assert more.seeds_used == 13
    assert len(more.runs("large")) == len(design.runs("large")) // 10 * 13
    with pytest.raises(BadInput, match=r"unknown claim 'fig02\.inverted'"):
        design_of(CLAIMS, "fig02.inverted")


@pytest.mark.parametrize("name", ["fig02.train-L", "fig05.mismatch-small", "fig08.similar"])
def test_scatter_is_multiplied_and_nothing_else(name: str) -> None:
    """Twice the scatter is twice the deviation of the logarithms from a data set without any, of
    the same random numbers.
    """

    def logs(scatter: float) -> Array:
        design = design_of(CLAIMS, name, seeds=2, scatter=scatter)
        found = design.grids(SIMULATIONS[name], None, generator(7))
        return np.log(
            [each["train_loss"][-1] for grid in found.values() for each in grid.curves.values()]
        )

    none, once, twice = logs(1e-9), logs(1.0), logs(2.0)
    assert np.ptp(once - none) > 1e-3
    np.testing.assert_allclose(twice - none, 2 * (once - none), atol=1e-6)


def test_permutation_stays_within_a_seed_and_loses_nothing() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    given = curves(alpha=values)
    found = read(permuted(given, "alpha", np.random.default_rng(0)), "alpha")
    for seed in range(6):
        assert sorted(found[seed, value] - 100 * seed for value in values) == values
    assert found != read(given, "alpha")


def test_exchange_stays_within_a_setting_and_loses_nothing() -> None:
    given = curves(alpha=[1.0, 2.0])
    found = read(exchanged(given, np.random.default_rng(0)), "alpha")
    for value in (1.0, 2.0):
        assert sorted(found[seed, value] - value for seed in range(6)) == [
            0,
            100,
            200,
            300,
            400,
            500,
        ]
    assert found != read(given, "alpha")


def test_flips_exchange_two_arms_of_some_seeds_and_leave_the_third() -> None:
    given = curves(seeds=20, weight_decay=[0.1, 1.0, 3.0])
    found = read(flipped(given, "weight_decay", 0.1, 1.0, np.random.default_rng(0)), "weight_decay")
    kinds = set()
    for seed in range(20):
        pair = (found[seed, 0.1] - 100 * seed, found[seed, 1.0] - 100 * seed)
        kinds.add(tuple(round(value, 6) for value in pair))
        assert found[seed, 3.0] == 100 * seed + 3
    assert kinds == {(0.1, 1.0), (1.0, 0.1)}


def test_scatter_is_shared_by_key_and_only_by_key() -> None:
    scatter = Scatter(np.random.default_rng(0))
    assert scatter.shared("a", 1) == scatter.shared("a", 1) != scatter.shared("a", 2)
    assert scatter.factor(0.1, "a", 1) == scatter.factor(0.1, "a", 1)
    assert scatter.factor(0.1) != scatter.factor(0.1)
    assert sorted(scatter.order(5, "seed")) == [0, 1, 2, 3, 4]
    assert scatter.order(5, "seed") == scatter.order(5, "seed")


def test_an_accuracy_arrives_at_its_step() -> None:
    assert arrives(np.array([0, 10, 20]), 10, 0.1, 0.9).tolist() == [0.1, 0.9, 0.9]
    assert arrives(np.array([0, 10]), np.inf).tolist() == [0, 0]


def test_the_null_maker_is_used_for_the_null_alone() -> None:
    design = design_of(CLAIMS, "fig02.train-flat", seeds=2)
    simulation = Simulation(
        {"large": lambda run, step, scatter: {"x": 1.0}},
        "one",
        null={"large": lambda run, step, scatter: {"x": 2.0}},
    )
    for null, value in ((None, 1.0), ("effect at the margin", 2.0)):
        grid = design.grids(simulation, null, np.random.default_rng(0))["large"]
        assert {float(each["x"][0]) for each in grid.curves.values()} == {value}
    assert generator(1, "a", None).random() != generator(1, "a", "null").random()
