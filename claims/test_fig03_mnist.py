"""Checks of Figure 3: MNIST (Section 4)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import (
    complement,
    decay_rate,
    delay,
    final,
    generalises,
    highest,
    nearest,
    norm_at,
    surface,
    time_of,
    times,
    value_at,
)
from omnigrok.runs.curves import Curves
from omnigrok.stats import (
    Finding,
    Region,
    Time,
    Verdict,
    bracket,
    critical_size,
    exponent,
    gap_integral,
    l_shape,
    mean_in_region,
    share,
    time_ratio,
    time_to,
    trend,
    u_shape,
)
from omnigrok.stats.contours import contour_width, has_tip, one_interval, reordered, width_trend, without_trend
from omnigrok.stats.contrast import slope_change
from omnigrok.stats.divergence import divergence
from omnigrok.stats.landmarks import zone_width
from omnigrok.stats.learning_curves import FEWEST_SIZES, broken_line, drawn_from

Array = NDArray[np.float64]
ONE_DATA_SET = "all seeds train on the first N images: n counts data sets, so n = 1, and one has no interval"


def errors(case: Case, column: str, name: str = "landscape") -> tuple[list[int], list[float], Array]:
    """Sizes, scales and (seeds, sizes, alphas) reduced errors: of the last step, or the best logged one under ``code``."""
    grid = case.grid(name)
    accuracy = highest(column) if case.protocol == "code" else final(column)
    return grid.axis("n_train"), grid.axis("alpha"), surface(grid, complement(accuracy), "n_train", "alpha")


@claim("fig03.LU-small")
def test_lu_small(case: Case) -> None:
    sizes, alphas, falling = errors(case, case["falls"])
    _, _, turning = errors(case, case["turns"])
    size, split, resolution = nearest(sizes, case["n"]), case.number("split"), case.number("resolution")
    at = sizes.index(size)
    case.judge(
        [
            *l_shape(f"L of {case['falls']} error at N = {size}", alphas, falling[:, at], split, epsilon=resolution),
            *u_shape(f"U of {case['turns']} error at N = {size}", alphas, turning[:, at], split, epsilon=resolution),
        ]
    )


@claim("fig03.larger-norm")
def test_larger_norm(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    _, _, train = errors(case, "train_acc")
    size, (low, high) = nearest(sizes, case["n"]), (nearest(alphas, alpha) for alpha in case["alphas"])
    at, a, b = sizes.index(size), alphas.index(low), alphas.index(high)
    case.judge(
        [
            mean_in_region(
                f"rise of test error from alpha {low:g} to {high:g} at N = {size}", test[:, at, b] - test[:, at, a], case.region("rise")
            ),
            mean_in_region(f"train error at alpha {low:g}", train[:, at, a], case.region("train")),
            mean_in_region(f"train error at alpha {high:g}", train[:, at, b], case.region("train")),
        ]
    )


@claim("fig03.degrok-data")
def test_degrok_data(case: Case) -> None:
    sizes, alphas, table = errors(case, case["column"])
    alpha = nearest(alphas, case["alpha"])
    first, last = (sizes.index(nearest(sizes, size)) for size in case["sizes"])
    error = table[:, first : last + 1, alphas.index(alpha)]
    words = f"{case['column']} error at alpha {alpha:g}, N {sizes[first]} to {sizes[last]}"
    case.judge(
        [
            trend(f"{words}, falls", error, direction="falling", floor=case.number("floor"), epsilon=case.number("resolution")),
            mean_in_region(f"{words}, fall", error[:, 0] - error[:, -1], case.region("fall")),
        ]
    )


@claim("fig03.degrok-dynamics")
def test_degrok_dynamics(case: Case) -> None:
    small, large = (case.grid(name).where(alpha=case["alpha"]) for name in ("dynamics", "dynamics_large"))
    sizes = small.axis("n_train")[0], large.axis("n_train")[0]

    def ratio(test: float, train: float) -> Finding:
        late, early = delays(small, test, train), delays(large, test, train)
        # A seed that never fits the small set has no delay there: nothing is known of its ratio.
        known = [Time.never(1.0) if slow is None or fast is None else fast for slow, fast in zip(late, early, strict=True)]
        slow_times = [Time.never(1.0) if slow is None else slow for slow in late]
        name = f"t_test ({test:.0%}) / t_train ({train:.0%}), N {sizes[0]} over N {sizes[1]}"
        return time_ratio(name, slow_times, known, case.region("ratio"))

    arrival = generalises(f"N = {sizes[1]}", times(large, "test_acc", case["generalises"]), case.region("reached"))
    rows = [ratio(case["generalises"], case["generalises"]), ratio(0.7, case["fits"]), ratio(0.9, case["fits"])]
    case.judge([arrival, ratio(case["generalises"], case["fits"]), *(row.as_sensitivity() for row in rows)])


def delays(grid: Grid, test: float, train: float) -> list[Time | None]:
    """t_test / t_train of each seed: known from below where it never generalises, None where it never fits."""
    found: list[Time | None] = []
    for late, early in zip(times(grid, "test_acc", test), times(grid, "train_acc", train), strict=True):
        bound = math.exp(late.log_bound - early.log_bound)
        found.append(None if not early.reached else Time.at(bound) if late.reached else Time.never(bound))
    return found


@claim("fig03.zone-broadens")
def test_zone_broadens(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    order = list(range(len(sizes))) if case["order"] == "size" else without_trend(len(sizes))
    floor = case.number("floor")

    def found(places: list[int]) -> Finding:
        zones = np.array([[zone_width(alphas, curve, case["within"]) for curve in seed] for seed in reordered(test, places)])
        name = f"width of the zone (log alpha), N {sizes[places[0]]} to {sizes[places[-1]]}"
        return width_trend(name, zones[..., 0], zones[..., 1] > 0, floor=floor)

    later = [place for place in order if sizes[place] >= case["later"]]
    case.judge([found(order), found(later).as_sensitivity()])


@claim("fig03.LU-milder")
def test_lu_milder(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    _, _, train = errors(case, "train_acc")
    order = list(range(len(sizes))) if case["order"] == "size" else without_trend(len(sizes))
    gaps = np.stack([gap_integral(alphas, train[:, at], test[:, at]) for at in order], axis=1)
    resolution = case.number("resolution")
    name = f"integral of test - train error over log10 alpha, N {sizes[order[0]]} to {sizes[order[-1]]}"
    case.judge([trend(name, np.maximum(gaps, resolution), direction="falling", floor=case.number("floor"), epsilon=resolution)])


@claim("fig03.thumb")
def test_thumb(case: Case) -> None:
    sizes, alphas, table = errors(case, "test_acc", case["map"])
    slack = case.number("slack")
    lowest = table.min(axis=2)
    findings = []
    for level in case["levels"]:
        whole = [np.mean([one_interval(curve, level, slack) for curve in seed]) for seed in table]
        tips = [has_tip(row, level, slack) for row in lowest]
        full = np.flatnonzero((lowest < level).all(axis=0))
        start = int(full[0]) if full.size else len(sizes)
        widths = np.array([[contour_width(alphas, curve, level) for curve in seed[start:]] for seed in table])
        if len(sizes) - start < 2:
            # No width can rise over fewer than two sizes.
            widths = np.full((len(table), 2, 2), np.nan)
        begin = f"from N = {sizes[start]}" if start < len(sizes) else "nowhere"
        findings += [
            mean_in_region(f"error < {level:g}: share of sizes with one interval", whole, case.region("one_interval")),
            share(f"error < {level:g}: seeds with a tip", tips, case.region("tip")),
            width_trend(f"error < {level:g}: width, {begin}", widths[..., 0], widths[..., 1] > 0, floor=case.number("floor")),
            bracket(f"error < {level:g}: tip", sizes, lowest < level).as_sensitivity(),
        ]
    case.judge(findings)


@claim("fig03.critical")
def test_critical(case: Case) -> None:
    sizes, _, table = errors(case, "test_acc", "critical")
    lowest = np.maximum(table.min(axis=2), case.number("resolution"))
    shared = all(run.option("subset") == "first" for run in case.grid("critical").curves)
    if shared:
        # Seeds differ by weights and batches only: one data set.
        lowest = np.exp(np.log(lowest).mean(axis=0, keepdims=True))
    if case["drawn_from"]:
        rng = np.random.default_rng(0)
        lowest = np.stack([drawn_from(case["drawn_from"], sizes, row, rng) for row in lowest])
    level, name = case["level"], "lowest test error over N: AICc of the best smooth curve minus that of a break"
    findings = [critical_size(name, sizes, lowest, case.region("preferred"))]
    if not case.verdict_only:
        breaks = [broken_line(sizes, row).break_at for row in lowest]
        findings += [
            mean_in_region("N at the break", breaks, Region(0.0), log=True).as_sensitivity(),
            bracket(f"smallest N with test error < {level:g}", sizes, lowest < level).as_sensitivity(),
        ]
    if shared:
        case.settle(Verdict.INCONCLUSIVE, tuple(findings), ONE_DATA_SET)
    else:
        case.judge(findings)


@claim("fig03.grok")
def test_grok(case: Case) -> None:
    runs = case.grid("dynamics").where(alpha=case["alpha"])
    fits = times(runs, "train_acc", case["fits"])

    def found(level: float, early: list[Time], words: str) -> tuple[Finding, Finding]:
        return delay(words, times(runs, "test_acc", level), early, case.region("ratio"), case.region("reached"))

    main = case["generalises"]
    rows = [*found(main, times(runs, "train_acc", main), f"test and train {main:.0%}")]
    for level in case["sensitivity"]:
        rows += found(level, fits, f"test {level:.0%}")
    case.judge([*found(main, fits, f"test {main:.0%}"), *(row.as_sensitivity() for row in rows)])


@claim("fig03.decay")
def test_decay(case: Case) -> None:
    gamma = case.grid("dynamics").axis("weight_decay")[-1]
    rates = []
    for curves in case.grid(case["arm"]).where(alpha=case["alpha"]).each():
        fit = time_of(curves, "train_acc", case["fits"])
        arrival = norm_at(curves, time_of(curves, "test_acc", case["generalises"]))
        stop = 0.0 if math.isnan(arrival) else case["stop"] * arrival
        rates.append(decay_rate(curves, fit.value, stop) / (curves.run.lr * gamma))
    case.judge([mean_in_region("rate of ln w / (lr gamma)", rates, case.region("rate"))])


@claim("fig03.time-vs-N")
def test_time_vs_n(case: Case) -> None:
    grid = case.grid()
    sizes, points = grid.axis("n_train"), case["points"]
    gammas = grid.axis("weight_decay")
    main = nearest(gammas, case["weight_decay"])

    def table(gamma: float) -> list[list[Time]]:
        runs = grid.where(weight_decay=gamma)
        columns = [[arrival(case, curves) for curves in runs.each(n_train=size)] for size in sizes]
        return [list(row) for row in zip(*columns, strict=True)]

    def found(gamma: float) -> list[Finding]:
        rows, words = table(gamma), f"weight decay {gamma:g}"
        start = [row[:points] for row in rows]
        return [
            slope_change(
                f"log-log slope of t_{case['side']}, {points} largest N minus smallest, {words}",
                sizes,
                rows,
                case.region("bend"),
                points=points,
            ),
            exponent(f"log-log slope of t_{case['side']}, {points} smallest N, {words}", sizes[:points], start, case.region("falls"))[0],
        ]

    extra = [finding for gamma in gammas if gamma != main for finding in found(gamma)]
    if len(sizes) >= FEWEST_SIZES:
        name = f"AICc of a power law with a floor minus that of a divergence, weight decay {main:g}"
        extra.append(divergence(name, sizes, table(main)))
    case.judge([*found(main), *(finding.as_sensitivity(finding.note) for finding in extra)])


def arrival(case: Case, curves: Curves) -> Time:
    """t_train, or the time to half-way between the plateau and the run's last test accuracy."""
    fit = time_of(curves, "train_acc", case["fits"])
    if case["side"] == "train":
        return fit
    limit = float(curves.step[-1])
    if not fit.reached:
        return Time.never(limit)
    plateau, last = value_at(curves, "test_acc", fit.value), float(curves["test_acc"][-1])
    if not last - plateau >= case.number("rise") * (1 - plateau):
        return Time.never(limit)
    since = curves.step >= fit.value
    return time_to(curves.step[since], curves["test_acc"][since], (plateau + last) / 2)
