"""How much faster a stack trains than one network at a time; each group does the same number of network-steps, so times compare directly.

pytest tests/benchmarks -m slow -n 0 --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from omnigrok.data import default_root, find_task
from omnigrok.models import find_model
from omnigrok.runs import Run
from omnigrok.training.calendar import batch_order
from omnigrok.training.stack import Stack

pytestmark = pytest.mark.slow
ROUNDS = 5
TEACHER = Run(
    task="teacher_student", model="mlp", seed=0, n_train=100, steps=10**6, lr=3e-4, alpha=2.0, weight_decay=0.03, log_every=10**6,
    network={"widths": [5, 100, 100, 5], "activation": "tanh"},  # type: ignore[arg-type]
)  # fmt: skip
MNIST = Run(
    task="mnist", model="mlp", seed=0, n_train=1000, steps=10**6, lr=1e-3, batch_size=200, log_every=10**6,
    data={"source": "bundled"}, network={"widths": [784, 200, 200, 10], "activation": "relu"},  # type: ignore[arg-type]
)  # fmt: skip


def plain_loop(run: Run, steps: int) -> Callable[[], None]:
    """One nn.Module with torch.optim.AdamW, the data in memory: the loop as people write it."""
    torch.manual_seed(run.seed)
    split = find_task(run.task).split(run, default_root())
    model = find_model(run.model).build(run)
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.lr, weight_decay=run.weight_decay)
    inputs, targets = split.pool.inputs[0][split.train], split.pool.targets[split.train]
    loss_of = nn.MSELoss()

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if not run.batch_size:
            yield from islice(cycle([(inputs, targets)]), steps)
            return
        order, _ = batch_order(run, 0, steps, run.batch_size)
        for positions in torch.as_tensor(order):
            yield inputs[positions], targets[positions]

    def loop() -> None:
        for x, y in batches():
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()

    return loop


def stacked(run: Run, replicas: int, steps: int) -> Callable[[], None]:
    """This trainer, compiled, from the first step after compilation."""
    stack = Stack([run.replace(seed=seed) for seed in range(replicas)])
    stack._advance(2)
    return lambda: stack._advance(steps)


CASES = {"teacher-student": (TEACHER, 32, 60), "mnist": (MNIST, 16, 30)}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["plain", "stack"])
def test_training(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, name: str, how: str) -> None:
    run, replicas, steps = CASES[name]
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    work = plain_loop(run, replicas * steps) if how == "plain" else stacked(run, replicas, steps)
    benchmark.group = f"{name}: {replicas * steps} network-steps"
    benchmark.pedantic(work, rounds=ROUNDS, warmup_rounds=1)
    if benchmark.stats is not None:  # off under xdist
        benchmark.extra_info["network_steps_per_second"] = replicas * steps / benchmark.stats.stats.median
