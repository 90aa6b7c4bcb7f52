"""Checks of Figure 7: the transformer on modular addition (Section 5.1, Appendix D)."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import delay, time_of, time_table, times
from omnigrok.curves import Curves
from omnigrok.stats import (
    Finding,
    Region,
    Time,
    mean_in_region,
    share,
    slope_on,
    spearman_in_region,
    time_ratio,
)


def peak(curves: Curves) -> Time:
    """The step at which the weight norm is largest; 1 where it is at the start.

    One that is largest at the end of the record peaks later.
    """
    top = int(np.argmax(curves["weight_norm"]))
    limit = float(curves.step[-1])
    return (
        Time.at(max(float(curves.step[top]), 1.0), limit)
        if top < len(curves.step) - 1
        else Time.never(limit)
    )


def fall(curves: Curves) -> Time:
    """The first logged step from which the weight norm is under its initial value for good."""
    norm = curves["weight_norm"]
    return time_of_index(curves, int(np.flatnonzero(norm >= norm[0])[-1]) + 1)


def first_fall(curves: Curves) -> Time:
    """The first logged step with the norm under its initial value, after it has been above."""
    norm = curves["weight_norm"]
    risen = int(np.argmax(norm > norm[0]))
    under = np.flatnonzero(norm[risen:] < norm[0])
    return time_of_index(curves, risen + int(under[0]) if under.size else len(norm))


def time_of_index(curves: Curves, index: int) -> Time:
    """The step of a logged point; never, within the record, for a point beyond it."""
    limit = float(curves.step[-1])
    return (
        Time.at(float(curves.step[index]), limit) if index < len(curves.step) else Time.never(limit)
    )


EVENTS = {("peak", "for good"): peak, ("fall", "for good"): fall, ("fall", "first"): first_fall}


def between(event: Time, start: Time, end: Time) -> bool:
    """Whether an event happened, and no earlier than ``start`` and no later than ``end``, which
    happened too.
    """
    return (
        event.reached and start.reached and end.reached and start.value <= event.value <= end.value
    )


@claim("fig07.norm-hump")
def test_norm_hump(case: Case) -> None:
    runs = case.grid().where(weight_decay=case["weight_decay"][case.tier]).each()
    fits = [time_of(curves, "train_acc", case["fits"], case["hold"]) for curves in runs]
    starts, ends = (
        [time_of(curves, "test_acc", case[level], case["hold"]) for curves in runs]
        for level in ("starts", "ends")
    )
    heights = [float(curves["weight_norm"].max() / curves["weight_norm"][0]) for curves in runs]
    overfits = [
        fit.reached and not (start.reached and start.value < fit.value)
        for fit, start in zip(fits, starts, strict=True)
    ]
    in_overfitting = [
        between(peak(curves), fit, start)
        for curves, fit, start in zip(runs, fits, starts, strict=True)
    ]
    in_generalising = [
        between(fall(curves), start, end)
        for curves, start, end in zip(runs, starts, ends, strict=True)
    ]
    case.judge(
        [
            share(
                "seeds that fit before the first test accuracy", overfits, case.region("share")
            ).as_premise(),
            mean_in_region("largest / initial weight norm", heights, case.region("peak"), log=True),
            share(
                "seeds whose norm peaks between fitting and the first test accuracy",
                in_overfitting,
                case.region("share"),
            ),
            share(
                "seeds whose norm falls under its start while test accuracy arrives",
                in_generalising,
                case.region("share"),
            ),
        ]
    )


@claim("fig07.norm-tracks")
def test_norm_tracks(case: Case) -> None:
    grid = case.grid()
    gammas = grid.axis("weight_decay")
    event = EVENTS[case["event"], case["under"]]
    events = [
        [event(grid.one(seed, weight_decay=gamma)) for gamma in gammas] for seed in grid.seeds
    ]
    tests = time_table(grid, "test_acc", "weight_decay", gammas, case["threshold"], case["hold"])
    over, under = zip(*(mean_times(*rows) for rows in zip(events, tests, strict=True)), strict=True)
    ratio = time_ratio(
        "its step / t_test, mean over weight decays",
        over,
        under,
        case.region("ratio"),
        note=without_ratio(tests),
    )
    slope = slope_on(
        "slope of its log step on log t_test over weight decays",
        events,
        tests,
        case.region("slope"),
    )
    within = [
        rank_correlation(list(zip(*columns, strict=True)))
        for columns in zip(zip(*events, strict=True), zip(*tests, strict=True), strict=True)
    ]
    rows = spearman_in_region(
        "rank correlation with t_test over seeds within one weight decay",
        within,
        Region(0),
        places=max(len(tests), 3),
    )
    case.judge([ratio.as_lead(), slope, rows.as_sensitivity("one value a weight decay")])


def mean_times(events: list[Time], tests: list[Time]) -> tuple[Time, Time]:
    """One seed's geometric means of the event and of t_test over weight decays that generalise.

    An event that did not happen within the record makes the mean known from below.
    """
    pairs = [(event, test) for event, test in zip(events, tests, strict=True) if test.reached]
    if not pairs:
        return Time.never(1.0), Time.never(1.0)
    over, under = (
        math.exp(float(np.mean([time.log_bound for time in side])))
        for side in zip(*pairs, strict=True)
    )
    happened = all(event.reached for event, _ in pairs)
    return Time.at(over) if happened else Time.never(over), Time.at(under)


def without_ratio(tests: list[list[Time]]) -> str:
    """How many runs have no ratio."""
    missing = sum(not time.reached for row in tests for time in row)
    return f"in {missing} runs the test accuracy does not arrive" if missing else ""


def rank_correlation(pairs: list[tuple[Time, Time]]) -> float:
    """Spearman's rho over the pairs that both were reached; NaN with under 3, or where one side
    does not vary.
    """
    known = np.array(
        [(left.value, right.value) for left, right in pairs if left.reached and right.reached]
    ).reshape(-1, 2)
    if len(known) < 3 or not np.ptp(known, axis=0).all():
        return math.nan
    return float(stats.spearmanr(known[:, 0], known[:, 1]).statistic)


@claim("fig07.degrok-constraint")
def test_degrok_constraint(case: Case) -> None:
    gamma = case["weight_decay"][case.tier]
    arms = {"held": case.grid("held"), "free": case.grid("free").where(weight_decay=gamma)}
    words = {"held": "alpha .8 at constant norm", "free": "unconstrained"}

    def found(level: float) -> list[Finding]:
        reached = case.region("reached")
        parts = ((case["arm"], case.region("together")), (case["against"], case.region("apart")))
        named = [(words[arm], arms[arm], region) for arm, region in parts]
        return [
            finding
            for name, runs, region in named
            for finding in delay(
                f"{name}, {level:.0%}", *both_times(case, runs, level), region, reached
            )
        ]

    rows = [
        finding.as_sensitivity()
        for level in ((0.8, 0.9) if not case.verdict_only else ())
        for finding in found(level)
    ]
    if not case.verdict_only:
        rows += between_the_figures(case, gamma)
    case.judge([*found(case["threshold"]), *rows])


def both_times(case: Case, runs: Grid, level: float) -> tuple[list[Time], list[Time]]:
    """t_test and t_train, one a seed."""
    late, early = (times(runs, f"{side}_acc", level, case["hold"]) for side in ("test", "train"))
    return late, early


def between_the_figures(case: Case, gamma: float) -> list[Finding]:
    """The same ratio where only the scale or only the constraint is changed."""
    others: Grid = case.grid("others")
    arms = {
        "alpha .8, free, no decay": others.where(alpha=0.8, weight_decay=0.0),
        "alpha .8, free, decay": others.where(alpha=0.8, weight_decay=gamma),
        "alpha 1 at constant norm": others.where(alpha=1.0),
    }
    return [
        finding.as_sensitivity()
        for name, runs in arms.items()
        for finding in delay(
            name,
            *both_times(case, runs, case["threshold"]),
            case.region("together"),
            case.region("reached"),
        )
    ]
