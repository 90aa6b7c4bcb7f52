"""Two machines on one store, and clocks that jump: leases and fencing tokens let each run be
recorded once, by whoever is entitled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from omnigrok.errors import StaleToken, StoreError
from omnigrok.execution import execute
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import LEASE_SECONDS, Executor
from omnigrok.run import Run
from omnigrok.store import database
from omnigrok.store import leases as lease
from omnigrok.store.store import Store
from omnigrok.training import train

Machine = Callable[[str], Executor]
Check = Callable[[Executor, Sequence[Run]], None]
Before = Callable[[pytest.MonkeyPatch, int, Callable[[], object]], None]


class Clock:
    """Seconds since 1970, as far as one machine believes."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture(scope="module")
def runs(toy: Run) -> list[Run]:
    return [toy, toy.replace(seed=1)]


@pytest.fixture
def machine(tmp_path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Makes an executor that another host would make: a connection and a name of its own."""
    monkeypatch.setattr(execute, "HEARTBEAT", 0.0)
    monkeypatch.setattr(execute, "CHECKPOINT_EVERY", 0.0)

    made: list[Executor] = []

    def make(host: str) -> Executor:
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_host", lambda: host)
            engine = LocalEngine(torch.device("cpu"), Path())
            executor = Executor(Store(tmp_path / "runs.db"), engine, runs)
        executor.leases.clock = Clock()
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.store.close()


@pytest.fixture
def assert_recorded_once(assert_trained: Check) -> Check:
    def check(executor: Executor, runs: Sequence[Run]) -> None:
        assert executor.store.count() == len(runs)
        assert executor.store.problems() == []
        assert_trained(executor, runs)

    return check


@pytest.mark.fault("two machines on one store")
def test_a_machine_that_is_silent_is_taken_over_and_its_late_write_refused(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[Run],
    toy: Run,
    before_chunk: Before,
    assert_recorded_once: Check,
) -> None:
    """A machine that fell asleep is taken over once its lease has run out; awake again, its old
    token writes nothing, and it goes on.
    """
    asleep, awake = machine("laptop"), machine("server")
    awake.leases.clock.ahead = LEASE_SECONDS + 1  # type: ignore[attr-defined]

    def overtake() -> None:
        assert set(awake.leases.holders(runs, awake.environment(toy)).values()) == set()  # run out
        awake.ensure(runs)

    with monkeypatch.context() as patch:
        before_chunk(patch, 3, overtake)
        asleep.ensure(runs)
    assert awake.tally.runs_done == 2
    assert asleep.tally.runs_done == 0
    assert_recorded_once(asleep, runs)


@pytest.mark.fault("two machines on one store")
def test_while_a_machine_trains_another_is_refused(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[Run],
    before_chunk: Before,
    assert_recorded_once: Check,
) -> None:
    """Leases never cross machines: while one trains, another is refused with a word on the engine;
    afterwards it has the results.
    """
    first, second = machine("laptop-0a1b2c3d"), machine("server-0a1b2c3d")

    def meanwhile() -> None:
        with pytest.raises(StoreError, match=r"another machine .*\(laptop\).* --engine ray"):
            second.ensure(runs)

    with monkeypatch.context() as patch:
        before_chunk(patch, 2, meanwhile)
        first.ensure(runs)
    second.ensure(runs)
    assert (first.tally.runs_done, second.tally.runs_done) == (2, 0)
    assert_recorded_once(second, runs)


@pytest.mark.fault("two machines on one store")
def test_a_machine_that_was_taken_over_writes_nothing_and_is_refused(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[Run],
    toy: Run,
    before_chunk: Before,
) -> None:
    """Taken over while the other still trains, a machine writes nothing and ends with the same
    word.
    """
    sleeper, other = machine("laptop"), machine("server")
    other.leases.clock.ahead = LEASE_SECONDS + 1  # type: ignore[attr-defined]
    env = other.environment(toy)
    before_chunk(
        monkeypatch, 2, lambda: other.leases.acquire(runs, env, other.owner, LEASE_SECONDS)
    )
    with pytest.raises(StoreError, match="another machine"):
        sleeper.ensure(runs)
    assert sleeper.store.count() == 0


@pytest.mark.fault("two machines on one store")
def test_an_old_token_is_refused_whatever_the_clocks_say(
    machine: Machine, runs: list[Run], toy: Run
) -> None:
    """Fencing tokens only rise: a write with an older one is refused as a whole, with a message
    that says so.
    """
    old, new = machine("laptop"), machine("server")
    new.leases.clock.ahead = 1e9  # type: ignore[attr-defined]
    env, results = old.environment(toy), train(runs)
    first = old.leases.acquire(runs, env, old.owner, 60)
    second = new.leases.acquire(runs, env, new.owner, 60)
    assert min(second.values()) > max(first.values())
    for tokens in (first, {**first, toy.digest: second[toy.digest]}):
        with pytest.raises(
            StaleToken,
            match=r"run .* came with token \d+, but the lease has token \d+; nothing was written",
        ):
            old.store.put_many(results, env, tokens)
    assert old.store.count() == 0
    assert new.store.put_many(results, env, second) == {run.digest for run in runs}


@pytest.mark.fault("a store on a network file system")
def test_a_network_file_system_gets_a_rollback_journal(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    runs: list[Run],
    assert_recorded_once: Check,
) -> None:
    """A rollback journal instead of the write-ahead log, which two machines cannot share; a store
    that had one is turned back.
    """
    machine("server").store.close()
    monkeypatch.setattr(database, "file_system", lambda _: "nfs4")
    first, second = machine("laptop"), machine("server")
    for executor in (first, second):
        with executor.store.reading() as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    first.ensure(runs)
    assert_recorded_once(second, runs)
    assert not (tmp_path / "runs.db-wal").exists()


@pytest.mark.fault("the clock jumps")
@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, 1e9, -1e9])
def test_a_clock_that_jumps_in_the_middle_changes_no_curve(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
    runs: list[Run],
    before_chunk: Before,
    assert_recorded_once: Check,
) -> None:
    """Forward or back by a day or by decades: the training goes on, its seconds come from a clock
    that cannot jump.
    """
    executor, other = machine("laptop"), machine("server")

    def jumps() -> None:
        executor.leases.clock.ahead = other.leases.clock.ahead = jump  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        before_chunk(patch, 2, jumps)
        executor.ensure(runs)
    assert_recorded_once(executor, runs)
    for run in runs:
        found = executor.store.get(run, executor.environment(run))
        assert found is not None
        assert 0 < found.seconds < 60


@pytest.mark.fault("the clock jumps")
def test_clocks_that_differ_by_hours_train_nothing_twice_for_long(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[Run],
    before_chunk: Before,
    assert_recorded_once: Check,
) -> None:
    """A machine whose clock is hours ahead may take over live work: the tokens decide who records
    it, and it is recorded once.
    """
    behind, ahead = machine("laptop"), machine("server")
    ahead.leases.clock.ahead = 5 * 3600  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        before_chunk(patch, 2, lambda: ahead.ensure(runs))
        behind.ensure(runs)
    assert ahead.tally.runs_done == 2
    assert_recorded_once(behind, runs)
