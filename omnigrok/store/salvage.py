"""What is left of a damaged store: every whole result, copied to a new one."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError, StoreError
from omnigrok.store.database import PAGE_SIZE
from omnigrok.store.store import COLUMNS, LARGEST_RECORD, Environment, Store, read_row


@dataclass(frozen=True)
class Salvaged:
    """Counts of results that were copied, and of those that were not since a checksum or page is
    damaged (None: cannot be known).
    """

    copied: int
    damaged: int | None


def salvage(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Salvaged:
    """Copy every readable, whole result of a damaged store to a new store. The damaged file is left
    as it is.

    Raises:
        StoreError: the file is not there, nothing of it can be read, or the target exists or cannot
            be written.
    """
    source, new = Path(path), Path(target)
    if new.exists():
        raise StoreError(f"store {new} exists: name a new one to salvage {source} to")
    try:
        with tempfile.TemporaryDirectory(prefix="omnigrok-salvage-") as folder:
            copy = Path(folder) / "copy.db"
            shutil.copyfile(source, copy)
            _copy_with_wal(source, copy)
            if not _has_readable_tables(copy):
                _copy_with_wal(source, copy)
                _renew_first_page(copy)
            rows = _readable_rows(copy)
            first = next(rows, None)
            listed = _listed(copy)
            if first is None and listed is None:
                raise StoreError(f"store {source}: nothing of it can be read")
            with Store(new) as store:
                copied = len(store.adopt(itertools.chain([first] if first else [], rows)))
    except OSError as error:
        raise StoreError(f"store {source} cannot be salvaged: {error}") from error
    return Salvaged(copied, None if listed is None else max(0, listed - copied))


def _copy_with_wal(source: Path, copy: Path) -> None:
    shutil.copyfile(source, copy)
    for suffix in ("-wal", "-journal"):  # what a killed process had committed, or had not
        companion = source.with_name(source.name + suffix)
        if companion.exists():
            shutil.copyfile(companion, copy.with_name(copy.name + suffix))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path, isolation_level=None)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_RECORD)  # its columns may compute anything
    try:
        # SQLite then also reads a file that is shorter than its first page says.
        with contextlib.suppress(sqlite3.DatabaseError):
            db.execute("PRAGMA writable_schema = ON")
        yield db
    finally:
        db.close()


def _has_readable_tables(path: Path) -> bool:
    """Whether the list of tables can be read; a page of the table may still be damaged, and others
    whole.
    """
    with _opened(path) as db:
        try:
            db.execute("SELECT rowid FROM results WHERE rowid = 0").fetchone()
        except sqlite3.DatabaseError as error:
            return "no such table" not in str(error) and _knows_results(db)
        return True


def _readable_rows(path: Path) -> Iterator[tuple[Curves, Environment]]:
    """Whole results, one at a time."""
    with _opened(path) as db:
        # Numbers are given without gaps, and no record takes less than 256 bytes: all records but
        # those on a damaged page are reached.
        for number in range(1, path.stat().st_size // 256 + 2):
            try:
                row = db.execute(
                    f"SELECT {COLUMNS} FROM results WHERE id = ?", (number,)
                ).fetchone()
                found = read_row(row) if row else None
            except (sqlite3.DatabaseError, EvidenceError):
                continue
            if found is not None:
                yield found[2], found[1]


def _listed(path: Path) -> int | None:
    """How many results there were, by the index; None where that is damaged, too."""
    with _opened(path) as db:
        try:
            (listed,) = db.execute(
                "SELECT count(*) FROM results INDEXED BY sqlite_autoindex_results_1"
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
        return int(listed)


def _knows_results(db: sqlite3.Connection) -> bool:
    try:
        return (
            db.execute("SELECT name FROM sqlite_master WHERE name = 'results'").fetchone()
            is not None
        )
    except sqlite3.DatabaseError:
        return False


def _renew_first_page(path: Path) -> None:
    """Replace a damaged first page by that of a new store: the tables of every store of one schema
    start on the same pages.
    """
    with tempfile.TemporaryDirectory(prefix="omnigrok-salvage-") as folder:
        template = Path(folder) / "new.db"
        Store(template).close()
        page = bytearray(template.read_bytes()[:PAGE_SIZE])
    size = path.stat().st_size
    page[28:32] = (size // PAGE_SIZE).to_bytes(4, "big")
    page[32:40] = bytes(8)  # no list of free pages
    with open(path, "r+b") as file:
        file.write(page)
