"""Findings on one axis: what every protocol says of it, next to the region that the claim asks for.

Positions run from 0 (left) to 100. The region lies at the same place on every axis: from a third to
two thirds where it has two ends, one half where it has one. Units differ from axis to axis, so that
rows of different quantities can be read down a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from omnigrok.audit.document import FindingPart, RegionPart, Row
from omnigrok.report.matching import aligned
from omnigrok.report.view import effect_text

# Beyond this ratio of the largest to the smallest number a linear axis would squeeze all but one
# into a corner.
LOG_FROM = 30.0
HALF_WIDTH = 100 / 6  # of a region with two ends
REACH = 45.0  # from the end of a region with one end to the farthest number


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """One finding on its axis.

    Args:
        protocol: under which it was found.
        finding: as the audit has it.
        effect: estimate and interval in words.
        estimate: None where it is no finite number.
        interval: None in the smoke tier.
        seeds: the values of the seeds.
        beyond: "left" or "right" where estimate or interval end off the axis.
    """

    protocol: str
    finding: FindingPart
    effect: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[float, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return self.estimate is not None or self.interval is not None or bool(self.seeds)


@dataclass(frozen=True)
class Line:
    """One deciding finding, with a mark for each protocol under which it decides.

    Args:
        region: its place on the axis; None where no mark can be drawn.
        ticks: the region's ends, with their values.
        log: whether the axis is logarithmic.
    """

    name: str
    region_text: str
    marks: tuple[Mark, ...]
    region: tuple[float, float] | None = None
    ticks: tuple[Tick, ...] = ()
    log: bool = False

    @property
    def drawn(self) -> tuple[Mark, ...]:
        """The marks that have a place on the axis."""
        return tuple(mark for mark in self.marks if self.region is not None and mark.drawn)

    @property
    def premise(self) -> bool:
        """Whether the sentence presupposes it."""
        return any(mark.finding.premise for mark in self.marks)

    @property
    def label(self) -> str:
        """For the alternative text."""
        said = "; ".join(f"{mark.protocol} {mark.effect}" for mark in self.marks)
        axis = ", on a logarithmic axis" if self.log else ""
        return f"{self.name}: {said}; the claim's region is {self.region_text}{axis}"

    def of(self, protocol: str) -> Mark | None:
        """The mark of a protocol."""
        return next((mark for mark in self.marks if mark.protocol == protocol), None)


def lines(rows: Sequence[Row]) -> tuple[Line, ...]:
    """Every finding that decides a claim under some protocol, one line a finding.

    Args:
        rows: of one claim, in the order of protocols.
    """
    shown = [[each for each in row.findings if each.decides or each.premise] for row in rows]
    return tuple(
        _line({row.protocol: each for row, each in zip(rows, line, strict=True) if each})
        for line in aligned(shown)
    )


def leading(rows: Sequence[Row], every: Iterable[Line]) -> tuple[Line, ...]:
    """Those of the lines on which a verdict of a protocol rests."""
    deciding = [(row.protocol, row.deciding()) for row in rows]
    return tuple(
        line
        for line in every
        if any(
            (mark := line.of(protocol)) is not None and mark.finding is finding
            for protocol, finding in deciding
        )
    )


def _line(found: Mapping[str, FindingPart]) -> Line:
    first = next(iter(found.values()))
    region = first.region
    axis = None if region is None else _axis(region, found.values())
    marks = tuple(
        Mark(protocol, finding, effect_text(finding))
        if axis is None or finding.region != region
        else axis.mark(protocol, finding)
        for protocol, finding in found.items()
    )
    if region is None or axis is None:
        return Line(first.name, region.text if region else "", marks)
    ends = finite([region.lo, region.hi])
    return Line(
        first.name,
        region.text,
        marks,
        (
            0.0 if region.lo is None or math.isinf(region.lo) else axis.place(region.lo),
            100.0 if region.hi is None or math.isinf(region.hi) else axis.place(region.hi),
        ),
        tuple(Tick(axis.place(end), f"{end:.4g}") for end in sorted(set(ends))),
        axis.log,
    )


def finite(values: Iterable[float | None]) -> list[float]:
    """Those of the values that are finite numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def _numbers(finding: FindingPart) -> Iterator[float | None]:
    yield finding.estimate
    yield from finding.ci or ()
    if finding.ci is None:
        yield from finding.values


@dataclass(frozen=True)
class _Axis:
    """``zero`` lies at 50 and ``zero + unit`` at ``50 + scale``, in logarithms where ``log``."""

    zero: float
    unit: float
    scale: float
    log: bool

    def place(self, value: float) -> float:
        """Where a number lies; those off the axis at its ends."""
        return round(min(max(self._free(value), 0.0), 100.0), 2)

    def _free(self, value: float) -> float:
        if math.isinf(value) or (self.log and value <= 0):
            return math.inf if value > 0 else -math.inf
        at = math.log(value) if self.log else value
        return 50 + self.scale * (at - self.zero) / self.unit

    def mark(self, protocol: str, finding: FindingPart) -> Mark:
        """A finding on this axis."""
        low, high = finding.ci or (None, None)
        interval = None if low is None or high is None else (self.place(low), self.place(high))
        known = [value for value in (finding.estimate, low, high) if value is not None]
        free = [self._free(value) for value in known]
        return Mark(
            protocol,
            finding,
            effect_text(finding),
            None if finding.estimate is None else self.place(finding.estimate),
            interval,
            tuple(map(self.place, finite(finding.values))),
            ("left",) * (min(free, default=0.0) < 0) + ("right",) * (max(free, default=0.0) > 100),
        )


def _axis(region: RegionPart, found: Iterable[FindingPart]) -> _Axis | None:
    """The axis of a region; None where it has no end, or there is no number to place."""
    ends = sorted(finite([region.lo, region.hi]))
    own = finite(chain.from_iterable(map(_numbers, found)))
    if not ends or not own:
        return None
    shown = [*own, *ends]
    log = min(shown) > 0 and max(shown) / min(shown) > LOG_FROM
    transform = math.log if log else float
    if len(ends) == 2 and ends[0] < ends[1]:
        low, high = map(transform, ends)
        return _Axis((low + high) / 2, (high - low) / 2, HALF_WIDTH, log)
    zero = transform(ends[0])
    farthest = max(abs(transform(value) - zero) for value in own)
    return _Axis(zero, farthest or max(abs(zero), 1.0), REACH, log)
