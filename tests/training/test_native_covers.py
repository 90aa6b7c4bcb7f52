"""What the native step covers, and what it leaves to torch or refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from omnigrok.errors import DataCheckFailed
from omnigrok.run import Run, freeze
from omnigrok.training import Stack

pytestmark = pytest.mark.usefixtures("no_wish")


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_other_models_take_torchs_step(model: str) -> None:
    network = {
        "transformer": {"d_model": 8, "d_mlp": 8, "n_heads": 2},
        "lstm": {"hidden": 4, "embedding": 4},
    }[model]
    task, data = {
        "transformer": ("modular", {"p": 5}),
        "lstm": ("imdb", {"source": "bundled", "length": 6, "vocabulary": 50, "n_test": 5}),
    }[model]
    loss = {"transformer": "cross_entropy", "lstm": "binary_cross_entropy"}[model]
    run = Run(
        task=task,
        model=model,
        seed=1,
        n_train=10,
        steps=2,
        lr=1e-3,
        loss=loss,
        data=freeze(data),
        network=freeze(network),
    )
    assert Stack([run]).native is None


OUTSIDE = """
import torch
from omnigrok.data.split import Pool, Split
from omnigrok.models.mlp import MLP
def build(run):
    return MLP((3, 4, 2), "tanh")
def split(run, root):
    return Split(Pool((torch.randn(20, 3),), {targets}), {train}, torch.arange(15, 20))
def accuracy(run, outputs, targets):
    return {{}}
"""


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize(
    ("targets", "train_places", "loss", "covered"),
    [
        ("torch.randn(20, 2)", "torch.arange(12)", "mse", True),
        ("torch.randn(20, 1)", "torch.arange(12)", "mse", False),
        ("torch.arange(20) % 2", "torch.arange(12)", "cross_entropy", True),
        ("torch.arange(20) % 3", "torch.arange(12)", "cross_entropy", False),
        ("torch.randn(20, 2).softmax(1)", "torch.arange(12)", "cross_entropy", False),
    ],
)
def test_what_does_not_fit_the_network_is_left_to_torch(
    student: Run,
    write_module: Callable[[str], str],
    targets: str,
    train_places: str,
    loss: str,
    covered: bool,
) -> None:
    module = write_module(OUTSIDE.format(targets=targets, train=train_places))
    run = student.replace(task=module, model=module, loss=loss)
    assert (Stack([run]).native is not None) is covered


@pytest.mark.parametrize("train", ["torch.arange(12) - 2", "torch.arange(12) + 20"])
def test_positions_outside_the_pool_are_refused(
    student: Run, write_module: Callable[[str], str], train: str
) -> None:
    """The native step would read memory that is not its own."""
    module = write_module(OUTSIDE.format(targets="torch.randn(20, 2)", train=train))
    run = student.replace(task=module, model=module, loss="mse")
    with pytest.raises(DataCheckFailed, match=r"position -?\d+ lies outside the pool of 20"):
        Stack([run])
