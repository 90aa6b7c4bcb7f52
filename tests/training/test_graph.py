"""Steps that a CUDA graph can replay: what of it shows on a CPU, and the replay itself on a GPU
(``tests/gpu``).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from omnigrok.errors import BadInput
from omnigrok.run import Run, freeze
from omnigrok.training import graph
from omnigrok.training.stack import Stack

FAMILIES = {
    "modular": Run(
        task="modular",
        model="transformer",
        seed=1,
        n_train=40,
        steps=20,
        lr=1e-3,
        loss="cross_entropy",
        loss_precision="float64",
        data=freeze({"p": 7}),
        network=freeze({"d_model": 8, "d_mlp": 12, "n_heads": 2}),
    ),
    "nnconv": Run(
        task="qm9",
        model="nnconv",
        seed=1,
        n_train=10,
        steps=20,
        lr=1e-3,
        batch_size=4,
        constraint="rescale",
        data=freeze({"n_test": 4}),
        network=freeze({"widths": (11, 4, 4), "edge_hidden": 4}),
    ),
    # In float64 and on CUDA the LSTM is the stacked one.
    "lstm": Run(
        task="imdb",
        model="lstm",
        seed=1,
        n_train=10,
        steps=20,
        lr=1e-3,
        batch_size=4,
        loss="binary_cross_entropy",
        precision="float64",
        clip=5.0,
        data=freeze({"source": "bundled", "length": 12, "vocabulary": 50, "n_test": 5}),
        network=freeze({"hidden": 4, "embedding": 4, "carry": True}),
    ),
}


@pytest.fixture(autouse=True)
def torchs_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")


class NothingIsAsked(TorchDispatchMode):
    """Fails where a tensor's value is read by the host, which a captured step cannot do."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        assert "_local_scalar_dense" not in str(function), f"the host asks for a value: {function}"
        assert "nonzero" not in str(function), (
            f"the shape of a result depends on values: {function}"
        )
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "constraint", ["free", "rescale", "rescale_double", "published", "tangent"]
)
def test_a_step_asks_the_host_for_nothing(student: Run, digits: Run, constraint: str) -> None:
    for form in (student, digits):
        stack = Stack([form.replace(constraint=constraint, seed=seed, clip=1.0) for seed in (1, 2)])
        stack.take_steps(1)  # what is made once
        stack.feed.load(1, 2)
        with NothingIsAsked():
            stack.torch_step.take_one()
            stack.torch_step.take_one()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_every_family_asks_the_host_for_nothing(name: str) -> None:
    stack = Stack([FAMILIES[name].replace(seed=seed) for seed in (1, 2)])
    stack.take_steps(1)
    stack.feed.load(1, 1)
    with NothingIsAsked():
        stack.torch_step.take_one()


def test_the_guard_of_these_tests_guards() -> None:
    with pytest.raises(AssertionError, match="asks for a value"), NothingIsAsked():
        torch.ones(1).sum().item()


def test_steps_write_where_they_read(student: Run) -> None:
    stack = Stack([student, student.replace(seed=3)])
    places = [
        tensor.data_ptr()
        for tensor in (
            stack.replicas.weights,
            stack.replicas.first,
            stack.replicas.second,
            stack.replicas.held,
        )
    ]
    stack.take_steps(5)
    assert [
        tensor.data_ptr()
        for tensor in (
            stack.replicas.weights,
            stack.replicas.first,
            stack.replicas.second,
            stack.replicas.held,
        )
    ] == places


def test_steps_are_captured_on_cuda_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIGROK_CUDA_GRAPHS", raising=False)
    assert graph.wanted(torch.device("cuda"))
    assert not graph.wanted(torch.device("cpu"))


def test_capturing_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_CUDA_GRAPHS", "0")
    assert not graph.wanted(torch.device("cuda"))


def test_another_wish_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_CUDA_GRAPHS", "yes")
    with pytest.raises(BadInput, match=r"OMNIGROK_CUDA_GRAPHS=yes is not accepted; 0 .* or 1"):
        graph.wanted(torch.device("cuda"))
