"""Trials of the detectors of critical sizes and doses, on the grids of Figures 3b and 9."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import Sample, Trial, Truth, sample_of
from omnigrok.paper import noise
from omnigrok.stats import Region, bracket, critical_size, dose_response
from omnigrok.stats.comparison import Array

TEN = 10
FRACTIONS = np.array([1277, 1915, 2554, 2873, 3192, 3511, 3830, 4469, 5108, 6385]) / 113**2
# The sizes and seeds of fig03.critical at reduced scale, where few points make AICc expensive.
SIZES = np.array(
    [10, 13, 19, 26, 37, 51, 71, 100, 138, 193, 268, 372, 517, 719, 1000, 1389, 1930, 2682],
    dtype=float,
)
EIGHT = 8


def doses(centre: float) -> tuple[float, float]:
    """Centre and the scatter between seeds, in natural logs."""
    return math.log(centre), 0.06


def generalises(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    centre, sd = doses(0.3 if truth == "null" else 0.25)
    own = np.exp(centre + sd * rng.normal(size=(seeds, 1)))
    # Near its threshold a seed is a matter of luck.
    works = own * np.exp(0.03 * rng.normal(size=(seeds, FRACTIONS.size))) < FRACTIONS
    return sample_of([dose_response("fraction", FRACTIONS, works, Region(0.2, 0.3, closed=True))])


def onset(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    grid = np.geomspace(1, 1000, 31)
    own = np.exp(math.log(10.0 if truth == "null" else 60.0) + 0.2 * rng.normal(size=(seeds, 1)))
    return sample_of([bracket("onset", grid, grid >= own, Region(10.0))])


def lowest_errors(rng: np.random.Generator, seeds: int, truth: Truth) -> Array:
    mean = (
        0.9 / (1 + (SIZES / 21) ** 0.647) + 0.0051
        if truth == "null"
        else 0.85 * np.maximum(SIZES / 60.0, 1.0) ** -0.5
    )
    return np.asarray(mean * np.exp(noise.MNIST_ERROR_SD * rng.normal(size=(seeds, SIZES.size))))


def breaks(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    return Sample(
        sample_of([critical_size("errors", SIZES, lowest_errors(rng, seeds, truth))]).verdict
    )


TRIALS = (
    Trial(
        "dose_response", "midpoint at the region's end, .3", "midpoint .25", TEN, generalises, 0.25
    ),
    Trial("bracket", "onset at the region's end, 10", "onset at 60", TEN, onset),
    Trial(
        "critical_size",
        "a learning curve with a ceiling, .9 / (1 + (N / 21)^.647) + .0051",
        "flat to N = 60, then a power law",
        EIGHT,
        breaks,
    ),
)
