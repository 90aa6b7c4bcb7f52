"""Checks of Figure 7: the transformer on modular addition (Section 5.1, Appendix D)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import delay, time_of, times
from omnigrok.runs.curves import Curves
from omnigrok.stats import Finding, Region, Time, mean_in_region, share, spearman_in_region


def peak(curves: Curves) -> Time:
    """The step at which the weight norm is largest; a norm that is largest at the start or at the end of the record has no peak in it."""
    top = int(np.argmax(curves["weight_norm"]))
    limit = float(curves.step[-1])
    return Time.at(float(curves.step[top]), limit) if 0 < top < len(curves.step) - 1 else Time.never(limit)


def fall(curves: Curves) -> Time:
    """The first logged step from which the weight norm is under its initial value for good."""
    norm = curves["weight_norm"]
    above = np.flatnonzero(norm >= norm[0])
    limit = float(curves.step[-1])
    start = int(above[-1]) + 1
    return Time.at(float(curves.step[start]), limit) if start < len(norm) else Time.never(limit)


EVENTS = {"peak": peak, "fall": fall}


def between(event: Time, start: Time, end: Time) -> bool:
    """Whether an event happened, and no earlier than ``start`` and no later than ``end``, which happened too."""
    return event.reached and start.reached and end.reached and start.value <= event.value <= end.value


@claim("fig07.norm-hump")
def test_norm_hump(case: Case) -> None:
    runs = case.grid().where(weight_decay=case["weight_decay"][case.tier]).each()
    fits = [time_of(curves, "train_acc", case["fits"]) for curves in runs]
    starts, ends = ([time_of(curves, "test_acc", case[level]) for curves in runs] for level in ("starts", "ends"))
    heights = [float(curves["weight_norm"].max() / curves["weight_norm"][0]) for curves in runs]
    in_overfitting = [between(peak(curves), fit, start) for curves, fit, start in zip(runs, fits, starts, strict=True)]
    in_generalising = [between(fall(curves), start, end) for curves, start, end in zip(runs, starts, ends, strict=True)]
    case.judge(
        [
            mean_in_region("largest / initial weight norm", heights, case.region("peak"), log=True),
            share("seeds whose norm peaks between fitting and the first test accuracy", in_overfitting, case.region("share")),
            share("seeds whose norm falls under its start while test accuracy arrives", in_generalising, case.region("share")),
        ]
    )


@claim("fig07.norm-tracks")
def test_norm_tracks(case: Case) -> None:
    grid = case.grid()
    gammas, seeds = grid.axis("weight_decay"), grid.seeds
    event = EVENTS[case["event"]]

    def pair(seed: int, gamma: float) -> tuple[Time, Time]:
        curves = grid.one(seed, weight_decay=gamma)
        return event(curves), time_of(curves, "test_acc", case["threshold"])

    table = [[pair(seed, gamma) for gamma in gammas] for seed in seeds]
    always = [all(left.reached for left, right in row if right.reached) for row in table]
    across = [rank_correlation(list(column)) for column in zip(*table, strict=True)]
    case.judge(
        [
            spearman_in_region(
                "rank correlation with t_test over weight decays", [rank_correlation(row) for row in table], case.region("rho")
            ),
            mean_in_region("slope of its log on log t_test over weight decays", [slope(row) for row in table], case.region("slope")),
            spearman_in_region("rank correlation with t_test over seeds", across, case.region("rho")).as_sensitivity("one a weight decay"),
            share("seeds in which it happens wherever the test accuracy arrives", always, Region(0.5)).as_sensitivity(),
        ]
    )


def both(pairs: list[tuple[Time, Time]]) -> NDArray[np.float64]:
    """(k, 2) the pairs of which both times were reached: runs of different length are cut at different steps, so a cut has no rank."""
    return np.array([(left.value, right.value) for left, right in pairs if left.reached and right.reached]).reshape(-1, 2)


def rank_correlation(pairs: list[tuple[Time, Time]]) -> float:
    """Spearman's rho over the pairs that both were reached; NaN with under 3, or where one side does not vary."""
    known = both(pairs)
    if len(known) < 3 or not np.ptp(known, axis=0).all():
        return math.nan
    return float(stats.spearmanr(known[:, 0], known[:, 1]).statistic)


def slope(pairs: list[tuple[Time, Time]]) -> float:
    """Least-squares slope of the log of the first time on that of the second; NaN as in ``rank_correlation``."""
    known = both(pairs)
    if len(known) < 3 or not np.ptp(known, axis=0)[1]:
        return math.nan
    logs = np.log(known)
    return float(np.polyfit(logs[:, 1], logs[:, 0], 1)[0])


@claim("fig07.degrok-constraint")
def test_degrok_constraint(case: Case) -> None:
    gamma = case["weight_decay"][case.tier]
    free = case.grid("free").where(weight_decay=gamma)
    chosen = {"held": case.grid("held"), "free": free}[case["arm"]]

    def found(level: float) -> list[Finding]:
        together, apart, reached = case.region("together"), case.region("apart"), case.region("reached")
        parts = (("alpha .8 at constant norm", chosen, together), ("unconstrained", free, apart))
        return [
            finding
            for name, runs, region in parts
            for finding in delay(f"{name}, {level:.0%}", times(runs, "test_acc", level), times(runs, "train_acc", level), region, reached)
        ]

    rows = [finding.as_sensitivity() for level in (0.8, 0.9) for finding in found(level)]
    case.judge([*found(case["threshold"]), *rows, *between_the_figures(case, gamma)])


def between_the_figures(case: Case, gamma: float) -> list[Finding]:
    """The same ratio where only the scale or only the constraint is changed."""
    others: Grid = case.grid("others")
    arms = {
        "alpha .8, free, no decay": others.where(alpha=0.8, weight_decay=0.0),
        "alpha .8, free, decay": others.where(alpha=0.8, weight_decay=gamma),
        "alpha 1 at constant norm": others.where(alpha=1.0),
    }
    level = case["threshold"]
    return [
        finding.as_sensitivity()
        for name, runs in arms.items()
        for finding in delay(
            name, times(runs, "test_acc", level), times(runs, "train_acc", level), case.region("together"), case.region("reached")
        )
    ]
