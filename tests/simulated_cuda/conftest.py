"""A simulated card for each test, and what a stack on it comes to."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.training import Stack
from simcuda import SimulatedCard, simulation_problem

PROBLEM = simulation_problem()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This hook sees all items of the session."""
    for item in items:
        if PROBLEM and "simulated_cuda" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=PROBLEM))


@pytest.fixture
def make_card() -> Iterator[Callable[..., SimulatedCard]]:
    """Installs a card with options of its own, to the end of the test."""
    made = []

    def make(**options: Any) -> SimulatedCard:
        context = SimulatedCard(**options).installed()
        made.append(context)
        return context.__enter__()

    yield make
    for context in made:
        context.__exit__(None, None, None)


@pytest.fixture
def card(make_card: Callable[..., SimulatedCard]) -> SimulatedCard:
    return make_card()


@pytest.fixture
def gpu() -> torch.device:
    return torch.device("cuda")


@pytest.fixture
def no_gc() -> Iterator[None]:
    """What is freed is freed at once, not by a collection that happens to come."""
    # A process imports it with its first layer, in frames that live until a collection.
    importlib.import_module("torch._dynamo")
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def train_on() -> Callable[..., list[Curves]]:
    """Trains on the card; the Curves in the order of the Runs."""

    def train(runs: list[Run]) -> list[Curves]:
        found = {curves.run: curves for curves in Stack(runs, "cuda").advance()}
        return [found[run] for run in runs]

    return train
