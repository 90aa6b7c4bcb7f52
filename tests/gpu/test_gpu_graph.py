"""A step that is captured as a CUDA graph and replayed is the step that is launched kernel by
kernel.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.training import Stack, feed, stack

pytestmark = pytest.mark.gpu
Replicas = Callable[[Run, int], list[Run]]
Near = Callable[..., None]


def trained(runs: list[Run], gpu: torch.device) -> tuple[list[Curves], list[int]]:
    """Curves in the order of ``runs``, and the steps of each graph that was captured last."""
    made = Stack(runs, gpu)
    found = {curves.run: curves for curves in made.advance()}
    replayed = made.torch_step.replayed
    return [found[run] for run in runs], sorted(replayed.graphs) if replayed else []


@pytest.mark.parametrize("constraint", ["free", "rescale", "published", "tangent"])
def test_replayed_steps_are_launched_ones(
    family: Run,
    constraint: str,
    gpu: torch.device,
    replicas: Replicas,
    assert_near: Near,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over three chunks: the tensors that a step reads are filled anew for each, and stay in their
    place.
    """
    for module in (feed, stack):
        monkeypatch.setattr(module, "CHUNK", 10)
    runs = replicas(family.replace(constraint=constraint, steps=25, log_every=25, lr=1e-3), 2)
    monkeypatch.setenv("OMNIGROK_CUDA_GRAPHS", "0")
    launched, captured = trained(runs, gpu)
    assert captured == []
    monkeypatch.delenv("OMNIGROK_CUDA_GRAPHS")
    replayed, captured = trained(runs, gpu)
    assert captured == ([1] if family.model == "lstm" else [1, 10])
    assert_near(replayed, launched)


def test_a_smaller_stack_is_captured_anew(
    student: Run, gpu: torch.device, replicas: Replicas, assert_near: Near
) -> None:
    runs = [
        run.replace(steps=steps) for run, steps in zip(replicas(student, 2), (10, 30), strict=True)
    ]
    together, captured = trained(runs, gpu)
    assert captured
    alone = [trained([run], gpu)[0][0] for run in runs]
    assert_near(together, alone)


def test_a_stack_that_is_gone_leaves_no_memory(
    student: Run, gpu: torch.device, replicas: Replicas
) -> None:
    """Or a session of hundreds of stacks would run out of it. No collection helps: a stack is in no
    cycle. What libraries keep for themselves is taken by the first stack.
    """
    runs = replicas(student, 4)
    trained(runs, gpu)
    gc.collect()
    before = torch.cuda.memory_allocated(gpu)
    gc.disable()
    try:
        for _ in range(5):
            trained(runs, gpu)
        torch.cuda.synchronize(gpu)
        assert torch.cuda.memory_allocated(gpu) <= before
    finally:
        gc.enable()
