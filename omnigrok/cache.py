"""JSON values by key in a folder of the user's cache: written whole or not at all, checked when
they are read, bounded in size.

A cache never makes a command fail. An entry that cannot be read, or is damaged, counts as absent;
one that cannot be written is left out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from omnigrok.errors import BadInput
from omnigrok.files import read_whole, replacing, user_cache

LIMIT = 64 << 20  # bytes of all entries
ENTRY_LIMIT = 4 << 20
ROOM = 0.75  # of the limit is left when entries are removed
SWITCH = "OMNIGROK_CACHE"
_ENDING = ".json"


class Cache:
    """Values by key.

    Args:
        folder: of the entries; made when the first is written.
        limit: bytes of all entries; ``trim`` removes those that were used longest ago.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit

    def get(self, key: str) -> Any | None:
        """The value of a key; None where it is absent or damaged."""
        path = self._path(key)
        try:
            digest, _, text = read_whole(path, ENTRY_LIMIT).decode().partition("\n")
            if digest != _digest(key, text):
                return None
            os.utime(path)
            return json.loads(text)
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a JSON value, which may hold numpy's numbers; NaN and infinities come back."""
        text = json.dumps(value, default=_number)
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            # The digest finds what a power cut leaves of an entry: no need to wait for the disk.
            with replacing(self._path(key), durable=False) as file:
                file.write(f"{_digest(key, text)}\n{text}".encode())

    def trim(self) -> None:
        """Remove the entries that were used longest ago where all are larger than the limit."""
        found = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                # Another process may be trimming, too.
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    found.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self.limit:
            return
        for _, size, path in sorted(found):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size
            if total <= ROOM * self.limit:
                return

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode()).hexdigest()[:32] + _ENDING)


def _number(value: Any) -> Any:
    """A number of numpy as one of Python."""
    if not hasattr(value, "item"):
        raise TypeError(f"{type(value).__name__} is not a JSON value")
    return value.item()


def _digest(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()


def is_on() -> bool:
    """Whether results may come from the cache: unless ``OMNIGROK_CACHE=0``.

    Raises:
        BadInput: the variable is neither 0 nor 1.
    """
    wish = os.environ.get(SWITCH, "1")
    if wish not in ("0", "1"):
        raise BadInput(
            f"{SWITCH}={wish} is not accepted; 0 (judge everything again) or 1 (use what was "
            "judged before from the same evidence and code)"
        )
    return wish == "1"


def cache_of(name: str) -> Cache | None:
    """The cache of that name in the user's cache folder; None for a user without one, and where it
    is switched off.

    Raises:
        BadInput: as ``is_on``.
    """
    folder = user_cache()
    return Cache(folder / name) if folder is not None and is_on() else None
