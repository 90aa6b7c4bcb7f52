"""Checks of Figure 10: the time to generalise over weight decay, transformer and MNIST (Appendix C)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import complement, final, time_of, time_table
from omnigrok.stats import Finding, Time, additive_delay, bracket, exponent, intraclass, largest_range, share, time_ratio


def decays(case: Case, grid: Grid, key: str = "range") -> list[float]:
    low, high = case[key]
    return grid.between("weight_decay", low, high).axis("weight_decay")


def slopes(case: Case, grid: Grid, gammas: list[float], level: float) -> tuple[Finding, Finding, Finding]:
    """The exponent over the range and in each half."""
    table = time_table(grid, f"{case['side']}_acc", "weight_decay", gammas, level)
    return exponent(f"exponent of t_{case['side']} on weight decay ({level:.0%})", gammas, table, case.region("exponent"))


def where_it_holds(case: Case, grid: Grid, gammas: list[float]) -> list[Finding]:
    """The widest range in which the law holds, and whether an additive delay fits better; empty without any time."""
    table = time_table(grid, f"{case['side']}_acc", "weight_decay", gammas, case["threshold"])
    if not any(time.reached for row in table for time in row):
        return []
    held = largest_range(gammas, table, case.region("exponent"))
    words = f"1/gamma holds from {held[0]:g} to {held[1]:g}" if held else "1/gamma holds on no range of three points"
    return [additive_delay("AIC of a/gamma minus AIC of a/gamma + b", gammas, table).as_sensitivity(words)]


@claim("fig10.transformer-inverse")
def test_transformer_inverse(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    whole, *halves = slopes(case, grid, gammas, case["threshold"])

    def each_seed(finding: Finding) -> Finding:
        inside = [value in case.region("exponent") for value in finding.values]
        return share(f"{finding.name}: seeds whose own lies inside", inside, case.region("seeds"))

    case.judge(
        [
            whole,
            *halves,
            each_seed(whole),
            *(each_seed(half).as_sensitivity() for half in halves),
            *where_it_holds(case, grid, gammas),
            *(slopes(case, grid, gammas, level)[0].as_sensitivity() for level in (0.8, 0.9)),
        ]
    )


@claim("fig10.seed-offset")
def test_seed_offset(case: Case) -> None:
    grid = case.grid()
    table = time_table(grid, "test_acc", "weight_decay", decays(case, grid), case["threshold"])
    logs = np.array([[math.log(time.value) if time.reached else math.nan for time in row] for row in table])
    if case["seeds"] == "mixed":
        logs = mixed(logs)
    case.judge([intraclass("share of the variance of log t_test that belongs to the seed", logs, case.region("icc"))])


def mixed(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's seeds moved on by one place more than the column before."""
    return np.stack([np.roll(column, place) for place, column in enumerate(table.T)], axis=1)


@claim("fig10.mnist-inverse")
def test_mnist_inverse(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    case.judge(
        [
            *slopes(case, grid, gammas, case["threshold"]),
            *where_it_holds(case, grid, gammas),
            *(slopes(case, grid, gammas, level)[0].as_sensitivity() for level in case["others"]),
        ]
    )


@claim("fig10.mnist-low")
def test_mnist_low(case: Case) -> None:
    grid, arm = case.grid("mnist"), case.grid(case["arm"])
    inside = decays(case, grid)
    findings = []
    for gamma in decays(case, arm, "decays"):
        measured = [time_of(curves, "test_acc", case["threshold"]) for curves in arm.each(weight_decay=gamma)]
        expected = [extrapolated(case, grid, seed, inside, gamma) for seed in grid.seeds]
        findings.append(time_ratio(f"measured / extrapolated t_test at weight decay {gamma:g}", measured, expected, case.region("ratio")))
    case.judge(findings)


def extrapolated(case: Case, grid: Grid, seed: int, inside: list[float], gamma: float) -> Time:
    """a / gamma with a from the times reached in the range; never, where there is none."""
    reached = [time_of(grid.one(seed, weight_decay=each), "test_acc", case["threshold"]) for each in inside]
    logs = [math.log(time.value * each) for time, each in zip(reached, inside, strict=True) if time.reached]
    return Time.at(math.exp(float(np.mean(logs))) / gamma) if logs else Time.never(reached[0].limit)


@claim("fig10.mnist-high")
def test_mnist_high(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid, "decays")
    error = complement(final("train_acc"))
    reference = grid.per_seed(error, weight_decay=case["reference"])
    errors = grid.table(error, "weight_decay", gammas)
    if case["arm"] == "other seeds":
        errors = np.tile(np.roll(reference, len(reference) // 2)[:, None], (1, len(gammas)))
    spoilt = errors - reference[:, None] > case.number("excess")
    case.judge(
        [
            share("seeds whose training a higher weight decay spoils", spoilt.any(axis=1), case.region("spoilt")),
            bracket("smallest weight decay that spoils it", gammas, spoilt).as_sensitivity(),
        ]
    )
