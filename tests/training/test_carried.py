"""What a model carries from one batch to the next: for an epoch, in the gradient, not in
evaluations, through a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.training import Stack, State, train
from omnigrok.training.calendar import batch_order

Compare = Callable[..., None]
Write = Callable[[str], str]
Encoded = Callable[[State], State]
Stepwise = Callable[[Sequence[Run], Encoded], list[Curves]]
RTOL = 1e-9

CARRYING = """
import torch
from torch import nn
from omnigrok.data.split import Pool, Split
class Carrying(nn.Module):
    carries = ("total",)
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.register_buffer("total", torch.zeros(()))
    def forward(self, x):
        return x @ self.weight + self.total, {"total": self.total + 1}
def build(run):
    return Carrying()
def split(run, root):
    pool = Pool((torch.randn(40, 3),), torch.randn(40, 2))
    return Split(pool, torch.arange(run.n_train), torch.arange(run.n_train, 40))
def accuracy(run, outputs, targets):
    return {}
"""


@pytest.fixture
def carrying(student: Run, write_module: Write) -> Run:
    """A linear model that adds the number of batches since its epoch began to its output."""
    module = write_module(CARRYING)
    return student.replace(task=module, model=module, batch_size=4)


def test_what_a_model_carries_lasts_for_an_epoch(carrying: Run) -> None:
    stack = Stack([carrying.replace(n_train=10, steps=7)])
    totals = []
    while stack.histories:
        stack.advance(0)
        totals.append(float(stack.replicas.buffers["total"][0]))
    assert totals == [1, 2, 3, 1, 2, 3, 1]


def test_what_a_model_carries_enters_the_gradient(carrying: Run) -> None:
    """The second batch sees total = 1: its gradient is that of x w + 1 - y."""
    stack = Stack([carrying])
    stack.advance(0)
    weights, first = stack.replicas.weights[0].clone(), stack.replicas.first[0].clone()
    stack.advance(0)
    gradient = (stack.replicas.first[0] - carrying.betas[0] * first) / (1 - carrying.betas[0])
    positions, _ = batch_order(carrying, 1, 1, 4)
    chosen = stack.replicas.samples.train[0][torch.as_tensor(positions[0])][None]
    (inputs,), targets = stack.replicas.samples.take(chosen)
    residual = inputs[0] @ weights.view(3, 2) + 1 - targets[0]
    expected = 2 * inputs[0].T @ residual / residual.numel()
    torch.testing.assert_close(gradient, expected.flatten(), rtol=1e-9, atol=1e-12)


def test_evaluation_starts_what_a_model_carries_from_zero(carrying: Run) -> None:
    """The weights stay zero (alpha 0, and a held norm of 0), so every logged loss is that of output
    0.
    """
    (curves,) = train([carrying.replace(alpha=0.0, constraint="rescale", steps=5)])
    np.testing.assert_allclose(curves["train_loss"], curves["train_loss"][0], rtol=1e-9)
    np.testing.assert_allclose(curves["test_loss"], curves["test_loss"][0], rtol=1e-9)


def test_what_a_model_carries_survives_a_checkpoint(
    carrying: Run, assert_equal: Compare, stepwise: Stepwise, encoded: Encoded
) -> None:
    run = carrying.replace(steps=8)
    stack = Stack([run])
    stack.advance(0)
    stack.advance(0)
    state = encoded(stack.states()[run])
    assert float(state.carried["total"]) == 2
    assert float(Stack([run], states={run: state}).replicas.buffers["total"][0]) == 2
    assert_equal(train([run])[0], stepwise([run], encoded)[0])


def test_carrying_replicas_are_the_same_alone_and_stacked(
    carrying: Run, assert_equal: Compare
) -> None:
    for curves in train([carrying.replace(seed=k, alpha=1.0 + k) for k in range(3)]):
        assert_equal(train([curves.run])[0], curves, RTOL)


def test_every_replica_carries_for_its_own_epoch(carrying: Run, assert_equal: Compare) -> None:
    for curves in train([carrying.replace(n_train=8), carrying.replace(n_train=16)]):
        assert_equal(train([curves.run])[0], curves, RTOL)
