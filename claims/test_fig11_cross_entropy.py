"""Checks of Figures 11 and 12: MNIST with the cross-entropy loss (Appendix E)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import (
    complement,
    final,
    generalises,
    halves,
    nearest,
    time_of,
)
from omnigrok.audit.settled import last_change
from omnigrok.curves import Curves
from omnigrok.stats import (
    Finding,
    Region,
    Time,
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
from omnigrok.stats.drop import log_smooth
from omnigrok.stats.grid_step import mean_between

# Less than what separates two numbers that are read from a grid: makes an end an open one.
OPEN = 1e-9


def errors(grid: Grid, column: str, alphas: Sequence[float] | None = None) -> NDArray[np.float64]:
    """(seeds, alphas) reduced error."""
    return grid.table(complement(final(column)), "alpha", alphas)


def sized(grid: Grid, size: int) -> Grid:
    """The runs of the grid's size nearest to the one that a claim names."""
    return grid.where(n_train=nearest(grid.axis("n_train"), size))


def common(low: float, high: float, *grids: Grid) -> list[float]:
    """The scales from ``low`` to ``high`` that all grids hold, so that no grid makes a
    difference.
    """
    shared = sorted(
        set(grids[0].axis("alpha")).intersection(*(grid.axis("alpha") for grid in grids[1:]))
    )
    return [alpha for alpha in shared if low * (1 - 1e-6) <= alpha <= high * (1 + 1e-6)]


@claim("fig11.ce-LU")
def test_ce_lu(case: Case) -> None:
    split, resolution = case.number("split"), case.number("resolution")
    whole = sized(case.grid(), case["n_train"])

    def shapes(grid: Grid) -> list[Finding]:
        alphas = grid.axis("alpha")
        span = f"alpha to {alphas[-1]:g}"
        falls = l_shape(
            f"L of the reduced {case['falls']} error, {span}",
            alphas,
            errors(grid, case["falls"]),
            split,
            epsilon=resolution,
        )
        turns = u_shape(
            f"U of the reduced {case['turns']} error, {span}",
            alphas,
            errors(grid, case["turns"]),
            split,
            epsilon=resolution,
        )
        return [*falls, *turns]

    rows = [] if case.verdict_only else shapes(whole)
    case.judge(
        [
            *shapes(whole.between("alpha", *case["range"])),
            *(finding.as_sensitivity() for finding in rows),
        ]
    )


@claim("fig11.ce-broader")
def test_ce_broader(case: Case) -> None:
    def widths(grid: Grid, alphas: Sequence[float]) -> list[Time]:
        # A width that the grid cuts is only known from below, as a time that is not reached.
        zones = [
            zone_width(alphas, row, case["within"], case["edges"])
            for row in errors(grid, "test_acc", alphas)
        ]
        return [Time.never(width) if cut else Time.at(width) for width, cut in zones]

    def cuts(zones: list[Time]) -> int:
        return sum(not zone.reached for zone in zones)

    def ratio(wide_name: str, size: int) -> Finding:
        grids = [sized(case.grid(name), size) for name in (wide_name, case["narrow"])]
        alphas = common(*case["range"], *grids)
        wide, narrow = (widths(grid, alphas) for grid in grids)
        note = f"zones cut by the grid: {cuts(wide)} / {cuts(narrow)}"
        if case["pairs"] != "same seed":
            wide, narrow = halves(wide, Time.never(1.0))
        name = f"zone width (log alpha) at N = {size}, {wide_name} / {case['narrow']}"
        return time_ratio(name, wide, narrow, case.region("ratio"), note=note)

    findings = [ratio("landscape_ce", size) for size in case["sizes"]]
    if case["narrow"] != "landscape_ce" and not case.verdict_only:
        precise = "landscape_ce_float64"
        findings.append(ratio(precise, case.grid(precise).axis("n_train")[0]).as_sensitivity())
    case.judge(findings)


@claim("fig11.ce-milder")
def test_ce_milder(case: Case) -> None:
    region, resolution = case.region("ratio"), case.number("resolution")
    ce, mse = case.grid("landscape_ce"), case.grid("landscape_mse")
    size, sizes = case["n_train"], ce.axis("n_train")
    alphas = common(*case["range"], sized(ce, size), sized(mse, size))

    def gaps(grid: Grid, size: int, scales: Sequence[float]) -> NDArray[np.float64]:
        part = sized(grid, size)
        return np.maximum(
            gap_integral(
                scales, errors(part, "train_acc", scales), errors(part, "test_acc", scales)
            ),
            resolution,
        )

    def falls(words: str, scales: Sequence[float]) -> Finding:
        levels = np.stack([gaps(ce, each, scales) for each in sizes], axis=1)
        return trend(
            words, levels, direction="falling", floor=case.number("floor"), epsilon=resolution
        )

    mild = gaps(ce, size, alphas)
    if case["pairs"] == "same seed":
        words, other = "cross-entropy / MSE", gaps(mse, size, alphas)
    else:
        words = f"cross-entropy, {case['pairs']}"
        mild, other = (np.array(part) for part in halves(mild.tolist(), math.nan))
    closes = falls("gap integral of cross-entropy falls with N", alphas)
    findings = [
        mean_in_region(
            f"gap integral at N = {size}, {words}", mild / other, region, log=True
        ).as_lead(),
        closes if case["trend"] == "decides" else closes.as_sensitivity(),
    ]
    if not case.verdict_only:
        findings.append(falls("the same, whole range of alpha", ce.axis("alpha")).as_sensitivity())
        if case["pairs"] == "same seed":
            # A curve that is moved along alpha leaves it as it is.
            peaks = [
                (
                    errors(sized(grid, size), "test_acc", alphas)
                    - errors(sized(grid, size), "train_acc", alphas)
                ).max(axis=1)
                for grid in (ce, mse)
            ]
            findings.append(
                mean_in_region(
                    f"largest gap over alpha at N = {size}, {words}",
                    np.divide(*(np.maximum(peak, resolution) for peak in peaks)),
                    region,
                    log=True,
                ).as_sensitivity()
            )
    case.judge(findings)


@claim("fig12.ce-plateau")
def test_ce_plateau(case: Case) -> None:
    grid = case.grid().where(alpha=case["alpha"])
    gammas = grid.axis("weight_decay")
    band, decades, end = case.region("band"), case.region("decades"), case.region("end")
    shares, rows = [], []
    for gamma in gammas:
        runs = grid.where(weight_decay=gamma).each()
        starts = [time_of(run, "train_acc", case["threshold"]).value for run in runs]
        smooth = [log_smooth(run.step, run["test_acc"], case["smooth"]) for run in runs]
        stays = [
            longest_stay(run.step, curve, band, start)
            for run, curve, start in zip(runs, smooth, starts, strict=True)
        ]
        ends, fits = (
            [float(run["test_acc"][-1]) for run in runs],
            [float(run["train_acc"][-1]) for run in runs],
        )
        seen = [stay in decades and last in end for stay, last in zip(stays, ends, strict=True)]
        words = f"weight decay {gamma:g}"
        shares.append(
            of_settled(
                f"seeds with the plateau and the end, {words}",
                seen,
                [still_moves(run, case.number("moves")) for run in runs],
                case.region("share"),
                1 - 0.05 / len(gammas),
            )
        )
        if case.verdict_only:
            continue
        rows += [
            mean_in_region(f"decades in the band after t_train, {words}", stays, decades),
            mean_in_region(f"last test accuracy, {words}", ends, end),
            mean_in_region(f"last train accuracy, {words}", fits, Region(0.99)),
        ]
    # One of which nothing is known may be the one at which the sentence holds.
    best = max(shares, key=lambda finding: (finding.estimate, finding.ci[1]))
    others = [finding for finding in shares if finding is not best]
    case.judge([best, *(finding.as_sensitivity() for finding in (*others, *rows))])


def still_moves(curves: Curves, least: float) -> bool:
    """Whether the medians of the test accuracy over the last two halvings of the record differ by
    ``least``.
    """
    early, late = last_change(curves.step, curves["test_acc"])
    return abs(late - early) >= least


def of_settled(
    name: str, seen: Sequence[bool], moving: Sequence[bool], region: Region, level: float
) -> Finding:
    """The share of seeds that are ``seen``. A seed that still moves may be one or not: it counts as
    a failure at the interval's lower end, and as a success at its upper one.
    """
    least, most = (
        share(
            name,
            [each if not moves else unknown for each, moves in zip(seen, moving, strict=True)],
            region,
            level=level,
        )
        for unknown in (False, True)
    )
    if not any(moving):
        return least
    values = tuple(
        math.nan if moves else float(each) for each, moves in zip(seen, moving, strict=True)
    )
    note = f"{sum(moving)} of {len(moving)} seeds still move at the end"
    return replace(
        least, ci=(least.ci[0], most.ci[1]), values=values, censored=sum(moving), note=note
    )


@claim("fig12.needs-alpha")
def test_needs_alpha(case: Case) -> None:
    grid = case.grid()
    alphas = grid.axis("alpha")

    def onsets(loss: str, level: float) -> NDArray[np.float64]:
        """(seeds, 2): the scales between which a seed begins to grok, the second included.

        A scale at which t_train or t_test is not reached may be one at which it groks.
        """
        seeds = []
        for seed in grid.seeds:
            below, first = 0.0, math.inf
            for alpha in alphas:
                run = grid.one(seed, loss=loss, alpha=alpha)
                late = time_of(run, "test_acc", level, case["hold"])
                early = time_of(run, "train_acc", case["train"], case["hold"])
                if not (late.reached and early.reached):
                    continue
                if late.value > case["delay"] * early.value:
                    first = alpha
                    break
                below = alpha
            seeds.append((below, first))
        return np.array(seeds)

    def apart(level: float) -> list[Finding]:
        late, early = onsets(case["late"], level), onsets(case["early"], level)
        if case["pairs"] != "same seed":
            half = len(late) // 2
            late, early = late[:half], early[half : 2 * half]
        shares = [
            generalises(
                f"{loss} groks at one scale ({level:.0%})",
                [
                    Time.at(first) if math.isfinite(first) else Time.never(alphas[-1])
                    for first in each[:, 1].tolist()
                ],
                case.region("reached"),
            )
            for loss, each in ((case["late"], late), (case["early"], early))
        ]
        with np.errstate(divide="ignore"):
            # Both ends are open: at 1 the one begins where the other does not yet.
            low = late[:, 0] / early[:, 1] * (1 + OPEN)
            high = late[:, 1] / early[:, 0] * (1 - OPEN)
        name = f"smallest alpha that groks ({level:.0%}), {case['late']} / {case['early']}"
        found = mean_between(name, low, high, case.region("ratio"), log=True)
        values = tuple(
            math.nan if a <= 1 <= b else math.sqrt(a * b)
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        )
        if case["pairs"] != "same seed":
            # Seeds without a partner: the smoke rule, which wants every seed, cannot be met by one
            # pair.
            values = (*values, math.nan)
        return [
            replace(found, values=values).as_lead(),
            *(each if case["parts"] == "decide" else each.as_sensitivity() for each in shares),
        ]

    levels = () if case.verdict_only else case["sensitivity"]
    case.judge(
        [
            *apart(case["test"]),
            *(finding.as_sensitivity() for level in levels for finding in apart(level)),
        ]
    )
