"""Stores from strangers: whatever a file holds, only the package's own errors come out, and no
other result than was recorded.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.curves import Curves
from omnigrok.errors import OmnigrokError, StoreError
from omnigrok.store import database
from omnigrok.store.leases import Leases
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
SEEDS = range(6)


@pytest.fixture(scope="module", autouse=True)
def _impatient() -> Iterator[None]:
    """A forged file may look as if another process had it locked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "BUSY_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, env: Environment, make_curves: Make) -> Path:
    """A closed store with results, a lease and a checkpoint."""
    path = tmp_path_factory.mktemp("sound") / "runs.db"
    with Store(path) as store:
        store.adopt([(make_curves(seed), env) for seed in SEEDS])
        waiting = make_curves(99).run
        tokens = Leases(store).acquire([waiting], env, "me", 60)
        store.checkpoint(waiting, env, tokens[waiting.digest], 5, bytes(2000))
    return path


@contextlib.contextmanager
def copied(content: bytes) -> Iterator[Path]:
    memory = Path("/dev/shm")  # noqa: S108 (a disk would be waited for at every commit)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "runs.db"
        path.write_bytes(content)
        yield path


def used(path: Path, env: Environment, make_curves: Make) -> dict[int, Curves]:
    """Everything that can be asked of a store; the results that it gave, and no exception but the
    package's own.
    """
    found: dict[int, Curves] = {}
    runs = [make_curves(seed).run for seed in (*SEEDS, 99)]
    asked: list[Callable[[Store], object]] = [
        lambda store: found.update({run.seed: curves for run, _, curves in store.records()}),
        lambda store: store.get_many(runs, env),
        lambda store: store.get_stale(runs[0]),
        lambda store: store.has_many(runs, env),
        lambda store: sum(store.seconds_of(runs, env).values()),
        lambda store: store.load_checkpoint(runs[-1], env),
        lambda store: store.count(),
        lambda store: Leases(store).holders(runs, env),
        lambda store: Leases(store).acquire(runs, env, "you", 60),
        lambda store: store.adopt([(make_curves(7), env)]),
        lambda store: store.problems(),
    ]
    with contextlib.suppress(OmnigrokError), Store(path) as store:
        for ask in asked:
            with contextlib.suppress(OmnigrokError):
                ask(store)
    with contextlib.suppress(OmnigrokError):
        salvage(path, path.with_name("saved.db"))
    return found


kinds = st.sampled_from(["flip", "cut", "insert", "splice"])
edits = st.lists(
    st.tuples(kinds, st.integers(0, 2**16), st.booleans(), st.binary(min_size=1, max_size=40)),
    min_size=1,
    max_size=4,
)


def edited(sound: bytes, edits: list[tuple[str, int, bool, bytes]]) -> bytes:
    """Bytes flipped, cut, inserted and spliced, every second time where a page begins, which is
    where a file's structure is.
    """
    content = bytearray(sound)
    for kind, number, structure, new in edits:
        place = (
            (number % 40) + number // 40 % (len(content) // 4096) * 4096
            if structure
            else number % len(content)
        )
        if kind == "flip":
            content[place] ^= new[0] or 1
        elif kind == "cut":
            del content[max(place, 4096) :]
        elif kind == "insert":
            content[place:place] = new
        else:
            other = int.from_bytes(new, "big") % len(content)
            content[place : place + 600] = content[other : other + 600]
    return bytes(content)


@settings(max_examples=100, deadline=None)
@given(edits=edits)
def test_changed_bytes(
    sound: Path,
    env: Environment,
    make_curves: Make,
    same: Same,
    edits: list[tuple[str, int, bool, bytes]],
) -> None:
    with copied(edited(sound.read_bytes(), edits)) as path:
        for seed, curves in used(path, env, make_curves).items():
            assert same(curves, make_curves(seed))


values = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from(["\x1b[31m", "x" * 5000, 2**63 - 1, -1, float("inf"), b"\xff\xfe"])
)
Cell = tuple[str, str]
cells = st.sampled_from(
    [
        *[
            ("results", name)
            for name in (
                "digest",
                "env",
                "fingerprint",
                "torch",
                "device",
                "seconds",
                "sha256",
                "record",
            )
        ],
        *[("checkpoints", name) for name in ("digest", "env", "step", "sha256", "state")],
        *[("leases", name) for name in ("digest", "env", "token", "owner", "ttl", "expires_at")],
        ("last_token", "token"),
    ]
)


@settings(max_examples=120, deadline=None)
@given(changes=st.lists(st.tuples(cells, values), min_size=1, max_size=3))
def test_changed_cells(
    sound: Path,
    env: Environment,
    make_curves: Make,
    same: Same,
    changes: list[tuple[tuple[str, str], object]],
) -> None:
    """A file that SQLite finds whole, with values of any kind in any column."""
    with copied(sound.read_bytes()) as path:
        with closing(sqlite3.connect(path)) as db:
            for (table, column), value in changes:
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    db.execute(f"UPDATE {table} SET {column} = ?", (value,))
            db.commit()
        for seed, curves in used(path, env, make_curves).items():
            assert same(curves, make_curves(seed))


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), header=st.booleans())
def test_any_file(env: Environment, make_curves: Make, content: bytes, header: bool) -> None:
    with copied(b"SQLite format 3\0" * header + content) as path:
        assert used(path, env, make_curves) == {}


FOREIGN = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON results BEGIN DELETE FROM results; END",
    "a view": "CREATE VIEW w AS SELECT * FROM results",
    "a view in place of a table": "DROP TABLE leases; CREATE VIEW leases AS SELECT 1 AS digest",
    "an endless view": (
        "DROP TABLE results; CREATE VIEW results AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL "
        "SELECT id FROM n) SELECT * FROM n"
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_schema_that_acts_by_itself_is_refused(sound: Path, kind: str) -> None:
    with copied(sound.read_bytes()) as path:
        with closing(sqlite3.connect(path)) as db:
            db.executescript(FOREIGN[kind])
        before = path.read_bytes()
        for readonly in (True, False):
            with pytest.raises(
                StoreError,
                match=r"runs.db: it holds triggers or views, so it is not an omnigrok store; name",
            ):
                Store(path, readonly=readonly)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE checkpoints",
        "ALTER TABLE results RENAME COLUMN env TO place",
        "DELETE FROM last_token",
    ],
)
def test_tables_that_are_not_a_stores(
    sound: Path, env: Environment, make_curves: Make, change: str
) -> None:
    with copied(sound.read_bytes()) as path:
        with closing(sqlite3.connect(path)) as db:
            db.execute(change)
            db.commit()
        with pytest.raises(StoreError, match="salvage"), Store(path) as store:
            store.get(make_curves(1).run, env)


def test_a_value_larger_than_a_store_keeps(
    sound: Path, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would read up to a gigabyte into memory."""
    monkeypatch.setattr(database, "LARGEST_VALUE", 1_000_000)
    with copied(sound.read_bytes()) as path:
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE results SET record = zeroblob(1000001) WHERE id = 1")
            db.commit()
        with Store(path) as store:
            with pytest.raises(StoreError, match=r"runs.db: .*larger than a store keeps"):
                store.get(make_curves(0).run, env)
            assert store.get(make_curves(1).run, env) is not None
            with pytest.raises(StoreError, match="larger than a store keeps"):
                store.checkpoint(make_curves(99).run, env, 1, 5, bytes(1_000_001))


def test_names_that_a_terminal_would_obey_are_damage(store: Store, make_curves: Make) -> None:
    store.adopt([(make_curves(1), Environment("fingerprint", "2.5\x1b]0;x\x07", "cpu"))])
    with pytest.raises(StoreError, match="damaged"):
        list(store.records())
