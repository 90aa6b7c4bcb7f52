"""Error over training size as a broken line or as one of four smooth curves, fitted to log y."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import expit

from omnigrok.stats.comparison import Array

# Error of a guess among ten classes: no learning curve of Figure 3 starts above it.
CHANCE = 0.9
# AICc of five parameters (broken line or cubic, with sigma) needs more than six points.
FEWEST_SIZES = 7
# Residuals under 1e-6 in log y are rounding; without a floor two perfect fits would be ranked by
# it.
SMALLEST_RSS = 1e-12
# Bounds of an exponent. At 20 a curve falls by half within 4 % of a size: a step on any grid of
# sizes.
RATES = (0.01, 20.0)
# Places of a break that are tried before the best is refined.
KNOTS = 60


@dataclass(frozen=True)
class Fit:
    """A least-squares fit of log y.

    Args:
        logs: (sizes,) fitted log y.
        rss: sum of squared residuals of log y.
        parameters: of the curve, without the variance of the residuals.
    """

    logs: Array
    rss: float
    parameters: int

    @property
    def aicc(self) -> float:
        """Hurvich & Tsai's (1989) corrected AIC; the variance counts as a parameter."""
        return corrected_aic(self.rss, self.logs.size, self.parameters + 1)


@dataclass(frozen=True)
class BrokenLine(Fit):
    """Two lines in log-log that meet at ``break_at`` (in the unit of the sizes), the upper one
    steeper.

    Where no break makes the upper line steeper it is one straight line and ``break_at`` is NaN.
    """

    break_at: float
    slope_below: float
    slope_above: float


@dataclass(frozen=True)
class LearningCurve(Fit):
    """y = scale * n**-rate + floor with rate > 0 and floor >= 0."""

    scale: float
    rate: float
    floor: float


@dataclass(frozen=True)
class CeilingCurve(Fit):
    """y = .9 / (1 + (n / size)**rate) + floor: chance at small n, with rate > 0 and floor >= 0."""

    size: float
    rate: float
    floor: float


def corrected_aic(rss: float, points: int, parameters: int) -> float:
    """AICc of a least-squares fit; ``parameters`` counts the variance."""
    correction = 2 * parameters * (parameters + 1) / (points - parameters - 1)
    return points * math.log(max(rss, SMALLEST_RSS) / points) + 2 * parameters + correction


def broken_line(n: ArrayLike, y: ArrayLike) -> BrokenLine:
    """A break between the second and the last but one size, steeper above (Muggeo 2003's model).

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (sizes,) > 0.

    Raises:
        ValueError: as ``logs_of``.
    """
    x, logs = logs_of(n, y)
    line, _ = np.linalg.qr(np.column_stack((np.ones_like(x), x)))
    left = logs - line @ (line.T @ logs)

    def bends(knots: Array) -> tuple[Array, Array]:
        """Best change of slope at each knot, at most 0, and the sum of squares that it leaves."""
        hinge = np.maximum(x - knots[:, None], 0.0)
        own = hinge - (hinge @ line) @ line.T
        change = np.minimum((own @ left) / (own**2).sum(axis=1), 0.0)
        return change, ((left - change[:, None] * own) ** 2).sum(axis=1)

    ladder = np.linspace(x[1], x[-2], KNOTS)
    costs = bends(ladder)[1]
    best = int(np.argmin(costs))
    around = ladder[max(best - 1, 0)], ladder[min(best + 1, KNOTS - 1)]
    found = optimize.minimize_scalar(
        lambda knot: bends(np.array([knot]))[1][0],
        bounds=around,
        method="bounded",
        options={"xatol": 1e-9},
    )
    knot = float(found.x) if found.fun <= costs[best] else float(ladder[best])
    change, rss = (float(each[0]) for each in bends(np.array([knot])))
    level, slope = np.polynomial.polynomial.polyfit(x, logs - change * np.maximum(x - knot, 0.0), 1)
    fitted = level + slope * x + change * np.maximum(x - knot, 0.0)
    break_at = math.exp(knot) if change < 0 else math.nan
    return BrokenLine(fitted, rss, 4, break_at, float(slope), float(slope + change))


def learning_curve(n: ArrayLike, y: ArrayLike) -> LearningCurve:
    """a n^-b + c (Cortes et al. 1993). Arguments and errors as ``broken_line``."""
    x, logs = logs_of(n, y)
    centre = float(x.mean())

    def shape(p: Array) -> tuple[Array, Array]:
        """log y and its derivatives; p holds log a (at the centre), b and the log of c over a."""
        falling = -p[..., 1, None] * (x - centre)
        share = expit(falling - p[..., 2, None])
        values = p[..., 0, None] + np.logaddexp(falling, p[..., 2, None])
        return values, np.stack((np.ones_like(share), -(x - centre) * share, 1 - share), axis=-1)

    rates, shares = np.meshgrid(
        [0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0], [-12.0, -4.0, -2.0, -1.0, 0.0, 1.0, 3.0]
    )
    ladder = np.column_stack((np.zeros(rates.size), rates.ravel(), shares.ravel()))
    ladder[:, 0] = (logs - shape(ladder)[0]).mean(axis=1)
    found = _least_squares(shape, logs, ladder, ([-60.0, RATES[0], -30.0], [60.0, RATES[1], 30.0]))
    level, rate, share = found.tolist()
    fitted = shape(found)[0]
    # Undo the centring: y = e^level (e^(-rate (x - centre)) + e^share).
    return LearningCurve(
        fitted,
        _rss(logs, fitted),
        3,
        math.exp(level + rate * centre),
        rate,
        math.exp(level + share),
    )


def ceiling_curve(n: ArrayLike, y: ArrayLike) -> CeilingCurve:
    """.9 / (1 + (n / n0)^b) + c. Arguments and errors as ``broken_line``."""
    x, logs = logs_of(n, y)

    def shape(p: Array) -> tuple[Array, Array]:
        """log y and its derivatives; p holds log n0, b and c."""
        offset = x - p[..., 0, None]
        share = expit(-p[..., 1, None] * offset)
        y = CHANCE * share + p[..., 2, None]
        bell = CHANCE * share * (1 - share) / y
        return np.log(y), np.stack((p[..., 1, None] * bell, -offset * bell, 1 / y), axis=-1)

    least = float(np.exp(logs.min()))
    sizes, rates, floors = np.meshgrid(
        np.linspace(x[0] - 2, x[-1], 9),
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 3.0],
        least * np.array([0.02, 0.3, 0.9]),
    )
    ladder = np.column_stack((sizes.ravel(), rates.ravel(), floors.ravel()))
    found = _least_squares(
        shape,
        logs,
        ladder,
        ([x[0] - 20, RATES[0], 1e-9 * least], [x[-1] + 20, RATES[1], 2.0 * least]),
    )
    fitted = shape(found)[0]
    return CeilingCurve(
        fitted, _rss(logs, fitted), 3, math.exp(found[0]), float(found[1]), float(found[2])
    )


def drift(n: ArrayLike, y: ArrayLike, degree: int) -> Fit:
    """log y as a polynomial of log n: an exponent that drifts. Arguments and errors as
    ``broken_line``.
    """
    x, logs = logs_of(n, y)
    z = (x - x.mean()) / (np.ptp(x) / 2)
    fitted = np.polynomial.polynomial.polyval(z, np.polynomial.polynomial.polyfit(z, logs, degree))
    return Fit(fitted, _rss(logs, fitted), degree + 1)


SMOOTH: dict[str, Callable[[ArrayLike, ArrayLike], Fit]] = {
    "floor": learning_curve,
    "ceiling": ceiling_curve,
    "quadratic drift": lambda n, y: drift(n, y, 2),
    "cubic drift": lambda n, y: drift(n, y, 3),
}


def logs_of(n: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """log n and log y.

    Raises:
        ValueError: fewer than 7 sizes, other than one y a size, sizes that do not rise from above
            0, or y <= 0.
    """
    sizes, curve = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if sizes.ndim != 1 or sizes.shape != curve.shape or sizes.size < FEWEST_SIZES:
        raise ValueError(
            f"a break against smooth curves needs at least {FEWEST_SIZES} sizes, got {sizes.shape} "
            f"and {curve.shape}"
        )
    if not (sizes > 0).all() or not (np.diff(sizes) > 0).all() or not (curve > 0).all():
        raise ValueError("log-log fits need positive values over positive, strictly rising sizes")
    return np.log(sizes), np.log(curve)


def _least_squares(
    shape: Callable[[Array], tuple[Array, Array]],
    logs: Array,
    ladder: Array,
    bounds: tuple[list[float], list[float]],
) -> Array:
    """The best parameters: the starts are the rungs of a ladder (rungs, parameters) within the
    bounds; the best one is finished.
    """
    costs = ((shape(ladder)[0] - logs) ** 2).sum(axis=1)
    found = optimize.least_squares(
        lambda p: shape(p)[0] - logs,
        ladder[int(np.argmin(costs))],
        jac=lambda p: shape(p)[1],
        bounds=bounds,
        x_scale="jac",
        xtol=1e-8,
        ftol=1e-8,
        gtol=1e-8,
        max_nfev=100,
    )
    return np.asarray(found.x)


def _rss(logs: Array, fitted: Array) -> float:
    return float(((logs - fitted) ** 2).sum())
