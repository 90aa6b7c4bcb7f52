"""A pytest plugin: the whole session has a simulated card (``-p simcuda.plugin``)."""

from __future__ import annotations

import contextlib

import pytest

from simcuda.card import SimulatedCard

_installed = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    _installed.enter_context(SimulatedCard().installed())


def pytest_unconfigure(config: pytest.Config) -> None:
    _installed.close()
