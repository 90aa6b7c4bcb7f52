"""Small settings, and data and model modules of somebody else, for the tests of the trainer."""

from __future__ import annotations

import importlib
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from omnigrok.curves import Curves
from omnigrok.run import Run, freeze
from omnigrok.store.encode import decode_state, encode_state
from omnigrok.training import Stack, State, native_library

TEACHER_STUDENT = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=12,
    steps=50,
    lr=1e-2,
    log_every=1,
    precision="float64",
    data=freeze({"n_test": 7}),
    network=freeze({"widths": (3, 6, 5, 2), "activation": "tanh"}),
)
MNIST = Run(
    task="mnist",
    model="mlp",
    seed=0,
    n_train=40,
    steps=50,
    lr=1e-3,
    batch_size=16,
    log_every=1,
    precision="float64",
    data=freeze({"source": "bundled", "n_test": 20}),
    network=freeze({"widths": (784, 16, 10), "activation": "relu"}),
)


@pytest.fixture(scope="session")
def student() -> Run:
    """A full-batch teacher-student setting that takes milliseconds."""
    return TEACHER_STUDENT


@pytest.fixture(scope="session")
def digits() -> Run:
    """A mini-batch setting on the bundled MNIST images."""
    return MNIST


@pytest.fixture(scope="session")
def assert_equal() -> Callable[..., None]:
    """Compares two Curves of one Run; exactly, or to a relative tolerance."""

    def compare(one: Curves, other: Curves, rtol: float = 0.0) -> None:
        assert one.run == other.run
        assert one.diverged == other.diverged
        assert sorted(one.columns) == sorted(other.columns)
        np.testing.assert_array_equal(one.step, other.step)
        for name in one.columns:
            np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=0, err_msg=name)

    return compare


def _stepwise(runs: Sequence[Run], through: Callable[[State], State]) -> list[Curves]:
    stack, done = Stack(runs), []
    while True:
        done += stack.advance(0)
        states = {run: through(state) for run, state in stack.states().items()}
        if not states:
            return sorted(done, key=lambda curves: runs.index(curves.run))
        stack = Stack(list(states), states=states)


@pytest.fixture(scope="session")
def stepwise() -> Callable[[Sequence[Run], Callable[[State], State]], list[Curves]]:
    """Trains in pieces, each in a fresh stack made from the checkpoints of the one before."""
    return _stepwise


@pytest.fixture(scope="session")
def encoded() -> Callable[[State], State]:
    """A state as it comes back from a checkpoint's bytes."""
    return lambda state: State.from_arrays(
        state.step, decode_state(encode_state(state.arrays()))[0]
    )


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module of a new package and returns its dotted path."""

    def write(source: str) -> str:
        package = f"somebody_{secrets.token_hex(4)}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "module.py").write_text(source)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        importlib.invalidate_caches()
        return f"{package}.module"

    return write


@pytest.fixture
def no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the native step nor a compiled one is asked for or refused."""
    monkeypatch.delenv("OMNIGROK_NATIVE", raising=False)
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")


@pytest.fixture
def native_step() -> None:
    """Skips where the native step cannot be built, with the reason."""
    library, reason = native_library._attempt()
    if library is None:
        pytest.skip(f"no native step here: {reason}")
