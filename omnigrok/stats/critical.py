"""A critical size against a mere learning curve: a break that no smooth curve explains as well."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array, mean_in_region
from omnigrok.stats.finding import Finding, Region
from omnigrok.stats.learning_curves import SMOOTH, broken_line

PREFERRED = Region(0.0)
METHOD = "least AICc(smooth) - AICc(broken line) over " + ", ".join(SMOOTH)


def critical_size(
    name: str,
    n: ArrayLike,
    y: ArrayLike,
    region: Region = PREFERRED,
    *,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """By how much AICc prefers a break, steeper above, to the best of four smooth curves; above 0
    it does.

    ``values`` holds each seed's smallest advantage over ``SMOOTH``; estimate and interval are of
    their mean. ``extra`` holds the mean advantage over each curve ("over floor", ...), and the
    break with its slopes of the seeds' geometric mean.

    ``p`` is the sign-flip test of "the mean advantage is above 0". It is exact for advantages that
    lie symmetrically about 0 or less. Smooth truths put them below 0 on average: calibrated, not
    derived (omnigrok/paper/simulations/CLAIMS.md).

    Args:
        n: (sizes,) > 0, rising, at least 7. y: (seeds, sizes) > 0, e.g. the best test error; a seed
            with a NaN has no value.

    Raises:
        ValueError: for fewer than 7 sizes, a grid that is not positive and rising, or y <= 0.
    """
    sizes, curves = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if sizes.ndim != 1 or curves.ndim != 2 or curves.shape[1] != sizes.size:
        raise ValueError(
            f"{name}: expected sizes (k,) and curves (seeds, k), got {sizes.shape} and "
            f"{curves.shape}"
        )
    if (curves <= 0).any():
        raise ValueError(f"{name}: a log-log fit needs y > 0, got {np.nanmin(curves):.4g}")
    complete = ~np.isnan(curves).any(axis=1)
    table = np.full((len(curves), len(SMOOTH)), math.nan)
    for row in np.flatnonzero(complete):
        table[row] = advantages(sizes, curves[row])
    finding = mean_in_region(name, table.min(axis=1), region, level=level, note=note, rng=rng)
    extra: dict[str, float] = {}
    if complete.any():
        line = broken_line(sizes, np.exp(np.log(curves[complete]).mean(axis=0)))
        extra = {
            **{
                f"over {curve}": float(mean)
                for curve, mean in zip(SMOOTH, table[complete].mean(axis=0), strict=True)
            },
            "break": line.break_at,
            "slope_below": line.slope_below,
            "slope_above": line.slope_above,
        }
    return Finding(**{**finding.__dict__, "extra": extra, "method": f"{METHOD}; {finding.method}"})


def advantages(n: ArrayLike, y: ArrayLike) -> Array:
    """AICc of each curve of ``SMOOTH`` minus AICc of the broken line, for one seed's y (sizes,) >
    0.
    """
    line = broken_line(n, y).aicc
    return np.array([fit(n, y).aicc - line for fit in SMOOTH.values()])
