"""A GPU whose memory really ends: a stack that does not fit is split, and one network that does not
is an error that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnigrok.errors import OutOfMemory
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.training import train
from omnigrok.training.device import choose_device, describe, memory_share

pytestmark = pytest.mark.gpu
# 2.1 million weights in float64: 17 MB, and as much for each of two moments, the gradient and what
# an update makes on the way.
WIDE = {"widths": (3, 1024, 2048, 2), "activation": "tanh"}
# 16.8 million: 134 MB three times at least.
WIDEST = {"widths": (3, 4096, 4096, 2), "activation": "tanh"}


@pytest.mark.real_card
def test_a_stack_that_does_not_fit_is_split(
    tmp_path: Path,
    student: Run,
    gpu: torch.device,
    limited: Callable[[float], None],
    assert_near: Callable[..., None],
) -> None:
    """The plan counts on the whole card, which this process may not have, and the stack is trained
    in parts that fit.
    """
    runs = [student.replace(seed=seed, network=WIDE, steps=6) for seed in range(24)]
    expected = train(runs[:1])
    limited(1.2e9)
    with Store(tmp_path / "runs.db") as store:
        executor = Executor(store, LocalEngine(gpu, Path()), runs)
        assert [len(stack.runs) for stack in executor.stacks] == [24]
        executor.ensure(runs)
        found = [store.get(run, executor.environment(run)) for run in runs]
        assert executor.leases.holders(runs, executor.environment(runs[0])) == {}
    assert all(curves is not None and 1 <= curves.provenance["stack"] < 24 for curves in found)
    assert_near(found[:1], expected)


@pytest.mark.real_card
def test_one_network_that_does_not_fit_is_an_error_and_the_others_are_trained(
    tmp_path: Path, student: Run, gpu: torch.device, limited: Callable[[float], None]
) -> None:
    """The network that does not fit alone is an error with advice, and the next one trains."""
    large = student.replace(network=WIDEST)
    limited(350e6)
    with Store(tmp_path / "runs.db") as store:
        executor = Executor(store, LocalEngine(gpu, Path()), [large, student])
        with pytest.raises(OutOfMemory, match="one network alone does not fit"):
            executor.ensure([large])
        executor.ensure([student])
        assert executor.missing([student]) == []


def test_a_share_of_the_memory_is_some_of_the_card(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = torch.cuda.get_device_properties(gpu).total_memory
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    alone = memory_share(gpu)
    assert 0.5 * total < alone < total
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    assert memory_share(gpu) == alone


def test_the_gpu_is_chosen_and_named(gpu: torch.device) -> None:
    assert choose_device(gpu=True) == gpu
    assert describe(gpu) == torch.cuda.get_device_name() != "cpu"
