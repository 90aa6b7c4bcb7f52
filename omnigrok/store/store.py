"""The run store: recorded Curves, checkpoints and leases in one SQLite file, shared by all
workers.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError, StaleToken, StoreError
from omnigrok.run import Run
from omnigrok.store.database import DAMAGED, Database
from omnigrok.store.encode import CURVES_LIMIT, HEADER_LIMIT, decode, dump_json, encode

# bytes of a record, which a store reads into memory
LARGEST_RECORD = CURVES_LIMIT + 2 * HEADER_LIMIT
# what read_row takes; "fingerprint" holds the identity
COLUMNS = (
    "digest, env, fingerprint, torch, device, sha256, "
    f"CASE WHEN length(record) <= {LARGEST_RECORD} THEN record END"
)


@dataclass(frozen=True)
class Environment:
    """What besides the Run decides its numbers.

    Args:
        identity: trainer, data set and architecture with their versions
            (``omnigrok.training.identity``).
        torch: version of torch.
        device: "cpu" or the name of the GPU.
    """

    identity: str
    torch: str
    device: str

    @property
    def key(self) -> str:
        """SHA-256 of the three, 16 hex digits."""
        return hashlib.sha256(dump_json([self.identity, self.torch, self.device])).hexdigest()[:16]


class Store(Database):
    """Recorded Curves by (Run, Environment), at most one a key, with the checkpoints and leases of
    what is still training.

    Opened, closed and shared as a ``Database``.
    """

    # Results

    def get(self, run: Run, env: Environment) -> Curves | None:
        """The result of this Run in this Environment, or None.

        Raises:
            StoreError: the record is damaged.
        """
        return self.get_many([run], env).get(run.digest)

    def get_many(self, runs: Iterable[Run], env: Environment) -> dict[str, Curves]:
        """The results in this Environment, by digest of the Run; those that are not there are left
        out.

        Raises:
            StoreError: a record is damaged.
        """
        found = {}
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                sql = (
                    f"SELECT {COLUMNS} FROM results WHERE env = ? AND digest IN ({_marks(digests)})"
                )
                for row in db.execute(sql, [env.key, *digests]):
                    run, _, curves = self._record(row)
                    found[run.digest] = curves
        return found

    def get_stale(
        self, run: Run, env: Environment | None = None
    ) -> tuple[Curves, Environment] | None:
        """The newest result of this Run in any Environment but this one, or None.

        Raises:
            StoreError: the record is damaged.
        """
        with self.reading() as db:
            sql = (
                f"SELECT {COLUMNS} FROM results WHERE digest = ? AND env != ? ORDER BY id DESC "
                "LIMIT 1"
            )
            row = db.execute(sql, (run.digest, env.key if env else "")).fetchone()
        if row is None:
            return None
        _, other, curves = self._record(row)
        return curves, other

    def has_many(self, runs: Iterable[Run], env: Environment | None) -> set[str]:
        """Digests of those Runs that have a result in this Environment (in any, where it is
        None).
        """
        found: set[str] = set()
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                sql = (
                    f"SELECT DISTINCT digest FROM results WHERE digest IN ({_marks(digests)}) AND "
                    "(? IS NULL OR env = ?)"
                )
                found.update(
                    digest
                    for (digest,) in db.execute(sql, [*digests, *[env.key if env else None] * 2])
                )
        return found

    def records(self) -> Iterator[tuple[Run, Environment, Curves]]:
        """All results, oldest first, read a few at a time.

        Raises:
            StoreError: a record is damaged.
        """
        last = 0
        while True:
            with self.reading() as db:
                rows = db.execute(
                    f"SELECT id, {COLUMNS} FROM results WHERE id > ? ORDER BY id LIMIT 32", (last,)
                ).fetchall()
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
        """Recorded training seconds by digest; of the newest result where no Environment is
        given.
        """
        seconds: dict[str, float] = {}
        for digests in _batches([run.digest for run in runs]):
            with self.reading() as db:
                columns = "digest, CAST(seconds AS REAL)"
                sql = (
                    f"SELECT {columns} FROM results WHERE digest IN ({_marks(digests)}) AND (? IS "
                    "NULL OR env = ?) ORDER BY id"
                )
                seconds.update(db.execute(sql, [*digests, *[env.key if env else None] * 2]))
        return seconds

    def put(self, curves: Curves, env: Environment, token: int) -> bool:
        """Record one result under its lease; ``put_many`` says how. False where the key has a
        result already.
        """
        return bool(self.put_many([curves], env, {curves.run.digest: token}))

    def put_many(
        self, results: Sequence[Curves], env: Environment, tokens: Mapping[str, int]
    ) -> set[str]:
        """Record results in one transaction, and drop their checkpoints and leases.

        Args:
            results: what was trained.
            env: where.
            tokens: fencing tokens by digest, from ``Leases.acquire``. A lease that ran out still
                counts until another replaces it.

        Returns:
            Digests of the results that were recorded; a key that has one already keeps it and is
            left out.

        Raises:
            StaleToken: a key without result is leased under another token, or not leased; nothing
                was written.
            StoreError: nothing was written.
        """
        encoded = list(self._encoded((curves, env) for curves in results))
        with self.writing() as db:
            wanted = [row for row in encoded if not _exists(db, row[0], env)]
            for row in wanted:
                self._verify(db, row[0], env, tokens)
            return _insert(db, wanted)

    def adopt(self, results: Iterable[tuple[Curves, Environment]]) -> set[str]:
        """Record results that were trained elsewhere, in one transaction and without leases
        (import, salvage); one at a time, so that they need not fit into memory.

        Returns:
            Digests of the results that were recorded; a key that has one already keeps it and is
            left out.

        Raises:
            StoreError: nothing was written.
        """
        with self.writing() as db:
            return _insert(db, self._encoded(results))

    # Checkpoints

    def checkpoint(self, run: Run, env: Environment, token: int, step: int, state: bytes) -> None:
        """Keep the state of one Run under its lease and drop an earlier one; raises as
        ``checkpoint_many``.
        """
        self.checkpoint_many([(run, step, state)], env, {run.digest: token})

    def checkpoint_many(
        self, states: Sequence[tuple[Run, int, bytes]], env: Environment, tokens: Mapping[str, int]
    ) -> None:
        """Keep (Run, step, state) in one transaction, and drop earlier ones.

        Raises:
            StaleToken: a Run is leased under another token, or not leased; nothing was written.
            StoreError: nothing was written.
        """
        with self.writing() as db:
            for run, step, state in states:
                self._verify(db, run.digest, env, tokens)
                row = (
                    run.digest,
                    env.key,
                    step,
                    _state_sum(run.digest, env.key, step, state),
                    state,
                )
                db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)", row)

    def load_checkpoint(self, run: Run, env: Environment) -> tuple[int, bytes] | None:
        """(step, state) of the last checkpoint; None where there is none, or its checksum fails:
        the Run then starts over.
        """
        with self.reading() as db:
            sql = "SELECT step, sha256, state FROM checkpoints WHERE digest = ? AND env = ?"
            row = db.execute(sql, (run.digest, env.key)).fetchone()
        if row is None or not isinstance(row[0], int) or not isinstance(row[2], bytes):
            return None
        return (
            (row[0], row[2]) if row[1] == _state_sum(run.digest, env.key, row[0], row[2]) else None
        )

    # Upkeep

    def problems(self) -> list[str]:
        """What is wrong with the file: SQLite's own check, then every record's checksum; empty for
        a sound store.
        """
        found: list[str] = []
        try:
            with self.reading() as db:
                found += [
                    str(text) for (text,) in db.execute("PRAGMA quick_check(20)") if text != "ok"
                ]
                ids = [number for (number,) in db.execute("SELECT id FROM results NOT INDEXED")]
        except StoreError as error:
            return [*found, str(error)]
        for number in ids:
            try:
                with self.reading() as db:
                    row = db.execute(
                        f"SELECT {COLUMNS} FROM results WHERE id = ?", (number,)
                    ).fetchone()
                if row is None:  # listed in the order of the file, but out of its place there
                    raise StoreError(f"it cannot be found by its number; {DAMAGED}")
                self._record(row)
            except StoreError as error:
                found.append(f"result {number}: {error}")
        return found

    def _record(self, row: Sequence[Any]) -> tuple[Run, Environment, Curves]:
        try:
            return read_row(row)
        except EvidenceError as error:
            raise StoreError(
                f"store {self.path}: the record of run {row[0]!r} is damaged ({error}); {DAMAGED}"
            ) from error

    def _encoded(self, results: Iterable[tuple[Curves, Environment]]) -> Iterator[tuple[Any, ...]]:
        for curves, env in results:
            digest = curves.run.digest
            try:
                record = encode(curves)
            except EvidenceError as error:
                raise StoreError(
                    f"store {self.path}: run {digest} cannot be recorded: {error}"
                ) from error
            key = (digest, env.identity, env.torch, env.device)
            seconds, summed = float(curves.seconds), _record_sum(*key, record)
            yield (digest, env.key, *key[1:], seconds, summed, record)

    def _verify(
        self, db: sqlite3.Connection, digest: str, env: Environment, tokens: Mapping[str, int]
    ) -> None:
        row = db.execute(
            "SELECT token FROM leases WHERE digest = ? AND env = ?", (digest, env.key)
        ).fetchone()
        if row is None or row[0] != tokens.get(digest):
            now = "it is no longer leased" if row is None else f"the lease has token {row[0]}"
            raise StaleToken(
                f"store {self.path}: run {digest} came with token {tokens.get(digest)}, but {now}; "
                "nothing was written"
            )


def read_row(row: Sequence[Any]) -> tuple[Run, Environment, Curves]:
    """A row of results (``COLUMNS``), verified.

    Raises:
        EvidenceError: a value is damaged.
    """
    digest, key, identity, torch, device, checksum, record = row
    texts = (digest, identity, torch, device)
    if not all(isinstance(text, str) and text.isprintable() for text in texts) or not isinstance(
        record, bytes
    ):
        raise EvidenceError("a column has a wrong type")
    if checksum != _record_sum(digest, identity, torch, device, record):
        raise EvidenceError("its checksum does not match")
    curves, environment = decode(record), Environment(identity, torch, device)
    if curves.run.digest != digest or environment.key != key:
        raise EvidenceError("it is the record of another Run or Environment")
    return curves.run, environment, curves


def _insert(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> set[str]:
    new = set()
    sql = (
        "INSERT OR IGNORE INTO results(digest, env, fingerprint, torch, device, seconds, sha256, "
        f"record) VALUES ({_marks('12345678')})"
    )
    for row in rows:
        if db.execute(sql, row).rowcount == 1:
            new.add(row[0])
        for table in ("checkpoints", "leases"):
            db.execute(f"DELETE FROM {table} WHERE digest = ? AND env = ?", row[:2])
    return new


def _exists(db: sqlite3.Connection, digest: str, env: Environment) -> bool:
    return (
        db.execute(
            "SELECT 1 FROM results WHERE digest = ? AND env = ?", (digest, env.key)
        ).fetchone()
        is not None
    )


def _record_sum(digest: str, identity: str, torch: str, device: str, record: bytes) -> bytes:
    return hashlib.sha256(dump_json([digest, identity, torch, device]) + record).digest()


def _state_sum(digest: str, env: str, step: int, state: bytes) -> bytes:
    return hashlib.sha256(dump_json([digest, env, step]) + state).digest()


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _batches(digests: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), size):  # SQLite limits the number of parameters
        yield digests[start : start + size]
