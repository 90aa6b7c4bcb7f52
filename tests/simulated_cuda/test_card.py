"""The simulated card refuses what a card refuses, and its graphs do what CUDA's do."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from simcuda import SimulatedCard, SimulationError

CUDA = torch.device("cuda")


def test_a_tensor_says_where_it_is_and_computes_what_a_cpu_computes(card: SimulatedCard) -> None:
    x = torch.arange(6.0).view(2, 3).to(CUDA)
    y = (x @ x.mT).sum(0) + torch.ones(2, device=CUDA)
    assert (x.device, x.is_cuda, y.device) == (torch.device("cuda", 0), True, x.device)
    assert y.cpu().tolist() == [20.0, 65.0]
    assert y.cpu().device.type == "cpu"


def test_torch_is_as_before_when_the_card_is_gone() -> None:
    before = torch.cuda.is_available(), torch.tensor, torch.cuda.CUDAGraph
    with SimulatedCard().installed():
        assert torch.cuda.is_available()
    assert (torch.cuda.is_available(), torch.tensor, torch.cuda.CUDAGraph) == before
    x = torch.ones(3, requires_grad=True)
    x.square().sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2, 2]


@pytest.mark.usefixtures("card")
def test_operands_on_two_devices_are_refused() -> None:
    with pytest.raises(SimulationError, match="at least two devices"):
        torch.ones(3, device=CUDA) + torch.ones(3)
    assert (torch.ones(3, device=CUDA) * torch.tensor(2.0)).tolist() == [2, 2, 2]


@pytest.mark.usefixtures("card")
def test_a_tensor_of_the_card_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"Tensor\.cpu"):
        torch.ones(3, device=CUDA).numpy()


WAITING: dict[str, Callable[[torch.Tensor], object]] = {
    "float": lambda x: float(x.sum()),
    "bool": lambda x: bool((x > 0).all()),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "mask": lambda x: x[x > 0],
    "nonzero": lambda x: x.nonzero(),
    "fill a CPU tensor": lambda x: torch.empty(3).copy_(x),
}
COPYING: dict[str, Callable[[torch.Tensor], object]] = {
    "values": lambda x: torch.tensor([1.0, 2.0], device=CUDA),
    "index": lambda x: x[torch.tensor([0, 2])],
    "fill": lambda x: x.copy_(torch.zeros(3)),
}


@pytest.mark.parametrize("what", WAITING)
def test_waiting_is_counted_and_inside_a_step_refused(card: SimulatedCard, what: str) -> None:
    x = torch.ones(3, device=CUDA)
    WAITING[what](x)
    assert card.counts["wait"] == 1
    with pytest.raises(SimulationError, match="waits for the device"), card.dispatch.step():
        WAITING[what](x)


@pytest.mark.parametrize("what", COPYING)
def test_copying_is_counted_and_inside_a_step_refused(card: SimulatedCard, what: str) -> None:
    x = torch.ones(3, device=CUDA)
    COPYING[what](x)
    assert card.counts["to card"] == 1
    with pytest.raises(SimulationError, match="copy to the device"), card.dispatch.step():
        COPYING[what](x)


def test_a_capture_runs_nothing_and_a_replay_runs_it_in_place(card: SimulatedCard) -> None:
    x, graph = torch.ones(3, device=CUDA), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x += 1
        y = x * 10
    assert x.tolist() == [1, 1, 1]
    assert all(math.isnan(value) for value in y.tolist())  # NaN: nothing was computed
    for expected in (20.0, 30.0):
        graph.replay()
        assert y.tolist() == [expected] * 3
    assert card.graphs_captured == [2]


@pytest.mark.usefixtures("card")
def test_a_graph_reads_and_writes_the_memory_of_its_capture() -> None:
    x, graph = torch.ones(3, device=CUDA), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x += 1
    first, x = x, torch.zeros(3, device=CUDA)
    graph.replay()
    assert (first.tolist(), x.tolist()) == ([2, 2, 2], [0, 0, 0])


@pytest.mark.usefixtures("card")
def test_a_capture_takes_nothing_from_pageable_memory() -> None:
    x = torch.ones(3, device=CUDA)
    with (
        pytest.raises(RuntimeError, match="previous error during capture") as caught,
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        x.copy_(torch.zeros(3))
    assert "pageable memory" in str(caught.value.__context__)
    assert x.tolist() == [1, 1, 1]


def test_memory_is_counted_by_storage_and_free_when_the_last_view_is_gone(
    card: SimulatedCard,
) -> None:
    x = torch.zeros(1000, device=CUDA)
    view = x.view(10, 100)[3]
    assert torch.cuda.memory_allocated() == 4096
    del x
    assert torch.cuda.memory_allocated() == 4096
    assert view.sum().tolist() == 0
    del view
    assert torch.cuda.memory_allocated() == 0
    assert torch.cuda.max_memory_allocated() == 4096 + 512


def test_what_does_not_fit_is_torchs_own_error_and_takes_nothing(card: SimulatedCard) -> None:
    x = torch.zeros(1000, device=CUDA)
    card.limit(2048)
    with pytest.raises(torch.cuda.OutOfMemoryError, match="out of memory"):
        torch.zeros(1000, device=CUDA)
    torch.zeros(500, device=CUDA)
    assert torch.cuda.memory_allocated() == x.numel() * 4 + 96


def test_a_graph_keeps_the_most_that_its_calls_held_at_once(card: SimulatedCard) -> None:
    x, graph = torch.ones(128, device=CUDA), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(5):
            x.add_(x * 2)
    assert card.memory.in_use == 2 * 512
    graph.replay()
    assert card.memory.in_use == 2 * 512
    del graph
    assert card.memory.in_use == 512


def test_an_event_that_nobody_has_recorded_is_waited_for_in_vain(card: SimulatedCard) -> None:
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    with pytest.raises(SimulationError, match="nobody has recorded"):
        event.synchronize()
    event.record()
    event.synchronize()


def test_page_locked_memory_is_memory_of_the_host(card: SimulatedCard) -> None:
    assert torch.empty(3, pin_memory=True).device.type == "cpu"
