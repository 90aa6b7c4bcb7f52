"""Checks of Figure 3: MNIST (Section 4)."""

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
    decay_rates_by_window,
    delay,
    final,
    generalises,
    halves,
    highest,
    nearest,
    rate_between,
    surface,
    time_of,
    times,
    value_at,
)
from omnigrok.curves import Curves
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
from omnigrok.stats.contours import (
    contour_width,
    has_tip,
    one_interval,
    reordered,
    tip,
    width_beyond,
    width_trend,
    without_trend,
)
from omnigrok.stats.contrast import slope_change
from omnigrok.stats.divergence import divergence
from omnigrok.stats.landmarks import zone_width
from omnigrok.stats.learning_curves import FEWEST_SIZES, broken_line

Array = NDArray[np.float64]
ONE_DATA_SET = (
    "all seeds train on the first N images: n counts data sets, so n = 1, and one has no interval"
)


def errors(
    case: Case, column: str, name: str = "landscape"
) -> tuple[list[int], list[float], Array]:
    """Sizes, scales and (seeds, sizes, alphas) reduced errors: of the last step, or the best logged
    one under ``code``.
    """
    grid = case.grid(name)
    reading = case.get("reading", "protocol")
    best = reading == "best" or (reading == "protocol" and case.protocol == "code")
    accuracy = highest(column) if best else final(column)
    return (
        grid.axis("n_train"),
        grid.axis("alpha"),
        surface(grid, complement(accuracy), "n_train", "alpha"),
    )


def about_data(case: Case, findings: Sequence[Finding], name: str = "landscape") -> list[Finding]:
    """The findings of a claim about data, of which runs that share their images hold one set."""
    shared = any(run.option("subset") == "first" for run in case.grid(name).curves)
    return [finding.of_one_data_set(ONE_DATA_SET) if shared else finding for finding in findings]


@claim("fig03.LU-small")
def test_lu_small(case: Case) -> None:
    sizes, alphas, falling = errors(case, case["falls"])
    _, _, turning = errors(case, case["turns"])
    size, split, resolution = (
        nearest(sizes, case["n"]),
        case.number("split"),
        case.number("resolution"),
    )
    at = sizes.index(size)
    case.judge(
        [
            *l_shape(
                f"L of {case['falls']} error at N = {size}",
                alphas,
                falling[:, at],
                split,
                epsilon=resolution,
            ),
            *u_shape(
                f"U of {case['turns']} error at N = {size}",
                alphas,
                turning[:, at],
                split,
                epsilon=resolution,
            ),
        ]
    )


@claim("fig03.larger-norm")
def test_larger_norm(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    _, _, train = errors(case, "train_acc")
    size, (low, high) = (
        nearest(sizes, case["n"]),
        (nearest(alphas, alpha) for alpha in case["alphas"]),
    )
    at, a, b = sizes.index(size), alphas.index(low), alphas.index(high)
    rise = test[:, at, b] - test[:, at, a]
    fits = [
        mean_in_region(f"train error at alpha {alpha:g}", train[:, at, place], case.region("train"))
        for alpha, place in ((low, a), (high, b))
    ]
    found = mean_in_region(
        f"rise of test error from alpha {low:g} to {high:g} at N = {size}",
        rise,
        case.region("rise"),
    ).as_lead()
    if case["fit"] == "shown":
        unfitted = any(case.part(finding) is not Verdict.REPRODUCED for finding in fits)
        if unfitted and case.part(found) is not Verdict.REFUTED:
            # Short training raises the test error as well as the train error.
            nothing = (math.nan,) * rise.size
            found = replace(
                found,
                ci=(math.nan, math.nan),
                values=nothing,
                p=None,
                note="not fitted at both scales",
            )
        fits = [finding.as_sensitivity() for finding in fits]
    case.judge([found, *fits])


@claim("fig03.degrok-data")
def test_degrok_data(case: Case) -> None:
    sizes, alphas, table = errors(case, "test_acc")
    first, last = (sizes.index(nearest(sizes, size)) for size in case["sizes"])
    high, low = (nearest(alphas, case[name]) for name in ("alpha", "against"))
    error, other = (table[:, first : last + 1, alphas.index(alpha)] for alpha in (high, low))
    falls, others = error[:, 0] - error[:, -1], other[:, 0] - other[:, -1]
    pairs = f"alpha {high:g} minus alpha {low:g}"
    if case["pairs"] != "same seed":
        falls, others = (np.array(part) for part in halves(falls.tolist(), math.nan))
        pairs = f"alpha {high:g}, {case['pairs']}"
    span, resolution = f"N {sizes[first]} to {sizes[last]}", case.number("resolution")
    words = f"test error at alpha {high:g} falls, {span}"
    findings = [
        mean_in_region(
            f"fall of the test error, {span}, {pairs}", falls - others, case.region("fall")
        ).as_lead(),
        trend(words, error, direction="falling", floor=case.number("floor"), epsilon=resolution),
    ]
    case.judge(about_data(case, findings))


@claim("fig03.degrok-dynamics")
def test_degrok_dynamics(case: Case) -> None:
    small, large = (
        case.grid(name).where(alpha=case["alpha"]) for name in ("dynamics", "dynamics_large")
    )
    sizes, hold = (small.axis("n_train")[0], large.axis("n_train")[0]), case["hold"]

    def ratio(test: float, train: float) -> Finding:
        late, early = delays(small, test, train, hold), delays(large, test, train, hold)
        # A seed that never fits the small set has no delay there: nothing is known of its ratio.
        known = [
            Time.never(1.0) if slow is None or fast is None else fast
            for slow, fast in zip(late, early, strict=True)
        ]
        slow_times = [Time.never(1.0) if slow is None else slow for slow in late]
        name = f"t_test ({test:.0%}) / t_train ({train:.0%}), N {sizes[0]} over N {sizes[1]}"
        return time_ratio(name, slow_times, known, case.region("ratio"))

    arrival = generalises(
        f"N = {sizes[1]}",
        times(large, "test_acc", case["generalises"], hold),
        case.region("reached"),
    )
    rows = (
        []
        if case.verdict_only
        else [
            ratio(case["generalises"], case["generalises"]),
            ratio(0.7, case["fits"]),
            ratio(0.9, case["fits"]),
        ]
    )
    findings = [
        arrival,
        ratio(case["generalises"], case["fits"]).as_lead(),
        *(row.as_sensitivity() for row in rows),
    ]
    case.judge(about_data(case, findings, "dynamics"))


def delays(grid: Grid, test: float, train: float, hold: float = 0.05) -> list[Time | None]:
    """t_test / t_train of each seed: known from below where it never generalises, None where it
    never fits.
    """
    found: list[Time | None] = []
    for late, early in zip(
        times(grid, "test_acc", test, hold), times(grid, "train_acc", train, hold), strict=True
    ):
        bound = math.exp(late.log_bound - early.log_bound)
        found.append(
            None if not early.reached else Time.at(bound) if late.reached else Time.never(bound)
        )
    return found


def sizes_in_order(case: Case, sizes: Sequence[int], smallest: int) -> list[int]:
    """Places of the sizes from ``smallest`` on: rising or, in a control, without trend."""
    places = [place for place, size in enumerate(sizes) if size >= smallest]
    return (
        places if case["order"] == "size" else [places[turn] for turn in without_trend(len(places))]
    )


@claim("fig03.zone-broadens")
def test_zone_broadens(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    floor = case.number("floor")

    def found(smallest: int) -> Finding:
        places = sizes_in_order(case, sizes, smallest)
        zones = np.array(
            [
                [zone_width(alphas, curve, case["within"], case["edges"]) for curve in seed]
                for seed in reordered(test, places)
            ]
        )
        name = f"width of the zone (log alpha), N {sizes[places[0]]} to {sizes[places[-1]]}"
        return width_trend(name, zones[..., 0], zones[..., 1] > 0, floor=floor)

    rows = [] if case.verdict_only else [found(case["later"]).as_sensitivity()]
    case.judge(about_data(case, [found(case["smallest"]), *rows]))


@claim("fig03.LU-milder")
def test_lu_milder(case: Case) -> None:
    sizes, alphas, test = errors(case, "test_acc")
    _, _, train = errors(case, "train_acc")
    low, high = case["range"]
    inside = [
        place
        for place, alpha in enumerate(alphas)
        if low * (1 - 1e-6) <= alpha <= high * (1 + 1e-6)
    ]
    order = sizes_in_order(case, sizes, case["smallest"])
    resolution, floor = case.number("resolution"), case.number("floor")
    span = f"N {sizes[order[0]]} to {sizes[order[-1]]}"

    def closes(words: str, places: list[int], beyond: int | None) -> Finding:
        scales = [alphas[place] for place in places]
        gaps = [
            gap_integral(scales, train[:, at, places], test[:, at, places])
            - (
                0.0
                if beyond is None
                else np.log10(scales[-1] / scales[0]) * (test - train)[:, at, beyond]
            )
            for at in order
        ]
        return trend(
            f"{words}, {span}",
            np.maximum(np.stack(gaps, axis=1), resolution),
            direction="falling",
            floor=floor,
            epsilon=resolution,
        )

    standard = alphas.index(nearest(alphas, case["standard"]))
    right = [place for place in inside if place >= standard]
    findings = [
        closes("integral of test - train error over log10 alpha", inside, None),
        closes(
            f"the same from alpha {alphas[standard]:g} on, beyond the gap there", right, standard
        ).as_lead(),
    ]
    case.judge(about_data(case, findings))


@claim("fig03.thumb")
def test_thumb(case: Case) -> None:
    sizes, alphas, table = errors(case, "test_acc", case["map"])
    slack = case.number("slack")
    lowest = table.min(axis=2)
    near, far = case["multiples"]
    findings = []
    for level in case["levels"]:
        whole = [np.mean([one_interval(curve, level, slack) for curve in seed]) for seed in table]
        tipped = [has_tip(row, level, slack) for row in lowest]
        findings += [
            mean_in_region(
                f"error < {level:g}: share of sizes with one interval",
                whole,
                case.region("one_interval"),
            ),
            share(f"error < {level:g}: seeds with a tip", tipped, case.region("tip")),
            opening(case, level, (near, far), sizes, alphas, table),
        ]
        if not case.verdict_only:
            findings.append(
                bracket(f"error < {level:g}: tip", sizes, lowest < level).as_sensitivity()
            )
    case.judge(about_data(case, findings, case["map"]))


def opening(
    case: Case,
    level: float,
    multiples: tuple[float, float],
    sizes: Sequence[int],
    alphas: Sequence[float],
    table: Array,
) -> Finding:
    """The contour's width at two multiples of its tip, the second over the first."""
    widths = []
    for seed in table:
        start = tip(sizes, seed.min(axis=1), level)
        each, cut = zip(
            *(contour_width(alphas, curve, level, case["edges"]) for curve in seed), strict=True
        )
        widths.append(
            [
                (math.nan, False)
                if math.isnan(start)
                else width_beyond(sizes, each, cut, start, times * start)
                for times in multiples
            ]
        )
    found = np.array(widths, dtype=float)
    near, far = multiples
    name = f"error < {level:g}: width at {far:g} times the tip over that at {near:g} times"
    return width_trend(name, found[..., 0], found[..., 1] > 0, floor=case.number("floor"))


def order_of(place: int, sizes: int) -> list[int]:
    """The random order in which the control reads the sizes of one seed."""
    return np.random.default_rng([0, place]).permutation(sizes).tolist()


@claim("fig03.critical")
def test_critical(case: Case) -> None:
    sizes, _, table = errors(case, "test_acc", "critical")
    lowest = np.maximum(table.min(axis=2), case.number("resolution"))
    shared = all(run.option("subset") == "first" for run in case.grid("critical").curves)
    if shared:
        # Seeds differ by weights and batches only: one data set.
        lowest = np.exp(np.log(lowest).mean(axis=0, keepdims=True))
    if case["order"] == "permuted":
        lowest = np.stack([row[order_of(place, row.size)] for place, row in enumerate(lowest)])
    level, name = (
        case["level"],
        "lowest test error over N: AICc of the best smooth curve minus that of a break",
    )
    findings = [critical_size(name, sizes, lowest, case.region("preferred"))]
    if not case.verdict_only:
        breaks = [broken_line(sizes, row).break_at for row in lowest]
        findings += [
            mean_in_region("N at the break", breaks, Region(0.0), log=True).as_sensitivity(),
            bracket(
                f"smallest N with test error < {level:g}", sizes, lowest < level
            ).as_sensitivity(),
        ]
    if shared:
        case.settle(Verdict.INCONCLUSIVE, tuple(findings), ONE_DATA_SET)
    else:
        case.judge(findings)


@claim("fig03.grok")
def test_grok(case: Case) -> None:
    runs, hold = case.grid("dynamics").where(alpha=case["alpha"]), case["hold"]
    fits = times(runs, "train_acc", case["fits"], hold)

    def found(level: float, early: list[Time], words: str) -> tuple[Finding, Finding]:
        return delay(
            words,
            times(runs, "test_acc", level, hold),
            early,
            case.region("ratio"),
            case.region("reached"),
        )

    main = case["generalises"]
    rows: list[Finding] = []
    if not case.verdict_only:
        rows += found(main, times(runs, "train_acc", main, hold), f"test and train {main:.0%}")
        for level in case["sensitivity"]:
            rows += found(level, fits, f"test {level:.0%}")
    case.judge([*found(main, fits, f"test {main:.0%}"), *(row.as_sensitivity() for row in rows)])


@claim("fig03.decay")
def test_decay(case: Case) -> None:
    gamma = case.grid("dynamics").axis("weight_decay")[-1]
    runs = case.grid(case["arm"]).where(alpha=case["alpha"]).each()
    starts = [time_of(curves, "train_acc", case["fits"]).value for curves in runs]

    def rate(curves: Curves, start: float) -> float:
        arrival = time_of(curves, "test_acc", case["generalises"])
        end = arrival.value if arrival.reached else float(curves.step[-1])
        if case["estimator"] == "ends":
            fall = np.log(value_at(curves, "weight_norm", start)) - np.log(
                value_at(curves, "weight_norm", end)
            )
            return float(fall / (end - start)) / curves.run.lr
        return rate_between(curves, start, end) / curves.run.lr

    rates = [rate(curves, start) / gamma for curves, start in zip(runs, starts, strict=True)]
    findings = [
        mean_in_region("rate of ln w / (lr gamma), t_train to t_test", rates, case.region("rate"))
    ]
    if not case.verdict_only:
        findings += by_window(case, runs, starts, gamma)
    case.judge(findings)


def by_window(
    case: Case, runs: Sequence[Curves], starts: Sequence[float], gamma: float
) -> list[Finding]:
    """The rate over lr gamma in windows of a factor 2 in steps, from the largest t_train on."""
    first = max((start for start in starts if math.isfinite(start)), default=math.nan)
    windows: dict[tuple[float, float], list[float]] = {}
    for curves in runs:
        for low, high, rate in decay_rates_by_window(curves, first):
            windows.setdefault((low, high), []).append(rate / (curves.run.lr * gamma))
    return [
        mean_in_region(
            f"steps {low:,.0f} to {high:,.0f}", rates, case.region("rate")
        ).as_sensitivity()
        for (low, high), rates in windows.items()
    ]


@claim("fig03.time-vs-N")
def test_time_vs_n(case: Case) -> None:
    grid = case.grid()
    every, window = grid.axis("n_train"), case["window"]
    # Both windows at the small end: at large N the time to fit decides.
    sizes = [size for size in every if size <= every[0] * window**2 * (1 + 1e-9)]
    smallest = [size for size in sizes if size <= sizes[0] * window]
    gammas = grid.axis("weight_decay")
    main = nearest(gammas, case["weight_decay"])

    def table(gamma: float, of: Sequence[int]) -> tuple[list[list[Time]], NDArray[np.bool_]]:
        runs = grid.where(weight_decay=gamma)
        columns = [[arrival(case, curves) for curves in runs.each(n_train=size)] for size in of]
        rows = list(zip(*columns, strict=True))
        return (
            [[time for time, _ in row] for row in rows],
            np.array([[known for _, known in row] for row in rows], dtype=bool),
        )

    def found(gamma: float) -> list[Finding]:
        (rows, at_most), words = table(gamma, sizes), f"weight decay {gamma:g}"
        start = [row[: len(smallest)] for row in rows]
        return [
            slope_change(
                f"log-log slope of t_{case['side']}, second factor {window:g} of N minus the "
                f"first, {words}",
                sizes,
                rows,
                case.region("bend"),
                at_most=at_most,
                window=window,
            ),
            exponent(
                f"log-log slope of t_{case['side']}, first factor {window:g} of N, {words}",
                smallest,
                start,
                case.region("falls"),
            )[0],
        ]

    extra: list[Finding] = []
    if not case.verdict_only:
        extra += [finding for gamma in gammas if gamma != main for finding in found(gamma)]
        last = grid.where(weight_decay=main, n_train=sizes[-1])
        extra.append(
            time_ratio(
                f"t_{case['side']} / t_train at N = {sizes[-1]}",
                [arrival(case, curves)[0] for curves in last.each()],
                times(last, "train_acc", case["fits"]),
                Region(1.0),
            )
        )
        if len(every) >= FEWEST_SIZES:
            name = (
                "AICc of a power law with a floor minus that of a divergence, weight decay "
                f"{main:g}"
            )
            rows, at_most = table(main, every)
            # A time that is known from above only is none of a curve's points.
            points = [
                [
                    Time.never(time.limit) if bound else time
                    for time, bound in zip(row, bounds, strict=True)
                ]
                for row, bounds in zip(rows, at_most.tolist(), strict=True)
            ]
            extra.append(divergence(name, every, points))
    case.judge([*found(main), *(finding.as_sensitivity(finding.note) for finding in extra)])


def arrival(case: Case, curves: Curves) -> tuple[Time, bool]:
    """t_train, or the time to a test accuracy (half-way from the plateau to the last, or a fixed
    one); and whether it is known from above only. A run that generalises as it fits arrives no
    later than t_train; where t_train is not reached nothing is known.
    """
    fit = time_of(curves, "train_acc", case["fits"])
    if case["side"] == "train":
        return fit, False
    if case["arrives"] != "half-way":
        return time_of(curves, "test_acc", case["arrives"]), False
    if not fit.reached:
        return fit, True
    plateau, last = value_at(curves, "test_acc", fit.value), float(curves["test_acc"][-1])
    if not last - plateau >= case.number("rise") * (1 - plateau):
        if last >= case.number("generalised"):
            return fit, True
        return Time.never(float(curves.step[-1])), False
    since = curves.step >= fit.value
    return time_to(curves.step[since], curves["test_acc"][since], (plateau + last) / 2), False
