"""Checks of Figure 6: toy addition over weight norm and messiness (Section 5.1, Appendix D)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.maps import neighbour, reduced_map
from omnigrok.audit.quantities import generalises
from omnigrok.landscape import Landscape, generalising_solution
from omnigrok.stats import Finding, Time, exponent, mean_in_region, share, time_ratio
from omnigrok.trajectory import PATIENCE, Dynamics, boundary_angle, count_descents, count_humps, formula_time, starts, sweep, travel

Array = NDArray[np.float64]
Point = tuple[float, float]
TINY = 1e-12
METRICS = (("w", "as Eq. (6) stands"), ("ln w", "without its 1 / w^2"))


def smoothings(case: Case) -> tuple[bool, ...]:
    """Whether the map is smoothed by one cell, which is a sensitivity row."""
    return (False,) if case.verdict_only else (False, True)


def metrics(case: Case) -> tuple[tuple[str, str], ...]:
    """Those of a claim that Eq. (6) as it stands decides."""
    return METRICS[:1] if case.verdict_only else METRICS


def map_of(case: Case, grid: Grid, seed: int, side: str = "train") -> Landscape:
    return reduced_map(grid, seed, f"{side}_loss", case.protocol)


def variants(case: Case) -> Iterator[tuple[str, Grid]]:
    """The sensitivity rows: the variants that are not the landscape itself, none for a control on another map."""
    if case["map"] != "landscape":
        return
    main, grid = case.grid("landscape"), case.grid("variants")
    for run in {run.data: run for run in grid.curves}.values():
        if run not in main.curves:
            unseen, standardise = bool(run.option("unseen")), run.option("standardise", "none")
            yield (
                f"unseen = {str(unseen).lower()}, standardise = {standardise}",
                Grid(grid.name, {each: curves for each, curves in grid.curves.items() if each.data == run.data}, grid.diverging),
            )


@claim("fig06.regions")
def test_regions(case: Case) -> None:
    level, region = case["level"], case.region("one_crossing")

    def found(maps: list[Landscape], name: str) -> list[Finding]:
        once = np.array([(each.crossings(level) == 1).mean() for each in maps])
        ratios = [ratio_of_medians(*each.gradient_sizes(level)) for each in maps]
        return [
            share(f"seeds in which every m crosses {level:g} exactly once{name}", once == 1, region),
            mean_in_region(f"median gradient left over right of the contour{name}", ratios, case.region("gradient"), log=True),
            mean_in_region(f"share of m that cross exactly once{name}", once, region).as_sensitivity(),
        ]

    def maps_of(grid: Grid) -> list[Landscape]:
        maps = [map_of(case, grid, seed) for seed in grid.seeds]
        return [each.permuted_w(seed) for seed, each in enumerate(maps)] if case["permuted"] else maps

    main = maps_of(case.grid(case["map"]))
    others = found([each.smoothed(1) for each in main], ", map smoothed by one cell")
    for name, grid in variants(case):
        others += found(maps_of(grid), f", {name}")
    case.judge([*found(main, ""), *(each.as_sensitivity() for each in others)])


def ratio_of_medians(left: Array, right: Array) -> float:
    """NaN where a region is empty."""
    return float("nan") if not (len(left) and len(right)) else float(max(np.median(left), TINY) / max(np.median(right), TINY))


@claim("fig06.test-depends-on-m")
def test_test_depends_on_m(case: Case) -> None:
    level = case["level"]

    def found(grid: Grid, name: str, smooth: bool = False) -> list[Finding]:
        ratios = []
        for seed in grid.seeds:
            train, test = map_of(case, grid, seed), map_of(case, grid, seed, "test")
            if smooth:
                train, test = train.smoothed(1), test.smoothed(1)
            inside = (train.loss <= level).all(axis=1)
            parts = test.range_over_m()[inside] / np.maximum(train.range_over_m()[inside], TINY)
            ratios.append(max(float(np.median(parts)), TINY) if inside.any() else float("nan"))
        return [
            share(f"seeds with a w in region II at every m{name}", ~np.isnan(ratios), case.region("region")),
            mean_in_region(f"range over m, test over train, in region II{name}", ratios, case.region("ratio"), log=True),
        ]

    main = case.grid(case["map"])
    others = found(main, ", maps smoothed by one cell", smooth=True)
    for name, grid in variants(case):
        others += found(grid, f", {name}")
    case.judge([*found(main, ""), *(each.as_sensitivity() for each in others)])


@claim("fig06.wc-order")
def test_wc_order(case: Case) -> None:
    level = case["level"]

    def found(grid: Grid, name: str, smooth: bool = False) -> list[Finding]:
        maps = {seed: map_of(case, grid, seed) for seed in grid.seeds}
        if smooth:
            maps = {seed: each.smoothed(1) for seed, each in maps.items()}
        good = [critical(maps[seed], 0, level) for seed in grid.seeds]
        if case["bad"] == "messiest":
            bad = [critical(maps[seed], -1, level) for seed in grid.seeds]
        else:
            bad = [critical(maps[neighbour(grid.seeds, seed)], 0, level) for seed in grid.seeds]
        return [
            generalises(f"contour of the linear representation{name}", good, case.region("reached")),
            time_ratio(f"w_c, messy over linear representation{name}", bad, good, case.region("ratio")),
        ]

    main = case.grid(case["map"])
    others = found(main, ", map smoothed by one cell", smooth=True)
    for name, grid in variants(case):
        others += found(grid, f", {name}")
    case.judge([*found(main, ""), *(each.as_sensitivity() for each in others)])


def critical(landscape: Landscape, column: int, level: float) -> Time:
    """w_c as a censored number: never where the contour lies right of the grid, the left end where it lies left of it."""
    w = landscape.contour(level)[column]
    return Time.never(float(landscape.w[-1])) if np.isinf(w) else Time.at(max(float(w), float(landscape.w[0])))


@claim("fig06.path")
def test_path(case: Case) -> None:
    grid = case.grid(case["map"])

    def found(metric: str, name: str) -> tuple[Finding, Finding]:
        counts = [descents(case, map_of(case, grid, seed), map_of(case, grid, seed, "test"), metric) for seed in grid.seeds]
        several, hump = (np.array(part, dtype=float) for part in zip(*counts, strict=True))
        return (
            mean_in_region(f"share of starts, {name}", several, case.region("share")),
            mean_in_region(f"share of starts whose w rises and then falls, {name}", hump, case.region("share")).as_sensitivity(),
        )

    case.judge([each if metric == "w" else each.as_sensitivity() for metric, name in metrics(case) for each in found(metric, name)])


def descents(case: Case, train: Landscape, test: Landscape, metric: str) -> tuple[float, float]:
    """Shares of the starts with several descents and one maximum of w, and with the latter alone."""
    goal = generalising_solution(test)
    dynamics = Dynamics(weight_decay(case["gamma"], goal, metric), metric=metric)
    several, humps = [], []
    for start in starts(train, case["level"]):
        path = travel(train, start, goal, dynamics, tuple(case["reach"]))
        humps.append(count_humps(path.w, case["prominence"]) == 1)
        several.append(humps[-1] and count_descents(path.losses(test), case["prominence"]) >= 2)
    return float(np.mean(several)), float(np.mean(humps))


def weight_decay(gamma: float, goal: Point, metric: str) -> float:
    """gamma in the unit of its metric: with the 1 / w^2 of Eq. (6), the same balance of forces at E needs a smaller one."""
    return float(gamma / goal[0] ** 2) if metric == "w" else float(gamma)


def point_c(train: Landscape, level: float) -> Point:
    """C of Figure 6: in region II at the messiest representation, half-way in ln w from the contour to the right end."""
    contour = float(np.clip(train.contour(level)[-1], *train.w[[0, -1]]))
    return float(np.sqrt(contour * train.w[-1])), float(train.m[-1])


def as_times(landscape: Landscape, times: Array, dynamics: list[Dynamics]) -> list[Time]:
    """Durations of the integrator, censored where E was not reached."""
    width = np.log(landscape.w[-1] / landscape.w[0])
    limits = [float(PATIENCE * width / (each.eta_d * each.gamma)) for each in dynamics]
    return [Time.at(max(t, TINY), limit) if np.isfinite(t) else Time.never(limit) for t, limit in zip(times, limits, strict=True)]


def durations(case: Case, train: Landscape, goal: Point, metric: str) -> list[Time]:
    """Times from C to E as gamma or eta_D takes its values."""
    values = case["values"]
    middle = values[len(values) // 2]
    varied = case["varied"]
    base = Dynamics(weight_decay(middle if varied == "gamma" else case["gamma"], goal, metric), metric=metric)
    used = [weight_decay(value, goal, metric) if varied == "gamma" else value for value in values]
    times = sweep(train, point_c(train, case["level"]), goal, base, varied, used, case["frozen"], reach=tuple(case["reach"]))
    if case["frozen"]:
        each = [base] * len(used)
    else:
        each = [Dynamics(value, metric=metric) if varied == "gamma" else Dynamics(base.gamma, value, metric=metric) for value in used]
    return as_times(train, times, each)


def exponents(case: Case, maps: list[tuple[Landscape, Point]], metric: str, name: str) -> tuple[list[list[Time]], Finding]:
    table = [durations(case, train, goal, metric) for train, goal in maps]
    found = exponent(f"exponent of t on {case['varied']}, {name}", case["values"], table, case.region("exponent"))[0]
    return table, found


def trains_and_goals(case: Case, smooth: bool = False) -> list[tuple[Landscape, Point]]:
    grid = case.grid(case["map"])
    pairs = [(map_of(case, grid, seed), generalising_solution(map_of(case, grid, seed, "test"))) for seed in grid.seeds]
    return [(train.smoothed(1), goal) for train, goal in pairs] if smooth else pairs


@claim("fig06.time")
def test_time(case: Case) -> None:
    findings: list[Finding] = []
    middle = len(case["values"]) // 2
    for smooth in smoothings(case):
        maps = trains_and_goals(case, smooth)
        for metric, words in METRICS:
            name = words + (", map smoothed by one cell" if smooth else "")
            table, slope = exponents(case, maps, metric, name)
            times = [row[middle] for row in table]
            plain, tilted = formula(case, maps, metric, name)
            rows = [generalises(f"E is reached, {name}", times, case.region("reached")), slope, plain]
            if metric == "w":
                rows.append(tilted)
            findings += [row.as_sensitivity() for row in rows] if smooth else rows
    case.judge(findings)


def formula(case: Case, maps: list[tuple[Landscape, Point]], metric: str, name: str) -> tuple[Finding, Finding]:
    """(L + h tan theta) / (eta_D gamma) over the integrated time, both from C to where the path enters the box around E.

    The second is shown only: the formula with the 1 / w^2 of Eq. (6), at its mean along the boundary. A seed without boundary, or whose
    path does not arrive, has no value.
    """
    ratios: tuple[list[float], list[float]] = ([], [])
    for train, goal in maps:
        start, contour, theta = point_c(train, case["level"]), train.contour(case["level"]), boundary_angle(train, case["level"])
        dynamics = Dynamics(weight_decay(case["values"][len(case["values"]) // 2], goal, metric), metric=metric)
        path = travel(train, start, goal, dynamics, tuple(case["reach"]))
        known = path.outcome == "reached" and path.time > 0 and not np.isnan(theta)
        on_grid = contour[np.isfinite(contour) & (contour > 0)]
        for tilt, found in zip((1.0, float((on_grid**-2).mean()) if known else 1.0), ratios, strict=True):
            told = formula_time(start, (float(path.w[-1]), float(path.m[-1])), theta, dynamics, tilt)
            found.append(max(told / path.time, 1e-6) if known else float("nan"))
    plain, tilted = (
        mean_in_region(f"{words} over integrated time, {name}", found, case.region("formula"), log=True)
        for words, found in zip(("formula", "formula with the 1 / w^2"), ratios, strict=True)
    )
    return plain, tilted.as_sensitivity()


@claim("fig06.time-eta")
def test_time_eta(case: Case) -> None:
    findings: list[Finding] = []
    for smooth in smoothings(case):
        maps = trains_and_goals(case, smooth)
        for metric, words in metrics(case):
            name = words + (", map smoothed by one cell" if smooth else "")
            table, slope = exponents(case, maps, metric, name)
            rows = [generalises(f"E is reached, {name}", [row[len(row) // 2] for row in table], case.region("reached")), slope]
            findings += rows if metric == "w" and not smooth else [row.as_sensitivity() for row in rows]
    case.judge(findings)


def sizes(grid: Grid) -> tuple[list[int], int, float]:
    """(training sizes, the one that stands for 45 of 55, all pairs)."""
    base = next(iter(grid.curves)).option("base", 10)
    pairs = base * (base + 1) / 2
    every = grid.axis("n_train")
    return every, min(every, key=lambda size: abs(size / pairs - 45 / 55)), pairs


@claim("fig06.data-size")
def test_data_size(case: Case) -> None:
    grid, level = case.grid(case["map"]), case["level"]
    every, standard, pairs = sizes(grid)
    goals = {seed: generalising_solution(map_of(case, grid.where(n_train=standard), seed, "test")) for seed in grid.seeds}

    def distances(size: int, shift: int, smooth: bool) -> list[float]:
        found = []
        for seed in grid.seeds:
            train = map_of(case, grid.where(n_train=size), neighbour(grid.seeds, seed, shift))
            w = (train.smoothed(1) if smooth else train).contour(level)[0]
            on_grid = np.isfinite(w) and w > 0
            found.append(float(abs(np.log(w / goals[seed][0])) if on_grid else np.log(train.w[-1] / train.w[0])))
        return found

    def rows(smooth: bool) -> list[Finding]:
        name = ", maps smoothed by one cell" if smooth else ""
        large = [size for size in every if size / pairs >= case["split"]]
        small = [size for size in every if size / pairs < case["split"]]
        shift = 0
        if case["small"] == "other seed":
            large, small, shift = [standard], [standard], 1
        reach = [
            mean_in_region(
                f"distance of the contour of {size} pairs from E in ln w{name}", distances(size, 0, smooth), case.region("reaches")
            )
            for size in large
        ]
        miss = [
            mean_in_region(
                f"distance of {size} {'other ' * shift}pairs' contour from E in ln w{name}",
                distances(size, shift, smooth),
                case.region("misses"),
            )
            for size in small
        ]
        return [*reach, *miss]

    case.judge([row.as_sensitivity() if smooth else row for smooth in smoothings(case) for row in rows(smooth)])


@claim("fig06.more-data-faster")
def test_more_data_faster(case: Case) -> None:
    grid, level = case.grid(case["map"]), case["level"]
    every, standard, _ = sizes(grid)
    more, shift = (standard, 1) if case["more"] == "other seed" else (every[-1], 0)

    def rows(smooth: bool) -> list[Finding]:
        name = ", maps smoothed by one cell" if smooth else ""
        angles: list[float] = []
        durations: dict[str, list[tuple[Time, Time]]] = {metric: [] for metric, _ in metrics(case)}
        for seed in grid.seeds:
            fewer = map_of(case, grid.where(n_train=standard), seed)
            larger = map_of(case, grid.where(n_train=more), neighbour(grid.seeds, seed, shift))
            goal = generalising_solution(map_of(case, grid.where(n_train=standard), seed, "test"))
            if smooth:
                fewer, larger = fewer.smoothed(1), larger.smoothed(1)
            angles.append(boundary_angle(fewer, level) - boundary_angle(larger, level))
            for metric, pairs in durations.items():
                dynamics = Dynamics(weight_decay(case["gamma"], goal, metric), metric=metric)
                start = point_c(fewer, level)
                both = [one_duration(case, each, start, goal, dynamics) for each in (larger, fewer)]
                pairs.append((both[0], both[1]))
        findings = [mean_in_region(f"theta of {standard} minus theta of {more} pairs{name}", angles, case.region("angle"))]
        for metric, words in metrics(case):
            late, early = ([pair[part] for pair in durations[metric]] for part in (0, 1))
            two = [
                generalises(f"{more} pairs reach E, {words}{name}", late, case.region("reached")),
                time_ratio(f"time of {more} over time of {standard} pairs, {words}{name}", late, early, case.region("ratio")),
            ]
            findings += two if metric == "w" else [each.as_sensitivity() for each in two]
        return findings

    case.judge([row.as_sensitivity() if smooth else row for smooth in smoothings(case) for row in rows(smooth)])


def one_duration(case: Case, train: Landscape, start: Point, goal: Point, dynamics: Dynamics) -> Time:
    """From start to goal, each moved to the edge where another seed's grid ends before it."""
    ends = train.w[[0, -1]]
    points = [(float(np.clip(w, *ends)), m) for w, m in (start, goal)]
    path = travel(train, points[0], points[1], dynamics, tuple(case["reach"]))
    return as_times(train, np.array([path.time]), [dynamics])[0]
