"""Samples by their contents: a test set that repeats the training set, seeds that draw nothing."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.errors import DataCheckFailed
from omnigrok.run import Run
from omnigrok.training import train

TRAIN, TEST = 6, 10


def run(seed: int = 0, alpha: float = 1.0) -> Run:
    network = {"widths": [3, 4, 1], "activation": "tanh"}
    return Run(
        task="a.task", model="mlp", seed=seed, n_train=TRAIN, steps=2, lr=1e-3, alpha=alpha,
        network=network,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A data set whose test set repeats so many training samples under other indices."""
    module = ModuleType("a.task")
    module.repeated, module.seeded = 0, True  # type: ignore[attr-defined]

    def split(run: Run, _: object) -> Split:
        if not module.seeded:
            torch.manual_seed(0)
        train = torch.randn(TRAIN, 3)
        test = torch.randn(TEST, 3)
        test[: module.repeated] = train[torch.arange(module.repeated) % TRAIN]
        pool = Pool((torch.cat([train, test]),), torch.randn(TRAIN + TEST, 1))
        return Split(pool, torch.arange(TRAIN), torch.arange(TRAIN, TRAIN + TEST))

    def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"acc": (outputs > targets).double().mean(-1)}

    module.split, module.accuracy = split, accuracy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a", ModuleType("a"))
    monkeypatch.setitem(sys.modules, "a.task", module)
    return module


def test_samples_of_their_own_pass(task: ModuleType) -> None:
    assert len(train([run(0), run(1)])) == 2


@pytest.mark.parametrize("repeated", [2, TEST])
def test_a_test_set_that_repeats_the_training_set_is_found(task: ModuleType, repeated: int) -> None:
    task.repeated = repeated
    with pytest.raises(DataCheckFailed, match=f"the inputs of {repeated} of 10 test samples"):
        train([run()])


def test_one_sample_that_is_there_twice_passes(task: ModuleType) -> None:
    task.repeated = 1
    assert len(train([run()])) == 1


def test_a_data_set_may_say_that_inputs_repeat(
    task: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.repeated = TEST
    monkeypatch.setattr(task, "REPEATED_INPUTS", True, raising=False)
    assert len(train([run()])) == 1


def test_a_seed_that_is_ignored_is_found(task: ModuleType) -> None:
    task.seeded = False
    with pytest.raises(DataCheckFailed, match="seeds 0 and 1 have the same training samples"):
        train([run(0), run(1)])
    assert len(train([run(0, alpha=0.0), run(1, alpha=0.0)])) == 2
