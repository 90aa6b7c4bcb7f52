"""Trials of the shape detectors on curves like the reduced losses of Figure 2a."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from omnigrok.calibration import Sample, Trial, Truth, sample_of
from omnigrok.paper import noise
from omnigrok.stats import Region, Verdict, argmin, knee, l_shape, trend, two_lines, u_shape
from omnigrok.stats.comparison import Array
from omnigrok.stats.contours import width_trend
from omnigrok.stats.landmarks import _knee

X = np.log(noise.ALPHAS)
SPLIT = 1.0
TEN = 10
Curves = Callable[[np.random.Generator, int], Array]


def scattered(mean: Array, sd: Array | float) -> Curves:
    """(seeds, grid) curves: log-normal about ``mean`` (of the logs), with what a seed shares over
    the whole grid.
    """

    def draw(rng: np.random.Generator, seeds: int) -> Array:
        own, rest = rng.normal(size=(seeds, 1)), rng.normal(size=(seeds, mean.size))
        share = noise.LOSS_CORRELATION
        return np.asarray(
            np.exp(mean + sd * (math.sqrt(share) * own + math.sqrt(1 - share) * rest))
        )

    return draw


def capped(curves: Array) -> Array:
    """No worse than the smallest network (fig02.test-U)."""
    return np.minimum(curves, curves[:, :1])


def permuted(curves: Curves) -> Curves:
    """Each seed's values in an order of their own."""
    return lambda rng, seeds: rng.permuted(curves(rng, seeds), axis=1)


the_u = scattered(noise.TEST_LOSS, noise.TEST_LOSS_SD)
the_l = scattered(noise.TRAIN_LOSS, noise.TRAIN_LOSS_SD)
# The right arm stays at the bottom; and it ends where a factor 2 (the floor) and 20 % of the range
# lie between.
flat_right = scattered(
    np.where(noise.ALPHAS > 0.7, noise.TEST_LOSS.min(), noise.TEST_LOSS), noise.TEST_LOSS_SD
)
_at_floor = math.log(0.2) + noise.TEST_LOSS[0]
floor_right = scattered(
    np.where(
        noise.ALPHAS < SPLIT, noise.TEST_LOSS, _at_floor + math.log(2) * np.linspace(-1, 1, 11)
    ),
    noise.TEST_LOSS_SD,
)


def between(
    null: Curves, effect: Curves, ask: Callable[[Array], Sample]
) -> Callable[[np.random.Generator, int, Truth], Sample]:
    return lambda rng, seeds, truth: ask((null if truth == "null" else effect)(rng, seeds))


def ask_u(curves: Array) -> Sample:
    return sample_of(u_shape("u", noise.ALPHAS, capped(curves), SPLIT))


def ask_l(curves: Array) -> Sample:
    return sample_of(l_shape("l", noise.ALPHAS, curves, SPLIT))


def ask_two_lines(curves: Array) -> Sample:
    found = two_lines(X, np.log(capped(curves))) if len(curves) > 1 else None
    return Sample(Verdict.REPRODUCED if found is not None and found.is_u else Verdict.INCONCLUSIVE)


def ask_rise(curves: Array) -> Sample:
    return sample_of([trend("rise", curves[:, 5:], direction="rising")])


KNEE, ARGMIN = Region(0.1, 1.0, closed=True), Region(0.5, 2.0, closed=True)


def shifted(mean: Array, by: float) -> Array:
    """The same curve with alpha times exp(``by``); beyond the grid it keeps its last value."""
    return np.asarray(np.interp(X - by, X, mean))


def knee_at(alpha: float) -> Array:
    found = math.log(true_knee(noise.TRAIN_LOSS))
    return shifted(noise.TRAIN_LOSS, math.log(alpha) - found)


def true_knee(mean: Array) -> float:
    """Of the curve without scatter."""
    return math.exp(_knee(X, np.exp(mean), 0.01))


def bowl(bottom: float) -> Array:
    """The log of a U whose minimum is at ``bottom``, with the recorded arms' steepness (4 and 5 in
    log loss per decade).
    """
    decades = np.log10(noise.ALPHAS / bottom)
    return np.where(decades < 0, -5 * decades, 6 * decades)


def widths(null: bool) -> Callable[[np.random.Generator, int], tuple[Array, NDArray[np.bool_]]]:
    """Widths of a zone over ten sizes, cut at 3.5 units by the grid: growing threefold, or by
    exactly the floor of 1.3.
    """

    def draw(rng: np.random.Generator, seeds: int) -> tuple[Array, NDArray[np.bool_]]:
        growth = np.linspace(0, math.log(1.3 if null else 3.0), TEN)
        width = 0.8 * np.exp(growth + 0.15 * rng.normal(size=(seeds, TEN)))
        return np.minimum(width, 3.5), width > 3.5

    return draw


def ask_widths(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    return sample_of([width_trend("zone", *widths(truth == "null")(rng, seeds), floor=1.3)])


def ask_knee(curves: Array) -> Sample:
    return sample_of([knee("break", noise.ALPHAS, curves, region=KNEE)])


def ask_argmin(curves: Array) -> Sample:
    return sample_of([argmin("bottom", noise.ALPHAS, curves, ARGMIN)])


_left = math.exp(noise.TEST_LOSS[0] - noise.TEST_LOSS[5])
_left_l = math.exp(noise.TRAIN_LOSS[0] - noise.TRAIN_LOSS[5])
_right = math.exp(noise.TEST_LOSS[-1] - noise.TEST_LOSS[5])
_knee_effect = knee_at(0.41)

TRIALS = (
    Trial(
        "trend",
        "permuted grid",
        "right arm of the test loss",
        TEN,
        between(permuted(the_u), the_u, ask_rise),
        _right,
    ),
    Trial(
        "trend",
        "rise by exactly the floor, 2",
        "right arm of the test loss",
        TEN,
        between(floor_right, the_u, ask_rise),
        _right,
    ),
    Trial(
        "u_shape",
        "permuted grid",
        "the recorded test loss",
        TEN,
        between(permuted(the_u), the_u, ask_u),
        _left,
    ),
    Trial(
        "u_shape",
        "an L (the training loss)",
        "the recorded test loss",
        TEN,
        between(the_l, the_u, ask_u),
        _left,
    ),
    Trial(
        "u_shape",
        "flat right arm",
        "the recorded test loss",
        TEN,
        between(flat_right, the_u, ask_u),
        _left,
    ),
    Trial(
        "u_shape",
        "right arm at the floor, 2",
        "the recorded test loss",
        TEN,
        between(floor_right, the_u, ask_u),
        _left,
    ),
    Trial(
        "l_shape",
        "permuted grid",
        "the recorded training loss",
        TEN,
        between(permuted(the_l), the_l, ask_l),
        _left_l,
    ),
    Trial(
        "l_shape",
        "a U (the test loss)",
        "the recorded training loss",
        TEN,
        between(the_u, the_l, ask_l),
        _left_l,
    ),
    Trial(
        "two_lines",
        "flat right arm",
        "the recorded test loss",
        TEN,
        between(flat_right, the_u, ask_two_lines),
    ),
    Trial(
        "knee",
        "break at the region's end, 1",
        "break at .41",
        TEN,
        between(scattered(knee_at(1.0), 0.35), scattered(_knee_effect, 0.35), ask_knee),
        true_knee(_knee_effect),
    ),
    Trial(
        "argmin",
        "bottom at the region's end, 2",
        "bottom at 1",
        TEN,
        between(
            scattered(bowl(2.0), noise.TEST_LOSS_SD),
            scattered(bowl(1.0), noise.TEST_LOSS_SD),
            ask_argmin,
        ),
        1.0,
    ),
    Trial(
        "argmin",
        "bottom at the region's end, .5",
        "bottom at .72, between two grid points",
        TEN,
        between(
            scattered(bowl(0.5), noise.TEST_LOSS_SD),
            scattered(bowl(0.72), noise.TEST_LOSS_SD),
            ask_argmin,
        ),
        0.72,
    ),
    Trial(
        "contours.width_trend",
        "growth by exactly the floor, 1.3",
        "threefold growth",
        TEN,
        ask_widths,
        3.0,
    ),
)
