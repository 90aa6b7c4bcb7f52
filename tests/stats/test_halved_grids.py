"""On smooth families, halving the step of a grid never moves REPRODUCED to REFUTED or back.

Each judge reads one smooth curve a seed, on a grid that it is given. Seeds differ by 1 % or more,
as recorded ones do, and are the same on both grids. The coarse grid has steps of .5 or .25 in
ln x, as the claims' own have; with steps of 1 a contour, or a gap from a minimum on, can be moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from omnigrok.stats import (
    Region,
    Time,
    Verdict,
    bracket,
    critical_size,
    dose_response,
    exponent,
    gap_integral,
    l_shape,
    mean_in_region,
    trend,
    u_shape,
    zone_width,
)
from omnigrok.stats.contours import contour_width, width_trend
from omnigrok.stats.contrast import slope_change
from omnigrok.stats.finding import conjunction
from omnigrok.stats.landmarks import argmin, knee
from omnigrok.stats.mismatch import gap_right_of_minimum
from omnigrok.stats.powerlaw import slope_equivalent
from omnigrok.stats.twolines import two_lines

SEEDS = 8
FINEST = 32
Array = np.ndarray


@dataclass(frozen=True)
class Family:
    """One smooth family with its seeds.

    Args:
        place: where the curve turns, a share of the grid's length in log x.
        power: how steeply; decades of y a decade of x.
        spread: of the seeds, in log x and in log y.
        level: where the criterion's edge lies next to the family's own value, in logarithms.
    """

    place: float
    power: float
    spread: float
    level: float
    seed: int

    def offsets(self, key: int) -> Array:
        """(seeds, 1) of standard deviation ``spread``."""
        return self.spread * np.random.default_rng([self.seed, key]).normal(size=(SEEDS, 1))

    def turn(self, u: Array) -> Array:
        """(seeds, grid) log x from each seed's own turn; the grid runs over [-2, 2]."""
        return u - (4 * self.place - 2) - self.offsets(0)


Judge = Callable[[Family, Array], Verdict]
families = st.builds(
    Family,
    place=st.floats(0.2, 0.8),
    power=st.floats(0.5, 4.0),
    spread=st.floats(0.01, 0.2),
    level=st.floats(-0.5, 0.5),
    seed=st.integers(0, 10**6),
)


def valley(family: Family, u: Array) -> Array:
    """A U in log-log, rounded at its bottom and steeper on the right."""
    d = family.turn(u)
    return np.asarray(
        np.exp(family.power * (np.sqrt(d**2 + 0.1) + 0.2 * d) + 0.3 * family.offsets(1))
    )


def fall(family: Family, u: Array) -> Array:
    """From 1 to a hundredth of a thousandth, over a stretch of its own."""
    return np.asarray(1e-5 + expit(-2 * family.power * family.turn(u)) * np.exp(family.offsets(1)))


def errors(family: Family, u: Array, level: float = 0.0) -> Array:
    """Test errors over alpha: least at the turn, chance far from it, as in Figure 3."""
    d = family.turn(u) / (0.5 + 0.4 * family.power)
    least = 0.3 * np.exp(level + 0.3 * family.offsets(1))
    return np.asarray(0.9 - (0.9 - least) * np.exp(-(d**2)))


def own_scatter(family: Family, u: Array) -> Array:
    """(seeds, grid) standard normal; a point that two grids share has the same on both."""
    every = np.random.default_rng([family.seed, 7]).normal(size=(SEEDS, FINEST + 1))
    return np.asarray(every[:, :: FINEST // (u.size - 1)])


def place_of(family: Family) -> float:
    return 4 * family.place - 2


def judge_argmin(family: Family, u: Array) -> Verdict:
    # The bottom of the valley is where its two slopes balance.
    edge = math.exp(place_of(family) - 0.2 * math.sqrt(0.1 / 0.96) + family.level)
    return argmin("argmin", np.exp(u), valley(family, u), Region(edge / 3, edge)).verdict()


def judge_knee(family: Family, u: Array) -> Verdict:
    edge = math.exp(place_of(family) + math.log(99) / (2 * family.power) + family.level)
    return knee("knee", np.exp(u), fall(family, u), region=Region(edge)).verdict()


def judge_u(family: Family, u: Array) -> Verdict:
    return conjunction([each.verdict() for each in u_shape("u", u, valley(family, u), 0.0)])


def judge_l(family: Family, u: Array) -> Verdict:
    return conjunction([each.verdict() for each in l_shape("l", u, fall(family, u), 0.0)])


def judge_trend(family: Family, u: Array) -> Verdict:
    rises = np.exp(math.log(2) * (1 + family.level) * (u + 2) / 4 + 0.3 * family.offsets(2))
    return trend(
        "trend", rises * np.exp(family.spread * own_scatter(family, u)), direction="rising"
    ).verdict()


def judge_two_lines(family: Family, u: Array) -> Verdict:
    """A valley, or the fall alone; what is far from a U counts as REFUTED."""
    curves = np.log(valley(family, u) if family.level > 0 else fall(family, u))
    found = two_lines(u, curves + family.spread * own_scatter(family, u))
    if found.is_u:
        return Verdict.REPRODUCED
    return Verdict.REFUTED if found.p > 0.5 else Verdict.INCONCLUSIVE


def judge_zone(family: Family, u: Array) -> Verdict:
    """The zone is wider than that of a curve that is ``level`` narrower."""
    narrow = replace(family, power=family.power * math.exp(-family.level))
    found = [
        [zone_width(np.exp(u), curve, 0.1)[0] for curve in errors(each, u)]
        for each in (family, narrow)
    ]
    return mean_in_region("zone", np.divide(*found), Region(1.0), log=True).verdict()


def judge_width(family: Family, u: Array) -> Verdict:
    """Widths of a contour that grow with size, by a factor about the floor."""
    sizes = [
        [contour_width(np.exp(u), curve, 0.4) for curve in errors(family, u, level)]
        for level in np.linspace(0.2, 0.2 - 0.3 * (1 + 2 * family.level), 4)
    ]
    widths, cut = np.moveaxis(np.array(sizes, dtype=float), 2, 0)
    return width_trend("width", widths.T, cut.T.astype(bool), floor=1.3).verdict()


def judge_gap(family: Family, u: Array) -> Verdict:
    """The gap between errors and a training error that is small, against one that is larger."""
    x, test = np.exp(u), errors(family, u)
    few, many = (
        gap_integral(x, 0.05 * fall(family, u) * part, test)
        for part in (1.0, math.exp(3 * family.level))
    )
    return mean_in_region("gap", few / many, Region(-math.inf, 1.0), log=True).verdict()


def judge_gap_right(family: Family, u: Array) -> Verdict:
    def gaps(at: Array, each: Family) -> list[float]:
        curves = zip(0.1 * fall(each, at), errors(each, at), strict=True)
        return [gap_right_of_minimum(np.exp(at), *pair, math.exp(2.0)) for pair in curves]

    exact = np.mean(gaps(np.linspace(-2, 2, 4001), family))
    region = Region(float(exact) * math.exp(0.3 * family.level))
    return mean_in_region("gap", gaps(u, family), region).verdict()


def judge_critical(family: Family, u: Array) -> Verdict:
    sizes = np.geomspace(10, 10_000, u.size)
    v = np.log(sizes / 10) / math.log(1000)
    y = 0.9 * np.exp(-np.log1p(np.exp(8 * family.power * (v - family.place))) / 4)
    return critical_size(
        "critical", sizes, y * np.exp(family.spread * own_scatter(family, u))
    ).verdict()


def judge_bracket(family: Family, u: Array) -> Verdict:
    edge = math.exp(place_of(family) + family.level)
    return bracket("bracket", np.exp(u), family.turn(u) > 0, Region(edge)).verdict()


def judge_doses(family: Family, u: Array) -> Verdict:
    edge = math.exp(place_of(family) + family.level)
    return dose_response("dose", np.exp(u), family.turn(u) > 0, Region(edge)).verdict()


def times(family: Family, u: Array) -> list[list[Time]]:
    """A power law of exponent -1 + level that levels off slowly."""
    slope = -1 + 0.5 * family.level
    logs = slope * u + 0.05 * family.power * (u + 2) ** 2 / 4 + family.offsets(1)
    return [
        [Time.at(float(t)) for t in row]
        for row in 1e3 * np.exp(logs + family.spread * own_scatter(family, u))
    ]


def judge_exponent(family: Family, u: Array) -> Verdict:
    found = exponent("exponent", np.exp(u), times(family, u), Region(-1.15, -0.85))
    return conjunction([each.verdict() for each in found])


def judge_flat(family: Family, u: Array) -> Verdict:
    tilt = np.exp((1 - 0.2 * family.power) * u).tolist()
    level = [
        [Time.at(time.value * factor) for time, factor in zip(row, tilt, strict=True)]
        for row in times(family, u)
    ]
    return slope_equivalent("flat", np.exp(u), level).verdict()


def judge_change(family: Family, u: Array) -> Verdict:
    region = Region(0.05 * family.power * (1 + family.level))
    return slope_change("change", np.exp(u), times(family, u), region, window=math.e).verdict()


JUDGES: dict[str, Judge] = {
    "argmin": judge_argmin,
    "knee": judge_knee,
    "U": judge_u,
    "L": judge_l,
    "trend": judge_trend,
    "two lines": judge_two_lines,
    "zone": judge_zone,
    "contour width": judge_width,
    "gap integral": judge_gap,
    "gap right of the minimum": judge_gap_right,
    "critical size": judge_critical,
    "bracket": judge_bracket,
    "dose response": judge_doses,
    "exponent": judge_exponent,
    "no dependence": judge_flat,
    "change of slope": judge_change,
}


@pytest.mark.parametrize("name", JUDGES)
@given(family=families, steps=st.sampled_from([8, 16]))
@settings(max_examples=30, deadline=None)
def test_halving_the_grid_turns_no_verdict_round(name: str, family: Family, steps: int) -> None:
    found = {JUDGES[name](family, np.linspace(-2, 2, count + 1)) for count in (steps, 2 * steps)}
    assert found != {Verdict.REPRODUCED, Verdict.REFUTED}


@pytest.mark.parametrize("name", JUDGES)
def test_a_family_holds_both_verdicts(name: str) -> None:
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(200):
        place, power, spread = rng.uniform(0.2, 0.8), rng.uniform(0.5, 4.0), rng.uniform(0.01, 0.2)
        family = Family(place, power, spread, rng.uniform(-0.5, 0.5), int(rng.integers(10**6)))
        found.add(JUDGES[name](family, np.linspace(-2, 2, 9)))
        if {Verdict.REPRODUCED, Verdict.REFUTED} <= found:
            return
    raise AssertionError(f"{name} gave {found} alone")
