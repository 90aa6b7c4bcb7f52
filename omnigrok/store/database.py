"""The file under a run store: one SQLite database, opened, checked and shared between threads and
forks; its errors in plain words.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from omnigrok.errors import StoreError
from omnigrok.store.encode import HEADER_LIMIT, STATE_LIMIT

SCHEMA = 1
APPLICATION_ID = 0x4F474B52  # "OGKR": tells a store from any other SQLite file
BUSY_SECONDS = 60.0
PAGE_SIZE = 4096
LARGEST_VALUE = STATE_LIMIT + 2 * HEADER_LIMIT  # bytes: a checkpoint with its header
SCHEMA_SQL = """
CREATE TABLE results(id INTEGER PRIMARY KEY, digest TEXT NOT NULL, env TEXT NOT NULL,
  fingerprint TEXT NOT NULL, torch TEXT NOT NULL, device TEXT NOT NULL, seconds REAL NOT NULL,
  sha256 BLOB NOT NULL, record BLOB NOT NULL, UNIQUE(digest, env));
CREATE TABLE checkpoints(digest TEXT NOT NULL, env TEXT NOT NULL, step INTEGER NOT NULL,
  sha256 BLOB NOT NULL, state BLOB NOT NULL, PRIMARY KEY(digest, env));
CREATE TABLE leases(digest TEXT NOT NULL, env TEXT NOT NULL, token INTEGER NOT NULL UNIQUE,
  owner TEXT NOT NULL, ttl REAL NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY(digest, env));
CREATE TABLE last_token(token INTEGER NOT NULL);
INSERT INTO last_token VALUES (0)
"""
# WAL needs memory shared by all who have the file open, which two machines do not have, nor a
# machine and the one it runs on. Of these it is known that one machine alone has them.
_LOCAL = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs"),
    *("tmpfs", "ramfs", "overlay", "apfs", "hfs", "ufs", "ffs", "nilfs2"),
}
_ADVICE = {
    sqlite3.SQLITE_FULL: (
        "the disk is full: free some space, or name another store with --runs; all that was "
        "recorded before is kept"
    ),
    sqlite3.SQLITE_READONLY: (
        "it cannot be written: allow writing to the file and its folder, or name another store "
        "with --runs"
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened: check that its folder exists and can be written, or name another "
        "store with --runs"
    ),
    sqlite3.SQLITE_PERM: (
        "it cannot be opened: check its permissions, or name another store with --runs"
    ),
    sqlite3.SQLITE_BUSY: (
        f"another process kept it locked for {BUSY_SECONDS:.0f} s: try again, or name another "
        "store with --runs"
    ),
    sqlite3.SQLITE_LOCKED: "another statement keeps it locked: try again",
    sqlite3.SQLITE_IOERR: (
        "reading or writing the disk failed: check the disk, or name another store with --runs"
    ),
    sqlite3.SQLITE_TOOBIG: (
        f"a record or checkpoint is larger than a store keeps ({LARGEST_VALUE} bytes)"
    ),
}


def _normalised(sql: str) -> str:
    return " ".join(sql.split())


_TABLES = {
    _normalised(sql) for sql in SCHEMA_SQL.split(";") if sql.strip().startswith("CREATE TABLE")
}
DAMAGED = (
    "it is damaged, or not an omnigrok store: save what is readable with "
    "`omnigrok evidence salvage`, or name another with --runs"
)
_open_stores: weakref.WeakSet[Database] = weakref.WeakSet()
_forking: list[Database] = []
_inherited: list[sqlite3.Connection | None] = []


class Database:
    """The SQLite file of a store, with its tables.

    One object serves all threads of a process, and opens its own connection after a fork. Close it,
    or use it in a ``with``.

    Args:
        path: the file; it and its folder are made where missing.
        readonly: write nothing; the file must be there.

    Raises:
        StoreError: the file cannot be opened, is damaged, is something else, or was written by a
            newer omnigrok.
    """

    def __init__(self, path: str | os.PathLike[str], *, readonly: bool = False) -> None:
        self.path, self.readonly = Path(path), readonly
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        # Which file it is, and which log it has: others may come to lie at the same path.
        self._file: tuple[int, int] | None = None
        self._log: tuple[int, int] | None = None
        with self.reading():
            pass
        _open_stores.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for statements that only read; the errors of SQLite come out as
        StoreError.
        """
        with self._lock, _as_store_errors(self.path):
            if self._db is None:
                if self._file is not None:
                    self._check_same_file()
                self._db = _connect(self.path, self.readonly)
                self._file = self._file or _place(self.path)
            yield self._db

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk at the end, or, after any exception, none."""
        with self.reading() as db:
            self._check_same_file()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._check_same_file()
                db.execute("COMMIT")
                self._log = _place(_log_of(self.path))
            except BaseException:
                if db.in_transaction:  # SQLite itself rolls back after some errors
                    db.execute("ROLLBACK")
                raise

    def _check_same_file(self) -> None:
        """Refuse to write where the file was replaced or removed: the results would be lost, and
        its log would be taken for that of the new file.
        """
        if _place(self.path) == self._file:
            return
        log = _log_of(self.path)
        if self._log is not None and _place(log) == self._log:
            log.rename(log.with_name(f"{log.name}.of-replaced-{self._log[1]}"))
        raise StoreError(
            f"store {self.path}: the file was replaced or removed while it was in use; nothing was "
            "written. Start again, or name another store with --runs"
        )


def _place(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@contextlib.contextmanager
def _as_store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise StoreError(f"store {path}: {_ADVICE.get(code, DAMAGED)} ({error})") from error
    except (
        UnicodeDecodeError
    ) as error:  # SQLite's own message, or a text of the file, with damaged bytes in it
        raise StoreError(f"store {path}: {DAMAGED}") from error
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
            address += "&immutable=1"  # WAL would want to make a file next to it
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        address = path.absolute().as_uri()
    db = sqlite3.connect(
        address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")  # of a new file
        db.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was committed
        db.execute("PRAGMA cell_size_check = ON")
        db.execute(
            "PRAGMA trusted_schema = OFF"
        )  # a file from elsewhere may name functions in its schema
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        if not _is_store(db, path, empty=not readonly):
            _set_journal(db, path)
            db.execute("BEGIN IMMEDIATE")  # of workers that start together, one makes the tables
            if not _is_store(db, path, empty=True):
                for statement in (
                    *SCHEMA_SQL.split(";"),
                    f"PRAGMA user_version = {SCHEMA}",
                    f"PRAGMA application_id = {APPLICATION_ID}",
                ):
                    db.execute(statement)
            db.execute("COMMIT")
        elif not readonly:
            _set_journal(db, path)
        _check_tables(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _check_tables(db: sqlite3.Connection, path: Path) -> None:
    """Refuse other tables than those of a store: what is computed in them could be anything."""
    # Triggers and views would run within the statements of a store, and only a foreign file has
    # them.
    if db.execute(
        "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')"
    ).fetchone() != (0,):
        raise StoreError(
            f"store {path}: it holds triggers or views, so it is not an omnigrok store; name "
            "another store with --runs"
        )
    made = {text for (text,) in db.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")}
    if {_normalised(text) for text in made} != _TABLES:
        raise StoreError(
            f"store {path}: its tables are not those of an omnigrok store: save what is readable "
            "with `omnigrok evidence salvage`, or name another store with --runs"
        )
    for table in ("results", "checkpoints", "leases"):
        db.execute(f"SELECT rowid FROM {table} LIMIT 1").fetchone()
    if db.execute("SELECT count(*) FROM last_token").fetchone() != (1,):
        raise StoreError(f"store {path}: {DAMAGED}")


def _is_store(db: sqlite3.Connection, path: Path, *, empty: bool) -> bool:
    """Whether the tables are there; a new, empty file is accepted where ``empty``."""
    inside = db.in_transaction
    if not inside:
        db.execute(
            "BEGIN"
        )  # the three numbers from one moment: another worker may be making the tables
    queries = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    schema, application, tables = (int(db.execute(query).fetchone()[0]) for query in queries)
    if not inside:
        db.execute("COMMIT")
    if application == APPLICATION_ID and schema > SCHEMA:
        newer = f"(schema {schema}, this one reads {SCHEMA})"
        raise StoreError(
            f"store {path} was written by a newer omnigrok {newer}: upgrade, or name another store "
            "with --runs"
        )
    if application == APPLICATION_ID and schema == SCHEMA:
        return True
    if empty and not application and not schema and not tables:
        return False
    raise StoreError(
        f"store {path}: it is a SQLite file, but not an omnigrok store; name another store with "
        "--runs"
    )


def _set_journal(db: sqlite3.Connection, path: Path) -> None:
    """WAL where the file system can; else a rollback journal, which any with working locks can."""
    wanted = "wal" if file_system(path) in _LOCAL else "delete"
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] == wanted:
                break
            if (
                db.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0] == wanted
                or wanted == "delete"
            ):
                break
            wanted = "delete"
        # changing the mode does not wait for other workers' locks as other statements do
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    db.execute(f"PRAGMA journal_size_limit = {64 << 20}")


def file_system(path: Path) -> str:
    """Type of the file system that holds the path ("ext4", "nfs4", ...); "" where the system does
    not say.
    """
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    where = str(path.parent.resolve()) + "/"
    for fields in (line.split() for line in lines):
        mount = (
            fields[1].encode().decode("unicode_escape").rstrip("/") + "/"
        )  # a space is written \040
        if where.startswith(mount) and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


def _before_fork() -> None:
    # A child that inherits an open file would believe that it holds the parent's locks: close, and
    # let both open again.
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
        _inherited.append(
            store._db
        )  # the parent's open transaction: closing it here would disturb the parent
        store._db = None
    _after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
