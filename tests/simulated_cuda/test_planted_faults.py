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
from simcuda import SimulatedCard, SimulationError
from tiny_families import FAMILIES, assert_near, replicas

RUNS = replicas(FAMILIES["full batch"], 2)


class HostValue(Stack):
    """A number of the host decides what a step does: the graph keeps that of its capture."""

    def _take_step(self) -> None:
        super()._take_step()
        self.weights.mul_(1 - 1e-3 * self.step)


class HostWait(Stack):
    """The host asks for a value."""

    def _take_step(self) -> None:
        super()._take_step()
        if float(self.weights.sum()) != float("inf"):
            self.weights.mul_(1.0)


class HostCopy(Stack):
    """A step makes a tensor of values of the host."""

    def _take_step(self) -> None:
        super()._take_step()
        self.weights.mul_(torch.tensor([[1.0], [1.0]], device=self.device, dtype=self.dtype))


class LeftOnTheCPU(Stack):
    """An operand never went to the card."""

    def _take_step(self) -> None:
        super()._take_step()
        self.weights.mul_(torch.ones(2, 1, dtype=self.dtype))


class NewMemory(Stack):
    """The weights leave the memory that the graph writes to."""

    def _take_step(self) -> None:
        super()._take_step()
        self.weights = self.weights * 0.999


REFUSED = {
    HostWait: "waits for the device inside a step",
    HostCopy: "copy to the device inside a step",
    LeftOnTheCPU: "at least two devices",
}


@pytest.fixture(params=[HostValue, HostWait, HostCopy, LeftOnTheCPU, NewMemory])
def fault(request: pytest.FixtureRequest, card: SimulatedCard) -> type[Stack]:
    """A faulty kind of stack. The card checks its whole step, as it does of a sound one."""
    kind: type[Stack] = request.param
    take = kind._take_step

    def checked(self: Stack) -> None:
        if self.device.type != "cuda":
            take(self)
            return
        with card.dispatch.step():
            take(self)

    request.getfixturevalue("monkeypatch").setattr(kind, "_take_step", checked)
    return kind


def test_a_planted_fault_is_found(
    fault: type[Stack], train_on: Callable[..., list[Curves]]
) -> None:
    if fault in REFUSED:
        with pytest.raises(SimulationError, match=REFUSED[fault]):
            train_on(RUNS, fault)
        return
    on_cpu = {curves.run: curves for curves in fault(RUNS).advance()}
    (found, _), expected = train_on(RUNS, fault), on_cpu[RUNS[0]]
    assert float(np.abs(found["train_loss"] / expected["train_loss"] - 1).max()) > 1e-3


@pytest.mark.usefixtures("card")
def test_without_a_fault_nothing_is_found(train_on: Callable[..., list[Curves]]) -> None:
    assert_near(train_on(RUNS), train(RUNS), rtol=1e-12)
