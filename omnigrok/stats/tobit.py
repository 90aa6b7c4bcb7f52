"""A censored linear regression with fixed seed effects, and standard errors that hold between
seeds.

The likelihood is Tobin's (1958), normal in the log time; in Olsen's (1978) parameters (coefficients
over sigma, 1 over sigma) it is concave, so Newton's method with halved steps finds its one maximum
from anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from omnigrok.stats.comparison import Array

# Times are logged every 2 %, so no honest residual is smaller than this; without it exact power
# laws have no maximum.
SMALLEST_SIGMA = 1e-4


@dataclass(frozen=True)
class CensoredFit:
    """Maximum of the likelihood.

    Args:
        coefficients: (k,) in the unit of y.
        sigma: residual standard deviation, maximum likelihood.
        loglik: at the maximum.
        scores: (rows, k + 1) gradient of each row's log-likelihood in (coefficients / sigma, 1 /
            sigma).
        hessian: (k + 1, k + 1) of the log-likelihood in the same parameters.
    """

    coefficients: Array
    sigma: float
    loglik: float
    scores: Array
    hessian: Array


def fit(
    y: Array, censored: NDArray[np.bool_], design: Array, sigma: float | None = None
) -> CensoredFit:
    """Maximise the likelihood of y = design @ coefficients + sigma * noise, censored rows known to
    be above y.

    Args:
        y: (rows,). censored: (rows,). design: (rows, k), of full rank on the uncensored rows.
        sigma: held fixed when given.

    Raises:
        ValueError: when the uncensored rows do not identify the coefficients.
    """
    k = design.shape[1]
    if np.linalg.matrix_rank(design[~censored]) < k:
        raise ValueError("the times that were reached do not identify the coefficients")
    guess, *_ = np.linalg.lstsq(design, y, rcond=None)
    spread = max(float(np.std(y - design @ guess)), SMALLEST_SIGMA) if sigma is None else sigma
    theta = np.append(guess, 1.0) / spread
    free = np.ones(k + 1, dtype=bool)
    free[k] = sigma is None
    value, scores, hessian = _likelihood(theta, y, censored, design)
    for _ in range(200):
        gradient = scores.sum(axis=0)[free]
        step = np.zeros(k + 1)
        step[free] = np.linalg.lstsq(-hessian[np.ix_(free, free)], gradient, rcond=1e-14)[0]
        gain = float(gradient @ step[free])
        if gain < 1e-12:
            break
        size = 1.0
        while size > 1e-10:
            trial = theta + size * step
            trial[k] = min(float(trial[k]), 1 / SMALLEST_SIGMA) if sigma is None else theta[k]
            if trial[k] > 0:
                trial_value, trial_scores, trial_hessian = _likelihood(trial, y, censored, design)
                if trial_value > value:
                    break
            size /= 2
        else:
            break
        theta, value, scores, hessian = trial, trial_value, trial_scores, trial_hessian
    return CensoredFit(theta[:k] / theta[k], 1 / float(theta[k]), value, scores, hessian)


def _likelihood(
    theta: Array, y: Array, censored: NDArray[np.bool_], design: Array
) -> tuple[float, Array, Array]:
    """Log-likelihood, its gradient by row and its Hessian; r is the standardised residual."""
    h = float(theta[-1])
    rows = np.column_stack((-design, y))
    r = rows @ theta
    log_tail = special.log_ndtr(-r)
    log_density = -0.5 * r * r - 0.5 * math.log(2 * math.pi)
    # The hazard phi / Phi of the normal, from logs so that it lives in the far tail.
    hazard = np.exp(np.where(censored, log_density - log_tail, -math.inf))
    value = float(np.where(censored, log_tail, log_density + math.log(h)).sum())
    scores = np.where(censored, -hazard, -r)[:, None] * rows
    scores[:, -1] += np.where(censored, 0.0, 1 / h)
    curvature = np.where(censored, -hazard * (hazard - r), -1.0)
    hessian = (rows * curvature[:, None]).T @ rows
    hessian[-1, -1] -= float((~censored).sum()) / h**2
    return value, scores, hessian


@dataclass(frozen=True)
class CommonSlope:
    """One slope for all seeds, each with its own intercept.

    Args:
        slope: maximum likelihood.
        se: its standard error between seeds, NaN with fewer than two informative seeds.
        df: informative seeds minus one.
        per_seed: (seeds,) slope of each seed with the common sigma, NaN where it has fewer than two
            reached points.
    """

    slope: float
    se: float
    df: int
    per_seed: Array

    def interval(self, level: float) -> tuple[float, float]:
        """Student's interval with ``df`` degrees of freedom."""
        if self.df < 1:
            return math.nan, math.nan
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.se
        return self.slope - half, self.slope + half


def common_slope(x: Array, y: Array, censored: NDArray[np.bool_]) -> CommonSlope:
    """Slope of y on x within seeds; without censoring the mean of the per-seed slopes with its t
    interval, exactly.

    With censoring: the Tobit likelihood with seed effects. The standard error is the one clustered
    by seed (Liang & Zeger 1986, with the factor G / (G - 1)), since the scatter within a curve says
    nothing on how much seeds differ, or the likelihood's own where that is larger.

    Args:
        x: (grid,), or (seeds, grid) where each seed has its own.
        y: (seeds, grid), the limit where censored; NaN is a missing point. censored: (seeds, grid).
    """
    places = np.broadcast_to(x, y.shape)
    present = ~np.isnan(y)
    reached = present & ~censored
    informative = np.array(
        [np.unique(own[row]).size >= 2 for own, row in zip(places, reached, strict=True)],
        dtype=bool,
    )
    per_seed = np.full(y.shape[0], math.nan)
    if not informative.any():
        return CommonSlope(math.nan, math.nan, -1, per_seed)
    df = int(informative.sum()) - 1
    if not (present & censored)[informative].any():
        for seed in np.flatnonzero(informative):
            per_seed[seed] = np.polyfit(places[seed, reached[seed]], y[seed, reached[seed]], 1)[0]
        slopes = per_seed[informative]
        se = float(slopes.std(ddof=1)) / math.sqrt(slopes.size) if df else math.nan
        return CommonSlope(float(slopes.mean()), se, df, per_seed)
    # A seed that reached only one point has a one-sided say in the slope: it stays; one that
    # reached none has no intercept.
    used = np.flatnonzero(reached.any(axis=1))
    seed_of, column = np.nonzero(present[used])
    rows = used[seed_of], column
    centre = float(places[rows].mean())
    design = np.column_stack((places[rows] - centre, seed_of[:, None] == np.arange(used.size)))
    pooled = fit(y[rows], censored[rows], design.astype(float))
    for seed in np.flatnonzero(informative):
        mine = present[seed]
        own = np.column_stack((places[seed, mine] - centre, np.ones(int(mine.sum()))))
        per_seed[seed] = fit(y[seed, mine], censored[seed, mine], own, pooled.sigma).coefficients[0]
    return CommonSlope(float(pooled.coefficients[0]), _slope_se(pooled, seed_of, df), df, per_seed)


def _slope_se(pooled: CensoredFit, seed_of: NDArray[np.intp], df: int) -> float:
    """The larger of the clustered and the likelihood's standard error of the first coefficient, by
    the delta method.
    """
    if df < 1:
        return math.nan
    bread = np.linalg.pinv(-pooled.hessian)
    gradient = np.zeros(bread.shape[0])
    gradient[0], gradient[-1] = pooled.sigma, -pooled.coefficients[0] * pooled.sigma
    seeds = int(seed_of.max()) + 1
    clusters = np.array([pooled.scores[seed_of == seed].sum(axis=0) for seed in range(seeds)])
    clustered = (
        float(np.sum((clusters @ bread @ gradient) ** 2)) * seeds / (seeds - 1)
        if seeds > 1
        else 0.0
    )
    return math.sqrt(max(clustered, float(gradient @ bread @ gradient), 0.0))
