"""Fixtures of the tests of store and execution: made-up Curves, a Run of milliseconds, a store,
another process, a full disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

import omnigrok
from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.run import Run, freeze
from omnigrok.store.store import Environment, Store

# Milliseconds of training, in five chunks.
TOY = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=10,
    steps=100,
    lr=1e-2,
    log_every=20,
    precision="float64",
    data=freeze({"n_test": 5}),
    network=freeze({"widths": (3, 4, 2), "activation": "tanh"}),
)


@pytest.fixture(scope="session")
def toy() -> Run:
    """A teacher-student setting that trains in milliseconds."""
    return TOY


def _curves(seed: int = 0, points: int = 12, **changes: object) -> Curves:
    """Curves that follow from the Run alone, so that another process can tell whether a record is
    whole.
    """
    run = Run(task="made_up", model="none", seed=seed, n_train=5, steps=100, lr=1e-3).replace(
        **changes
    )
    step = np.arange(points, dtype=np.int64) * 7
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.random(points).astype(np.float32).astype(np.float64)
        for name in ("train_loss", "test_loss", "weight_norm")
    }
    return Curves(
        run, step, columns, seconds=float(seed), provenance={"torch": "2.5", "seed": seed}
    )


def _same(one: Curves, other: Curves) -> bool:
    return (
        one.run == other.run
        and list(one.columns) == list(other.columns)
        and np.array_equal(one.step, other.step)
        and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one.columns)
        and (one.diverged, one.seconds, dict(one.provenance))
        == (other.diverged, other.seconds, dict(other.provenance))
    )


def start_python(source: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(omnigrok.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "error", "-c", source, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="session")
def make_curves() -> Callable[..., Curves]:
    return _curves


@pytest.fixture(scope="session")
def same() -> Callable[[Curves, Curves], bool]:
    return _same


@contextmanager
def _refusal_naming(text: str) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        if text not in str(error):
            raise


@pytest.fixture(scope="session")
def refusal_naming() -> Callable[[str], AbstractContextManager[None]]:
    """Lets a StoreError with this text pass, and no other exception."""
    return _refusal_naming


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts Python on a source text, with omnigrok to import."""
    return start_python


@pytest.fixture(scope="session")
def env() -> Environment:
    return Environment("fingerprint", "2.5", "cpu")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.db") as one:
        yield one


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with half a megabyte; only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
