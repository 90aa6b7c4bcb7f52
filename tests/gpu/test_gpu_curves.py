"""The same stack on CUDA and on the CPU: the same curves over the first steps, for every family and
every way to hold the norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.run import Run
from omnigrok.store.encode import decode_state, encode_state
from omnigrok.training import Stack, State, train

pytestmark = pytest.mark.gpu
Replicas = Callable[[Run, int], list[Run]]
Near = Callable[..., None]


@pytest.mark.parametrize("constraint", ["free", "rescale", "published", "tangent"])
def test_curves_are_those_of_the_cpu(
    family: Run, constraint: str, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    runs = replicas(family.replace(constraint=constraint), 3)
    found = train(runs, gpu)
    assert_near(found, train(runs))
    assert len({float(curves["train_loss"][-1]) for curves in found}) == 3
    assert all(curves["train_loss"][0] != curves["train_loss"][-1] for curves in found)


def test_a_replica_is_the_same_alone_and_in_a_stack(
    family: Run, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    runs = replicas(family, 4)
    assert_near(train(runs[2:3], gpu), train(runs, gpu)[2:3])


def test_random_samples_for_evaluation_are_those_of_the_cpu(
    student: Run, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    runs = replicas(student.replace(eval_samples=5), 2)
    assert_near(train(runs, gpu), train(runs))


def test_resumed_from_a_checkpoint(
    family: Run, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    """In the middle of an epoch, written and read, on the GPU and from the CPU's checkpoint."""
    runs = replicas(family.replace(log_every=5), 2)
    whole = train(runs)
    for begun in (gpu, torch.device("cpu")):
        stack = Stack(runs, begun)
        assert stack.advance(0) == []
        states = {
            run: State.from_arrays(5, decode_state(encode_state(state.arrays()))[0])
            for run, state in stack.states().items()
        }
        assert [state.step for state in states.values()] == [5, 5]
        rest = {curves.run: curves for curves in Stack(runs, gpu, states=states).advance()}
        assert_near([rest[run] for run in runs], whole)


def test_finished_replicas_leave_the_stack(
    family: Run, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    runs = [
        run.replace(steps=steps)
        for run, steps in zip(replicas(family, 4), (4, 8, 9, 12), strict=True)
    ]
    stack, sizes, done = Stack(runs, gpu), set(), []
    while stack.histories:
        done += stack.advance(0)
        sizes.add(len(stack.replicas.weights))
    assert sizes == {4, 2, 1}
    assert_near(sorted(done, key=lambda curves: curves.run.steps), train(runs))


def test_a_diverging_replica_hurts_no_other(
    student: Run, gpu: torch.device, assert_near: Near
) -> None:
    runs = [student, student.replace(seed=1, lr=1e200), student.replace(seed=2)]
    calm, wild, other = train(runs, gpu)
    assert wild.diverged
    assert_near([calm, other], train([runs[0], runs[2]]))


def test_finished_curves_are_on_the_host(student: Run, gpu: torch.device) -> None:
    (curves,) = train([student], gpu)
    columns: dict[str, Any] = dict(curves.columns)
    assert all(type(values) is np.ndarray for values in columns.values())


@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["free", "rescale"])
def test_compiled_steps_are_those_of_the_cpu(
    family: Run,
    constraint: str,
    gpu: torch.device,
    replicas: Replicas,
    assert_near: Near,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = replicas(family.replace(constraint=constraint), 2)
    expected = train(runs)
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    assert_near(train(runs, gpu), expected)
