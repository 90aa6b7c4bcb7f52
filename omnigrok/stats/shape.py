"""Shapes of a curve over an ordered grid, replicated over seeds: trends, U, L (docs/statistics.md,
"Shapes").

Ranks alone call numerical dust a shape and a quadratic's coefficient calls an L a U
(docs/statistics.md), so each arm must pass Page's test, change by a factor, and change by more than
1 % of the curve's range. The split is fixed beforehand.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from omnigrok.stats.comparison import Array, mean_in_region, with_missing
from omnigrok.stats.finding import Finding, Region

Direction = Literal["rising", "falling"]

FLOOR = 2.0
RANGE_SHARE = 0.01
EPSILON = 1e-12


def trend(
    name: str,
    y: ArrayLike,
    *,
    direction: Direction,
    floor: float = FLOOR,
    epsilon: float = EPSILON,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """Page's trend test over ordered levels with the geometric-mean ratio of the ends as the
    effect.

    The estimate is last / first if rising and first / last if falling, so that a floor above 1
    always means "changed that much in the direction claimed". Page's test ranks within each seed
    (seeds are the subjects); with two levels it is the sign test. One seed alone has no p.

    Args:
        y: (seeds, levels) >= 0, levels in the order claimed; a seed with a NaN is left out of both
            test and effect.
        direction: "rising" or "falling" along the levels.
        floor: smallest ratio that counts.
        epsilon: values under it count as it, for the ranks too: a zero has no ratio and dust no
            order.

    Raises:
        ValueError: for an array that is not (seeds, >= 2 levels), negative values, or another
            direction.
    """
    if direction not in ("rising", "falling"):
        raise ValueError(f"direction is 'rising' or 'falling', not {direction!r}")
    curves = _matrix(name, y)
    if (curves < 0).any():
        raise ValueError(f"{name}: a ratio of ends needs values >= 0, got {np.nanmin(curves):.4g}")
    curves = np.maximum(curves if direction == "rising" else curves[:, ::-1], epsilon)
    ratios = np.where(np.isnan(curves).any(axis=1), math.nan, curves[:, -1] / curves[:, 0])
    complete = curves[~np.isnan(ratios)]
    p, smallest = page_p(complete)
    effect = mean_in_region(name, ratios, Region(floor, math.inf), log=True, level=level, rng=rng)
    return replace(
        effect,
        p=p,
        smallest_p=smallest,
        needs_p=True,
        method=f"Page's test ({direction}), ratio of the ends, {effect.method.split(', ')[1]}",
        note=with_missing(note, ratios),
    )


def page_p(curves: Array) -> tuple[float | None, float | None]:
    """(p, smallest reachable p) of Page's test for rising levels; exact where scipy's table
    reaches, else asymptotic.

    Args:
        curves: (seeds, levels) without NaN. No p for fewer than two seeds.
    """
    seeds, levels = curves.shape
    if seeds < 2:
        return None, None
    if levels == 2:
        # Page's L with two levels counts the seeds that rise; a tie counts against the trend.
        rises = int((curves[:, 1] > curves[:, 0]).sum())
        return float(stats.binom.sf(rises - 1, seeds, 0.5)), 0.5**seeds
    perfect = np.tile(np.arange(levels, dtype=float), (seeds, 1))
    return float(stats.page_trend_test(curves).pvalue), float(stats.page_trend_test(perfect).pvalue)


def arms(y: ArrayLike, x: ArrayLike, split: float) -> tuple[Array, Array]:
    """The left arm (x <= split) and the right arm (x >= split) of ``y`` (seeds, grid); both hold a
    point at the split.

    Raises:
        ValueError: for a grid that does not rise or does not match, or an arm of fewer than two
            points.
    """
    grid, curves = _grid(x, y)
    left, right = curves[:, grid <= split], curves[:, grid >= split]
    if min(left.shape[1], right.shape[1]) < 2:
        raise ValueError(
            f"the split {split} leaves {left.shape[1]} and {right.shape[1]} grid points; each arm "
            "needs two"
        )
    return left, right


def u_shape(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    split: float,
    *,
    cap: bool = False,
    epsilon: float = EPSILON,
    rng: np.random.Generator | None = None,
) -> tuple[Finding, ...]:
    """Four findings whose conjunction is "U": each arm's trend, and each arm's change over the
    curve's range > .01.

    The p of the U is the larger of the two trends' (an intersection-union test, at its nominal
    level); both trends carry their own and the shared one in ``extra["p_u"]``.

    Args:
        x: (grid,) rising. y: (seeds, grid) >= 0. split: the bottom that the claim names, fixed
            beforehand.
        cap: the left arm's change is a share of the range of the curve capped at its first value,
            for curves whose right arm goes far beyond what a network that predicts nothing would
            lose.

    Raises:
        ValueError: as ``arms`` and ``trend``.
    """
    left, right = arms(y, x, split)
    curves = np.asarray(y, dtype=float)
    left_findings = _arm(
        f"{name}: left arm",
        left,
        np.minimum(curves, curves[:, :1]) if cap else curves,
        "falling",
        epsilon,
        rng,
    )
    if cap:
        words = "the range is that of the curve capped at its first value"
        left_findings = (
            left_findings[0],
            replace(left_findings[1], note="; ".join(filter(None, (left_findings[1].note, words)))),
        )
    right_findings = _arm(f"{name}: right arm", right, y, "rising", epsilon, rng)
    parts = (left_findings[0].p, right_findings[0].p)
    p_u = math.nan if None in parts else max(p for p in parts if p is not None)
    return tuple(
        replace(finding, extra={**finding.extra, "p_u": p_u}) if finding.needs_p else finding
        for finding in (*left_findings, *right_findings)
    )


def l_shape(
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    split: float,
    *,
    epsilon: float = EPSILON,
    rng: np.random.Generator | None = None,
) -> tuple[Finding, ...]:
    """Three findings whose conjunction is "L": the left arm's trend and change, and a right arm
    that never rises.

    The right arm's largest value stays within 1 % of the curve's range above its smallest.
    Arguments as ``u_shape``.
    """
    left, right = arms(y, x, split)
    flat = _over_range(right.max(axis=1) - right.min(axis=1), y)
    return (
        *_arm(f"{name}: falling arm", left, y, "falling", epsilon, rng),
        mean_in_region(
            f"{name}: flat arm's rise over the curve's range",
            flat,
            Region(-math.inf, RANGE_SHARE),
            rng=rng,
        ),
    )


def _arm(
    name: str,
    arm: Array,
    curve: ArrayLike,
    direction: Direction,
    epsilon: float,
    rng: np.random.Generator | None,
) -> tuple[Finding, Finding]:
    change = arm[:, -1] - arm[:, 0] if direction == "rising" else arm[:, 0] - arm[:, -1]
    return (
        trend(f"{name} {direction}", arm, direction=direction, epsilon=epsilon, rng=rng),
        mean_in_region(
            f"{name}, change over the curve's range",
            _over_range(change, curve),
            Region(RANGE_SHARE, math.inf),
            rng=rng,
        ),
    )


def _over_range(change: Array, y: ArrayLike) -> Array:
    """Each seed's change as a share of its own curve's range; a curve without range has not
    changed: 0.
    """
    curves = np.asarray(y, dtype=float)
    size = curves.max(axis=1) - curves.min(axis=1)
    return np.where(size == 0, 0.0, change / np.where(size == 0, 1.0, size))


def _matrix(name: str, y: ArrayLike) -> Array:
    curves = np.asarray(y, dtype=float)
    if curves.ndim != 2 or curves.shape[1] < 2:
        raise ValueError(f"{name}: expected (seeds, at least 2 levels), got shape {curves.shape}")
    return curves


def _grid(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    grid, curves = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if grid.ndim != 1 or curves.ndim != 2 or curves.shape[1] != grid.size:
        raise ValueError(
            f"expected a grid (k,) and curves (seeds, k), got {grid.shape} and {curves.shape}"
        )
    if not (np.diff(grid) > 0).all():
        raise ValueError("the grid must rise strictly")
    return grid, curves
