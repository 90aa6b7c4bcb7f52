"""Trials of the detectors of critical sizes and doses, on the grids of Figures 3b and 9."""

from __future__ import annotations

import math

import numpy as np

from omnigrok.calibration import noise
from omnigrok.calibration.trial import Sample, Trial, Truth, sample_of
from omnigrok.stats import Region, bracket, critical_size, dose_response
from omnigrok.stats.comparison import Array

TEN = 10
FRACTIONS = np.array([1277, 1915, 2554, 2873, 3192, 3511, 3830, 4469, 5108, 6385]) / 113**2
# Every third size of Figure 3's grid: the AICc of both fits is dearest where points are few, and each draw costs twenty fits.
SIZES = np.array([10, 26, 71, 193, 517, 1389, 3727, 10000, 26826, 60000], dtype=float)


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
    smooth, broken = np.log(3.0 * SIZES**-0.5 + 0.02), np.log(0.85) - 0.5 * np.maximum(np.log(SIZES / 60.0), 0.0)
    mean = smooth if truth == "null" else broken
    return np.asarray(np.exp(mean + noise.MNIST_ERROR_SD * rng.normal(size=(seeds, SIZES.size))))


def breaks(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    return Sample(sample_of([critical_size("errors", SIZES, lowest_errors(rng, seeds, truth))]).verdict)


TRIALS = (
    Trial("dose_response", "midpoint at the region's end, .3", "midpoint .25", TEN, generalises, 0.25),
    Trial("bracket", "onset at the region's end, 10", "onset at 60", TEN, onset),
    Trial("critical_size", "a learning curve a N^-b + c", "flat to N = 60, then a power law", TEN, breaks),
)
