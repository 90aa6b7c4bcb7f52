"""Checks of Figures 11 and 12: MNIST with the cross-entropy loss (Appendix E)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import complement, final, generalises, halves, nearest, time_of, times
from omnigrok.stats import (
    Finding,
    Region,
    Time,
    bracket,
    gap_integral,
    l_shape,
    longest_stay,
    mean_in_region,
    share,
    time_ratio,
    trend,
    u_shape,
    zone_width,
)


def errors(grid: Grid, column: str) -> NDArray[np.float64]:
    """(seeds, alphas) reduced error."""
    return grid.table(complement(final(column)), "alpha")


def sized(grid: Grid, size: int) -> Grid:
    """The runs of the grid's size nearest to the one that a claim names."""
    return grid.where(n_train=nearest(grid.axis("n_train"), size))


@claim("fig11.ce-LU")
def test_ce_lu(case: Case) -> None:
    split, resolution = case.number("split"), case.number("resolution")
    whole = sized(case.grid(), case["n_train"])

    def shapes(grid: Grid) -> list[Finding]:
        alphas = grid.axis("alpha")
        span = f"alpha to {alphas[-1]:g}"
        falls = l_shape(f"L of the reduced {case['falls']} error, {span}", alphas, errors(grid, case["falls"]), split, epsilon=resolution)
        turns = u_shape(f"U of the reduced {case['turns']} error, {span}", alphas, errors(grid, case["turns"]), split, epsilon=resolution)
        return [*falls, *turns]

    case.judge([*shapes(whole.between("alpha", *case["range"])), *(finding.as_sensitivity() for finding in shapes(whole))])


@claim("fig11.ce-broader")
def test_ce_broader(case: Case) -> None:
    def widths(name: str, size: int) -> list[Time]:
        # A width that the grid cuts is only known from below, as a time that is not reached.
        grid = sized(case.grid(name), size)
        zones = [zone_width(grid.axis("alpha"), row, case["within"]) for row in errors(grid, "test_acc")]
        return [Time.never(width) if cut else Time.at(width) for width, cut in zones]

    def cuts(zones: list[Time]) -> int:
        return sum(not zone.reached for zone in zones)

    findings = []
    for size in case["sizes"]:
        wide, narrow = widths("landscape_ce", size), widths(case["narrow"], size)
        note = f"zones cut by the grid: {cuts(wide)} / {cuts(narrow)}"
        if case["pairs"] != "same seed":
            wide, narrow = halves(wide, Time.never(1.0))
        name = f"zone width (log alpha) at N = {size}, landscape_ce / {case['narrow']}"
        findings.append(time_ratio(name, wide, narrow, case.region("ratio"), note=note))
    case.judge(findings)


@claim("fig11.ce-milder")
def test_ce_milder(case: Case) -> None:
    region, resolution = case.region("ratio"), case.number("resolution")

    def gaps(name: str, size: int, whole: bool = False) -> NDArray[np.float64]:
        grid = sized(case.grid(name), size)
        grid = grid if whole else grid.between("alpha", *case["range"])
        return np.maximum(gap_integral(grid.axis("alpha"), errors(grid, "train_acc"), errors(grid, "test_acc")), resolution)

    sizes = case.grid("landscape_ce").axis("n_train")
    small = gaps("landscape_ce", case["n_train"])
    levels = np.stack([gaps("landscape_ce", size) for size in sizes], axis=1)
    wide = np.stack([gaps("landscape_ce", size, whole=True) for size in sizes], axis=1)
    if case["against"] == "seeds":
        mild, other = (np.array(part) for part in halves(small.tolist(), math.nan))
        levels = wide = np.stack([np.roll(small, shift) for shift in range(len(sizes))], axis=1)
    else:
        mild, other = small, gaps("landscape_mse", case["n_train"])
    floor = case.number("floor")
    case.judge(
        [
            mean_in_region(f"gap integral at N = {case['n_train']}, cross-entropy / other", mild / other, region, log=True),
            trend("gap integral falls with N", levels, direction="falling", floor=floor, epsilon=resolution),
            trend("the same, whole range of alpha", wide, direction="falling", floor=floor, epsilon=resolution).as_sensitivity(),
        ]
    )


@claim("fig12.ce-plateau")
def test_ce_plateau(case: Case) -> None:
    grid = case.grid().where(alpha=case["alpha"])
    gammas = grid.axis("weight_decay")
    band, decades, end = case.region("band"), case.region("decades"), case.region("end")
    shares, rows = [], []
    for gamma in gammas:
        runs = grid.where(weight_decay=gamma).each()
        stays = [longest_stay(run.step, run["test_acc"], band, time_of(run, "train_acc", case["threshold"]).value) for run in runs]
        ends, fits = [float(run["test_acc"][-1]) for run in runs], [float(run["train_acc"][-1]) for run in runs]
        seen = [stay in decades and last in end for stay, last in zip(stays, ends, strict=True)]
        words = f"weight decay {gamma:g}"
        shares.append(share(f"seeds with the plateau and the end, {words}", seen, case.region("share"), level=1 - 0.05 / len(gammas)))
        rows += [
            mean_in_region(f"decades in the band after t_train, {words}", stays, decades),
            mean_in_region(f"last test accuracy, {words}", ends, end),
            mean_in_region(f"last train accuracy, {words}", fits, Region(0.99)),
        ]
    best = max(shares, key=lambda finding: finding.estimate)
    others = [finding for finding in shares if finding is not best]
    case.judge([best, *(finding.as_sensitivity() for finding in (*others, *rows))])


@claim("fig12.needs-alpha")
def test_needs_alpha(case: Case) -> None:
    grid = case.grid()
    alphas = grid.axis("alpha")

    def groks(loss: str, level: float) -> NDArray[np.bool_]:
        """(seeds, alphas): generalises, and long after it fits."""
        columns = []
        for alpha in alphas:
            runs = grid.where(loss=loss, alpha=alpha)
            late, early = times(runs, "test_acc", level), times(runs, "train_acc", case["train"])
            columns.append([b.reached and a.reached and b.value > case["delay"] * a.value for a, b in zip(early, late, strict=True)])
        return np.array(columns).T

    def firsts(flags: NDArray[np.bool_]) -> list[Time]:
        return [Time.at(alphas[int(row.argmax())], alphas[-1]) if row.any() else Time.never(alphas[-1]) for row in flags]

    def ratio(level: float) -> tuple[Finding, Sequence[Time], Sequence[Time]]:
        late, early = firsts(groks(case["late"], level)), firsts(groks(case["early"], level))
        if case["pairs"] != "same seed":
            late, early = halves(late, Time.never(alphas[-1]))
        name = f"smallest alpha that groks ({level:.0%}), {case['late']} / {case['early']}"
        return time_ratio(name, late, early, case.region("ratio")), late, early

    main, late, early = ratio(case["test"])
    findings = [
        generalises(f"{case['late']} groks at one scale", late, case.region("reached")),
        generalises(f"{case['early']} groks at one scale", early, case.region("reached")),
        main,
    ]
    latest = max((first.value for first in early if first.reached), default=math.nan)
    if all(first.reached for first in early):
        apart = Region(latest, math.inf, closed=True)
        findings.append(
            bracket(f"bracket of {case['late']} above the one of {case['early']}", alphas, groks(case["late"], case["test"]), apart)
        )
    findings.append(bracket(f"bracket of {case['early']}", alphas, groks(case["early"], case["test"])))
    case.judge([*findings, *(ratio(level)[0].as_sensitivity() for level in case["sensitivity"])])
