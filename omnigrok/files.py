"""Files that are written whole or not at all, and where they may be written, checked before the
work whose result goes there.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

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
            f"{option} {path}: cannot be written: {folder} is no folder; name another path"
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(
            f"{path}: cannot be written: {error.strerror or error}; name another path"
        ) from error
