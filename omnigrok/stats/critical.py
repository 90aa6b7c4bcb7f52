"""A critical size against a mere learning curve: a broken line in log-log space against a power law with a plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from omnigrok.stats.comparison import Array, mean_in_region
from omnigrok.stats.finding import Finding, Region

# AICc of five parameters (two slopes, level, break, sigma) needs more than six points.
FEWEST_SIZES = 7
# Residuals under 1e-6 in log y are rounding; without a floor two perfect fits would be ranked by it.
SMALLEST_RSS = 1e-12


@dataclass(frozen=True)
class BrokenLine:
    """Least-squares fit of two lines that meet at ``break_at`` (in the unit of the sizes); slopes are log-log."""

    break_at: float
    slope_below: float
    slope_above: float
    aicc: float


@dataclass(frozen=True)
class LearningCurve:
    """Fit of y = scale * n**-rate + floor with rate > 0 and floor >= 0, by the residuals of log y."""

    scale: float
    rate: float
    floor: float
    aicc: float


def critical_size(
    name: str, n: ArrayLike, y: ArrayLike, *, level: float = 0.95, note: str = "", rng: np.random.Generator | None = None
) -> Finding:
    """AICc of the learning curve a n^-b + c minus AICc of the broken line: above 0 the data prefer a break.

    The estimate and its interval are over the seeds' own differences (``values``); ``extra`` holds ``delta_of_mean`` and the
    break's location and slopes, from the geometric mean over seeds.

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (seeds, sizes) > 0, e.g. the best test error; a seed with a NaN has no value.

    Raises:
        ValueError: for fewer than 7 sizes, a grid that is not positive and rising, or y <= 0.
    """
    sizes, curves = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if sizes.ndim != 1 or curves.ndim != 2 or curves.shape[1] != sizes.size:
        raise ValueError(f"{name}: expected sizes (k,) and curves (seeds, k), got {sizes.shape} and {curves.shape}")
    if (curves <= 0).any():
        raise ValueError(f"{name}: a log-log fit needs y > 0, got {np.nanmin(curves):.4g}")
    complete = ~np.isnan(curves).any(axis=1)
    deltas = np.array([delta_aicc(sizes, curve) if ok else math.nan for ok, curve in zip(complete, curves, strict=True)])
    finding = mean_in_region(name, deltas, Region(0.0, math.inf), level=level, note=note, rng=rng)
    extra: dict[str, float] = {}
    if complete.any():
        mean = np.exp(np.log(curves[complete]).mean(axis=0))
        line = broken_line(sizes, mean)
        extra = {
            "delta_of_mean": learning_curve(sizes, mean).aicc - line.aicc,
            "break": line.break_at,
            "slope_below": line.slope_below,
            "slope_above": line.slope_above,
        }
    return Finding(**{**finding.__dict__, "extra": extra, "method": "AICc(a n^-b + c) - AICc(broken line), " + finding.method})


def delta_aicc(n: ArrayLike, y: ArrayLike) -> float:
    """AICc of ``learning_curve`` minus AICc of ``broken_line`` for one curve."""
    return learning_curve(n, y).aicc - broken_line(n, y).aicc


def broken_line(n: ArrayLike, y: ArrayLike) -> BrokenLine:
    """Two lines in log-log space that meet between the second and the last but one size (Muggeo 2003's model).

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (sizes,) > 0.
    """
    x, logs = _logs(n, y)

    def solve(knot: float) -> tuple[Array, float]:
        design = np.column_stack((np.ones_like(x), x, np.maximum(x - knot, 0.0)))
        coefficients, *_ = np.linalg.lstsq(design, logs, rcond=None)
        return coefficients, float(((logs - design @ coefficients) ** 2).sum())

    ladder = np.linspace(x[1], x[-2], 60)
    best = int(np.argmin([solve(knot)[1] for knot in ladder]))
    around = ladder[max(best - 1, 0)], ladder[min(best + 1, ladder.size - 1)]
    found = optimize.minimize_scalar(lambda knot: solve(knot)[1], bounds=around, method="bounded", options={"xatol": 1e-9})
    knot = float(found.x) if found.fun <= solve(ladder[best])[1] else float(ladder[best])
    coefficients, rss = solve(knot)
    return BrokenLine(math.exp(knot), float(coefficients[1]), float(coefficients[1] + coefficients[2]), _aicc(rss, x.size, 5))


def learning_curve(n: ArrayLike, y: ArrayLike) -> LearningCurve:
    """a n^-b + c with b > 0 and c >= 0, least squares of log y (Cortes et al. 1993's learning curve).

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (sizes,) > 0.
    """
    x, logs = _logs(n, y)
    centre = float(x.mean())

    def residuals(rate: float, share: float) -> tuple[Array, float]:
        """Residuals at the best scale; ``share`` is the log of c over a * exp(centre)^-b."""
        shape = np.logaddexp(-rate * (x - centre), share)
        level = float((logs - shape).mean())
        return logs - shape - level, level

    def cost(parameters: Array) -> float:
        return float((residuals(math.exp(parameters[0]), parameters[1])[0] ** 2).sum())

    starts = [np.array([log_rate, share]) for log_rate in np.log([0.05, 0.2, 0.5, 1, 2, 4]) for share in (-12.0, -4.0, -1.0, 0.0, 2.0)]
    best = min((cost(start), *start.tolist()) for start in starts)
    found = optimize.minimize(
        cost,
        np.array(best[1:]),
        method="Nelder-Mead",
        bounds=((-9.0, 3.0), (-40.0, 20.0)),
        options={"xatol": 1e-7, "fatol": 1e-13, "maxiter": 2000},
    )
    rate, share = math.exp(float(found.x[0])), float(found.x[1])
    level = residuals(rate, share)[1]
    # Undo the centring: y = e^level (e^(-rate (x - centre)) + e^share).
    return LearningCurve(math.exp(level + rate * centre), rate, math.exp(level + share), _aicc(float(found.fun), x.size, 4))


def _aicc(rss: float, points: int, parameters: int) -> float:
    """Hurvich & Tsai's (1989) corrected AIC of a least-squares fit; ``parameters`` counts sigma."""
    correction = 2 * parameters * (parameters + 1) / (points - parameters - 1)
    return points * math.log(max(rss, SMALLEST_RSS) / points) + 2 * parameters + correction


def _logs(n: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    sizes, curve = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if sizes.ndim != 1 or sizes.shape != curve.shape or sizes.size < FEWEST_SIZES:
        raise ValueError(f"a break against a learning curve needs at least {FEWEST_SIZES} sizes, got {sizes.shape} and {curve.shape}")
    if not (sizes > 0).all() or not (np.diff(sizes) > 0).all() or not (curve > 0).all():
        raise ValueError("log-log fits need positive values over positive, strictly rising sizes")
    return np.log(sizes), np.log(curve)


def simulated_learning_curve(n: ArrayLike, y: ArrayLike, rng: np.random.Generator) -> Array:
    """A draw from the learning curve fitted to one curve, with log-normal scatter of the residuals' size (three parameters fitted).

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (sizes,) > 0.
    """
    x, logs = _logs(n, y)
    fit = learning_curve(n, y)
    centre = np.log(fit.scale * np.exp(-fit.rate * x) + fit.floor)
    sigma = math.sqrt(float(((logs - centre) ** 2).sum()) / (x.size - 3))
    return np.asarray(np.exp(centre + sigma * rng.normal(size=x.size)))
