"""Timing several ways to do the same in turns, so that what else the machine does meets all of them
alike.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from omnigrok.bench.families import Family, Variant, variants
from omnigrok.errors import OmnigrokError
from omnigrok.forecast.measure import WARM_UP, best_seconds, wait
from omnigrok.training.objective import storage_dtype

# One round of one variant takes about so long, or a step where that is longer.
ROUND_SECONDS = 0.15
MOST_STEPS = 200

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """What the rounds of a variant took.

    Args:
        variant: its name.
        replicas: networks trained at once.
        steps: optimiser steps a round.
        seconds: of each round; the rounds of all variants of a family go in turns.
        start: seconds to build it and to take the first steps.
        peak_bytes: memory of the tensors that stay (data, weights, moments), and of those of a step
            at most.
        failure: why there are no rounds.
    """

    variant: str
    replicas: int
    steps: int = 0
    seconds: tuple[float, ...] = ()
    start: float = 0.0
    peak_bytes: float = 0.0
    failure: str = ""


def tensor_bytes(work: Callable[[], Result], device: torch.device) -> tuple[Result, float, float]:
    """What ``work`` returns, the bytes of tensors that it held at most, and those that it left;
    counted by torch's allocators.
    """
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        result = work()
        return (
            result,
            float(torch.cuda.max_memory_allocated(device) - before),
            float(torch.cuda.memory_allocated(device) - before),
        )
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    assert profiler.profiler is not None
    events = [
        event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    held = [
        0,
        *accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())),
    ]
    return result, float(max(held)), float(held[-1])


def in_turns(
    work: Sequence[Callable[[], object]], rounds: int, device: torch.device
) -> list[list[float]]:
    """Seconds of each function in each round: all of them once, then all of them again."""
    seconds: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for each, measured in zip(work, seconds, strict=True):
            wait(device)
            begun = time.perf_counter()
            each()
            wait(device)
            measured.append(time.perf_counter() - begun)
    return seconds


def _prepare(variant: Variant, device: torch.device) -> tuple[Timing, Callable[[], None] | None]:
    begun = time.perf_counter()
    try:
        advance, _, kept = tensor_bytes(variant.make, device)
        advance(WARM_UP)
    except (
        OmnigrokError,
        ImportError,
        RuntimeError,
    ) as error:  # out of memory on CUDA is a RuntimeError
        return Timing(
            variant.name, variant.replicas, failure=f"{type(error).__name__}: {error}"
        ), None
    wait(device)
    start = time.perf_counter() - begun
    _, rise, _ = tensor_bytes(lambda: advance(1), device)
    step = best_seconds(lambda: advance(1), device, 0.0)
    steps = max(1, min(MOST_STEPS, round(ROUND_SECONDS / step)))
    advance(steps)  # JAX compiles every number of steps
    return Timing(
        variant.name, variant.replicas, steps, start=start, peak_bytes=kept + rise
    ), lambda: advance(steps)


def time_family(
    family: Family, device: torch.device, root: Path, rounds: int = 5
) -> dict[str, Timing]:
    """Timings by variant; one that cannot be built carries the reason.

    Args:
        root: the folder of downloaded data.
        rounds: how often every variant has its turn.
    """
    prepared = [_prepare(variant, device) for variant in variants(family, device, root)]
    ready = [(timing, work) for timing, work in prepared if work is not None]
    seconds = in_turns([work for _, work in ready], rounds, device)
    done = {
        timing.variant: Timing(
            timing.variant,
            timing.replicas,
            timing.steps,
            tuple(measured),
            timing.start,
            timing.peak_bytes,
        )
        for (timing, _), measured in zip(ready, seconds, strict=True)
    }
    return {timing.variant: done.get(timing.variant, timing) for timing, _ in prepared}


def layer_rate(family: Family, replicas: int, device: torch.device, seconds: float = 0.2) -> float:
    """Floating-point operations a second of the family's own matrix products: forward, weight and
    input gradient, batched over replicas.
    """
    operations = spent = 0.0
    dtype = storage_dtype(family.run)
    own = torch.Generator(device).manual_seed(0)
    for rows, fan_in, fan_out in family.layers:
        x, w, y = (
            torch.rand((replicas, *shape), dtype=dtype, device=device, generator=own)
            for shape in ((rows, fan_in), (fan_out, fan_in), (rows, fan_out))
        )
        for left, right in ((x, w.mT), (y.mT, x), (y, w)):
            spent += best_seconds(
                lambda left=left, right=right: torch.bmm(left, right),  # type: ignore[misc]
                device,
                seconds / 3 / len(family.layers),
            )
            operations += 2.0 * replicas * rows * fan_in * fan_out
    return operations / spent
