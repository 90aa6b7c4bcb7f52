"""One number a seed, compared with a region: means, ratios, shares, correlations and equivalence.

Conventions of the package: a seed without a value is NaN; it counts in ``n``, is named in the note,
and the interval is taken over the finite values. Fewer than two finite values give the interval
(NaN, NaN), hence INCONCLUSIVE.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from omnigrok.stats.finding import Finding, Region

Array = NDArray[np.float64]

# A BCa bootstrap covers .74 with 3 seeds and .90 with 10 (600 normal draws) where it says .95,
# beyond the 3 points that the audit allows itself; below 20 seeds the t interval is used.
BOOTSTRAP_FROM = 20
RESAMPLES = 9999
# 2**12 sign patterns are enumerated in a millisecond; beyond that they are sampled.
ENUMERATE_UP_TO = 12
DEFAULT_SEED = 20221003
ZERO_SPREAD = 1e-12


def finite_values(values: ArrayLike) -> Array:
    """The values of the seeds that have one, as a 1-d float array.

    Raises:
        ValueError: for an array that is not 1-d, or an infinite value: a value beyond the record is
            censored, and only ``omnigrok.stats.censoring`` knows what to do with it.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ValueError(f"expected one value per seed (1-d), got shape {array.shape}")
    if np.isinf(array).any():
        raise ValueError(
            "an infinite value has no mean: pass censored times to omnigrok.stats.censoring"
        )
    return np.asarray(array[~np.isnan(array)])


def with_missing(note: str, values: ArrayLike) -> str:
    """``note``, with the number of seeds that have no value added when there are any."""
    array = np.asarray(values, dtype=float)
    missing = int(np.isnan(array).sum())
    return "; ".join(
        part
        for part in (note, f"{missing} of {array.size} seeds have no value" if missing else "")
        if part
    )


def interval(
    values: ArrayLike, level: float = 0.95, rng: np.random.Generator | None = None
) -> tuple[float, float, float]:
    """(mean, lower, upper): a t interval below 20 values, the BCa bootstrap of the mean (9999
    resamples) from 20 on.

    Equal values give the degenerate interval at that value; fewer than two finite values give NaN
    ends.
    """
    data = finite_values(values)
    if data.size == 0:
        return math.nan, math.nan, math.nan
    mean = float(data.mean())
    if data.size == 1:
        return mean, math.nan, math.nan
    if _constant(data):
        return float(data[0]), float(data[0]), float(data[0])
    if data.size >= BOOTSTRAP_FROM:
        generator = np.random.default_rng(DEFAULT_SEED) if rng is None else rng
        with warnings.catch_warnings():
            # BCa of nearly equal values divides by a zero spread; the t interval below answers
            # instead.
            warnings.simplefilter("ignore")
            ci = stats.bootstrap(
                (data,),
                np.mean,
                confidence_level=level,
                n_resamples=RESAMPLES,
                method="BCa",
                rng=generator,
            ).confidence_interval
        if math.isfinite(ci.low) and math.isfinite(ci.high):
            return mean, float(ci.low), float(ci.high)
    return (mean, *t_interval(data, level))


def t_interval(data: Array, level: float) -> tuple[float, float]:
    """Student's interval of the mean of at least two finite values."""
    half = (
        float(stats.t.ppf(0.5 + level / 2, data.size - 1))
        * float(data.std(ddof=1))
        / math.sqrt(data.size)
    )
    mean = float(data.mean())
    return mean - half, mean + half


def sign_flip_p(
    differences: ArrayLike, rng: np.random.Generator | None = None
) -> tuple[float, float]:
    """(p, smallest reachable p) of "the mean is above 0" under independent flips of each seed's
    sign.

    Exact by enumeration up to 12 seeds (then equal to ``scipy.stats.permutation_test`` with
    ``permutation_type="samples"`` against zeros), 9999 sampled sign patterns beyond. The smallest p
    is 2**-n.
    """
    data = finite_values(differences)
    n = data.size
    if n == 0:
        return math.nan, math.nan
    # Sums that differ by rounding are ties, and a tie counts as at least as extreme.
    least = data.sum() - 1e-12 * np.abs(data).sum()
    if n <= ENUMERATE_UP_TO:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(signs @ data >= least)), 2.0**-n
    generator = np.random.default_rng(DEFAULT_SEED) if rng is None else rng
    signs = generator.choice([-1.0, 1.0], size=(RESAMPLES, n))
    return float((1 + np.sum(signs @ data >= least)) / (1 + RESAMPLES)), max(
        2.0**-n, 1 / (1 + RESAMPLES)
    )


def mean_in_region(
    name: str,
    values: ArrayLike,
    region: Region,
    *,
    log: bool = False,
    null: float | None = None,
    level: float = 0.95,
    decides: bool = True,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """The mean over seeds of one value a seed (often a paired difference or ratio), compared with
    ``region``.

    Args:
        values: (seeds,), in the unit of ``region``; NaN where a seed has no value.
        log: average in log space and report the geometric mean; for ratios and anything that spans
            decades.
        null: what p tests against, for a region with one finite end; that end by default.
        rng: source of the bootstrap's and, beyond 12 seeds, of the sign patterns' randomness; a
            fixed seed by default.

    The p value is the one-sided paired sign-flip test; for a region with two ends the larger of
    both one-sided p.

    Raises:
        ValueError: for values <= 0 with ``log``, infinite values, or ``null`` with a region that
            has two finite ends.
    """
    data = finite_values(values)
    if log and (data <= 0).any():
        raise ValueError(f"{name}: a geometric mean needs values > 0, got {data.min():.4g}")
    forward: Callable[[Array], Array] = np.log if log else _same
    backward: Callable[[Array], Array] = np.exp if log else _same
    outside = (0.0, math.inf) if log else (-math.inf, math.inf)
    what = "geometric mean" if log else "mean"
    return _transformed_mean(
        name,
        values,
        region,
        forward,
        backward,
        outside,
        what,
        null=null,
        level=level,
        decides=decides,
        note=note,
        rng=rng,
    )


def spearman_in_region(
    name: str,
    rhos: ArrayLike,
    region: Region,
    *,
    places: int,
    level: float = 0.95,
    note: str = "",
    rng: np.random.Generator | None = None,
) -> Finding:
    """Mean of one rank correlation a seed; the interval is taken on Fisher's z and transformed
    back.

    z of 1 is infinite, so |rho| counts as no more than half-way between 1 and the next value that
    ``places`` ranks allow, 1 - 12 / (places^3 - places). A larger z would let one perfect seed
    widen the interval beyond what the ranks can tell.

    Args:
        rhos: (seeds,) within [-1, 1].
        places: how many pairs a correlation ranks, at least 3; the fewest, where seeds differ.

    Raises:
        ValueError: for a rho outside [-1, 1], or fewer than 3 places.
    """
    if places < 3:
        raise ValueError(f"{name}: a rank correlation needs 3 places, got {places}")
    most = 1 - 6 / (places**3 - places)
    data = finite_values(rhos)
    if (np.abs(data) > 1 + 1e-9).any():
        raise ValueError(f"{name}: a correlation lies in [-1, 1]")
    return _transformed_mean(
        name,
        rhos,
        region,
        lambda rho: np.arctanh(np.clip(rho, -most, most)),
        np.tanh,
        (-1.0, 1.0),
        "Fisher-z mean",
        null=None,
        level=level,
        decides=True,
        note=note,
        rng=rng,
    )


def _transformed_mean(
    name: str,
    values: ArrayLike,
    region: Region,
    forward: Callable[[Array], Array],
    backward: Callable[[Array], Array],
    outside: tuple[float, float],
    what: str,
    *,
    null: float | None,
    level: float,
    decides: bool,
    note: str,
    rng: np.random.Generator | None,
) -> Finding:
    """A mean, its interval and its p on a monotone scale, reported on the scale of ``values``.

    ``outside`` are the ends of the scale: a region's end at or beyond them bounds nothing and is
    not tested.
    """
    given = np.asarray(values, dtype=float)
    data = forward(finite_values(given))
    estimate, low, high = (float(backward(np.asarray(end))) for end in interval(data, level, rng))
    kind = (
        "BCa bootstrap interval"
        if data.size >= BOOTSTRAP_FROM and not _constant(data)
        else "t interval"
    )
    lower = region.lo if region.lo > outside[0] else None
    upper = region.hi if region.hi < outside[1] else None
    if null is not None:
        if lower is not None and upper is not None:
            raise ValueError(
                f"{name}: a null belongs to a region with one finite end, not to {region}"
            )
        lower, upper = (null, None) if upper is None else (None, null)
    tests = []
    if data.size:
        if lower is not None:
            tests.append(sign_flip_p(data - float(forward(np.asarray(lower, dtype=float))), rng))
        if upper is not None:
            tests.append(sign_flip_p(float(forward(np.asarray(upper, dtype=float))) - data, rng))
    return Finding(
        name=name,
        estimate=estimate,
        ci=(low, high),
        region=region,
        values=tuple(given.tolist()),
        level=level,
        p=max(p for p, _ in tests) if tests else None,
        smallest_p=max(smallest for _, smallest in tests) if tests else None,
        n=given.size,
        decides=decides,
        method=f"{what}, {kind}" + (", one-sided sign-flip test" if tests else ""),
        note=with_missing(note, given),
    )


def _constant(data: Array) -> bool:
    """All values equal, up to the rounding of their own size."""
    return bool(np.ptp(data) <= ZERO_SPREAD * np.abs(data).max())


def _same(values: Array) -> Array:
    return values
