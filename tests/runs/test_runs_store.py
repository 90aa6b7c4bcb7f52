"""The store keeps each result once and whole, and says in one message what is wrong with a file."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from omnigrok.errors import StaleToken, StoreError
from omnigrok.runs import Curves
from omnigrok.runs.database import SCHEMA, file_system
from omnigrok.runs.lease import Leases
from omnigrok.runs.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
OTHER = Environment("fingerprint", "2.6", "cpu")


def lease(store: Store, env: Environment, *results: Curves) -> dict[str, int]:
    return Leases(store).acquire([curves.run for curves in results], env, "me", 60)


def test_a_result_comes_back(store: Store, env: Environment, make_curves: Make, same: Same) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.get(curves.run, env) is None
    assert store.put(curves, env, token) is True
    back = store.get(curves.run, env)
    assert back is not None
    assert same(back, curves)
    assert store.get(curves.run, OTHER) is None
    assert store.get(make_curves(2).run, env) is None
    assert store.count() == 1
    assert store.problems() == []


def test_a_second_result_is_refused_quietly(store: Store, env: Environment, make_curves: Make) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.put(curves, env, token)
    assert store.put(make_curves(1, points=3), env, token) is False
    back = store.get(curves.run, env)
    assert back is not None
    assert back.step.size == curves.step.size
    assert store.count() == 1


def test_one_stale_token_stops_the_whole_batch(store: Store, env: Environment, make_curves: Make) -> None:
    batch = [make_curves(seed) for seed in range(4)]
    tokens = lease(store, env, *batch[:3])
    with pytest.raises(StaleToken, match=r"no longer leased.*nothing was written"):
        store.put_many(batch, env, tokens)
    with pytest.raises(StaleToken, match="token None"):
        store.checkpoint_many([(curves.run, 1, b"x") for curves in batch], env, tokens)
    with pytest.raises(StaleToken, match="the lease has token"):
        store.put(batch[0], env, tokens[batch[1].run.digest])
    assert store.count() == 0
    assert store.load_checkpoint(batch[0].run, env) is None
    assert store.put_many(batch[:3], env, tokens) == set(tokens)


def test_many(store: Store, env: Environment, make_curves: Make, same: Same) -> None:
    batch = [make_curves(seed, points=2) for seed in range(600)]  # more than one batch of parameters
    runs = [curves.run for curves in batch]
    assert len(store.put_many(batch[:590], env, lease(store, env, *batch))) == 590
    assert store.has_many(runs, env) == {run.digest for run in runs[:590]}
    assert store.has_many(runs, OTHER) == set()
    assert len(store.has_many(runs, None)) == 590
    found = store.get_many(runs, env)
    assert len(found) == 590
    assert all(same(found[curves.run.digest], curves) for curves in batch[:590])
    listed = list(store.records())
    assert [run for run, _, _ in listed] == runs[:590]
    assert {where for _, where, _ in listed} == {env}
    assert store.seconds_of(runs) == {run.digest: float(run.seed) for run in runs[:590]}
    assert store.seconds_of(runs, OTHER) == {}


def test_records_may_be_added_while_they_are_listed(store: Store, env: Environment, make_curves: Make) -> None:
    store.adopt([(make_curves(0), env)])
    listed = 0
    for listed, _ in enumerate(store.records(), start=1):
        if listed < 5:
            store.adopt([(make_curves(listed), env)])
    assert listed == 5


def test_the_newest_result_of_another_environment_is_the_stale_one(store: Store, env: Environment, make_curves: Make) -> None:
    curves = make_curves(1)
    assert store.get_stale(curves.run, env) is None
    third = Environment("older", "2.4", "cuda")
    store.adopt([(curves, third), (make_curves(1, points=3), OTHER), (make_curves(1, points=4), env)])
    stale = store.get_stale(curves.run, env)
    assert stale is not None
    assert stale[1] == OTHER
    assert stale[0].step.size == 3
    newest = store.get_stale(curves.run)
    assert newest is not None
    assert newest[1] == env


def test_environments_differ_in_every_field() -> None:
    keys = {Environment(*parts).key for parts in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"), ("ab", "", "c")]}
    assert len(keys) == 5
    assert all(len(key) == 16 for key in keys)


def test_a_checkpoint_is_replaced_and_goes_with_the_result(store: Store, env: Environment, make_curves: Make) -> None:
    curves = make_curves(1)
    token = lease(store, env, curves)[curves.run.digest]
    assert store.load_checkpoint(curves.run, env) is None
    store.checkpoint(curves.run, env, token, 10, b"ten")
    store.checkpoint(curves.run, env, token, 20, bytes(200_000))
    assert store.load_checkpoint(curves.run, env) == (20, bytes(200_000))
    assert store.load_checkpoint(curves.run, OTHER) is None
    assert store.put(curves, env, token)
    assert store.load_checkpoint(curves.run, env) is None
    with pytest.raises(StaleToken):
        store.checkpoint(curves.run, env, token, 30, b"late")


def test_a_damaged_checkpoint_starts_over(store: Store, env: Environment, make_curves: Make) -> None:
    curves = make_curves(1)
    store.checkpoint(curves.run, env, lease(store, env, curves)[curves.run.digest], 10, b"ten")
    with store.writing() as db:
        db.execute("UPDATE checkpoints SET state = x'00'")
    assert store.load_checkpoint(curves.run, env) is None


@pytest.mark.parametrize(
    "change", ["record = substr(record, 1, 50)", "fingerprint = 'forged'", "sha256 = x'00'", "record = 7", "record = 'text'"]
)
def test_a_changed_record_is_an_error_not_a_result(store: Store, env: Environment, make_curves: Make, change: str) -> None:
    store.adopt([(make_curves(1), env), (make_curves(2), env)])
    with store.writing() as db:
        db.execute(f"UPDATE results SET {change} WHERE id = 1")
    with pytest.raises(StoreError, match=r"runs.db: the record of run .* is damaged .*salvage"):
        store.get(make_curves(1).run, env)
    assert store.get(make_curves(2).run, env) is not None
    assert len(store.problems()) == 1


def test_an_exception_writes_nothing(store: Store, env: Environment, make_curves: Make) -> None:
    def interrupted() -> None:
        with store.writing() as db:
            db.execute("UPDATE last_token SET token = 99")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with store.reading() as db:
        assert db.execute("SELECT token FROM last_token").fetchone() == (0,)
    bad = Curves(make_curves(2).run, make_curves(2).step, {}, provenance={"bad": object()})
    with pytest.raises(StoreError, match="cannot be recorded: only JSON"):
        store.adopt([(make_curves(1), env), (bad, env)])
    assert store.count() == 0


def test_a_full_disk_keeps_what_was_recorded(store: Store, env: Environment, make_curves: Make, same: Same) -> None:
    store.adopt([(make_curves(1), env)])
    big = make_curves(2, points=20_000)
    token = lease(store, env, big)[big.run.digest]
    with store.reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreError, match=r"runs.db: the disk is full: free some space, or name another store with --runs"):
        store.put(big, env, token)
    with pytest.raises(StoreError, match="the disk is full"):
        store.checkpoint(big.run, env, token, 3, bytes(10**6))
    back = store.get(make_curves(1).run, env)
    assert back is not None
    assert same(back, make_curves(1))
    assert store.problems() == []
    with store.reading() as db:
        db.execute("PRAGMA max_page_count = 1000000")
    assert store.put(big, env, token)  # once there is room, the lease still counts


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    Store(path).close()
    with Store(path) as store, store.writing() as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(
            StoreError, match=rf"newer omnigrok \(schema {SCHEMA + 1}, this one reads {SCHEMA}\): upgrade, or name .* --runs"
        ):
            Store(path, readonly=readonly)
    assert path.read_bytes() == before


def test_another_sqlite_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "browser.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE history(x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no omnigrok store"):
        Store(path)
    assert path.read_bytes() == before


def test_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes " * 2000)
    with pytest.raises(StoreError, match=r"notes.txt: it is damaged, or no omnigrok store: .*salvage"):
        Store(path)
    assert path.read_text() == "notes " * 2000


def test_places_that_cannot_hold_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "x.db", Path("/proc/none/x.db"), Path("/proc/x.db")):
        with pytest.raises(StoreError, match=rf"store {path}: .*--runs"):
            Store(path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, env: Environment, make_curves: Make) -> None:
    with Store(tmp_path / "in" / "x.db") as store:
        store.adopt([(make_curves(1), env)])
    (tmp_path / "in").chmod(0o500)
    try:
        if os.access(tmp_path / "in", os.W_OK):
            pytest.skip("this user (root) may write everywhere")
        with pytest.raises(StoreError, match="--runs"):
            Store(tmp_path / "in" / "y.db")
        with Store(tmp_path / "in" / "x.db", readonly=True) as store:
            assert store.count() == 1
    finally:
        (tmp_path / "in").chmod(0o700)


def test_a_store_in_a_folder_of_others_opens_immutable(
    tmp_path: Path, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "x.db") as store:
        store.adopt([(make_curves(1), env)])
    monkeypatch.setattr("omnigrok.runs.database.os.access", lambda *_: False)
    with Store(tmp_path / "x.db", readonly=True) as store:
        assert store.count() == 1
        assert list(tmp_path.iterdir()) == [tmp_path / "x.db"]  # no -wal, no -shm beside it


def test_readonly(tmp_path: Path, env: Environment, make_curves: Make) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        Store(tmp_path / "x.db", readonly=True)
    with Store(tmp_path / "x.db") as store:
        store.adopt([(make_curves(1), env)])
    with Store(tmp_path / "x.db", readonly=True) as store:
        assert store.get(make_curves(1).run, env) is not None
        with pytest.raises(StoreError, match="cannot be written"):
            store.adopt([(make_curves(2), env)])


def test_wal_on_local_disks_a_rollback_journal_on_network_ones(
    tmp_path: Path, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def journal(store: Store) -> str:
        with store.reading() as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)
            return str(db.execute("PRAGMA journal_mode").fetchone()[0])

    for seed, (kind, expected) in enumerate([("ext4", "wal"), ("nfs4", "delete"), ("ext4", "wal")]):
        monkeypatch.setattr("omnigrok.runs.database.file_system", lambda _, kind=kind: kind)
        with Store(tmp_path / "x.db") as store:
            assert journal(store) == expected
            store.adopt([(make_curves(seed), env)])
            assert store.count() == seed + 1


def test_the_file_system_is_the_innermost_mount(tmp_path: Path) -> None:
    if not Path("/proc/self/mounts").exists():
        pytest.skip("the system has no /proc")
    assert file_system(Path("/proc/self/x")) == "proc"
    assert file_system(tmp_path / "x") not in ("", "proc")


def test_names_with_odd_characters(tmp_path: Path, env: Environment, make_curves: Make) -> None:
    path = tmp_path / "50% of ? #runs" / "a b?mode=ro.db"
    with Store(path) as store:
        store.adopt([(make_curves(1), env)])
    assert path.is_file()
    with Store(path, readonly=True) as store:
        assert store.count() == 1


def test_a_locked_store_says_so(store: Store, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnigrok.runs.database.BUSY_SECONDS", 0.05)
    with Store(store.path) as second, store.writing():
        with pytest.raises(StoreError, match="locked"):
            second.adopt([(make_curves(1), env)])
        assert second.count() == 0  # reading does not wait


def test_threads_share_a_store(store: Store, env: Environment, make_curves: Make) -> None:
    def add(first: int) -> None:
        for seed in range(first, first + 10):
            store.adopt([(make_curves(seed), env)])

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 30


def test_a_forked_child_opens_its_own_connection(store: Store, env: Environment, make_curves: Make) -> None:
    store.adopt([(make_curves(1), env)])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.adopt([(make_curves(2), env)])
            status = 0 if store.get(make_curves(2).run, env) else 2
        finally:
            os._exit(status)
    store.adopt([(make_curves(3), env)])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.count() == 3
    assert store.problems() == []


def test_a_fork_within_a_transaction_keeps_it(store: Store, env: Environment, make_curves: Make) -> None:
    with store.writing() as db:
        db.execute("UPDATE last_token SET token = 7")
        child = os.fork()
        if child == 0:
            os._exit(0 if store.count() == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert min(Leases(store).acquire(["a"], env, "me", 60).values()) == 8


def test_a_closed_store_opens_again(store: Store, env: Environment, make_curves: Make) -> None:
    store.close()
    store.close()
    store.adopt([(make_curves(1), env)])
    assert store.count() == 1
