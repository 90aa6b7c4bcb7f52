"""The scheduler of an audit on many cards, simulated: stacks in the order of the plan, each to the
card that is free first, and one driver that takes all reports.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from omnigrok.execution.plan import checkpoint_seconds

# Seconds of the driver, measured (docs/scale.md): for a report, for each run that it records, and
# for each network of 200,000 weights in a checkpoint.
REPORT, RUN, SAVED = 0.0003, 0.015, 0.008
# Seconds between two reports of a stack, and between two checkpoints.
HEARTBEAT, CHECKPOINT = 5.0, 60.0


@dataclass(frozen=True)
class DeviceSchedule:
    """What a simulation came to.

    Args:
        seconds: until the last stack has ended and is recorded.
        longest: the longest stack: no number of cards is faster.
        driver: share of the time that the driver is busy.
        busy: share of the cards' time in which they train.
    """

    seconds: float
    longest: float
    driver: float
    busy: float


def schedule(
    stacks: Sequence[tuple[float, int]],
    cards: int,
    report: float = REPORT,
    run: float = RUN,
    saved: float = SAVED,
) -> DeviceSchedule:
    """Simulate.

    Args:
        stacks: seconds and networks of each, in the order in which they are given out.
        cards: how many there are.
        report, run, saved: seconds of the driver.
    """
    free = [0.0] * cards
    heapq.heapify(free)
    ends = []
    for seconds, networks in stacks:
        begin = heapq.heappop(free)
        ends.append((begin + seconds, networks))
        heapq.heappush(free, begin + seconds)
    # A queue with one server: the driver takes the last reports in the order in which they come,
    # and the others whenever it has time.
    clock = 0.0
    for end, networks in sorted(ends):
        clock = max(clock, end) + report + run * networks
    every = checkpoint_seconds(CHECKPOINT, cards)
    heartbeats = sum(
        seconds / HEARTBEAT * report + seconds // every * networks * saved
        for seconds, networks in stacks
    )
    recording = sum(report + run * networks for _, networks in stacks)
    total = max(clock, heartbeats + recording)
    trained = sum(seconds for seconds, _ in stacks)
    return DeviceSchedule(
        total,
        max((seconds for seconds, _ in stacks), default=0.0),
        (heartbeats + recording) / total if total else 0.0,
        trained / (cards * total) if total else 0.0,
    )
