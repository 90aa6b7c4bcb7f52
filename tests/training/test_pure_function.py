"""A stack is a function of (Runs, device) to Curves: it reads no global state and leaves none
behind.
"""

from __future__ import annotations

import os
import random
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import Run, freeze
from omnigrok.training.stack import Stack, train

MODULAR = Run(
    task="modular",
    model="transformer",
    seed=1,
    n_train=40,
    steps=8,
    lr=1e-3,
    loss="cross_entropy",
    loss_precision="float64",
    data=freeze({"p": 7}),
    network=freeze({"d_model": 8, "d_mlp": 12, "n_heads": 2}),
)
MOLECULES = Run(
    task="qm9",
    model="graph_conv",
    seed=1,
    n_train=10,
    steps=8,
    lr=1e-3,
    batch_size=4,
    data=freeze({"n_test": 4}),
)
ADDITION = Run(
    task="addition",
    model="decoder",
    seed=1,
    n_train=20,
    steps=8,
    lr=1e-3,
    constraint="rescale",
    data=freeze({"representation": "scalar"}),
    network=freeze({"hidden": (6,), "activation": "relu"}),
)


def denormals_flushed() -> bool:
    return float((torch.tensor([1e-38]) * 1e-3).sum()) == 0


STATE: dict[str, Callable[[], Any]] = {
    "torch's default dtype": torch.get_default_dtype,
    "torch's default device": lambda: torch.tensor(0).device,
    "torch's threads": torch.get_num_threads,
    "torch's random state": lambda: torch.get_rng_state().tolist(),
    "numpy's random state": lambda: repr(np.random.get_state()),
    "Python's random state": random.getstate,
    "denormals": denormals_flushed,
    "precision of matrix products": torch.get_float32_matmul_precision,
    "oneDNN": lambda: torch.backends.mkldnn.enabled,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "gradients": torch.is_grad_enabled,
    "anomaly detection": torch.is_anomaly_enabled,
    "the compiler's limits": lambda: (
        torch._dynamo.config.recompile_limit,
        torch._dynamo.config.accumulated_recompile_limit,
    ),
    "warning filters": lambda: list(warnings.filters),
    "numpy's errors": np.geterr,
    # RDKit sets RDBASE when it is first imported.
    "environment": lambda: {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTEST_CURRENT_TEST", "RDBASE")
    },
    "signals": lambda: (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
    "folder": os.getcwd,
}


def snapshot() -> dict[str, Any]:
    return {name: read() for name, read in STATE.items()}


def assert_untouched(before: dict[str, Any]) -> None:
    after = snapshot()
    assert [name for name in STATE if after[name] != before[name]] == []


@pytest.fixture(params=["teacher_student", "mnist", "modular", "qm9", "addition"])
def run(request: pytest.FixtureRequest, student: Run, digits: Run) -> Run:
    """One small setting a task, full and mini-batch, free and held, float32 and float64."""
    settings = {
        "teacher_student": student,
        "mnist": digits,
        "modular": MODULAR,
        "qm9": MOLECULES,
        "addition": ADDITION,
    }
    return settings[request.param].replace(steps=8)


def test_training_leaves_nothing_behind(run: Run) -> None:
    before = snapshot()
    train([run, run.replace(seed=2)])
    assert_untouched(before)


@pytest.mark.slow
def test_compiled_training_leaves_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    train([run])  # torch's compiler sets itself up at its first use
    before = snapshot()
    train([run, run.replace(seed=2)])
    assert_untouched(before)


def test_a_stack_that_fails_leaves_nothing_behind(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack([run])
    monkeypatch.setattr(stack, "take_steps", lambda count: 1 / 0)
    before = snapshot()
    with pytest.raises(ZeroDivisionError):
        stack.advance()
    assert_untouched(before)


def test_a_stack_in_pieces_leaves_nothing_behind_between_them(run: Run) -> None:
    before = snapshot()
    stack = Stack([run])
    assert_untouched(before)
    while stack.histories:
        stack.advance(0.0)
        assert_untouched(before)


@pytest.fixture
def restored() -> Iterator[None]:
    """Puts back what the tests below change."""
    state, threads, precision, flushed = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        denormals_flushed(),
    )
    yield
    torch.set_rng_state(state)
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.set_flush_denormal(flushed)
    torch.set_grad_enabled(True)


CHANGES: dict[str, Callable[[], Any]] = {
    "random state": lambda: (torch.manual_seed(12345), np.random.seed(5), random.seed(5)),
    "denormals": lambda: torch.set_flush_denormal(True),
    "matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "no gradients": lambda: torch.set_grad_enabled(False),
}


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("change", CHANGES)
def test_curves_do_not_depend_on_the_callers_state(
    change: str, run: Run, assert_equal: Callable[..., None]
) -> None:
    (expected,) = train([run])
    CHANGES[change]()
    (found,) = train([run])
    assert_equal(found, expected)


def test_curves_do_not_depend_on_what_was_trained_before(
    student: Run, digits: Run, assert_equal: Callable[..., None]
) -> None:
    first, second = student.replace(steps=8), digits.replace(steps=8)
    alone = train([second])[0]
    train([first])
    after = train([second])[0]
    assert_equal(after, alone)


def test_curves_hold_no_memory_of_their_stack(run: Run) -> None:
    """A result is arrays of its own: changing it changes no other, and training again gives it
    again.
    """
    first: Curves = train([run])[0]
    kept = first["train_loss"].copy()
    first.columns["train_loss"][:] = -1
    assert np.array_equal(train([run])[0]["train_loss"], kept)
