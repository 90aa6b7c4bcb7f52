"""A time that diverges at a critical size against one that only follows a power law of the size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from omnigrok.stats.comparison import Array, interval, with_missing
from omnigrok.stats.finding import Finding
from omnigrok.stats.learning_curves import FEWEST_SIZES, LearningCurve, learning_curve
from omnigrok.stats.times import Time, count_censored

# Critical sizes that are tried, as shares of the smallest size: none, and ever closer to it.
SHARES = np.array([0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.86, 0.9, 0.94, 0.97, 0.99])


def divergence(name: str, n: ArrayLike, times: Sequence[Sequence[Time]]) -> Finding:
    """AICc of t = a n^-b + c minus AICc of t = a (n - n_c)^-b + c with 0 <= n_c < the smallest n;
    above 0 a divergence is preferred.

    One difference a seed; a seed with a time that was not reached has no value.
    ``extra["critical"]`` is the n_c of the seeds' geometric mean. It decides nothing.

    Args:
        n: (sizes,) > 0, rising, at least 7. times: (seeds, sizes).

    Raises:
        ValueError: for fewer than 7 sizes or times that do not match.
    """
    sizes = np.asarray(n, dtype=float)
    if sizes.ndim != 1 or sizes.size < FEWEST_SIZES or any(len(row) != sizes.size for row in times):
        raise ValueError(
            f"{name}: expected (seeds, sizes) times over at least {FEWEST_SIZES} sizes, got "
            f"{sizes.size}"
        )
    curves = np.array([[time.value if time.reached else math.nan for time in row] for row in times])
    complete = ~np.isnan(curves).any(axis=1)
    values = np.array(
        [
            _delta(sizes, curve) if ok else math.nan
            for curve, ok in zip(curves, complete, strict=True)
        ]
    )
    estimate, low, high = interval(values)
    extra = {}
    if complete.any():
        extra["critical"] = _diverging(sizes, np.exp(np.log(curves[complete]).mean(axis=0)))[0]
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=None,
        values=tuple(values.tolist()),
        n=len(times),
        censored=sum(count_censored(row) for row in times),
        decides=False,
        method="AICc(a n^-b + c) - AICc(a (n - n_c)^-b + c)",
        note=with_missing(
            "a divergence is preferred" if estimate > 0 else "no divergence is preferred", values
        ),
        extra=extra,
    )


def _delta(sizes: Array, curve: Array) -> float:
    return learning_curve(sizes, curve).aicc - _diverging(sizes, curve)[1]


def _diverging(sizes: Array, curve: Array) -> tuple[float, float]:
    """(n_c, AICc) of the best shifted power law; n_c is one parameter more than ``learning_curve``
    has.
    """
    fits: list[tuple[float, LearningCurve]] = [
        (float(share * sizes[0]), learning_curve(sizes - share * sizes[0], curve))
        for share in SHARES
    ]
    critical, best = min(fits, key=lambda fit: fit[1].aicc)
    points = sizes.size
    price = 2 + 60 / (points - 6) - 40 / (points - 5)
    return critical, best.aicc + price
