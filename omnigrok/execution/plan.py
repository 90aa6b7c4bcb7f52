"""What still has to be trained, grouped into stacks: the same list in every worker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from omnigrok.run import Run
from omnigrok.training.shape import shape_key

# A step of a stack should be neither so short that calling it dominates nor so long that a
# checkpoint waits: a tenth of a second on a GPU. On a CPU a network costs the same in a stack of 8
# as in one of 32 once it is large; smaller stacks carry fewer finished runs along, and divide
# groups of different size into stacks of the same one, for which a step is compiled once.
OPERATIONS_PER_STEP = {"cpu": 1.2e9, "cuda": 4e12}
LARGEST = {"cpu": 128, "cuda": 1024}
# Fewer would waste what a stack gains, even where a step then takes seconds.
SMALLEST = 8


# Devices whose checkpoints one process writes in passing: more of them send theirs more rarely.
WRITTEN_IN_PASSING = 16


def checkpoint_seconds(seconds: float, devices: int) -> float:
    """Seconds between two checkpoints of a stack."""
    return seconds * max(1.0, devices / WRITTEN_IN_PASSING)


@dataclass(frozen=True)
class StackPlan:
    """Runs that are trained as one stack.

    Args:
        runs: of one ``shape_key``.
        network_steps: optimiser steps over all runs; an upper bound where some may stop early.
        operations: floating-point operations of their matrix products, evaluations left out.
    """

    runs: tuple[Run, ...]
    network_steps: int
    operations: float


def largest_stack(operations: float, replica_bytes: float, memory: float, device: str) -> int:
    """How many replicas make one stack: by the length of a step, and never more than the memory
    holds.

    Args:
        operations: of one step of one replica.
        replica_bytes: memory that a replica needs.
        memory: bytes there are.
        device: "cpu" or "cuda".
    """
    by_time = min(
        LARGEST[device], max(SMALLEST, OPERATIONS_PER_STEP[device] // max(operations, 1.0))
    )
    return int(max(1, min(by_time, memory // max(replica_bytes, 1.0))))


def plan(
    runs: Iterable[Run],
    costs: Mapping[Run, float],
    device: str = "cpu",
    sizes: Mapping[Run, float] | None = None,
    memory: float = math.inf,
    devices: int = 1,
) -> list[StackPlan]:
    """Group Runs into stacks, the longest first.

    Args:
        runs: any Runs; repeated ones count once.
        costs: operations of one step, by ``shape_key``.
        device: "cpu" or "cuda".
        sizes: bytes that a replica needs, by ``shape_key``; without it the memory does not count.
        memory: bytes that a stack may take.
        devices: that train at once; with more than one, no stack is more than half of a device's
            share of all operations, as far as networks can be divided.

    Returns:
        Stacks of nearly equal size in each group, so that one compiled shape serves them all. The
        order depends on the Runs alone.
    """
    groups: dict[Run, list[Run]] = {}
    for run in dict.fromkeys(runs):
        groups.setdefault(shape_key(run), []).append(run)
    total = sum(run.steps * costs[key] for key, members in groups.items() for run in members)
    stacks = []
    for key, members in groups.items():
        members.sort(key=lambda run: (run.steps, run.digest))
        most = largest_stack(costs[key], sizes[key] if sizes else 0.0, memory, device)
        pieces = math.ceil(len(members) / most)
        if devices > 1 and total > 0:
            share = sum(run.steps for run in members) * costs[key] / total
            pieces = max(pieces, min(len(members), math.ceil(2 * devices * share)))
        size = math.ceil(len(members) / pieces)
        for start in range(0, len(members), size):
            part = tuple(members[start : start + size])
            steps = sum(run.steps for run in part)
            stacks.append(StackPlan(part, steps, steps * costs[key]))
    return sorted(stacks, key=lambda stack: (-stack.operations, stack.runs[0].digest))
