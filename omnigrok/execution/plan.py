"""What still has to be trained, grouped into stacks: the same list in every worker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from omnigrok.data import find_task
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.training.calendar import effective_batch
from omnigrok.training.device import memory_share
from omnigrok.training.stackable import shape_key
from omnigrok.training.work import replica_bytes, step_operations

# A step of a stack should be neither so short that calling it dominates nor so long that a
# checkpoint waits: a tenth of a second on a GPU. On a CPU a network costs the same in a stack of 8
# as in one of 32 once it is large; smaller stacks carry fewer finished runs along, and divide
# groups of different size into stacks of the same one, for which a step is compiled once.
OPERATIONS_PER_STEP = {"cpu": 1.2e9, "cuda": 4e12}
LARGEST = {"cpu": 128, "cuda": 1024}
# Fewer would waste what a stack gains, even where a step then takes seconds; a model's module may
# know better (``SMALLEST_STACK``).
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


def largest_stack(
    operations: float, replica_bytes: float, memory: float, device: str, smallest: int = SMALLEST
) -> int:
    """How many replicas make one stack: by the length of a step, and never more than the memory
    holds.

    Args:
        operations: of one step of one replica.
        replica_bytes: memory that a replica needs.
        memory: bytes there are.
        device: "cpu" or "cuda".
        smallest: replicas that a stack has however long its step is.
    """
    by_time = min(
        LARGEST[device], max(smallest, OPERATIONS_PER_STEP[device] // max(operations, 1.0))
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
        known = getattr(find_model(key.model), "SMALLEST_STACK", {})
        most = largest_stack(
            costs[key], sizes[key] if sizes else 0.0, memory, device, known.get(device, SMALLEST)
        )
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


def make_plan(
    runs: Iterable[Run], device: str, memory: float | None = None, devices: int = 1
) -> list[StackPlan]:
    """The stacks that a set of Runs needs, the longest first, the same in every worker of a machine
    (``plan``).

    Args:
        runs: any Runs; repeated ones count once.
        device: "cpu" or "cuda".
        memory: bytes that a stack may take; by default this process's share of the device.
        devices: that train at once for one process.
    """
    runs = list(dict.fromkeys(runs))
    forms: dict[Run, Run] = {}
    for run in runs:  # the largest batch of each shape: the others are filled up to it
        key = shape_key(run)
        forms[key] = max(forms.get(key, run), run, key=effective_batch)
    costs = {key: step_operations(form, device) for key, form in forms.items()}
    sizes = {key: replica_bytes(form) for key, form in forms.items()}
    if memory is None:
        memory = memory_share(torch.device(device))
    return plan(runs, costs, device, sizes, memory, devices)


def can_be_built(run: Run) -> bool:
    """Whether the task and the model of a Run exist and accept its options, as far as that shows
    without data.
    """
    try:
        find_task(run.task)
        step_operations(run)
    # somebody else's module may raise anything; ``ensure`` raises it again for the claim that asks
    except Exception:
        return False
    return True
