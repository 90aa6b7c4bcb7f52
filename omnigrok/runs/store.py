"""The run store: one SQLite file of recorded Curves, checkpoints and leases, shared by all workers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from omnigrok.errors import EvidenceError, StaleToken, StoreError
from omnigrok.runs.curves import Curves
from omnigrok.runs.encode import decode, dump_json, encode
from omnigrok.runs.run import Run

SCHEMA = 1
APPLICATION_ID = 0x4F474B52  # "OGKR": tells a store from any other SQLite file
BUSY_SECONDS = 60.0
PAGE_SIZE = 4096
COLUMNS = "digest, fingerprint, torch, device, sha256, record"  # what read_row takes
SCHEMA_SQL = """
CREATE TABLE results(id INTEGER PRIMARY KEY, digest TEXT NOT NULL, env TEXT NOT NULL, fingerprint TEXT NOT NULL, torch TEXT NOT NULL,
  device TEXT NOT NULL, seconds REAL NOT NULL, sha256 BLOB NOT NULL, record BLOB NOT NULL, UNIQUE(digest, env));
CREATE TABLE checkpoints(digest TEXT NOT NULL, env TEXT NOT NULL, step INTEGER NOT NULL, sha256 BLOB NOT NULL, state BLOB NOT NULL,
  PRIMARY KEY(digest, env));
CREATE TABLE leases(digest TEXT NOT NULL, env TEXT NOT NULL, token INTEGER NOT NULL UNIQUE, owner TEXT NOT NULL, ttl REAL NOT NULL,
  expires_at REAL NOT NULL, PRIMARY KEY(digest, env));
CREATE TABLE last_token(token INTEGER NOT NULL);
INSERT INTO last_token VALUES (0)
"""
# WAL needs memory shared by all who have the file open, which these cannot give to two machines.
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs")
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space, or name another store with --runs; all that was recorded before is kept",
    sqlite3.SQLITE_READONLY: "it cannot be written: allow writing to the file and its folder, or name another store with --runs",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder exists and can be written, or name another store with --runs",
    sqlite3.SQLITE_PERM: "it cannot be opened: check its permissions, or name another store with --runs",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:.0f} s: try again, or name another store with --runs",
    sqlite3.SQLITE_LOCKED: "another statement keeps it locked: try again",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed: check the disk, or name another store with --runs",
    sqlite3.SQLITE_TOOBIG: "a record or checkpoint is larger than SQLite accepts (1 GB)",
}
_DAMAGED = "it is damaged, or no omnigrok store: save what is readable with `omnigrok evidence salvage`, or name another with --runs"
_open_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_forking: list[Store] = []
_inherited: list[sqlite3.Connection | None] = []


@dataclass(frozen=True)
class Environment:
    """What besides the Run decides its numbers.

    Args:
        fingerprint: digest of the code of models, data and training.
        torch: version of torch.
        device: "cpu" or the name of the GPU.
    """

    fingerprint: str
    torch: str
    device: str

    @property
    def key(self) -> str:
        """SHA-256 of the three, 16 hex digits."""
        return hashlib.sha256(dump_json([self.fingerprint, self.torch, self.device])).hexdigest()[:16]


class Store:
    """Recorded Curves by (Run, Environment), at most one a key, with the checkpoints and leases of what is still training.

    One object serves all threads of a process, and opens its own connection after a fork. Close it, or use it in a ``with``.

    Args:
        path: the file; it and its folder are made where missing.
        readonly: write nothing; the file must be there.

    Raises:
        StoreError: the file cannot be opened, is damaged, is something else, or was written by a newer omnigrok.
    """

    def __init__(self, path: str | os.PathLike[str], *, readonly: bool = False) -> None:
        self.path, self.readonly = Path(path), readonly
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        with self.reading():
            pass
        _open_stores.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    # Transactions

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that only read; the errors of SQLite come out as StoreError."""
        with self._lock, _as_store_errors(self.path):
            if self._db is None:
                self._db = _connect(self.path, self.readonly)
            yield self._db

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk at the end, or, after any exception, none."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself rolls back after some errors
                    db.execute("ROLLBACK")
                raise

    # Results

    def get(self, run: Run, env: Environment) -> Curves | None:
        """The result of this Run in this Environment, or None.

        Raises:
            StoreError: the record is damaged.
        """
        return self.get_many([run], env).get(run.digest)

    def get_many(self, runs: Iterable[Run], env: Environment) -> dict[str, Curves]:
        """The results in this Environment, by digest of the Run; those that are not there are left out.

        Raises:
            StoreError: a record is damaged.
        """
        found = {}
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                sql = f"SELECT {COLUMNS} FROM results WHERE env = ? AND digest IN ({_marks(digests)})"
                rows = db.execute(sql, [env.key, *digests]).fetchall()
            for row in rows:
                run, _, curves = self._record(row)
                found[run.digest] = curves
        return found

    def get_stale(self, run: Run, env: Environment | None = None) -> tuple[Curves, Environment] | None:
        """The newest result of this Run in any Environment but this one, or None.

        Raises:
            StoreError: the record is damaged.
        """
        with self.reading() as db:
            sql = f"SELECT {COLUMNS} FROM results WHERE digest = ? AND env != ? ORDER BY id DESC LIMIT 1"
            row = db.execute(sql, (run.digest, env.key if env else "")).fetchone()
        if row is None:
            return None
        _, other, curves = self._record(row)
        return curves, other

    def has_many(self, runs: Iterable[Run], env: Environment | None) -> set[str]:
        """Digests of those Runs that have a result in this Environment (in any, where it is None)."""
        found: set[str] = set()
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                sql = f"SELECT DISTINCT digest FROM results WHERE digest IN ({_marks(digests)}) AND (? IS NULL OR env = ?)"
                found.update(digest for (digest,) in db.execute(sql, [*digests, *[env.key if env else None] * 2]))
        return found

    def records(self) -> Iterator[tuple[Run, Environment, Curves]]:
        """All results, oldest first, read a few at a time.

        Raises:
            StoreError: a record is damaged.
        """
        last = 0
        while True:
            with self.reading() as db:
                rows = db.execute(f"SELECT id, {COLUMNS} FROM results WHERE id > ? ORDER BY id LIMIT 32", (last,)).fetchall()
            if not rows:
                return
            for row in rows:
                yield self._record(row[1:])
            last = rows[-1][0]

    def count(self) -> int:
        """The number of results."""
        with self.reading() as db:
            return int(db.execute("SELECT count(*) FROM results").fetchone()[0])

    def seconds_of(self, runs: Iterable[Run], env: Environment | None = None) -> dict[str, float]:
        """Recorded training seconds by digest; of the newest result where no Environment is given."""
        seconds: dict[str, float] = {}
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                sql = f"SELECT digest, seconds FROM results WHERE digest IN ({_marks(digests)}) AND (? IS NULL OR env = ?) ORDER BY id"
                seconds.update(db.execute(sql, [*digests, *[env.key if env else None] * 2]))
        return seconds

    def put(self, curves: Curves, env: Environment, token: int) -> bool:
        """Record one result under its lease; ``put_many`` says how. False where the key has a result already."""
        return bool(self.put_many([curves], env, {curves.run.digest: token}))

    def put_many(self, results: Sequence[Curves], env: Environment, tokens: Mapping[str, int]) -> set[str]:
        """Record results in one transaction, and drop their checkpoints and leases.

        Args:
            results: what was trained.
            env: where.
            tokens: fencing tokens by digest, from ``Leases.acquire``. A lease that ran out still counts until another replaces it.

        Returns:
            Digests of the results that were recorded; a key that has one already keeps it and is left out.

        Raises:
            StaleToken: a key without result is leased under another token, or not leased; nothing was written.
            StoreError: nothing was written.
        """
        encoded = self._encoded([(curves, env) for curves in results])
        with self.writing() as db:
            wanted = [row for row in encoded if not _exists(db, row[0], env)]
            for row in wanted:
                self._verify(db, row[0], env, tokens)
            return _insert(db, wanted)

    def adopt(self, results: Iterable[tuple[Curves, Environment]]) -> set[str]:
        """Record results that were trained elsewhere, in one transaction and without leases (import, salvage).

        Returns:
            Digests of the results that were recorded; a key that has one already keeps it and is left out.

        Raises:
            StoreError: nothing was written.
        """
        encoded = self._encoded(results)
        with self.writing() as db:
            return _insert(db, encoded)

    # Checkpoints

    def checkpoint(self, run: Run, env: Environment, token: int, step: int, state: bytes) -> None:
        """Keep the state of one Run under its lease in place of an earlier one; raises as ``checkpoint_many``."""
        self.checkpoint_many([(run, step, state)], env, {run.digest: token})

    def checkpoint_many(self, states: Sequence[tuple[Run, int, bytes]], env: Environment, tokens: Mapping[str, int]) -> None:
        """Keep (Run, step, state) in one transaction, in place of earlier ones.

        Raises:
            StaleToken: a Run is leased under another token, or not leased; nothing was written.
            StoreError: nothing was written.
        """
        with self.writing() as db:
            for run, step, state in states:
                self._verify(db, run.digest, env, tokens)
                row = (run.digest, env.key, step, _state_sum(run.digest, env.key, step, state), state)
                db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)", row)

    def load_checkpoint(self, run: Run, env: Environment) -> tuple[int, bytes] | None:
        """(step, state) of the last checkpoint; None where there is none, or its checksum fails: the Run then starts over."""
        with self.reading() as db:
            sql = "SELECT step, sha256, state FROM checkpoints WHERE digest = ? AND env = ?"
            row = db.execute(sql, (run.digest, env.key)).fetchone()
        if row is None or not isinstance(row[0], int) or not isinstance(row[2], bytes):
            return None
        return (row[0], row[2]) if row[1] == _state_sum(run.digest, env.key, row[0], row[2]) else None

    # Upkeep

    def problems(self) -> list[str]:
        """What is wrong with the file: SQLite's own check, then every record's checksum; empty for a sound store."""
        found: list[str] = []
        try:
            with self.reading() as db:
                found += [str(text) for (text,) in db.execute("PRAGMA quick_check(20)") if text != "ok"]
                ids = [number for (number,) in db.execute("SELECT id FROM results NOT INDEXED")]
        except StoreError as error:
            return [*found, str(error)]
        for number in ids:
            try:
                with self.reading() as db:
                    row = db.execute(f"SELECT {COLUMNS} FROM results WHERE id = ?", (number,)).fetchone()
                self._record(row)
            except StoreError as error:
                found.append(f"result {number}: {error}")
        return found

    def _record(self, row: Sequence[Any]) -> tuple[Run, Environment, Curves]:
        try:
            return read_row(row)
        except EvidenceError as error:
            raise StoreError(f"store {self.path}: the record of run {row[0]!r} is damaged ({error}); {_DAMAGED}") from error

    def _encoded(self, results: Iterable[tuple[Curves, Environment]]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for curves, env in results:
            digest = curves.run.digest
            try:
                record = encode(curves)
            except EvidenceError as error:
                raise StoreError(f"store {self.path}: run {digest} cannot be recorded: {error}") from error
            identity = (digest, env.fingerprint, env.torch, env.device)
            rows.append((digest, env.key, *identity[1:], float(curves.seconds), _record_sum(*identity, record), record))
        return rows

    def _verify(self, db: sqlite3.Connection, digest: str, env: Environment, tokens: Mapping[str, int]) -> None:
        row = db.execute("SELECT token FROM leases WHERE digest = ? AND env = ?", (digest, env.key)).fetchone()
        if row is None or row[0] != tokens.get(digest):
            now = "it is no longer leased" if row is None else f"the lease has token {row[0]}"
            raise StaleToken(f"store {self.path}: run {digest} came with token {tokens.get(digest)}, but {now}; nothing was written")


def read_row(row: Sequence[Any]) -> tuple[Run, Environment, Curves]:
    """A row of results (``COLUMNS``), verified.

    Raises:
        EvidenceError: a value is damaged.
    """
    digest, fingerprint, torch, device, checksum, record = row
    texts = (digest, fingerprint, torch, device)
    if not all(isinstance(text, str) for text in texts) or not isinstance(record, bytes):
        raise EvidenceError("a column has a wrong type")
    if checksum != _record_sum(digest, fingerprint, torch, device, record):
        raise EvidenceError("its checksum does not match")
    curves = decode(record)
    return curves.run, Environment(fingerprint, torch, device), curves


def _insert(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> set[str]:
    new = set()
    sql = f"INSERT OR IGNORE INTO results(digest, env, fingerprint, torch, device, seconds, sha256, record) VALUES ({_marks('12345678')})"
    for row in rows:
        if db.execute(sql, row).rowcount == 1:
            new.add(row[0])
        for table in ("checkpoints", "leases"):
            db.execute(f"DELETE FROM {table} WHERE digest = ? AND env = ?", row[:2])
    return new


def _exists(db: sqlite3.Connection, digest: str, env: Environment) -> bool:
    return db.execute("SELECT 1 FROM results WHERE digest = ? AND env = ?", (digest, env.key)).fetchone() is not None


def _record_sum(digest: str, fingerprint: str, torch: str, device: str, record: bytes) -> bytes:
    return hashlib.sha256(dump_json([digest, fingerprint, torch, device]) + record).digest()


def _state_sum(digest: str, env: str, step: int, state: bytes) -> bytes:
    return hashlib.sha256(dump_json([digest, env, step]) + state).digest()


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _batches(digests: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), size):  # SQLite limits the number of parameters
        yield digests[start : start + size]


@contextlib.contextmanager
def _as_store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise StoreError(f"store {path}: {_ADVICE.get(code, _DAMAGED)} ({error})") from error
    except OSError as error:
        advice = _ADVICE[sqlite3.SQLITE_CANTOPEN]
        raise StoreError(f"store {path}: {advice} ({error})") from error


def _connect(path: Path, readonly: bool) -> sqlite3.Connection:
    if readonly:
        if not path.is_file():
            raise StoreError(f"store {path}: there is no such file; name another store with --runs")
        address = f"{path.absolute().as_uri()}?mode=ro"
        wal = path.with_name(path.name + "-wal")
        if not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size):
            address += "&immutable=1"  # WAL would want to make a file beside it
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        address = path.absolute().as_uri()
    db = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # of a new file
        db.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was committed
        db.execute("PRAGMA cell_size_check = ON")
        if not _is_store(db, path, empty=not readonly):
            _set_journal(db, path)
            db.execute("BEGIN IMMEDIATE")  # of workers that start together, one makes the tables
            if not _is_store(db, path, empty=True):
                for statement in (*SCHEMA_SQL.split(";"), f"PRAGMA user_version = {SCHEMA}", f"PRAGMA application_id = {APPLICATION_ID}"):
                    db.execute(statement)
            db.execute("COMMIT")
        elif not readonly:
            _set_journal(db, path)
        for table in ("results", "checkpoints", "leases"):
            db.execute(f"SELECT rowid FROM {table} LIMIT 1").fetchone()
        if db.execute("SELECT count(*) FROM last_token").fetchone() != (1,):
            raise StoreError(f"store {path}: {_DAMAGED}")
    except BaseException:
        db.close()
        raise
    return db


def _is_store(db: sqlite3.Connection, path: Path, *, empty: bool) -> bool:
    """Whether the tables are there; a new, empty file is accepted where ``empty``."""
    inside = db.in_transaction
    if not inside:
        db.execute("BEGIN")  # the three numbers from one moment: another worker may be making the tables
    queries = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    schema, application, tables = (int(db.execute(query).fetchone()[0]) for query in queries)
    if not inside:
        db.execute("COMMIT")
    if application == APPLICATION_ID and schema > SCHEMA:
        newer = f"(schema {schema}, this one reads {SCHEMA})"
        raise StoreError(f"store {path} was written by a newer omnigrok {newer}: upgrade, or name another store with --runs")
    if application == APPLICATION_ID and schema == SCHEMA:
        return True
    if empty and not application and not schema and not tables:
        return False
    raise StoreError(f"store {path}: it is a SQLite file, but no omnigrok store; name another store with --runs")


def _set_journal(db: sqlite3.Connection, path: Path) -> None:
    """WAL where the file system can; else a rollback journal, which any with working locks can."""
    wanted = "delete" if file_system(path) in _NETWORK else "wal"
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] == wanted:
                break
            if db.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0] == wanted or wanted == "delete":
                break
            wanted = "delete"
        except sqlite3.OperationalError as error:  # changing the mode does not wait for other workers' locks as other statements do
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    db.execute(f"PRAGMA journal_size_limit = {64 << 20}")


def file_system(path: Path) -> str:
    """Type of the file system that holds the path ("ext4", "nfs4", ...); "" where the system does not say."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    where = str(path.parent.resolve()) + "/"
    for fields in (line.split() for line in lines):
        mount = fields[1].encode().decode("unicode_escape").rstrip("/") + "/"  # a space is written \040
        if where.startswith(mount) and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


def _before_fork() -> None:
    # A child that inherits an open file would believe that it holds the parent's locks: close, and let both open again.
    for store in list(_open_stores):
        store._lock.acquire()
        _forking.append(store)
        if store._db is not None and not store._db.in_transaction:
            store.close()


def _after_fork() -> None:
    while _forking:
        _forking.pop()._lock.release()


def _after_fork_in_child() -> None:
    for store in _forking:
        _inherited.append(store._db)  # the parent's open transaction: closing it here would disturb the parent
        store._db = None
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
