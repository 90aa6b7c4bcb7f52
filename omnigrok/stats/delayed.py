"""A time that falls as 1 / x after a delay, t = a / x + b, fitted to the times of one seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from omnigrok.stats.comparison import Array

# From "never felt" to "all there is": beyond, a / x and b differ by over exp(9) on all of the grid.
REACH = 9.0


@dataclass(frozen=True)
class DelayedInverse:
    """t = a / x + b.

    Args:
        a: steps times the unit of x, 0 or above.
        b: steps, 0 or above.
        residuals: (points,) log time minus the fit's.
    """

    a: float
    b: float
    residuals: Array

    def at(self, x: float) -> float:
        """The time in steps at ``x`` > 0."""
        return self.a / x + self.b


def fit_delayed_inverse(x: ArrayLike, times: ArrayLike, *, delay: bool = True) -> DelayedInverse:
    """Least squares in log time with a and b at 0 or above.

    Args:
        x: (points,) > 0, at least 2 different ones. times: (points,) steps, > 0.
        delay: False holds b at 0.

    Raises:
        ValueError: for arrays that do not fit, too few points, or values that are not above 0.
    """
    grid, steps = np.asarray(x, dtype=float), np.asarray(times, dtype=float)
    if grid.ndim != 1 or grid.shape != steps.shape or np.unique(grid).size < 2:
        raise ValueError(
            f"a / x + b needs as many times as x and two different x at least, got {grid.shape} "
            f"and {steps.shape}"
        )
    if not (grid > 0).all() or not (steps > 0).all() or not np.isfinite(steps).all():
        raise ValueError("a / x + b needs x and times above 0")
    logs = np.log(steps)

    def residuals(log_ratio: float) -> tuple[float, Array]:
        """ln a and what is left, for b / a = exp(log_ratio)."""
        rest = logs - np.log(1 / grid + math.exp(log_ratio))
        return float(rest.mean()), rest - rest.mean()

    def squares(log_ratio: float) -> float:
        rest = residuals(log_ratio)[1]
        return float(rest @ rest)

    best = -math.inf
    if delay:
        ends = -math.log(grid.max()) - REACH, -math.log(grid.min()) + REACH
        ladder = np.linspace(*ends, 49)
        at = int(np.argmin([squares(rung) for rung in ladder]))
        around = ladder[max(at - 1, 0)], ladder[min(at + 1, ladder.size - 1)]
        found = optimize.minimize_scalar(
            squares, bounds=around, method="bounded", options={"xatol": 1e-6}
        )
        best = float(found.x) if found.fun < squares(-math.inf) else -math.inf
    log_a, rest = residuals(best)
    return DelayedInverse(math.exp(log_a), math.exp(log_a + best), rest)
