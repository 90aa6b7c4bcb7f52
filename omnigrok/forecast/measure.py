"""What this machine does: the rate of its batched matrix products, and the seconds that a step of a
stack takes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from omnigrok.run import Run
from omnigrok.training.device import arithmetic
from omnigrok.training.stack import Stack
from omnigrok.training.work import evaluation_operations, step_operations

# Batched products of this shape, whose rate no step of the networks here exceeds by much.
MATRICES, ORDER = {"cpu": 32, "cuda": 512}, 256
# Steps that compile, fill caches and start threads before the clock runs.
WARM_UP = 2
# Steps that training lays out at once.
MOST_STEPS = 100
# Evaluations that would take longer are computed from their operations.
EVALUATION_SECONDS = 0.3


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_seconds(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """The shortest of the repetitions that fit into ``seconds``, at least two: others' load only
    ever adds.
    """
    best, end = float("inf"), time.perf_counter() + seconds
    rounds = 0
    while rounds < 2 or time.perf_counter() < end:
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - start)
        rounds += 1
    return best


def matrix_rate(device: torch.device, precision: str = "float32", seconds: float = 0.3) -> float:
    """Floating-point operations a second of batched matrix products, in the arithmetic of a Run's
    ``precision``.
    """
    dtype = torch.float64 if precision == "float64" else torch.float32
    shape = (MATRICES[device.type], ORDER, ORDER)
    # Random numbers: a card that multiplies zeros draws less power, and runs faster. A few, since a
    # CPU draws them.
    own = torch.Generator().manual_seed(0)
    few = torch.rand((2, ORDER, ORDER), dtype=dtype, generator=own).to(device)
    left = few.repeat(shape[0] // 2, 1, 1)
    right, out = left.flip(0), torch.empty_like(left)
    with arithmetic(precision, device):
        return (
            2.0
            * shape[0]
            * ORDER**3
            / best_seconds(lambda: torch.bmm(left, right, out=out), device, seconds)
        )


@dataclass(frozen=True)
class StackTime:
    """The seconds of a stack.

    Args:
        replicas: networks in it.
        start: seconds until its steps run at full speed: data, initialization, compilation.
        step: seconds of a step of all replicas.
        evaluation: seconds of an evaluation of all replicas.
        test_samples: what each replica is tested on.
        compiled: whether the steps were those of training: the native ones, or compiled where the
            trainer would compile.
    """

    replicas: int
    start: float
    step: float
    evaluation: float
    test_samples: int
    compiled: bool = True


def time_stack(
    runs: Sequence[Run],
    device: torch.device,
    root: Path,
    seconds: float = 1.0,
    compiled: bool = True,
) -> StackTime:
    """Build a stack, take a few steps of it and throw it away.

    Args:
        runs: of one ``shape_key``; their number counts, as what a step costs a replica depends on
            it.
        root: the folder of downloaded data.
        seconds: for the steps, after building and compiling.
        compiled: False spares the seconds of compiling; torch's steps are then slower than in
            training, up to about twice.

    Raises:
        OmnigrokError: data is missing, or an option is not accepted.
    """
    begun = time.perf_counter()
    stack = Stack(runs, device, root)
    precision = stack.form.precision
    if not compiled:
        stack.torch_step.leave_uncompiled()
    compiled = compiled or stack.native is not None
    with arithmetic(precision, device):
        warm_up = WARM_UP if compiled else 1
        stack.take_steps(warm_up)
        wait(device)
        start = time.perf_counter() - begun
        # As many as training takes at once, if there is time: what is laid out ahead for all of
        # them is no part of each.
        once = best_seconds(lambda: stack.take_steps(1), device, 0.0)
        count = max(1, min(MOST_STEPS, int(seconds / 4 / once)))
        step = best_seconds(lambda: stack.take_steps(count), device, seconds) / count
        test = int(stack.replicas.samples.test_real.sum(1).max())
        shown = evaluated(stack.form, test)
        kind = device.type
        share = evaluation_operations(stack.form, shown, kind) / step_operations(stack.form, kind)
        expected = step * share
        evaluation = expected
        if expected < EVALUATION_SECONDS:
            evaluation = best_seconds(stack.evaluate, device, 0.0)
    return StackTime(len(runs), max(0.0, start - warm_up * step), step, evaluation, test, compiled)


def evaluated(run: Run, test: int) -> int:
    """Samples of one evaluation: the training set and ``test`` others, or the random samples that
    the Run asks for.
    """
    if run.eval_samples:
        return min(run.eval_samples, run.n_train) + min(run.eval_samples, test)
    return run.n_train + test
