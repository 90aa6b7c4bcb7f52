"""CUDA out of memory: the stack is halved, and only a network that does not fit alone is an error.
The error is injected, on the CPU.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.errors import OutOfMemory
from omnigrok.execution import execute
from omnigrok.execution.engines import worker
from omnigrok.execution.execute import Executor
from omnigrok.run import Run
from omnigrok.training import Stack
from omnigrok.training.beginning import begin
from omnigrok.training.network import Network
from omnigrok.training.replicas import Replicas

Make = Callable[[Sequence[Run]], Executor]
Check = Callable[[Executor, Sequence[Run]], None]


@pytest.fixture(scope="module")
def runs(toy: Run) -> list[Run]:
    return [toy.replace(seed=seed) for seed in range(5)]


def capture_failed() -> RuntimeError:
    """What is left of an allocation that failed while a step was captured as a CUDA graph."""
    error = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    error.__context__ = torch.cuda.OutOfMemoryError("CUDA out of memory")
    return error


SHORTAGES = {
    "torch": lambda: torch.cuda.OutOfMemoryError("CUDA out of memory"),
    "CUDA": lambda: RuntimeError("CUDA error: out of memory"),
    "cuBLAS": lambda: RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "capture": capture_failed,
}


@pytest.mark.fault("CUDA out of memory")
@pytest.mark.parametrize("kind", SHORTAGES)
def test_a_stack_that_does_not_fit_is_trained_in_halves(
    make: Make, runs: list[Run], assert_trained: Check, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The stack is trained in halves, and those in halves, until they fit."""
    sizes = []

    class Narrow(Stack):
        def __init__(self, runs: Sequence[Run], *arguments: object) -> None:
            super().__init__(runs, *arguments)  # type: ignore[arg-type]
            if len(runs) > 2:
                raise SHORTAGES[kind]()
            sizes.append(len(runs))

    monkeypatch.setattr(worker, "Stack", Narrow)
    executor = make(runs)
    executor.ensure(runs)
    assert sizes == [2, 1, 2]
    assert_trained(executor, runs)


@pytest.mark.fault("CUDA out of memory")
def test_in_the_middle_of_training_the_halves_go_on_from_the_checkpoint(
    make: Make,
    runs: list[Run],
    assert_trained: Check,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """In the middle of a training, the halves go on from the last checkpoint, once the memory of
    the whole stack is free.
    """
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)
    request.addfinalizer(gc.enable)
    gc.disable()
    advance, wide, begun = Stack.advance, [], []

    def short_of_memory(self: Stack, seconds: float = 1e9) -> list[Curves]:
        if self.size > 3:
            wide.append(weakref.ref(self))
            if self.step >= 40:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        elif self not in [stack for _, stack in begun]:
            assert all(stack() is None for stack in wide), (
                "the stack that failed still holds its memory"
            )
            begun.append((self.step, self))
        return advance(self, seconds)

    monkeypatch.setattr(Stack, "advance", short_of_memory)
    executor = make(runs)
    executor.ensure(runs)
    assert [(step, stack.size) for step, stack in begun] == [(40, 2), (40, 3)]
    assert_trained(executor, runs)


@pytest.mark.fault("CUDA out of memory")
def test_one_network_that_does_not_fit_is_the_error_of_who_asks_for_it(
    make: Make, toy: Run, assert_trained: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that does not fit alone is ERROR, with advice, for the claims that need it; the
    others get theirs.
    """
    large = toy.replace(n_train=11)

    def too_large(runs: Sequence[Run], *arguments: Any) -> tuple[Network, Replicas]:
        if runs[0] == large:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB")
        return begin(runs, *arguments)

    monkeypatch.setattr("omnigrok.training.stack.begin", too_large)
    executor = make([large, toy])
    executor.ensure([toy])
    assert_trained(executor, [toy])
    with pytest.raises(
        OutOfMemory,
        match=r"teacher_student, mlp: one network alone does not fit .*80 GiB.*smaller batch_size",
    ):
        executor.ensure([large])
    assert executor.leases.holders([large], executor.environment(large)) == {}
    assert executor.store.count() == 1


def test_another_error_is_not_taken_for_one_of_memory(
    make: Make, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Stack):
        def __init__(self, runs: Sequence[Run], *arguments: object) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(worker, "Stack", Broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        make(runs).ensure(runs)
