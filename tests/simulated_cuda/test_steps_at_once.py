"""Steps between two evaluations: some are one graph, and the host goes on without waiting for any
of them.
"""

from __future__ import annotations

import pytest
import torch

from omnigrok.training import Stack, feed, stack
from omnigrok.training.graph import AT_ONCE, WARM_UP
from simcuda import SimulatedCard
from tiny_families import FAMILIES, replicas


def test_a_few_steps_are_one_graph_and_the_rest_are_replayed_one_by_one(
    card: SimulatedCard,
) -> None:
    made = Stack(replicas(FAMILIES["mini-batch"], 2), "cuda")
    made.take_steps(WARM_UP + 2 * AT_ONCE + 3)
    many, one = card.graphs_captured
    assert many == AT_ONCE * one
    assert card.counts["replayed"] == 2 + 3


def test_the_many_kernels_of_a_recurrent_step_are_a_graph_of_their_own(
    card: SimulatedCard,
) -> None:
    made = Stack(replicas(FAMILIES["lstm"], 2), "cuda")
    made.take_steps(WARM_UP + AT_ONCE)
    assert len(card.graphs_captured) == 1
    assert card.counts["replayed"] == AT_ONCE


@pytest.mark.parametrize("family", FAMILIES)
def test_the_host_lays_out_the_next_chunk_without_waiting(
    family: str, card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three chunks; it waits for the copy of two chunks before at most."""
    for module in (feed, stack):
        monkeypatch.setattr(module, "CHUNK", 5)
    events: list[str] = []

    class Event(torch.cuda.Event):  # the simulated one
        def record(self, *where: object) -> None:
            events.append("sent")
            super().record(*where)

        def synchronize(self) -> None:
            events.append("waited for")
            super().synchronize()

    monkeypatch.setattr(torch.cuda, "Event", Event)
    made = Stack(replicas(FAMILIES[family], 2), "cuda")
    before = card.counts.get("wait", 0)
    made.take_steps(20)
    assert card.counts.get("wait", 0) == before
    assert events == ["sent", "sent", "waited for", "sent", "waited for", "sent"]
