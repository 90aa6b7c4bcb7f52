"""A specification curve as a small drawing: every reading of a sentence by its estimate, and below
it which choices made that reading.

Reference: Simonsohn, Simmons and Nelson 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from omnigrok.audit.document import Row, UniversesPart
from omnigrok.audit.universes import label, leading
from omnigrok.report.forest import LOG_FROM, Tick, finite
from omnigrok.suite.schema import Claim

WIDTH, HEIGHT = 560.0, 120.0  # of the curve, in the drawing's units
STRIPE = 13.0  # height of a level
MARGIN = 0.06
LABELS = 190.0  # left of the curve


@dataclass(frozen=True)
class Level:
    """One level of a choice: ``path`` has a stroke for each reading that took it."""

    name: str
    y: float
    path: str


@dataclass(frozen=True)
class Choice:
    """What is chosen, and which share of the estimates' variance that explains."""

    name: str
    share: float | None
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Specification:
    """What the template draws.

    Args:
        part: the counts.
        intervals, dots: paths by verdict.
        region: top and bottom of the region's band.
        ticks: y of its ends.
        choices: below the curve, that which explains most first.
        height: of the whole drawing.
    """

    part: UniversesPart
    intervals: Mapping[str, str]
    dots: Mapping[str, str]
    region: tuple[float, float] | None
    ticks: tuple[Tick, ...]
    choices: tuple[Choice, ...]
    height: float

    @property
    def said(self) -> str:
        """The result in words."""
        counts = {
            "REPRODUCED": self.part.reproduced,
            "REFUTED": self.part.refuted,
            "INCONCLUSIVE": self.part.inconclusive,
            "ERROR": self.part.error,
        }
        words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"{self.part.n} readings: {words}"


def specification(row: Row, entry: Claim | None) -> Specification | None:
    """The curve of a row; None where no reading has an estimate.

    Args:
        entry: the claim's YAML, for the names of its choices.
    """
    part = row.universes
    if part is None:
        return None
    known = [each for each in part.curve if each[0] is not None and math.isfinite(each[0])]
    if not known:
        return None
    lead = leading(row.findings)
    region = lead.region if lead else None
    ends = finite([region.lo, region.hi]) if region else []
    axis = _Vertical.of([*(each[0] or 0.0 for each in known), *ends])
    step = WIDTH / len(known)
    intervals: dict[str, str] = {}
    dots: dict[str, str] = {}
    for place, (estimate, low, high, verdict, _) in enumerate(known):
        x = LABELS + step * (place + 0.5)
        dots[verdict] = dots.get(verdict, "") + f"M{x:.1f} {axis.y(estimate):.1f}h0"
        if low is not None and high is not None:
            stroke = f"M{x:.1f} {axis.y(high):.1f}V{axis.y(low):.1f}"
            intervals[verdict] = intervals.get(verdict, "") + stroke
    choices = tuple(_choices(entry, part, [each[4] for each in known], step))
    last = choices[-1].levels[-1].y + STRIPE if choices else HEIGHT
    band = None
    if region is not None and ends:
        top = 0.0 if region.hi is None or math.isinf(region.hi) else axis.y(region.hi)
        bottom = HEIGHT if region.lo is None or math.isinf(region.lo) else axis.y(region.lo)
        band = top, bottom
    ticks = tuple(Tick(axis.y(end), f"{end:.4g}") for end in sorted(set(ends)))
    return Specification(part, intervals, dots, band, ticks, choices, last + 4)


def _choices(
    entry: Claim | None, part: UniversesPart, made: Sequence[str], step: float
) -> Iterator[Choice]:
    """The choices of the claim's YAML, by how much they explain."""
    if entry is None:
        return
    y = HEIGHT + 10
    wide = max(step * 0.7, 0.4)
    for name in sorted(entry.universes, key=lambda each: -part.shares.get(each, 0.0)):
        levels = []
        for level in entry.universes[name]:
            chosen = f"{name} {label(level)}"
            path = "".join(
                f"M{LABELS + step * place + (step - wide) / 2:.1f} {y:.0f}h{wide:.1f}"
                for place, text in enumerate(made)
                if f", {chosen}, " in f", {text}, "
            )
            levels.append(Level(label(level), y, path))
            y += STRIPE
        y += 5
        yield Choice(name, part.shares.get(name), tuple(levels))


@dataclass(frozen=True)
class _Vertical:
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, values: Sequence[float]) -> _Vertical:
        log = min(values) > 0 and max(values) / min(values) > LOG_FROM
        shown = [math.log(value) if log else value for value in values]
        width = (max(shown) - min(shown)) or max(abs(shown[0]), 1.0)
        return cls(min(shown) - MARGIN * width, max(shown) + MARGIN * width, log)

    def y(self, value: float | None) -> float:
        """From the top; numbers off the axis lie at its ends."""
        if value is None or (self.log and value <= 0) or value == -math.inf:
            return HEIGHT
        if value == math.inf:
            return 0.0
        at = math.log(value) if self.log else value
        return min(max(HEIGHT * (self.high - at) / (self.high - self.low), 0.0), HEIGHT)
