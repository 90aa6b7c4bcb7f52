"""Faults of a step that a CPU would not show, each planted in a stack: the simulated card shows
them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.training import Stack, train
from omnigrok.training.step import TorchStep
from simcuda import SimulatedCard, SimulationError
from tiny_families import FAMILIES, assert_near, replicas

RUNS = replicas(FAMILIES["full batch"], 2)


class HostValue(TorchStep):
    """A number of the host decides what a step does: the graph keeps that of its capture."""

    def take_one(self) -> None:
        super().take_one()
        self.replicas.weights.mul_(1 - 1e-3 * self.replicas.step)


class HostWait(TorchStep):
    """The host asks for a value."""

    def take_one(self) -> None:
        super().take_one()
        if float(self.replicas.weights.sum()) != float("inf"):
            self.replicas.weights.mul_(1.0)


class HostCopy(TorchStep):
    """A step makes a tensor of values of the host."""

    def take_one(self) -> None:
        super().take_one()
        weights = self.replicas.weights
        weights.mul_(torch.tensor([[1.0], [1.0]], device=weights.device, dtype=weights.dtype))


class LeftOnTheCPU(TorchStep):
    """An operand never went to the card."""

    def take_one(self) -> None:
        super().take_one()
        self.replicas.weights.mul_(torch.ones(2, 1, dtype=self.replicas.dtype))


class NewMemory(TorchStep):
    """The weights leave the memory that the graph writes to."""

    def take_one(self) -> None:
        super().take_one()
        self.replicas.weights = self.replicas.weights * 0.999


REFUSED = {
    HostWait: "waits for the device inside a step",
    HostCopy: "copy to the device inside a step",
    LeftOnTheCPU: "at least two devices",
}


@pytest.fixture(params=[HostValue, HostWait, HostCopy, LeftOnTheCPU, NewMemory])
def fault(
    request: pytest.FixtureRequest, card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> type[TorchStep]:
    """A faulty kind of step, which stacks take. The card checks all of it, as it does of a sound
    one.
    """
    kind: type[TorchStep] = request.param
    take = kind.take_one

    def checked(self: TorchStep) -> None:
        if self.replicas.device.type != "cuda":
            take(self)
            return
        with card.dispatch.step():
            take(self)

    monkeypatch.setattr(kind, "take_one", checked)
    monkeypatch.setattr("omnigrok.training.stack.TorchStep", kind)
    return kind


def test_a_planted_fault_is_found(
    fault: type[TorchStep], train_on: Callable[..., list[Curves]]
) -> None:
    if fault in REFUSED:
        with pytest.raises(SimulationError, match=REFUSED[fault]):
            train_on(RUNS)
        return
    on_cpu = {curves.run: curves for curves in Stack(RUNS).advance()}
    (found, _), expected = train_on(RUNS), on_cpu[RUNS[0]]
    assert float(np.abs(found["train_loss"] / expected["train_loss"] - 1).max()) > 1e-3


@pytest.mark.usefixtures("card")
def test_without_a_fault_nothing_is_found(train_on: Callable[..., list[Curves]]) -> None:
    assert_near(train_on(RUNS), train(RUNS), rtol=1e-12)
