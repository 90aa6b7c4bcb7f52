"""A store whose file is replaced or removed while it is open, and files that are no stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from omnigrok.curves import Curves
from omnigrok.errors import StoreError
from omnigrok.store.database import SCHEMA_SQL
from omnigrok.store.encode import encode
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Environment, Store, _record_sum

Make = Callable[..., Curves]
Limited = Callable[[float, float], AbstractContextManager[None]]


def filled(path: Path, env: Environment, make_curves: Make, seeds: range) -> None:
    with Store(path) as store:
        store.adopt([(make_curves(seed), env) for seed in seeds])


def test_a_file_that_is_removed_is_noticed_before_the_next_write(
    store: Store, env: Environment, make_curves: Make
) -> None:
    store.adopt([(make_curves(0), env)])
    for path in store.path.parent.glob("runs.db*"):
        path.unlink()
    with pytest.raises(StoreError, match=r"runs\.db: the file was replaced or removed"):
        store.adopt([(make_curves(1), env)])
    store.close()
    with pytest.raises(StoreError, match="replaced or removed"):
        store.count()


def test_a_file_that_is_replaced_is_noticed_and_the_new_one_is_whole(
    store: Store, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    """The log of the old file would be replayed over the new one, and its results be gone."""
    other = tmp_path / "other.db"
    filled(other, env, make_curves, range(100, 160))
    store.adopt([(make_curves(seed), env) for seed in range(40)])
    other.replace(store.path)
    with pytest.raises(StoreError, match="replaced or removed"):
        store.adopt([(make_curves(50), env)])
    store.close()
    with Store(store.path) as again:
        assert again.problems() == []
        assert {run.seed for run, _, _ in again.records()} == set(range(100, 160))


def test_a_file_that_is_replaced_within_a_write_is_noticed(
    store: Store, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    other = tmp_path / "other.db"
    filled(other, env, make_curves, range(100, 101))

    def results() -> Iterator[tuple[Curves, Environment]]:
        yield make_curves(1), env
        other.replace(store.path)
        yield make_curves(2), env

    with pytest.raises(StoreError, match="replaced or removed"):
        store.adopt(results())


def raw(path: Path, sql: str) -> None:
    """A store of somebody else's making."""
    Store(path).close()
    db = sqlite3.connect(path)
    db.executescript(f"DROP TABLE results; {sql}")
    db.close()


@pytest.mark.parametrize(
    "change",
    [
        ("record BLOB NOT NULL", "record BLOB AS (zeroblob(500000000))"),
        (", UNIQUE(digest, env))", ")"),
    ],
    ids=["computed", "no key"],
)
def test_other_tables_are_refused(
    tmp_path: Path, limited: Limited, change: tuple[str, str]
) -> None:
    """118 KB that became 13.5 GB, and a table that takes a key twice."""
    table = SCHEMA_SQL.split(";")[0].replace(*change)
    assert table != SCHEMA_SQL.split(";")[0]
    raw(tmp_path / "x.db", table)
    with limited(200, 10), pytest.raises(StoreError, match="not those of an omnigrok store"):
        Store(tmp_path / "x.db")


def test_a_large_record_is_not_read(
    store: Store, env: Environment, make_curves: Make, limited: Limited
) -> None:
    curves = make_curves(0)
    store.adopt([(curves, env)])
    with store.writing() as db:
        db.execute("UPDATE results SET record = zeroblob(100000000)")
    with limited(80, 10):
        assert len(store.problems()) == 1
        with pytest.raises(StoreError, match="a column has a wrong type"):
            store.get(curves.run, env)


def test_rows_are_tied_to_their_contents(store: Store, env: Environment, make_curves: Make) -> None:
    """The row of seed 0 with the record of seed 1 and a sum that is right."""
    store.adopt([(make_curves(0), env)])
    run, record = make_curves(0).run, encode(make_curves(1))
    summed = _record_sum(run.digest, env.identity, env.torch, env.device, record)
    with store.writing() as db:
        db.execute("UPDATE results SET record = ?, sha256 = ?", (record, summed))
    with pytest.raises(StoreError, match="the record of another Run or Environment"):
        store.get(run, env)
    with store.writing() as db:
        db.execute("UPDATE results SET env = 'x'")
    assert len(store.problems()) == 1


def test_salvage_streams(
    tmp_path: Path, env: Environment, make_curves: Make, limited: Limited
) -> None:
    """100 MB of results, of which one is in memory at a time."""
    with Store(tmp_path / "runs.db") as store:
        store.adopt((make_curves(seed, points=8000), env) for seed in range(400))
    with limited(60, 60):
        assert salvage(tmp_path / "runs.db", tmp_path / "new.db").copied == 400
