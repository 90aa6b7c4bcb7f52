"""A stack that is done is freed at once: whoever trains hundreds of them in a row needs the memory
of one.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.training import Stack
from omnigrok.training.step import TorchStep


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing but the last reference frees anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def parts(stack: Stack) -> list[weakref.ref[object]]:
    """The stack and the tensors that are large where a network is."""
    held = (
        stack,
        stack.feed,
        stack.replicas.samples,
        stack.replicas.weights,
        stack.replicas.first,
        stack.replicas.second,
        stack.replicas.samples.targets.values,
    )
    return [weakref.ref(each) for each in held]


def alive(references: Sequence[weakref.ref[object]]) -> list[object]:
    return [type(each()).__name__ for each in references if each() is not None]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("steps", [(20, 20, 20), (5, 10, 20)], ids=["one size", "compacted"])
@pytest.mark.parametrize("family", ["student", "digits"])
def test_a_stack_that_is_done_is_freed_with_its_last_reference(
    request: pytest.FixtureRequest, family: str, steps: Sequence[int]
) -> None:
    form: Run = request.getfixturevalue(family)
    stack = Stack([form.replace(seed=k, steps=count) for k, count in enumerate(steps)])
    made = parts(stack)
    assert len(stack.advance()) == 3
    made += parts(stack)
    del stack
    assert alive(made) == []


@pytest.mark.usefixtures("no_collector")
def test_a_stack_in_the_middle_is_freed_too(student: Run) -> None:
    stack = Stack([student, student.replace(seed=1)])
    stack.advance(0.0)
    stack.states()
    made = parts(stack)
    del stack
    assert alive(made) == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_collector")
def test_a_compiled_stack_is_freed_too(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    stack = Stack([student.replace(seed=k, precision="float32") for k in range(3)])
    stack.advance()
    made = parts(stack)
    del stack
    assert alive(made) == []


@pytest.mark.usefixtures("no_collector")
def test_a_step_that_runs_out_of_memory_keeps_nothing(
    student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is handled where the stack was made; once that is done, its memory is there for the
    halves.
    """

    def short(self: TorchStep) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    monkeypatch.setattr(TorchStep, "take_one", short)
    made: list[weakref.ref[object]] = []

    def attempt() -> list[Curves] | None:
        stack = Stack([student, student.replace(seed=1)])
        made.extend(parts(stack))
        try:
            return stack.advance()
        except RuntimeError:
            return None

    assert attempt() is None
    assert alive(made) == []
