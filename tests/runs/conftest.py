"""Made-up Curves, a toy Run that really trains, stores, executors and worker processes for the
tests of the run store.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

import omnigrok
from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine, worker
from omnigrok.execution.execute import Executor
from omnigrok.run import Run, freeze
from omnigrok.store.store import Environment, Store
from omnigrok.training import Stack, train

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


def _start(source: str, *arguments: object) -> subprocess.Popen[str]:
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
    return _start


@pytest.fixture(scope="session")
def toy() -> Run:
    """A teacher-student setting that trains in milliseconds."""
    return TOY


@pytest.fixture(scope="session")
def digits() -> Run:
    """A mini-batch setting on the bundled MNIST images, of which there are 5000 to train on."""
    data = {"source": "bundled", "n_test": 10}
    return TOY.replace(
        task="mnist",
        batch_size=4,
        steps=20,
        data=data,
        network={"widths": (784, 4, 10), "activation": "relu"},
    )


@lru_cache(maxsize=64)
def _uninterrupted(run: Run) -> Curves:
    return train([run])[0]


def _assert_trained(executor: Executor, runs: Sequence[Run]) -> None:
    for run in runs:
        found, expected = executor.store.get(run, executor.environment(run)), _uninterrupted(run)
        assert found is not None
        assert found.run == run
        np.testing.assert_array_equal(found.step, expected.step)
        for name in expected.columns:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
        assert executor.store.load_checkpoint(run, executor.environment(run)) is None
    assert executor.leases.holders(runs, executor.environment(runs[0])) == {}


@pytest.fixture(scope="session")
def assert_trained() -> Callable[[Executor, Sequence[Run]], None]:
    """Every Run has the Curves of an uninterrupted training, and nothing is left of the
    work on it.
    """
    return _assert_trained


@pytest.fixture
def make(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Executor]:
    """Makes executors of one store, for which every chunk is a heartbeat."""
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)

    def executor(runs: Sequence[Run], **options: object) -> Executor:
        return Executor(store, LocalEngine(torch.device("cpu"), Path()), runs, **options)  # type: ignore[arg-type]

    return executor


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Run], int]]:
    """The Runs of every stack that is trained, and the step it starts from."""
    made: list[tuple[list[Run], int]] = []

    class Noted(Stack):
        def __init__(self, runs: Sequence[Run], *arguments: object) -> None:
            super().__init__(runs, *arguments)  # type: ignore[arg-type]
            made.append((list(runs), self.step))

    monkeypatch.setattr(worker, "Stack", Noted)
    return made


def _before_chunk(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    advance, calls = Stack.advance, iter(range(1, 1_000_000))

    def acting(self: Stack, seconds: float = float("inf")) -> list[Curves]:
        if next(calls) == number:
            act()
        return advance(self, seconds)

    monkeypatch.setattr(Stack, "advance", acting)


@pytest.fixture(scope="session")
def before_chunk() -> Callable[[pytest.MonkeyPatch, int, Callable[[], object]], None]:
    """Does something, once, before the ``number``-th chunk of training of all stacks."""
    return _before_chunk


# Arguments: the store, a Run, the number of training sizes. Says after each chunk how far it is,
# and goes on when told to.
_WORKER = """
import json, sys, torch
from pathlib import Path
from omnigrok.run import Run
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine
from omnigrok.store.store import Store
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
toy = Run.from_dict(json.loads(sys.argv[2]))
def report(progress):
    print(progress.runs_done, progress.steps_done, flush=True)
    sys.stdin.readline()
with Store(sys.argv[1]) as store:
    sizes = range(10, 10 + int(sys.argv[3]))
    runs = [toy.replace(n_train=n, seed=seed) for n in sizes for seed in (0, 1)]
    engine = LocalEngine(torch.device("cpu"), Path())
    executor = execute.Executor(store, engine, runs, report=report)
    executor.ensure(runs)
    print("trained", executor.tally.runs_done, flush=True)
"""


class Trainer:
    """Another process that trains the toy Run at several training sizes, two seeds each; every
    chunk is a heartbeat and a checkpoint.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __enter__(self) -> Trainer:
        self.process.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.__exit__(*raised)  # type: ignore[arg-type]

    def hear(self) -> str:
        """What it says after a chunk: runs done, steps done."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, times: int = 1) -> None:
        """Let it take so many chunks more."""
        assert self.process.stdin is not None
        self.process.stdin.write("go on\n" * times)
        self.process.stdin.flush()


@pytest.fixture
def trainer(store: Store) -> Callable[[int], Trainer]:
    """Starts a Trainer on the store of this test, with so many training sizes from 10 on."""
    return lambda sizes: Trainer(_start(_WORKER, store.path, json.dumps(TOY.as_dict()), sizes))


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
