"""A card whose memory ends: stacks are split until they fit, also where it ends inside a capture,
and a stack that is gone leaves nothing behind.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnigrok.errors import OutOfMemory
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.training import Stack, evaluate, train
from omnigrok.training.graph import Replayed
from simcuda import SimulatedCard
from tiny_families import FAMILIES, assert_near, replicas

STUDENT = FAMILIES["full batch"].replace(
    network={"widths": (3, 64, 64, 2), "activation": "tanh"}, log_every=6
)


def _needs(card: SimulatedCard, runs: list[Run], steps: int) -> int:
    """Bytes that a stack takes at most in its first steps; the fourth is captured."""
    before = card.memory.in_use
    stack = Stack(runs, "cuda")
    torch.cuda.reset_peak_memory_stats()
    stack.take_steps(steps)
    return torch.cuda.max_memory_allocated() - before


def _trained(path: Path, runs: list[Run]) -> list[int]:
    """Trains into a store; the sizes of the stacks that the Runs came from, after comparing with
    the CPU.
    """
    with Store(path) as store:
        executor = Executor(store, LocalEngine(torch.device("cuda"), Path()), runs)
        assert len(executor.stacks) == 1
        executor.ensure(runs)
        env = executor.environment(runs[0])
        found = [store.get(run, env) for run in runs]
        assert executor.leases.holders(runs, env) == {}
    assert_near([curves for curves in found if curves is not None], train(runs))
    return sorted(int(curves.provenance["stack"]) for curves in found if curves is not None)


@pytest.mark.usefixtures("no_gc")
def test_a_stack_that_does_not_fit_is_trained_in_parts_that_do(
    card: SimulatedCard, tmp_path: Path
) -> None:
    runs = replicas(STUDENT, 8)
    card.limit(_needs(card, runs[:4], 6) * 1.2)
    assert _trained(tmp_path / "runs.db", runs) == [4] * 8
    assert card.memory.in_use == 0


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("end_fails", [True, False])
def test_memory_that_ends_inside_a_capture(
    make_card: Callable[..., SimulatedCard],
    tmp_path: Path,
    end_fails: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The steps before it fit, and for two networks the capture does, too. CUDA may end a capture
    with an error of its own, or not.
    """
    card = make_card(end_fails=end_fails)
    runs = replicas(STUDENT, 4)
    enough, plain, refused = _needs(card, runs[:2], 4) * 1.1, Replayed._capture, []

    def short_of_memory(
        self: Replayed, step: Callable[[], None], size: int
    ) -> torch.cuda.CUDAGraph:
        before, card.memory.limit = card.memory.limit, int(enough)
        try:
            return plain(self, step, size)
        except RuntimeError as error:
            refused.append(type(error))
            raise
        finally:
            card.memory.limit = before

    monkeypatch.setattr(Replayed, "_capture", short_of_memory)
    assert _trained(tmp_path / "runs.db", runs) == [2] * 4
    assert refused == [RuntimeError if end_fails else torch.cuda.OutOfMemoryError]
    assert card.memory.in_use == 0


def test_one_network_that_does_not_fit_is_an_error_and_the_next_one_trains(
    card: SimulatedCard, tmp_path: Path
) -> None:
    large = STUDENT.replace(network={"widths": (3, 512, 512, 2), "activation": "tanh"})
    card.limit(3e6)
    with Store(tmp_path / "runs.db") as store:
        executor = Executor(store, LocalEngine(torch.device("cuda"), Path()), [large, STUDENT])
        with pytest.raises(OutOfMemory, match="one network alone does not fit"):
            executor.ensure([large])
        executor.ensure([STUDENT])
        assert executor.missing([STUDENT]) == []


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stack_that_is_gone_leaves_no_memory(card: SimulatedCard, family: str) -> None:
    """No collection is needed, or large stacks in a row would not fit."""
    stack = Stack(replicas(FAMILIES[family].replace(log_every=12), 2), "cuda")
    stack.advance()
    gone = weakref.ref(stack)
    assert card.memory.in_use > 0
    del stack
    assert gone() is None
    assert card.memory.in_use == 0


@pytest.mark.parametrize("family", ["full batch", "lstm"])
def test_an_evaluation_takes_its_share_of_the_memory_and_gives_the_same(
    family: str, card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of one sample a network where there is hardly any; without a limit, all at once."""
    stack = Stack(replicas(FAMILIES[family], 2), "cuda")
    whole, before = stack.evaluate(), card.counts["kernel"]
    for share, pieces in ((0.1, False), (1e-9, True)):
        monkeypatch.setattr(evaluate, "SHARE", share)
        again, kernels = stack.evaluate(), card.counts["kernel"]
        assert again.keys() == whole.keys()
        for name, values in whole.items():
            assert again[name] == pytest.approx(values, rel=1e-12)
        assert (kernels - before > 600) is pieces
        before = kernels
