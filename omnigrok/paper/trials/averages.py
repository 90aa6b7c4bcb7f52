"""Trials of the detectors that take one number a seed: means, equivalence, shares and rank
correlations.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from omnigrok.calibration import Sample, Trial, Truth, sample_of
from omnigrok.paper import noise
from omnigrok.stats import Region, equivalent, mean_in_region, share, spearman_in_region
from omnigrok.stats.association import rank_agreement, stratified_correlation
from omnigrok.stats.comparison import Array
from omnigrok.stats.grid_step import mean_between

TEN = 10
CELLS = 8


def rate_of_decay(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    centre = 1.1 if truth == "null" else 1.0
    values = centre + 5 * noise.DECAY_RATE_SD * rng.normal(size=seeds)
    return sample_of([mean_in_region("rate", values, Region(0.9, 1.1, closed=True))])


def gap(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    centre = 0.1 if truth == "null" else 0.2
    return sample_of(
        [mean_in_region("gap", centre + noise.IMDB_ERROR_SD * rng.normal(size=seeds), Region(0.1))]
    )


def skewed(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    """Logs of sums of few exponentials: skewed, as the log times of a threshold are."""
    centre = 0.0 if truth == "null" else math.log(3.0)
    return sample_of(
        [mean_in_region("factor", np.exp(centre + _skewed(rng, seeds)), Region(1.0), log=True)]
    )


def _skewed(rng: np.random.Generator, seeds: int) -> Array:
    return np.asarray((rng.gamma(4.0, size=seeds) - 4.0) * noise.DELAY_SD / 2)


def spread_of_norms(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    centre = math.log(1.1) if truth == "null" else 0.0
    values = np.exp(centre + noise.NORM_SPREAD_SD * rng.normal(size=seeds))
    return sample_of([equivalent("spread", values, Region(1 / 1.1, 1.1), log=True)])


def happens(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    return sample_of(
        [share("share", rng.random(seeds) < (0.5 if truth == "null" else 0.98), Region(0.5))]
    )


def correlations(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    z = math.atanh(0.5 if truth == "null" else 0.95) + 1.03 / math.sqrt(CELLS - 3) * rng.normal(
        size=seeds
    )
    return sample_of([spearman_in_region("rho", np.tanh(z), Region(0.5), places=CELLS)])


def mean_rho(pearson: float, cells: int = CELLS) -> float:
    """Expected Spearman correlation of ``cells`` normal pairs (Moran 1948)."""
    return 6 / (math.pi * (cells + 1)) * (math.asin(pearson) + (cells - 2) * math.asin(pearson / 2))


_strong = mean_rho(0.95)
_margin = float(optimize.brentq(lambda r: mean_rho(r) - 0.5, 0.1, 0.9))


def over_tasks(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    pearson = _margin if truth == "null" else 0.95
    strata = {}
    for task in ("a", "b", "c"):
        x = rng.normal(size=(seeds, CELLS))
        strata[task] = x, pearson * x + math.sqrt(1 - pearson**2) * rng.normal(size=(seeds, CELLS))
    return sample_of([stratified_correlation("rho", strata, Region(0.5))])


def agreement(rng: np.random.Generator, tasks: int, truth: Truth) -> Sample:
    x = rng.normal(size=tasks)
    y = rng.normal(size=tasks) if truth == "null" else x + 0.1 * rng.normal(size=tasks)
    return sample_of([rank_agreement("rho", x, y, Region(0.0))])


def between_grid_points(rng: np.random.Generator, seeds: int, truth: Truth) -> Sample:
    """Distances on a grid of step .06, each known to the cell that it lies in."""
    step, centre = 0.06, 0.15 if truth == "null" else 0.05
    cells = np.floor((centre + 0.02 * rng.normal(size=seeds) + step * rng.random()) / step)
    return sample_of([mean_between("distance", cells * step, (cells + 1) * step, Region(hi=0.15))])


TRIALS = (
    Trial(
        "mean_in_region",
        "mean at the region's end, 1.1",
        "mean 1 (rate of decay)",
        TEN,
        rate_of_decay,
        1.0,
    ),
    Trial("mean_in_region", "difference exactly .1", "difference .2", 5, gap, 0.2),
    Trial(
        "mean_in_region", "factor exactly 1, skewed logs", "factor 3, skewed logs", TEN, skewed, 3.0
    ),
    Trial(
        "mean_in_region",
        "factor exactly 1, skewed logs (20 seeds: bootstrap)",
        "factor 3, skewed logs",
        20,
        skewed,
        3.0,
    ),
    Trial(
        "equivalent",
        "norms differ by exactly the margin, 1.1",
        "one norm",
        TEN,
        spread_of_norms,
        1.0,
        level=0.9,
    ),
    Trial(
        "grid_step.mean_between",
        "distance exactly .15, grid step .06",
        "distance .05",
        6,
        between_grid_points,
    ),
    Trial("share", "one half of the seeds", "98 % of the seeds", TEN, happens, 0.98),
    Trial("share", "one half of the seeds (5 seeds)", "98 % of the seeds", 5, happens, 0.98),
    Trial(
        "spearman_in_region", "correlation exactly .5", "correlation .95", TEN, correlations, 0.95
    ),
    Trial(
        "association.stratified_correlation",
        "correlation exactly .5, 3 tasks",
        "correlation .9, 3 tasks",
        TEN,
        over_tasks,
        _strong,
    ),
    Trial(
        "association.rank_agreement",
        "no association, 3 tasks",
        "order all but the same",
        3,
        agreement,
        unit="tasks",
    ),
    Trial(
        "association.rank_agreement",
        "no association, 5 tasks",
        "order all but the same",
        5,
        agreement,
        unit="tasks",
    ),
)
