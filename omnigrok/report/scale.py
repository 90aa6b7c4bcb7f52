"""An effect with its interval on a scale that shows the criterion's region: positions in per cent,
for a small drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from omnigrok.audit.document import FindingPart

MARGIN = 0.08
# Beyond this ratio of the largest to the smallest number a linear scale would squeeze all but one
# into a corner.
LOG_FROM = 30.0


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class EffectScale:
    """Positions from 0 (left) to 100.

    Args:
        region: where the criterion's region begins and ends, cut at the ends of the scale.
        interval: of the estimate; None in the smoke tier.
        estimate: None where it is no finite number.
        seeds: the values of the seeds.
        ticks: ends of the region and of the scale.
        log: whether the scale is logarithmic.
    """

    region: tuple[float, float]
    interval: tuple[float, float] | None
    estimate: float | None
    seeds: tuple[float, ...]
    ticks: tuple[Tick, ...]
    log: bool


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def effect_scale(finding: FindingPart) -> EffectScale | None:
    """The scale of a finding; None where it has no region or no finite number to show."""
    region = finding.region
    if region is None:
        return None
    seeds = _finite(finding.values)
    own = [*_finite([finding.estimate, *(finding.ci or ())]), *seeds]
    bounds = _finite([region.lo, region.hi])
    if not own or not bounds:
        return None
    shown = [*own, *bounds]
    log = min(shown) > 0 and max(shown) / min(shown) > LOG_FROM
    transform = math.log if log else float
    low, high = min(map(transform, shown)), max(map(transform, shown))
    width = (high - low) or max(abs(low), 1.0)
    low, high = low - MARGIN * width, high + MARGIN * width

    def place(value: float) -> float:
        if math.isinf(value):
            return 0.0 if value < 0 else 100.0
        if log and value <= 0:
            return 0.0
        return round(min(max(100 * (transform(value) - low) / (high - low), 0.0), 100.0), 2)

    lo = -math.inf if region.lo is None else region.lo
    hi = math.inf if region.hi is None else region.hi
    interval = None
    if finding.ci is not None and None not in finding.ci:
        interval = place(float(finding.ci[0] or 0)), place(float(finding.ci[1] or 0))
    estimate = (
        finding.estimate
        if finding.estimate is not None and math.isfinite(finding.estimate)
        else None
    )
    return EffectScale(
        region=(place(lo), place(hi)),
        interval=interval,
        estimate=None if estimate is None else place(estimate),
        seeds=tuple(place(value) for value in seeds),
        ticks=tuple(Tick(place(value), f"{value:.4g}") for value in sorted(set(bounds))),
        log=log,
    )
