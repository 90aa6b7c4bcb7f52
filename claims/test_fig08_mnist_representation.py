"""Checks of Figure 8: MNIST over weight norm and messiness (Section 5.2), with toy addition as the
control.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.paper.landscape import Landscape
from omnigrok.paper.maps import best_accuracy, disjoint_pairs, reduced, reduced_map
from omnigrok.stats import Finding, Region, equivalent, mean_in_region, spearman_in_region
from omnigrok.stats.factors import variance_ratio

LEAST_CELLS = 5
FLOOR = 1e-12


def maps_of(case: Case, grid: Grid, seed: int) -> tuple[Landscape, Landscape]:
    """The seed's maps of training and test loss."""
    train, test = (
        reduced_map(grid, seed, f"{side}_loss", case.protocol) for side in ("train", "test")
    )
    return (train.smoothed(1), test.smoothed(1)) if case.get("smoothed") else (train, test)


def near_minimum(train: NDArray[np.float64], factor: float) -> NDArray[np.bool_]:
    """Cells whose training loss is within ``factor`` times the smallest one."""
    loss = np.maximum(train, FLOOR)
    return np.asarray(loss <= factor * loss.min())


def rank_correlation(train: NDArray[np.float64], test: NDArray[np.float64]) -> float:
    """NaN for fewer than five cells, or if a loss is constant on them."""
    if len(train) < LEAST_CELLS or not np.ptp(train) or not np.ptp(test):
        return math.nan
    return float(spearmanr(train, test).statistic)


def settled_cells(case: Case, seed: int) -> tuple[NDArray[np.float64], int]:
    """(2, cells) reduced training and test losses of the cells in which both have settled, and how
    many cells there are."""
    name = case["map"]
    every = case.grid(name).where(seed=seed).curves.items()
    cells = [(run, curves) for run, curves in every if run.alpha > 0]
    losses = [
        [reduced(curves, f"{side}_loss", case.protocol) for side in ("train", "test")]
        for run, curves in cells
        if case.has_settled(name, run, "train_loss", "test_loss")
    ]
    return np.array(losses, dtype=float).reshape(-1, 2).T, len(cells)


def fewest(cells: list[int]) -> int:
    """Of the seeds that have enough cells for a rank correlation."""
    return min((each for each in cells if each >= LEAST_CELLS), default=LEAST_CELLS)


@claim("fig08.similar")
def test_similar(case: Case) -> None:
    region, seeds = case.region("rho"), case.grid(case["map"]).seeds
    everywhere, inside, ratios = [], [], []
    most, few = [], []
    count = 0
    for seed in seeds:
        (train, test), cells = settled_cells(case, seed)
        near = near_minimum(train, case["factor"]) if len(train) else np.zeros(0, dtype=bool)
        everywhere.append(rank_correlation(train, test))
        inside.append(rank_correlation(train[near], test[near]))
        lowest = int(train.argmin()) if len(train) else 0
        ratios.append(test[lowest] / max(train[lowest], FLOOR) if len(train) else math.nan)
        most.append(len(train))
        few.append(int(near.sum()))
        count += cells
    name = "rank correlation of training and test loss"
    at_minimum = mean_in_region(
        "test over training loss where the training loss is smallest", ratios, Region(), log=True
    )
    case.judge(
        [
            spearman_in_region(
                f"{name} over settled cells",
                everywhere,
                region,
                places=fewest(most),
                note=f"{sum(most)} of {count} cells have settled",
            ),
            spearman_in_region(
                f"{name}, settled cells near the minimum",
                inside,
                region,
                places=fewest(few),
                note=f"{sum(few)} of {count} cells",
            ),
            replace(at_minimum.as_sensitivity(), region=None),
        ]
    )


@claim("fig08.weak-m")
def test_weak_m(case: Case) -> None:
    grid = case.grid(case["map"])
    messiness = grid.axis("messiness")
    gains = [
        best_accuracy(grid, seed, messiness[0], case.protocol)
        - best_accuracy(grid, seed, messiness[-1], case.protocol)
        for seed in grid.seeds
    ]
    findings = [
        equivalent(
            "best test accuracy, linear minus messiest representation",
            gains,
            case.region("accuracy"),
        )
    ]
    rows: list[Finding] = []
    for side, name in enumerate(("training", "test")):
        near, everywhere = [], []
        for seed in grid.seeds:
            pair = maps_of(case, grid, seed)
            near.append(
                variance_ratio(pair[side].log_loss, near_minimum(pair[0].loss, case["factor"]))
            )
            everywhere.append(
                variance_ratio(pair[side].log_loss, np.ones_like(pair[0].loss, dtype=bool))
            )
        what = f"variance of log {name} loss by m over by w"
        findings.append(
            mean_in_region(f"{what}, cells near the minimum", near, case.region("variance"))
        )
        rows.append(
            mean_in_region(
                f"{what}, all cells", everywhere, case.region("variance")
            ).as_sensitivity()
        )
    case.judge([*findings, *rows])


@claim("fig08.no-grok")
def test_no_grok(case: Case) -> None:
    grid = case.grid(case["map"])
    alphas = np.array([alpha for alpha in grid.axis("alpha") if alpha > 0])

    gaps, learned = [], []
    for seed in grid.seeds:
        train, test = maps_of(case, grid, seed)
        corners = np.array(case["path"])
        along = np.linspace(0, len(corners) - 1, 1001)
        alpha, share = (
            np.interp(along, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1)
        )
        w, m = np.interp(alpha, alphas, train.w), train.m[0] + share * (train.m[-1] - train.m[0])
        low, high = (replace(each, degree=1).at(w, m) for each in (train, test))
        gaps.append(float((high - low).max() / low[0]))
        learned.append(float(high.min() / np.maximum(test.loss[0].mean(), test.floor)))
    case.judge(
        [
            mean_in_region(
                "smallest test loss on the path over the one at the smallest w",
                learned,
                case.region("learned"),
                log=True,
            ).as_premise(),
            mean_in_region(
                "largest test minus training loss on the path, over the training loss at A",
                gaps,
                case.region("gap"),
            ),
        ]
    )


@claim("fig08.accuracy-range")
def test_accuracy_range(case: Case) -> None:
    findings = []
    for task, column in (("mnist", "test_acc"), ("addition", case["addition_accuracy"])):
        grid = case.grid(case[task])
        low, *_, high = grid.axis("messiness")
        good, bad = (
            [best_accuracy(grid, seed, m, case.protocol, column) for seed in grid.seeds]
            for m in (low, high)
        )
        if case["bad"] == "other seed":
            good, bad = disjoint_pairs(good)
        for kind, values in (("bad", bad), ("good", good)):
            region = case.region(f"{task}_{kind}")
            name = f"best test accuracy, {task}, {kind} representation"
            findings.append(mean_in_region(name, values, region))
    case.judge(findings)
