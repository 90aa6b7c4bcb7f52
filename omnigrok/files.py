"""Files that are written whole or not at all, and where they may be written, checked before the
work whose result goes there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_dir

from omnigrok.errors import BadInput


def user_cache() -> Path | None:
    """The user's cache folder; None for a user without a home folder."""
    try:
        folder = user_cache_dir("omnigrok")
    except (KeyError, RuntimeError):
        return None
    return (
        None if folder.startswith("~") else Path(folder)
    )  # some versions of platformdirs leave it there instead of an error


def read_whole(path: Path, limit: int) -> bytes:
    """The content of a file that somebody else may have put there.

    Raises:
        OSError: it cannot be read, is larger than ``limit`` bytes, or is not a regular file: a pipe
            would be waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"it is larger than {limit} bytes")
    return content


def check_target(option: str, path: Path, *, make_folder: bool = False) -> None:
    """Refuse a path that cannot be written, before minutes of work are spent on what goes there.

    Args:
        option: that names the path, for the message.
        make_folder: missing folders above the path will be made.

    Raises:
        BadInput: the path is a folder, its folder is missing, or the folder or the file cannot be
            written.
    """
    if path.is_dir():
        raise BadInput(f"{option} {path}: is a folder; name a file")
    folder = path.absolute().parent
    if make_folder:
        while not folder.exists():
            folder = folder.parent
    if not folder.exists():
        raise BadInput(
            f"{option} {path}: cannot be written: there is no folder {folder}; make it, or name "
            "another path"
        )
    if not folder.is_dir():
        raise BadInput(
            f"{option} {path}: cannot be written: {folder} is not a folder; name another path"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(
            f"{option} {path}: cannot be written: the folder {folder} is read-only; name another "
            "path"
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise BadInput(
            f"{option} {path}: cannot be written: the file is read-only; name another path"
        )


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        BadInput: the folder is missing or cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror or error}; name another path"
        ) from error


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that takes the place of ``path`` when the block
    ends: whole, or, after any exception, not at all.

    Args:
        path: the file.
        durable: wait until it is on the disk. Otherwise a power cut may leave a part of it.

    Raises:
        OSError: it cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("x+b") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if not durable:
        return
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
