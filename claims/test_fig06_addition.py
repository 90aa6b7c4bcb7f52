"""Checks of Figure 6: toy addition over weight norm and messiness (Section 5.1, Appendix D)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import generalises, halves
from omnigrok.errors import BadInput
from omnigrok.paper.landscape import Landscape, Solution, generalising_solution
from omnigrok.paper.maps import disjoint_pairs, reduced_map
from omnigrok.paper.trajectory import (
    PATIENCE,
    Dynamics,
    Path,
    boundary_angle,
    boundary_angle_between,
    box_around,
    count_descents,
    count_humps,
    formula_time,
    points_c,
    starts,
    travel,
)
from omnigrok.stats import Finding, Region, Time, exponent, mean_in_region, share, time_ratio
from omnigrok.stats.crossing import Crossing
from omnigrok.stats.grid_step import mean_between

Array = NDArray[np.float64]
Point = tuple[float, float]
TINY = 1e-12
# Of the published maps: the length of m that their axes label 1.
PUBLISHED = {"paper": 1.0, "code": 0.2, "corrected": 1.0}
METRIC_WORDS = {"w": "as Eq. (6) stands", "ln w": "without its 1 / w^2"}


def map_of(case: Case, grid: Grid, seed: int, side: str = "train") -> Landscape:
    """One seed's map of a loss, smoothed by one cell if the claim asks for it."""
    found = reduced_map(grid, seed, f"{side}_loss", case.protocol)
    return found.smoothed(1) if case.get("smoothed") else found


def variants(case: Case) -> Iterator[tuple[str, Grid]]:
    """The sensitivity rows on other data, none for a control on another map."""
    if case.verdict_only or ":" in case["map"]:
        return
    main, grid = case.grid(case["map"]), case.grid("variants")
    own = {run.data for run in main.curves}
    for run in {run.data: run for run in grid.curves if run.data not in own}.values():
        unseen, standardise = bool(run.option("unseen")), run.option("standardise", "none")
        curves = {each: found for each, found in grid.curves.items() if each.data == run.data}
        name = f", unseen = {str(unseen).lower()}, standardise = {standardise}"
        yield name, Grid(grid.name, curves, grid.diverging)


def sensitivity(findings: Sequence[Finding]) -> list[Finding]:
    return [finding.as_sensitivity() for finding in findings]


# Regions and their boundary


@claim("fig06.regions")
def test_regions(case: Case) -> None:
    level, in_log_w = case["level"], case["axis"] == "ln w"

    def found(grid: Grid, name: str) -> list[Finding]:
        maps = [map_of(case, grid, seed) for seed in grid.seeds]
        if case["permuted"]:
            maps = [each.permuted_w(place) for place, each in enumerate(maps)]
        once = np.array([(each.crossings(level) == 1).mean() for each in maps])
        ratios = [ratio_of_medians(*each.gradient_sizes(level, in_log_w)) for each in maps]
        region = case.region("one_crossing")
        return [
            share(
                f"seeds in which every m crosses {level:g} exactly once{name}", once == 1, region
            ),
            mean_in_region(
                f"median gradient left over right of the contour{name}",
                ratios,
                case.region("gradient"),
                log=True,
            ),
            mean_in_region(
                f"share of m that cross exactly once{name}", once, region
            ).as_sensitivity(),
        ]

    rows = found(case.grid(case["map"]), "")
    for name, grid in variants(case):
        rows += sensitivity(found(grid, name))
    case.judge(rows)


def ratio_of_medians(left: Array, right: Array) -> float:
    """NaN where a region is empty."""
    if not (len(left) and len(right)):
        return math.nan
    return float(max(np.median(left), TINY) / max(np.median(right), TINY))


@claim("fig06.test-depends-on-m")
def test_test_depends_on_m(case: Case) -> None:
    level = case["level"]

    def found(grid: Grid, name: str) -> list[Finding]:
        ratios = []
        for seed in grid.seeds:
            train, test = map_of(case, grid, seed), map_of(case, grid, seed, "test")
            inside = (train.loss <= level).all(axis=1)
            parts = test.range_over_m()[inside] / np.maximum(train.range_over_m()[inside], TINY)
            ratios.append(max(float(np.median(parts)), TINY) if inside.any() else math.nan)
        return [
            share(
                f"seeds with a w in region II at every m{name}",
                ~np.isnan(ratios),
                case.region("contour"),
            ).as_premise(),
            mean_in_region(
                f"range over m, test over train, in region II{name}",
                ratios,
                case.region("ratio"),
                log=True,
            ),
        ]

    rows = found(case.grid(case["map"]), "")
    for name, grid in variants(case):
        rows += sensitivity(without_premises(found(grid, name)))
    case.judge(rows)


def without_premises(findings: Sequence[Finding]) -> list[Finding]:
    """Those of a variant are shown like its other findings."""
    return [replace(finding, premise=False) for finding in findings]


@claim("fig06.wc-order")
def test_wc_order(case: Case) -> None:
    level = case["level"]

    def found(grid: Grid, name: str) -> list[Finding]:
        boundaries = [map_of(case, grid, seed).boundary(level) for seed in grid.seeds]
        good = [boundary[0] for boundary in boundaries]
        bad = [boundary[-1] for boundary in boundaries]
        premise = share(
            f"seeds whose linear representation has a contour{name}",
            [math.isfinite(each.high) for each in good],
            case.region("contour"),
        ).as_premise()
        if case["bad"] == "other seed":
            good, bad = disjoint_pairs(good)
        ends = [ratio_between(*each) for each in zip(bad, good, strict=True)]
        ratio = mean_between(
            f"w_c, messy over linear representation{name}",
            [low for low, _ in ends],
            [high for _, high in ends],
            case.region("ratio"),
            log=True,
        )
        return [premise, ratio]

    rows = found(case.grid(case["map"]), "")
    for name, grid in variants(case):
        rows += sensitivity(without_premises(found(grid, name)))
    case.judge(rows)


def ratio_between(bad: Crossing, good: Crossing) -> Point:
    """(lowest, highest) ratio of two contours that the grid allows; NaN without a good one."""
    if math.isinf(good.high):
        return math.nan, math.nan
    return bad.low / good.high, bad.high / good.low if good.low > 0 else math.inf


# Paths of Eq. (6)


@dataclass(frozen=True)
class Plane:
    """One seed's maps, m in the unit of the claim.

    Args:
        train, test: its reduced losses.
        goal: E; None if no cell fits and generalises.
        reach: half widths of the box around E.
    """

    train: Landscape
    test: Landscape
    goal: Solution | None
    reach: Point


def unit_of_m(case: Case, landscape: Landscape) -> float:
    """The length of the grid's m per which a rate of m is one."""
    units = {
        "range": float(np.ptp(landscape.m)),
        "published": PUBLISHED[case.protocol],
        "raw": 1.0,
    }
    return units[case["m_unit"]]


def solution(case: Case, grid: Grid, seed: int, train: Landscape) -> Solution | None:
    """E on the map of one seed, m as it stands on the grid."""
    test = map_of(case, grid, seed, "test")
    accuracy = reduced_map(grid, seed, "test_acc", case.protocol)
    return generalising_solution(train, test, accuracy, case["fits"], case["generalises"])


def plane_of(case: Case, train: Landscape, test: Landscape, goal: Solution | None) -> Plane:
    unit = unit_of_m(case, train)
    train, test = train.with_unit_of_m(unit), test.with_unit_of_m(unit)
    least = float(case["reach"][0]), float(case["reach"][1])
    if goal is None:
        return Plane(train, test, None, least)
    goal = replace(goal, m=goal.m / unit)
    return Plane(train, test, goal, box_around(train, goal.point, least))


def planes(case: Case) -> list[Plane]:
    """The maps of every seed."""
    grid = case.grid(case["map"])
    found = []
    for seed in grid.seeds:
        train = map_of(case, grid, seed)
        goal = solution(case, grid, seed, train)
        found.append(plane_of(case, train, map_of(case, grid, seed, "test"), goal))
    return found


def there_is_e(case: Case, goals: Sequence[Solution | None]) -> Finding:
    """The premise of all that leads to E."""
    return share(
        "seeds with a generalising solution E right of the contour",
        [goal is not None for goal in goals],
        case.region("e_exists"),
    ).as_premise()


def dynamics_of(gamma: float, goal: Solution, metric: str, eta_d: float = 1.0) -> Dynamics:
    """With the 1 / w^2 of Eq. (6), the same balance of forces at E needs a smaller gamma."""
    return Dynamics(gamma / goal.w**2 if metric == "w" else gamma, eta_d, metric=metric)


def path_from(start: Point, plane: Plane, dynamics: Dynamics, points: int = 500) -> Path:
    if plane.goal is None:
        raise ValueError("a path needs a goal")
    return travel(plane.train, start, plane.goal.point, dynamics, plane.reach, points=points)


def rate_of_w(plane: Plane, points: Sequence[Point], metric: str) -> float:
    """How far the loss moves ln w while it moves m by one: the median over points."""
    slopes = [plane.train.slope_at(w, m) for w, m in points]
    per_w = [w**2 if metric == "w" else 1.0 for w, _ in points]
    return float(
        np.median(
            [abs(u) / by / max(abs(v), TINY) for (u, v), by in zip(slopes, per_w, strict=True)]
        )
    )


@claim("fig06.path")
def test_path(case: Case) -> None:
    case.judge(path_findings(case, planes(case), case["metric"]))


def path_findings(case: Case, every: Sequence[Plane], metric: str) -> Iterator[Finding]:
    """The premises, and then what the paths say, which takes most of the time."""
    words, region = METRIC_WORDS[metric], case.region("share")
    yield there_is_e(case, [plane.goal for plane in every])
    points = [starts(plane.train, case["level"]) if plane.goal else [] for plane in every]
    rates = [
        max(rate_of_w(plane, each, metric), TINY) if each else math.nan
        for plane, each in zip(every, points, strict=True)
    ]
    yield mean_in_region(
        f"change of ln w per unit of m at the starts, {words}",
        rates,
        case.region("moves"),
        log=True,
    ).as_premise()
    several, humps = [], []
    for plane, each in zip(every, points, strict=True):
        if plane.goal is None:
            several.append(math.nan)
            humps.append(math.nan)
            continue
        dynamics = dynamics_of(case["gamma"], plane.goal, metric)
        paths = [path_from(start, plane, dynamics) for start in each]
        hump = [count_humps(path.w, case["prominence"]) == 1 for path in paths]
        descents = [count_descents(path.losses(plane.test), case["prominence"]) for path in paths]
        humps.append(float(np.mean(hump)))
        several.append(float(np.mean(np.array(hump) & (np.array(descents) >= 2))))
    yield mean_in_region(f"share of starts, {words}", several, region)
    yield mean_in_region(
        f"share of starts whose w rises and then falls, {words}", humps, region
    ).as_sensitivity()


def one_time(plane: Plane, times: Array, dynamics: Dynamics) -> Time:
    """Geometric mean of the times from the points C to E; not reached if one of them does not
    arrive.
    """
    if not np.isfinite(times).all():
        width = float(np.log(plane.train.w[-1] / plane.train.w[0]))
        return Time.never(PATIENCE * width / (dynamics.eta_d * dynamics.gamma))
    return Time.at(float(np.exp(np.mean(np.log(np.maximum(times, TINY))))))


@dataclass(frozen=True)
class Timed:
    """The ways from C to E of one seed as gamma or eta_D takes its values.

    Args:
        points: (C,) where they start.
        paths: (values, C), first and last points only.
        times: (values,) over the points.
    """

    plane: Plane
    points: list[Point]
    paths: list[list[Path]]
    times: list[Time]


def dynamics_over(case: Case, goal: Solution, metric: str) -> list[Dynamics]:
    """Eq. (6) as gamma, or the rate that the claim or its control varies, takes its values."""
    if case["varied"] == "gamma":
        return [dynamics_of(value, goal, metric) for value in case["values"]]
    base = dynamics_of(case["gamma"], goal, metric)
    return [replace(base, **{case["varied"]: value}) for value in case["values"]]


def timed(case: Case, every: Sequence[Plane], metric: str) -> list[Timed]:
    """The durations on those planes that have an E and a C."""
    found = []
    for plane in every:
        points = points_c(plane.train, case["level"]) if plane.goal is not None else []
        if plane.goal is None or not points:
            continue
        over = dynamics_over(case, plane.goal, metric)
        paths = [[path_from(point, plane, each, points=2) for point in points] for each in over]
        times = [
            one_time(plane, np.array([path.time for path in row]), each)
            for row, each in zip(paths, over, strict=True)
        ]
        found.append(Timed(plane, points, paths, times))
    return found


def findings_of_time(case: Case, found: list[Timed], name: str) -> list[Finding]:
    """That E is reached, and the exponent; the first is the claim's own part, in which a control
    has no say.
    """
    words = f"exponent of t on {case['varied']}, {name}"
    if not found:
        return [mean_in_region(words, [], case.region("exponent"))]
    slope = exponent(words, case["values"], [each.times for each in found], case.region("exponent"))
    middle = [each.times[len(each.times) // 2] for each in found]
    reached = generalises(f"E is reached, {name}", middle, case.region("reached"))
    return [slope[0], reached.as_sensitivity() if case.role == "control" else reached]


@claim("fig06.time")
def test_time(case: Case) -> None:
    case.judge(time_findings(case, planes(case)))


def time_findings(case: Case, every: Sequence[Plane]) -> Iterator[Finding]:
    """The premise, and then what the paths in each metric say, which takes most of the time."""
    yield there_is_e(case, [plane.goal for plane in every])
    for metric in case["metrics"]:
        found = timed(case, every, metric)
        words = METRIC_WORDS[metric]
        yield from findings_of_time(case, found, words)
        if case.role == "claim":
            plain, tilted = formula(case, found, metric, words)
            yield from (plain, tilted) if metric == "w" else (plain,)


def formula(case: Case, found: list[Timed], metric: str, name: str) -> tuple[Finding, Finding]:
    """(L + h tan theta) / (eta_D gamma) over the integrated time, both from C to where the path
    enters the box around E; geometric mean over the points C that arrive.

    The second is shown only: the formula with the 1 / w^2 of Eq. (6), at its mean along the
    boundary. A seed without an angle, or none of whose paths arrives, has no value.
    """
    ratios: tuple[list[float], list[float]] = ([], [])
    if case["gamma"] not in case["values"]:
        raise BadInput(
            f"claim {case.claim.id}: quantity.gamma must be one of quantity.values, "
            f"{case['values']}, not {case['gamma']}"
        )
    place = case["values"].index(case["gamma"])
    for each in found:
        plane = each.plane
        theta = boundary_angle(plane.train, case["level"])
        contour = plane.train.contour(case["level"])
        on_grid = contour[np.isfinite(contour) & (contour > 0)]
        tilts = 1.0, float((on_grid**-2.0).mean()) if len(on_grid) else math.nan
        logs: tuple[list[float], list[float]] = ([], [])
        dynamics = dynamics_over(case, plane.goal, metric)[place]
        for point, path in zip(each.points, each.paths[place], strict=True):
            if math.isnan(theta):
                break
            if path.outcome != "reached" or not path.time > 0:
                continue
            end = float(path.w[-1]), float(path.m[-1])
            for tilt, row in zip(tilts, logs, strict=True):
                told = formula_time(point, end, theta, dynamics, tilt)
                row.append(math.log(max(told / path.time, 1e-6)))
        for row, log in zip(ratios, logs, strict=True):
            row.append(math.exp(float(np.mean(log))) if log else math.nan)
    plain, tilted = (
        mean_in_region(
            f"{words} over integrated time, {name}", row, case.region("formula"), log=True
        )
        for words, row in zip(("formula", "formula with the 1 / w^2"), ratios, strict=True)
    )
    return plain, tilted.as_sensitivity()


@claim("fig06.time-eta")
def test_time_eta(case: Case) -> None:
    every = planes(case)
    premise = there_is_e(case, [plane.goal for plane in every])
    found = timed(case, every, case["metric"])
    case.judge([premise, *findings_of_time(case, found, METRIC_WORDS[case["metric"]])])


# Training sizes


def sizes(grid: Grid) -> tuple[list[int], int, float]:
    """(training sizes, the one that stands for 45 of 55, all pairs)."""
    base = next(iter(grid.curves)).option("base", 10)
    all_pairs = base * (base + 1) / 2
    every = grid.axis("n_train")
    return every, min(every, key=lambda size: abs(size / all_pairs - 45 / 55)), all_pairs


def goals_of(case: Case) -> dict[int, Solution | None]:
    """E of each seed at 45 pairs, on the fine map."""
    grid = case.grid(case["goal"])
    return {seed: solution(case, grid, seed, map_of(case, grid, seed)) for seed in grid.seeds}


def log_ends(place: Crossing | Solution) -> Point:
    """The natural logarithms of the grid points around a place, infinite off the grid."""
    return (math.log(place.low) if place.low > 0 else -math.inf), math.log(place.high)


def distance_between(a: Crossing | Solution | None, b: Crossing | Solution | None) -> Point:
    """(smallest, largest) distance in ln w that the grid allows; NaN if one of the two is
    missing.
    """
    if a is None or b is None:
        return math.nan, math.nan
    (a_low, a_high), (b_low, b_high) = log_ends(a), log_ends(b)
    return max(0.0, a_low - b_high, b_low - a_high), max(a_high - b_low, b_high - a_low)


@claim("fig06.data-size")
def test_data_size(case: Case) -> None:
    grid, level = case.grid(case["map"]), case["level"]
    every, standard, all_pairs = sizes(grid)
    goals = goals_of(case)

    def contours(size: int) -> list[Crossing]:
        part = grid.where(n_train=size)
        return [map_of(case, part, seed).boundary(level)[0] for seed in grid.seeds]

    def distance(name: str, found: list[Point], region: Region) -> Finding:
        return mean_between(name, [low for low, _ in found], [high for _, high in found], region)

    rows = [there_is_e(case, list(goals.values()))]
    if case["small"] == "other seed":
        both = halves(contours(standard), None)
        found = [distance_between(*pair) for pair in zip(*both, strict=True)]
        name = f"distance in ln w of two contours of {standard} pairs"
        rows.append(distance(name, found, case.region("misses")))
    else:
        for size in every:
            reaches = size / all_pairs >= case["split"]
            pairs_of_size = zip(contours(size), map(goals.get, grid.seeds), strict=True)
            name = f"distance of the contour of {size} pairs from E in ln w"
            found = [distance_between(*pair) for pair in pairs_of_size]
            rows.append(distance(name, found, case.region("reaches" if reaches else "misses")))
    case.judge(rows)


@claim("fig06.more-data-faster")
def test_more_data_faster(case: Case) -> None:
    grid, level = case.grid(case["map"]), case["level"]
    every, standard, _ = sizes(grid)
    goals = goals_of(case)
    is_control = case["more"] == "other seed"
    more = standard if is_control else every[-1]
    partners = disjoint_pairs(grid.seeds) if is_control else (grid.seeds, grid.seeds)
    angles: list[Point] = []
    late: list[Time] = []
    early: list[Time] = []
    for seed, other in zip(*partners, strict=True):
        fewer = map_of(case, grid.where(n_train=standard), seed)
        larger = map_of(case, grid.where(n_train=more), other)
        goal = goals[seed]
        unit = unit_of_m(case, fewer)
        ends = [
            boundary_angle_between(each.with_unit_of_m(unit), level) for each in (fewer, larger)
        ]
        angles.append((ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]))
        if goal is None or not fewer.w[0] <= goal.w <= fewer.w[-1]:
            continue
        first = plane_of(case, fewer, fewer, goal)
        second = replace(first, train=on_axis(larger, fewer).with_unit_of_m(unit))
        points = points_c(first.train, level)
        if points:
            dynamics = dynamics_of(case["gamma"], goal, case["metric"])
            for plane, row in ((second, late), (first, early)):
                times = [path_from(point, plane, dynamics, points=2).time for point in points]
                row.append(one_time(plane, np.array(times), dynamics))
    words = METRIC_WORDS[case["metric"]]
    reached = generalises(f"{more} pairs reach E, {words}", late, case.region("reached"))
    case.judge(
        [
            there_is_e(case, list(goals.values())),
            mean_between(
                f"theta of {standard} minus theta of {more} pairs",
                [low for low, _ in angles],
                [high for _, high in angles],
                case.region("angle"),
            ),
            reached.as_sensitivity() if is_control else reached,
            time_ratio(
                f"time of {more} over time of {standard} pairs, {words}",
                late,
                early,
                case.region("ratio"),
            ),
        ]
    )


def on_axis(landscape: Landscape, like: Landscape) -> Landscape:
    """The same scales under the norms of another seed, whose networks start a little larger or
    smaller."""
    return replace(landscape, w=like.w)
