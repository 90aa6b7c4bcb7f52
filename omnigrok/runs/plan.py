"""What still has to be trained, grouped into stacks: the same list in every worker."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from omnigrok.runs.run import Run
from omnigrok.training.calendar import effective_batch
from omnigrok.training.stack import shape_key

# A step of a stack should be neither so short that calling it dominates nor so long that a checkpoint waits.
OPERATIONS_PER_STEP = {"cpu": 4e9, "cuda": 4e11}
LARGEST = {"cpu": 128, "cuda": 1024}


@dataclass(frozen=True)
class StackPlan:
    """Runs that are trained as one stack.

    Args:
        runs: of one ``shape_key``.
        network_steps: optimiser steps over all runs.
        operations: floating-point operations over all runs, 6 a weight and sample.
    """

    runs: tuple[Run, ...]
    network_steps: int
    operations: float


def operations_per_step(run: Run, parameters: int, work: float = 1.0) -> float:
    """Floating-point operations of one step of one network: 6 a weight and sample."""
    return 6.0 * parameters * effective_batch(run) * work


def plan(runs: Iterable[Run], costs: dict[Run, float], device: str = "cpu") -> list[StackPlan]:
    """Group Runs into stacks, the longest first.

    Args:
        runs: any Runs; repeated ones count once.
        costs: operations of one step, by ``shape_key``.
        device: "cpu" or "cuda".

    Returns:
        Stacks of nearly equal size in each group, so that one compiled shape serves them all. The order depends on the Runs alone.
    """
    groups: dict[Run, list[Run]] = {}
    for run in dict.fromkeys(runs):
        groups.setdefault(shape_key(run), []).append(run)
    stacks = []
    for key, members in groups.items():
        members.sort(key=lambda run: (run.steps, run.digest))
        most = int(min(LARGEST[device], max(8, OPERATIONS_PER_STEP[device] // costs[key])))
        pieces = math.ceil(len(members) / most)
        size = math.ceil(len(members) / pieces)
        for start in range(0, len(members), size):
            part = tuple(members[start : start + size])
            steps = sum(run.steps for run in part)
            stacks.append(StackPlan(part, steps, steps * costs[key]))
    return sorted(stacks, key=lambda stack: (-stack.operations, stack.runs[0].digest))
