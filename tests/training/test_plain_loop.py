"""A replica takes the steps that a plain loop with torch.optim.AdamW takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from omnigrok.data import default_root, find_task
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.training import train
from omnigrok.training.calendar import batch_order, effective_batch

RTOL = 1e-9


def plain_loop(run: Run, clip: float = 0.0) -> list[float]:
    """Training losses on the whole training set before each step and after the last: nn.Module,
    autograd and torch.optim.AdamW.
    """
    torch.manual_seed(run.seed)
    split = find_task(run.task).split(run, default_root())
    model = find_model(run.model).build(run).to(torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(run.alpha)
    inputs, targets = (
        split.pool.inputs[0][split.train].double(),
        split.pool.targets[split.train].double(),
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=run.lr, weight_decay=run.weight_decay, betas=run.betas
    )
    positions, real = batch_order(run, 0, run.steps, effective_batch(run))
    losses = []
    for step in range(run.steps):
        losses.append(nn.functional.mse_loss(model(inputs), targets).item())
        if step in run.lr_drops:
            for group in optimizer.param_groups:
                group["lr"] *= run.lr_factor
        chosen = positions[step][real[step]]
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.mse_loss(model(inputs[chosen]), targets[chosen]))
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    losses.append(nn.functional.mse_loss(model(inputs), targets).item())
    return losses


def test_full_batch_replica_equals_a_plain_loop(student: Run) -> None:
    runs = [student.replace(alpha=2.0, weight_decay=0.3, seed=3), student]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=RTOL)


def test_mini_batch_replica_equals_a_plain_loop(digits: Run) -> None:
    """40 samples in batches of 16, 16 and 8: the last one of each epoch is smaller."""
    runs = [digits.replace(alpha=3.0, weight_decay=0.3, seed=3), digits.replace(n_train=64)]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=RTOL)


def test_clipped_replica_equals_a_plain_loop(student: Run) -> None:
    run = student.replace(alpha=4.0, clip=0.05)
    clipped, free = train([run])[0], train([run.replace(clip=0.0)])[0]
    np.testing.assert_allclose(clipped["train_loss"], plain_loop(run, clip=0.05), rtol=RTOL)
    assert not np.allclose(
        clipped["train_loss"], free["train_loss"], rtol=1e-3
    )  # the limit was reached


def test_learning_rate_drops_equal_a_plain_loop(student: Run) -> None:
    runs = [student.replace(lr_drops=(10, 30), lr_factor=0.1, weight_decay=0.5), student]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=RTOL)


def test_betas_equal_a_plain_loop(student: Run) -> None:
    run = student.replace(betas=(0.8, 0.98))
    np.testing.assert_allclose(train([run])[0]["train_loss"], plain_loop(run), rtol=RTOL)
