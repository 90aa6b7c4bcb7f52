"""The file under a store: opened where it can be, refused with one message, shared by threads,
forks and workers.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.store.database import SCHEMA, file_system
from omnigrok.store.leases import Leases
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    Store(path).close()
    with Store(path) as store, store.writing() as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = path.read_bytes()
    for readonly in (False, True):
        with pytest.raises(
            StoreError,
            match=(
                rf"newer omnigrok \(schema {SCHEMA + 1}, this one reads {SCHEMA}\): upgrade, or "
                "name .* --runs"
            ),
        ):
            Store(path, readonly=readonly)
    assert path.read_bytes() == before


def test_another_sqlite_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "browser.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE history(x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not an omnigrok store"):
        Store(path)
    assert path.read_bytes() == before


def test_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes " * 2000)
    with pytest.raises(
        StoreError, match=r"notes.txt: it is damaged, or not an omnigrok store: .*salvage"
    ):
        Store(path)
    assert path.read_text() == "notes " * 2000


def test_places_that_cannot_hold_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "x.db", Path("/proc/none/x.db"), Path("/proc/x.db")):
        with pytest.raises(StoreError, match=rf"store {path}: .*--runs"):
            Store(path)


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, env: Environment, make_curves: Make
) -> None:
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
    monkeypatch.setattr("omnigrok.store.database.os.access", lambda *_: False)
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
        monkeypatch.setattr("omnigrok.store.database.file_system", lambda _, kind=kind: kind)
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


def test_a_locked_store_says_so(
    store: Store, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnigrok.store.database.BUSY_SECONDS", 0.05)
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


def test_a_forked_child_opens_its_own_connection(
    store: Store, env: Environment, make_curves: Make
) -> None:
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


def test_a_fork_within_a_transaction_keeps_it(
    store: Store, env: Environment, make_curves: Make
) -> None:
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
