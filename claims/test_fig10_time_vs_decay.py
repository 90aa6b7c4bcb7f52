"""Checks of Figure 10: the time to generalise over weight decay, transformer and MNIST (Appendix
C).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import complement, delays, final, highest, time_table
from omnigrok.stats import (
    Finding,
    Time,
    additive_delay,
    bracket,
    exponent,
    fit_delayed_inverse,
    intraclass,
    largest_range,
    share,
    time_ratio,
)
from omnigrok.stats.comparison import DEFAULT_SEED
from omnigrok.stats.delayed import DelayedInverse

Table = Sequence[Sequence[Time]]


def decays(case: Case, grid: Grid, key: str = "range") -> list[float]:
    low, high = case[key]
    return grid.between("weight_decay", low, high).axis("weight_decay")


def table_of(case: Case, grid: Grid, gammas: list[float], level: float) -> list[list[Time]]:
    """(seeds, weight decays) times, or delays after the training accuracy."""
    sides = [case["side"], "train"] if case["clock"] == "delay" else [case["side"]]
    read = [
        time_table(grid, f"{side}_acc", "weight_decay", gammas, level, case["hold"])
        for side in sides
    ]
    return delays(*read) if len(read) == 2 else read[0]


def slopes(
    case: Case, grid: Grid, gammas: list[float], level: float
) -> tuple[Finding, Finding, Finding]:
    """The exponent over the range and in each half."""
    name = f"exponent of t_{case['side']} on weight decay ({level:.0%})"
    return exponent(
        name,
        gammas,
        table_of(case, grid, gammas, level),
        case.region("exponent"),
        estimator=case["estimator"],
    )


def rows(case: Case, grid: Grid, gammas: list[float], levels: Sequence[float]) -> list[Finding]:
    """The widest range in which the law holds, the rival with a delay, and other accuracies."""
    if case.verdict_only:
        return []
    table = table_of(case, grid, gammas, case["threshold"])
    found = []
    if any(time.reached for row in table for time in row):
        held = largest_range(gammas, table, case.region("exponent"))
        words = (
            f"1/gamma holds from {held[0]:g} to {held[1]:g}"
            if held
            else "1/gamma holds on no range of three points"
        )
        found.append(
            additive_delay("AIC of a/gamma minus AIC of a/gamma + b", gammas, table).as_sensitivity(
                words
            )
        )
    return [*found, *(slopes(case, grid, gammas, level)[0].as_sensitivity() for level in levels)]


@claim("fig10.transformer-inverse")
def test_transformer_inverse(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    whole, *parts = slopes(case, grid, gammas, case["threshold"])

    def each_seed(finding: Finding) -> Finding:
        inside = [
            math.nan if math.isnan(value) else value in case.region("exponent")
            for value in finding.values
        ]
        return share(f"{finding.name}: seeds whose own lies inside", inside, case.region("seeds"))

    case.judge(
        [
            whole,
            *parts,
            each_seed(whole),
            decades(case, gammas, len(grid.seeds)),
            *(each_seed(half).as_sensitivity() for half in parts),
            *rows(case, grid, gammas, (0.8, 0.9)),
        ]
    )


def decades(case: Case, gammas: list[float], seeds: int) -> Finding:
    """The range over which the law was tested.

    Whether it holds beyond is not known: the interval is open above.
    """
    tested = math.log10(gammas[-1] / gammas[0])
    enough = tested in case.region("decades")
    return Finding(
        name="decades of weight decay that were tested",
        estimate=tested,
        ci=(tested, math.inf),
        region=case.region("decades"),
        values=(tested if enough else math.nan,) * seeds,
        n=seeds,
        method="range of the grid",
        note=""
        if enough
        else "a law over more decades than were tested can be refuted here, but not shown",
    )


@claim("fig10.seed-offset")
def test_seed_offset(case: Case) -> None:
    grid = case.grid()
    table = time_table(
        grid, "test_acc", "weight_decay", decays(case, grid), case["threshold"], case["hold"]
    )
    logs = np.array(
        [[math.log(time.value) if time.reached else math.nan for time in row] for row in table]
    )
    if case["seeds"] == "mixed":
        logs = mixed(logs)
    case.judge(
        [
            intraclass(
                "share of the variance of log t_test that belongs to the seed",
                logs,
                case.region("icc"),
            )
        ]
    )


def mixed(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column's seeds in an order of its own, the same on every machine."""
    return np.random.default_rng(DEFAULT_SEED).permuted(table, axis=0)


@claim("fig10.mnist-inverse")
def test_mnist_inverse(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    levels = (0.7, 0.75, 0.85) if case["side"] == "test" else (0.8, 0.9)
    case.judge([*slopes(case, grid, gammas, case["threshold"]), *rows(case, grid, gammas, levels)])


@dataclass(frozen=True)
class LowDecays:
    """Times to generalise inside the range of the law, and at lower weight decays.

    Args:
        gammas, inside: (k,) weight decays and (seeds, k) times.
        low: one time a seed, by weight decay.
    """

    gammas: list[float]
    inside: Table
    low: dict[float, list[Time]]

    def laws(self, delay: bool) -> list[DelayedInverse | None]:
        """The law of each seed; None where a time inside the range was not reached."""
        return [
            fit_delayed_inverse(self.gammas, [time.value for time in row], delay=delay)
            if all(time.reached for time in row)
            else None
            for row in self.inside
        ]


@claim("fig10.mnist-low")
def test_mnist_low(case: Case) -> None:
    grid, low = case.grid("mnist"), case.grid("mnist_low")
    inside = decays(case, grid)

    def read(runs: Grid, gammas: list[float]) -> list[list[Time]]:
        return time_table(runs, "test_acc", "weight_decay", gammas, case["threshold"], case["hold"])

    lower = [
        *case["decides"],
        *(
            ()
            if case.verdict_only
            else (gamma for gamma in case["reported"] if gamma in low.axis("weight_decay"))
        ),
    ]
    found = LowDecays(
        inside,
        read(grid, inside),
        dict(zip(lower, map(list, zip(*read(low, lower), strict=True)), strict=True)),
    )
    delay = case["law"] == "delayed"
    if case["times"] == "simulated":
        found = simulated(found, delay)
    laws = found.laws(delay)
    findings = []
    for gamma, measured in found.low.items():
        expected = [Time.never(1.0) if law is None else Time.at(law.at(gamma)) for law in laws]
        finding = time_ratio(
            f"measured / extrapolated t_test at weight decay {gamma:g}",
            measured,
            expected,
            case.region("ratio"),
        )
        findings.append(finding if gamma in case["decides"] else finding.as_sensitivity())
    case.judge(findings)


def simulated(found: LowDecays, delay: bool) -> LowDecays:
    """The same table drawn from each seed's own law, cut where runs end.

    The scatter is what the seeds show about their laws inside the range.
    """
    laws = found.laws(delay)
    rest = [law.residuals for law in laws if law is not None]
    free = sum(each.size - (2 if delay else 1) for each in rest)
    scatter = math.sqrt(sum(float(each @ each) for each in rest) / free) if free > 0 else 0.0
    rng = np.random.default_rng(DEFAULT_SEED)

    def draw(law: DelayedInverse | None, gamma: float, given: Time) -> Time:
        if law is None:
            return Time.never(given.limit)
        time = law.at(gamma) * math.exp(scatter * rng.normal())
        return Time.at(time, given.limit) if time <= given.limit else Time.never(given.limit)

    inside = [
        [draw(law, gamma, time) for gamma, time in zip(found.gammas, row, strict=True)]
        for law, row in zip(laws, found.inside, strict=True)
    ]
    low = {
        gamma: [draw(law, gamma, time) for law, time in zip(laws, column, strict=True)]
        for gamma, column in found.low.items()
    }
    return LowDecays(found.gammas, inside, low)


# What a seed's training error may be read as.
ERRORS = {"final": complement(final("train_acc")), "smallest": complement(highest("train_acc"))}


@claim("fig10.mnist-high")
def test_mnist_high(case: Case) -> None:
    grid = case.grid()
    error = ERRORS[case["reading"]]
    gammas = [case["reference"], *decays(case, grid, "decays")]
    errors = grid.table(error, "weight_decay", gammas)
    if case["arm"] == "other seeds":
        half = len(errors) // 2
        errors = np.column_stack(
            (errors[:half, 0], np.tile(errors[half : 2 * half, :1], (1, len(gammas) - 1)))
        )
    spoilt = errors - errors[:, :1] > case.number("excess")
    found = bracket(
        "smallest weight decay that spoils the training", gammas, spoilt, case.region("smallest")
    )
    low, high = found.ci or (math.nan, math.nan)
    # It lies above the weight decay that is known to do no harm.
    case.judge([replace(found, ci=(math.nextafter(low, math.inf), high))])
