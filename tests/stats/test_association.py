"""Rank correlations within and across tasks."""

import math

import numpy as np
import pytest
from scipy import stats

from omnigrok.stats import Region, Verdict
from omnigrok.stats.association import (
    mean_of_tasks,
    permuted_within,
    rank_agreement,
    rank_correlations,
    stratified_correlation,
)

REGION = Region(0.5)


def planted(
    seeds: int, cells: int, noise: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(cells) + 0.1 * rng.normal(size=(seeds, cells))
    return x, x + noise * rng.normal(size=(seeds, cells))


def test_each_seed_has_the_rho_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = planted(5, 7, 2.0, rng)
    x[0] = np.round(x[0] / 2)
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    assert rank_correlations(x, y) == pytest.approx(np.array(expected))


def test_missing_cells_are_left_out_and_censored_ones_rank_last() -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    y = np.array([[1.0, math.nan, 5.0, math.inf], [3.0, 1.0, math.inf, math.inf]])
    expected = stats.spearmanr([1, 2, 3, 4], [3, 1, 9, 9]).statistic
    assert rank_correlations(x, y) == pytest.approx([1.0, expected])


def test_without_order_there_is_no_rho() -> None:
    x = np.array([[1.0, 2.0], [1.0, 1.0], [1.0, math.nan]])
    y = np.array([[math.inf, math.inf], [1.0, 2.0], [1.0, 2.0]])
    assert np.isnan(rank_correlations(x, y)).all()


def test_a_planted_association_is_found_and_a_permuted_one_is_not() -> None:
    rng = np.random.default_rng(1)
    strata = {
        task: planted(5, cells, 0.4, rng)
        for task, cells in (("a", 2), ("b", 3), ("c", 4), ("d", 5), ("e", 4))
    }
    found = stratified_correlation("s", strata, REGION)
    assert found.verdict() is Verdict.REPRODUCED
    assert found.smoke_verdict() is Verdict.REPRODUCED
    assert found.p is not None
    assert found.p < 0.01
    assert len(found.values) == found.n == 5
    mixed = {task: (x, permuted_within(x, y, rng)[0]) for task, (x, y) in strata.items()}
    control = stratified_correlation("s", mixed, REGION)
    assert control.verdict() is Verdict.REFUTED
    assert control.p is not None
    assert control.p > 0.05


def test_tasks_have_one_weight_each_whatever_their_seeds() -> None:
    one, two = np.tile([1.0, 2.0, 3.0], (10, 1)), np.tile([1.0, 2.0, 3.0], (2, 1))
    found = stratified_correlation("s", {"a": (one, one), "b": (two, -two)}, REGION)
    assert found.estimate == pytest.approx(0)
    assert found.values[0] == pytest.approx(0)
    assert found.values[9] == pytest.approx(1)
    assert found.ci == (0.0, 0.0)


@pytest.mark.parametrize("seeds", [5, 10])
def test_interval_covers_the_mean_over_tasks_near_the_criterion(seeds: int) -> None:
    rng = np.random.default_rng(2)
    pools = [rank_correlations(*planted(500, cells, 1.5, rng)) for cells in (2, 3, 3, 4, 4, 2)]
    truth = np.mean([pool.mean() for pool in pools])
    assert truth == pytest.approx(0.5, abs=0.05)
    ends = np.array(
        [mean_of_tasks([rng.choice(pool, seeds) for pool in pools], 0.95) for _ in range(1000)]
    )
    assert np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) > 0.93
    # A claim "above .5" that is false by a hair passes in one of forty at most, and some slack.
    assert np.mean(ends[:, 0] > truth) < 0.04


def test_permutation_p_is_uniform_under_no_association() -> None:
    rng = np.random.default_rng(3)
    small = 0
    for _ in range(60):
        strata = {task: (rng.normal(size=(5, 3)), rng.normal(size=(5, 3))) for task in "ab"}
        p = stratified_correlation("s", strata, REGION).p
        assert p is not None
        small += p <= 0.05
    assert small <= 9


def test_permuting_keeps_the_values_and_the_holes() -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.array([[1.0, math.nan, 3.0], [4.0, math.inf, 6.0]])
    many = permuted_within(x, y, np.random.default_rng(0), 50)
    assert np.isnan(many[:, 0, 1]).all()
    assert all(sorted(each[~np.isnan(each)]) == [1, 3, 4, 6, math.inf] for each in many)
    assert len({str(each) for each in many}) > 10


def test_nothing_known_is_inconclusive() -> None:
    flat = np.ones((3, 2))
    found = stratified_correlation("s", {"a": (flat, flat)}, REGION)
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert found.p is None
    assert "no order in a" in found.note
    assert stratified_correlation("s", {}, REGION).verdict() is Verdict.INCONCLUSIVE


def test_a_task_with_one_seed_gives_no_interval() -> None:
    x = np.array([[1.0, 2.0, 3.0]])
    assert stratified_correlation("s", {"a": (x, x)}, REGION).verdict() is Verdict.INCONCLUSIVE


def test_misshaped_strata_are_refused() -> None:
    flat, deep = np.ones(3), np.ones((2, 3, 1))
    for wrong in (flat, deep):
        with pytest.raises(ValueError, match="a: expected two arrays"):
            stratified_correlation("s", {"a": (wrong, wrong)}, REGION)
    with pytest.raises(ValueError, match="a: expected"):
        stratified_correlation("s", {"a": (np.ones((2, 3)), np.ones((2, 2)))}, REGION)
    with pytest.raises(ValueError, match="a task"):
        rank_agreement("r", [1.0, 2.0], [1.0], REGION)


@pytest.mark.parametrize("order", [[1.0, 2.0], [2.0, 1.0], [1.0, 3.0, 2.0]])
def test_few_tasks_show_nothing_whatever_their_order(order: list[float]) -> None:
    found = rank_agreement("r", np.arange(len(order)), order, Region(0))
    assert found.ci == (-1.0, 1.0)
    assert found.method == "Spearman across tasks, unbounded under four tasks"
    assert found.verdict() is Verdict.INCONCLUSIVE
    assert found.smoke_verdict() is Verdict.INCONCLUSIVE
    assert found.smallest_p == pytest.approx(1 / math.factorial(len(order)))


def test_the_interval_of_a_rank_correlation_is_fishers() -> None:
    # rho = 1 - 6 * 4 / (6 * 35); Fieller, Hartley and Pearson's standard error 1.06 / sqrt(n - 3).
    rho = 1 - 24 / 210
    found = rank_agreement("r", range(1, 7), [2, 1, 4, 3, 5, 6], Region(0))
    half = 1.959964 * 1.06 / math.sqrt(3)
    assert found.estimate == pytest.approx(rho)
    assert found.ci == pytest.approx(
        (math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))
    )
    assert found.method == "Spearman across tasks, Fisher-z interval"


def test_many_tasks_can_show_an_order_or_its_reverse() -> None:
    up = rank_agreement("r", np.arange(7), np.arange(7) ** 2, Region(0))
    assert up.verdict() is Verdict.REPRODUCED
    assert up.p == pytest.approx(1 / math.factorial(7))
    assert rank_agreement("r", np.arange(7), -np.arange(7), Region(0)).verdict() is Verdict.REFUTED
    assert rank_agreement("r", np.arange(9), np.arange(9), Region(0)).p is None
    assert math.isnan(rank_agreement("r", [1.0, math.nan], [1.0, 2.0], Region(0)).estimate)
