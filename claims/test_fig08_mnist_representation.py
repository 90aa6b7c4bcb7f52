"""Checks of Figure 8: MNIST over weight norm and messiness (Section 5.2), with toy addition as the control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.maps import best_accuracy, neighbour, reduced_map
from omnigrok.landscape import Landscape
from omnigrok.stats import Finding, equivalent, mean_in_region, spearman_in_region
from omnigrok.stats.factors import variance_ratio

LEAST_CELLS = 5


def maps_of(case: Case, grid: Grid, seed: int) -> tuple[Landscape, Landscape]:
    """The seed's maps of training and test loss."""
    return reduced_map(grid, seed, "train_loss", case.protocol), reduced_map(grid, seed, "test_loss", case.protocol)


def near_minimum(train: Landscape, factor: float) -> NDArray[np.bool_]:
    """Cells whose training loss is within ``factor`` times the smallest one."""
    loss = np.maximum(train.loss, train.floor)
    return np.asarray(loss <= factor * loss.min())


def rank_correlation(train: Landscape, test: Landscape, used: NDArray[np.bool_]) -> float:
    """NaN where fewer than five cells are left, or a loss is constant on them."""
    x, y = train.loss[used], test.loss[used]
    if len(x) < LEAST_CELLS or not np.ptp(x) or not np.ptp(y):
        return float("nan")
    return float(spearmanr(x, y).statistic)


@claim("fig08.similar")
def test_similar(case: Case) -> None:
    grid, region = case.grid(case["map"]), case.region("rho")
    pairs = [maps_of(case, grid, seed) for seed in grid.seeds]
    near = [near_minimum(train, case["factor"]) for train, _ in pairs]
    everywhere = [rank_correlation(*pair, np.ones_like(used)) for pair, used in zip(pairs, near, strict=True)]
    inside = [rank_correlation(*pair, used) for pair, used in zip(pairs, near, strict=True)]
    name = "rank correlation of training and test loss"
    case.judge(
        [
            spearman_in_region(f"{name} over all cells", everywhere, region),
            spearman_in_region(
                f"{name}, cells near the minimum", inside, region, note=f"{np.mean([used.mean() for used in near]):.0%} of the cells"
            ),
        ]
    )


@claim("fig08.weak-m")
def test_weak_m(case: Case) -> None:
    grid = case.grid(case["map"])
    messiness = grid.axis("messiness")
    gains = [
        best_accuracy(grid, seed, messiness[0], case.protocol) - best_accuracy(grid, seed, messiness[-1], case.protocol)
        for seed in grid.seeds
    ]
    findings = [equivalent("best test accuracy, linear minus messiest representation", gains, case.region("accuracy"))]
    rows: list[Finding] = []
    for side, name in enumerate(("training", "test")):
        near, everywhere = [], []
        for seed in grid.seeds:
            pair = maps_of(case, grid, seed)
            near.append(variance_ratio(pair[side].log_loss, near_minimum(pair[0], case["factor"])))
            everywhere.append(variance_ratio(pair[side].log_loss, np.ones_like(pair[0].loss, dtype=bool)))
        what = f"variance of log {name} loss by m over by w"
        findings.append(mean_in_region(f"{what}, cells near the minimum", near, case.region("variance")))
        rows.append(mean_in_region(f"{what}, all cells", everywhere, case.region("variance")).as_sensitivity())
    case.judge([*findings, *rows])


@claim("fig08.no-grok")
def test_no_grok(case: Case) -> None:
    grid = case.grid(case["map"])
    alphas = np.array([alpha for alpha in grid.axis("alpha") if alpha > 0])

    def read(seed: int, smooth: bool) -> tuple[float, float]:
        """Largest gap over the training loss at A, and smallest test loss on the path over the one at the smallest w."""
        train, test = (each.smoothed(1) if smooth else each for each in maps_of(case, grid, seed))
        corners = np.array(case["path"])
        along = np.linspace(0, len(corners) - 1, 1001)
        alpha, share = (np.interp(along, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1))
        w, m = np.interp(alpha, alphas, train.w), train.m[0] + share * (train.m[-1] - train.m[0])
        low, high = (replace(each, degree=1).at(w, m) for each in (train, test))
        return float((high - low).max() / low[0]), float(high.min() / np.maximum(test.loss[0].mean(), test.floor))

    rows: list[Finding] = []
    for smooth in (False, True):
        name = ", maps smoothed by one cell" * smooth
        gaps, learned = zip(*(read(seed, smooth) for seed in grid.seeds), strict=True)
        found = [
            mean_in_region(f"largest test minus training loss on the path, over the training loss at A{name}", gaps, case.region("gap")),
            mean_in_region(
                f"smallest test loss on the path over the one at the smallest w{name}", learned, case.region("learned"), log=True
            ),
        ]
        rows += [each.as_sensitivity() for each in found] if smooth else found
    case.judge(rows)


@claim("fig08.accuracy-range")
def test_accuracy_range(case: Case) -> None:
    findings = []
    for task in ("mnist", "addition"):
        grid = case.grid(case[task])
        messiness = grid.axis("messiness")
        good = [best_accuracy(grid, seed, messiness[0], case.protocol) for seed in grid.seeds]
        bad = [best_accuracy(grid, seed, messiness[-1], case.protocol) for seed in grid.seeds]
        if case["bad"] == "other seed":
            bad = [best_accuracy(grid, neighbour(grid.seeds, seed), messiness[0], case.protocol) for seed in grid.seeds]
        for kind, values in (("bad", bad), ("good", good)):
            findings.append(mean_in_region(f"best test accuracy, {task}, {kind} representation", values, case.region(f"{task}_{kind}")))
    case.judge(findings)
