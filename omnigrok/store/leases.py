"""Leases: who trains which Run now; each carries a fencing token, so that only its latest holder
can write.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from omnigrok.errors import BadInput, StoreError
from omnigrok.run import Run
from omnigrok.store.database import DAMAGED
from omnigrok.store.store import Environment, Store

LAST_TOKEN = 2**62  # far beyond what is ever leased, and within what SQLite can count
# a lease that ends later than so many of its ttl from now was written by a clock that has jumped
ABSURD = 10


class Leases:
    """The leases of one store.

    Args:
        store: where they are kept, with the results.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self.store, self.clock = store, clock

    def acquire(
        self,
        keys: Iterable[Run | str],
        env: Environment,
        owner: str,
        ttl: float,
        *,
        whole: bool = False,
    ) -> dict[str, int]:
        """Lease what has no result and is free: never leased, released, expired, or held by a dead
        process of this host.

        Args:
            keys: Runs or their digests.
            env: where they will be trained.
            owner: from ``new_owner``.
            ttl: seconds until the leases expire, unless renewed.
            whole: lease all of the keys, or none.

        Returns:
            Fencing token by digest, for what was leased. Tokens rise over the whole life of the
            store.

        Raises:
            BadInput: ttl is not a positive finite number.
            StoreError: nothing was leased; or another machine trains into this store.
        """
        _check_ttl(ttl)
        digests = list(dict.fromkeys(_digest(key) for key in keys))
        with self.store.writing() as db:
            now = self.clock()
            self._refuse_other_machines(db, owner, now)
            held = self._held(db, env, now)
            taken = [
                digest
                for digest in digests
                if digest not in held and not _has_result(db, digest, env)
            ]
            if whole and len(taken) < len(digests):
                return {}
            (last,) = db.execute("SELECT token FROM last_token").fetchone()
            if not isinstance(last, int) or not 0 <= last < LAST_TOKEN:
                raise StoreError(
                    f"store {self.store.path}: its last token is {last!r:.40}; {DAMAGED}"
                )
            tokens = {digest: last + place for place, digest in enumerate(taken, start=1)}
            if tokens:
                db.execute("UPDATE last_token SET token = ?", (last + len(tokens),))
            for digest, token in tokens.items():
                row = (digest, env.key, token, owner, float(ttl), now + ttl)
                db.execute(
                    (
                        "INSERT OR REPLACE INTO leases(digest, env, token, owner, ttl, expires_at) "
                        "VALUES (?, ?, ?, ?, ?, ?)"
                    ),
                    row,
                )
        return tokens

    def renew(self, tokens: Mapping[str, int], ttl: float) -> dict[str, int]:
        """The heartbeat: move the end of these leases to ttl seconds from now.

        Returns:
            Those still held; a lease that ran out is still held until another replaces it. Stop
            training the others.

        Raises:
            BadInput: ttl is not a positive finite number.
            StoreError: nothing was renewed.
        """
        _check_ttl(ttl)
        with self.store.writing() as db:
            sql = "UPDATE leases SET ttl = ?, expires_at = ? WHERE token = ? AND digest = ?"
            end = self.clock() + ttl
            return {
                digest: token
                for digest, token in tokens.items()
                if db.execute(sql, (float(ttl), end, token, digest)).rowcount
            }

    def release(self, tokens: Mapping[str, int]) -> None:
        """Give these leases up, so that others can take them at once; those no longer held are
        passed over.
        """
        with self.store.writing() as db:
            db.executemany(
                "DELETE FROM leases WHERE token = ? AND digest = ?",
                [(token, digest) for digest, token in tokens.items()],
            )

    def holders(self, keys: Iterable[Run | str], env: Environment) -> dict[str, str]:
        """Owner by digest, of those keys that are leased now: what is worth waiting for."""
        with self.store.reading() as db:
            held = self._held(db, env, self.clock())
        wanted = {_digest(key) for key in keys}
        return {digest: owner for digest, owner in held.items() if digest in wanted}

    def _refuse_other_machines(self, db: sqlite3.Connection, owner: str, now: float) -> None:
        """Leases compare clocks and look for dead processes: both need one machine.

        Raises:
            StoreError: another machine holds a lease that has not run out.
        """
        rows = db.execute("SELECT DISTINCT owner, expires_at, ttl FROM leases").fetchall()
        for other, end, ttl in rows:
            hosts = {_host_of(name) for name in (owner, other) if isinstance(name, str)} - {""}
            if len(hosts) > 1 and _runs(now, end, ttl):
                raise StoreError(
                    f"store {self.store.path}: another machine trains into it "
                    f"({re.sub('-[0-9a-f]{8}$', '', _host_of(other))}), and leases never cross "
                    "machines: wait for its end, or train on all machines from one process with "
                    "--engine ray"
                )

    def _held(self, db: sqlite3.Connection, env: Environment, now: float) -> dict[str, str]:
        rows = db.execute(
            "SELECT digest, owner, ttl, expires_at FROM leases WHERE env = ?", (env.key,)
        ).fetchall()
        for _, owner, ttl, end in rows:
            if (
                not isinstance(owner, str)
                or not isinstance(ttl, float)
                or not isinstance(end, float)
                or not 0 < ttl < math.inf
            ):
                raise StoreError(f"store {self.store.path}: a lease is damaged; {DAMAGED}")
        running = {owner: not is_dead(owner) for owner in {row[1] for row in rows}}
        return {
            digest: owner
            for digest, owner, ttl, end in rows
            if _runs(now, end, ttl) and running[owner]
        }


def _host_of(owner: str) -> str:
    """The host in a name of ``new_owner``; "" in any other name."""
    host, colon, _ = owner.partition(":")
    return host if colon else ""


def _runs(now: float, end: object, ttl: object) -> bool:
    """Whether a lease has not run out; one that ends absurdly late was written by a clock that has
    jumped.
    """
    if not (isinstance(end, float) and isinstance(ttl, float)):
        return False
    return now < end <= now + ABSURD * ttl


def new_owner() -> str:
    """A name for this process as a holder of leases: host:pid:start-random."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid())}-{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """Whether this is a process of this host that has ended; False where that cannot be known."""
    host, _, rest = owner.partition(":")
    pid, _, start = rest.partition(":")
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # it runs, as another user
    started = _started(int(pid))
    # A killed process whose parent has not waited for it is dead too; another start time is another
    # process under a used number.
    return started == "ended" or (started != "" and start.partition("-")[0] not in ("", started))


def _host() -> str:
    """The host's name, with what tells apart machines, boots and containers that share it: pids
    mean nothing across them.
    """
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()
    return f"{socket.gethostname().replace(':', '_')}-{digest[:8]}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; "ended" for a zombie, "" where the system
    does not say.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[
        2
    ].split()  # the command's name, in parentheses, may hold anything
    return "ended" if fields[0] in "ZX" else fields[19]


def _digest(key: Run | str) -> str:
    return key if isinstance(key, str) else key.digest


def _has_result(db: sqlite3.Connection, digest: str, env: Environment) -> bool:
    return (
        db.execute(
            "SELECT 1 FROM results WHERE digest = ? AND env = ?", (digest, env.key)
        ).fetchone()
        is not None
    )


def _check_ttl(ttl: float) -> None:
    if not (math.isfinite(ttl) and ttl > 0):
        raise BadInput(f"ttl = {ttl!r} is not accepted; a positive number of seconds is")
