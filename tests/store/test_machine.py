"""A state machine over the run store: workers that lease, train, crash and come back late, a clock
that jumps, a file that is removed or replaced. Each failure is one seed, which Hypothesis prints.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from omnigrok.curves import Curves
from omnigrok.errors import StaleToken, StoreError
from omnigrok.run import Run
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store

HERE = Environment("trainer 1, made_up 1", "2.13.0", "cpu")
RUNS = tuple(
    Run(task="made_up", model="none", seed=seed, n_train=5, steps=100, lr=1e-3) for seed in range(5)
)
KEYS = st.sets(st.sampled_from(RUNS), min_size=1, max_size=3)
TTL = st.sampled_from([1.0, 60.0])


class Worker:
    """One process: a store of its own, and the tokens that it believes in."""

    def __init__(self, path: Path, machine: StoreMachine) -> None:
        self.store = Store(path)
        self.leases = Leases(self.store, clock=lambda: machine.now)
        self.owner = new_owner()
        self.tokens: dict[str, int] = {}
        self.file = machine.file


class StoreMachine(RuleBasedStateMachine):
    """What the store says against a model of it: results by key, and who may write each key."""

    workers = Bundle("workers")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="omnigrok-machine-"))
        self.path = self.folder / "runs.sqlite"
        self.now, self.made, self.file = 1e9, 0, 0
        self.alive: list[Worker] = []
        self.forget()

    def forget(self) -> None:
        """There is another file, and it is empty."""
        self.results: dict[str, Curves] = {}
        self.checkpoints: dict[str, tuple[int, bytes]] = {}
        self.leased: dict[str, tuple[int, float, float]] = {}  # token, end, ttl

    def teardown(self) -> None:
        for each in self.alive:
            each.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(target=workers)
    def start(self) -> Worker:
        worker = Worker(self.path, self)
        self.alive.append(worker)
        return worker

    @rule(worker=consumes(workers))
    def crash(self, worker: Worker) -> None:
        """It ends without a word; its leases run out."""
        worker.store.close()
        self.alive.remove(worker)

    @rule(seconds=st.sampled_from([0.5, 2.0, 100.0, -5.0]))
    def wait(self, seconds: float) -> None:
        """The clock may also be put back a little."""
        self.now += seconds

    @rule(worker=workers, keys=KEYS, ttl=TTL, whole=st.booleans())
    def acquire(self, worker: Worker, keys: set[Run], ttl: float, whole: bool) -> None:
        ordered = sorted(keys, key=lambda run: run.seed)
        free = {
            run.digest
            for run in ordered
            if run.digest not in self.results and not self.runs(run.digest)
        }
        if self.is_gone(worker):
            with pytest.raises(StoreError, match="replaced or removed"):
                worker.leases.acquire(ordered, HERE, worker.owner, ttl, whole=whole)
            return
        got = worker.leases.acquire(ordered, HERE, worker.owner, ttl, whole=whole)
        assert set(got) == (free if not whole or len(free) == len(keys) else set())
        highest = max((token for token, _, _ in self.leased.values()), default=0)
        assert all(token > highest for token in got.values())
        worker.tokens |= got
        self.leased |= {digest: (token, self.now + ttl, ttl) for digest, token in got.items()}

    @rule(worker=workers, ttl=TTL)
    def renew(self, worker: Worker, ttl: float) -> None:
        if self.is_gone(worker):
            with pytest.raises(StoreError, match="replaced or removed"):
                worker.leases.renew(worker.tokens, ttl)
            return
        kept = worker.leases.renew(worker.tokens, ttl)
        assert kept == {
            key: token for key, token in worker.tokens.items() if self.holds(worker, key)
        }
        worker.tokens = kept
        self.leased |= {digest: (token, self.now + ttl, ttl) for digest, token in kept.items()}

    @rule(worker=workers)
    def release(self, worker: Worker) -> None:
        if self.is_gone(worker):
            with pytest.raises(StoreError, match="replaced or removed"):
                worker.leases.release(worker.tokens)
            return
        worker.leases.release(worker.tokens)
        for digest in list(worker.tokens):
            if self.holds(worker, digest):
                del self.leased[digest]
        worker.tokens = {}

    @rule(worker=workers, run=st.sampled_from(RUNS))
    def record(self, worker: Worker, run: Run) -> None:
        """Whoever still holds the lease writes; a late one is refused, and loses nothing."""
        self.made += 1
        curves = Curves(run, np.array([0, 100]), {"train_loss": np.array([1.0, self.made])})
        token = worker.tokens.get(run.digest, 0)
        if self.is_gone(worker):
            with pytest.raises(StoreError, match="replaced or removed"):
                worker.store.put(curves, HERE, token)
        elif run.digest in self.results:
            assert not worker.store.put(curves, HERE, token)
        elif not self.holds(worker, run.digest):
            with pytest.raises(StaleToken):
                worker.store.put(curves, HERE, token)
        else:
            assert worker.store.put(curves, HERE, token)
            self.results[run.digest] = curves
            self.leased.pop(run.digest)
            self.checkpoints.pop(run.digest, None)

    @rule(worker=workers, run=st.sampled_from(RUNS), step=st.integers(0, 99))
    def checkpoint(self, worker: Worker, run: Run, step: int) -> None:
        self.made += 1
        state, token = f"state {self.made}".encode(), worker.tokens.get(run.digest, 0)
        if self.is_gone(worker):
            with pytest.raises(StoreError, match="replaced or removed"):
                worker.store.checkpoint(run, HERE, token, step, state)
        elif not self.holds(worker, run.digest):
            with pytest.raises(StaleToken):
                worker.store.checkpoint(run, HERE, token, step, state)
        else:
            worker.store.checkpoint(run, HERE, token, step, state)
            self.checkpoints[run.digest] = step, state

    @rule(target=workers, other=st.booleans())
    def replace(self, other: bool) -> object:
        """Somebody removes the file with its log, or puts an empty store in its place."""
        for path in self.folder.glob("runs.sqlite*"):
            path.unlink()
        if other:
            Store(self.path).close()
        self.file += 1
        self.forget()
        return multiple()

    def is_gone(self, worker: Worker) -> bool:
        """Whether the file that a worker has open is no longer the one at the path."""
        return worker.file != self.file

    def runs(self, digest: str) -> bool:
        """Whether a lease has not run out; one that ends later than ten times its length is of a
        clock that was put back, and has.
        """
        _, end, ttl = self.leased.get(digest, (0, -np.inf, 0.0))
        return self.now < end <= self.now + 10 * ttl

    def holds(self, worker: Worker, digest: str) -> bool:
        """Whether a worker's token is the latest of the key."""
        token = worker.tokens.get(digest)
        return token is not None and self.leased.get(digest, (None,))[0] == token

    @invariant()
    def a_reader_sees_the_results_and_nothing_else(self) -> None:
        if not getattr(self, "path", None) or not self.path.exists():
            return
        with Store(self.path, readonly=True) as store:
            found = store.get_many(RUNS, HERE)
            assert set(found) == set(self.results)
            for digest, curves in self.results.items():
                assert np.array_equal(found[digest]["train_loss"], curves["train_loss"])
            assert store.count() == len(self.results)
            assert store.problems() == []
            for run in RUNS:
                assert store.load_checkpoint(run, HERE) == self.checkpoints.get(run.digest)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.slow
class TestStoreAtLength(StoreMachine.TestCase):
    """1e5 steps."""

    settings = settings(max_examples=1000, stateful_step_count=100, deadline=None)
