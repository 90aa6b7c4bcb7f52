"""Trials of the detectors that read times: exponents, ratios and bends, with times that were not
reached.
"""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Sample, Trial, Truth, sample_of
from omnigrok.paper import noise
from omnigrok.stats import (
    Region,
    Time,
    exponent,
    intraclass,
    slope_equivalent,
    slope_on,
    time_ratio,
    times_from,
)
from omnigrok.stats.comparison import Array
from omnigrok.stats.contrast import slope_change

GRID = np.log(noise.WEIGHT_DECAYS)
INVERSE = Region(-1.15, -0.85, closed=True)
MARGIN = 0.15
TEN = 10


def log_times(
    rng: np.random.Generator, seeds: int, slope: float, sd: tuple[float, float, float]
) -> Array:
    """(seeds, weight decays) log t, 0 on average at the smallest: each seed has its own level and
    slope.
    """
    level, own, rest = sd
    slopes = slope + own * rng.normal(size=(seeds, 1))
    centred = GRID - GRID.mean()
    return np.asarray(
        slope * (GRID.mean() - GRID[0])
        + slopes * centred
        + level * rng.normal(size=(seeds, 1))
        + rest * rng.normal(size=(seeds, GRID.size))
    )


TEST = (noise.TEST_LEVEL_SD, noise.TEST_SLOPE_SD, noise.TEST_RESIDUAL_SD)
FIT = (noise.FIT_LEVEL_SD, noise.FIT_SLOPE_SD, noise.FIT_RESIDUAL_SD)


def as_times(logs: Array, first: float, limit: float = math.inf) -> tuple[tuple[Time, ...], ...]:
    """Times of which those beyond ``limit`` were not reached; ``first`` is the time at log 0."""
    steps = first * np.exp(logs)
    return times_from(
        np.where(steps > limit, math.nan, steps), limit if math.isfinite(limit) else 1e9
    )


def ask_exponent(limit: float, null: float) -> Trial:
    words = "none censored" if math.isinf(limit) else "a fifth of the times censored"

    def draw(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
        logs = log_times(rng, seeds, null if truth == "null" else -1.0, TEST)
        return sample_of(
            exponent("t", noise.WEIGHT_DECAYS, as_times(logs, noise.TEST_TIME, limit), INVERSE)
        )

    return Trial(
        "exponent", f"exponent exactly {null:g}, {words}", f"exponent -1, {words}", TEN, draw, -1.0
    )


def bent(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    """t = a / gamma + b as recorded: the law holds in the lower half only."""
    logs = log_times(rng, seeds, -1.0, TEST)
    if truth == "null":
        logs = np.log(
            np.exp(logs)
            + noise.DELAY_SHARE
            * noise.WEIGHT_DECAYS[0]
            * np.exp(logs.mean(axis=1, keepdims=True))
            / np.exp(GRID[0] - GRID.mean())
        )
    return sample_of(exponent("t", noise.WEIGHT_DECAYS, as_times(logs, noise.TEST_TIME), INVERSE))


def flat(sd: tuple[float, float, float], words: str) -> Trial:
    def draw(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
        logs = log_times(rng, seeds, MARGIN if truth == "null" else 0.0, sd)
        return sample_of(
            [slope_equivalent("t", noise.WEIGHT_DECAYS, as_times(logs, noise.FIT_TIME), MARGIN)]
        )

    return Trial(
        "slope_equivalent",
        f"exponent at the margin, .15, {words}",
        "no dependence",
        TEN,
        draw,
        0.0,
        level=0.9,
    )


def ratio(null: float, effect: float, region: Region, sd: float, censored: bool) -> Trial:
    def draw(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
        target = null if truth == "null" else effect
        early = noise.FIT_TIME * np.exp(noise.FIT_LEVEL_SD * rng.normal(size=seeds))
        late = early * target * np.exp(sd * rng.normal(size=seeds))
        limit = (
            noise.FIT_TIME * target * math.exp(0.67 * math.hypot(sd, noise.FIT_LEVEL_SD))
            if censored
            else 1e9
        )
        arrived = [
            Time.at(step, limit) if step <= limit else Time.never(limit) for step in late.tolist()
        ]
        return sample_of(
            [
                time_ratio(
                    "late / early", arrived, [Time.at(step) for step in early.tolist()], region
                )
            ]
        )

    words = "a quarter of the times censored" if censored else "none censored"
    return Trial(
        "time_ratio",
        f"ratio exactly {null:g}, {words}",
        f"ratio {effect:g}, {words}",
        TEN,
        draw,
        effect,
    )


def seeds_slow(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    rest = noise.TEST_RESIDUAL_SD
    own = rest if truth == "null" else noise.TEST_LEVEL_SD
    table = own * rng.normal(size=(seeds, 1)) + rest * rng.normal(size=(seeds, GRID.size)) - GRID
    return sample_of([intraclass("slow seeds", table, Region(0.5))])


def bends(censored: bool) -> Trial:
    sizes = 128 * 2.0 ** np.arange(9)
    logs = np.log(sizes / sizes[0])

    def draw(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
        # Two lines that meet in the middle: the difference of the end slopes is exactly the bend.
        bend = 0.3 if truth == "null" else 1.5
        mean = -bend * np.minimum(logs, logs[4]) - 0.2 * logs
        table = 20_000 * np.exp(
            mean
            + 0.3 * rng.normal(size=(seeds, 1))
            + noise.MNIST_TIME_SD * rng.normal(size=(seeds, sizes.size))
        )
        limit = 20_000 * math.exp(0.3) if censored else 1e9
        return sample_of(
            [
                slope_change(
                    "t",
                    sizes,
                    times_from(np.where(table > limit, math.nan, table), limit),
                    Region(0.3),
                )
            ]
        )

    words = "a quarter of the first censored" if censored else "none censored"
    return Trial(
        "contrast.slope_change", f"bend exactly .3, {words}", f"bend 1.5, {words}", TEN, draw, 1.5
    )


def tracks(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    """The step of one event against that of another over five weight decays, within seeds."""
    slope = 1.5 if truth == "null" else 1.0
    on = log_times(rng, seeds, -1.0, TEST)[:, :5]
    times = (
        slope * (on - on.mean()) + on.mean() + noise.TEST_RESIDUAL_SD * rng.normal(size=on.shape)
    )
    first, second = (times_from(np.exp(each) * noise.TEST_TIME, 1e12) for each in (times, on))
    return sample_of([slope_on("t_fall", first, second, Region(0.67, 1.5))])


_icc = noise.TEST_LEVEL_SD**2 / (noise.TEST_LEVEL_SD**2 + noise.TEST_RESIDUAL_SD**2)
TRIALS = (
    ask_exponent(math.inf, -0.85),
    ask_exponent(math.inf, -1.15),
    ask_exponent(noise.TEST_TIME * noise.WEIGHT_DECAYS[0] / noise.WEIGHT_DECAYS[1], -0.85),
    ask_exponent(noise.TEST_TIME * noise.WEIGHT_DECAYS[0] / noise.WEIGHT_DECAYS[1], -1.15),
    Trial(
        "exponent", "a delay is added, as recorded", "exponent -1, none censored", TEN, bent, -1.0
    ),
    flat(FIT, "scatter of t_train"),
    flat(TEST, "scatter of t_test"),
    ratio(10.0, 74.0, Region(10.0), noise.DELAY_SD, censored=False),
    ratio(10.0, 74.0, Region(10.0), noise.DELAY_SD, censored=True),
    ratio(5.0, 1.2, Region(hi=5.0), noise.SMALL_DELAY_SD, censored=False),
    ratio(5.0, 1.2, Region(hi=5.0), noise.SMALL_DELAY_SD, censored=True),
    Trial("slope_on", "slope exactly 1.5", "slope 1", 8, tracks, 1.0),
    Trial("intraclass", "correlation exactly .5", "the recorded times", TEN, seeds_slow, _icc),
    bends(censored=False),
    bends(censored=True),
)
