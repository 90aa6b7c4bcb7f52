"""Generated parts of a text file, each between two markers: ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omnigrok.audit.summary import write_whole
from omnigrok.errors import BadInput


def markers(name: str) -> tuple[str, str]:
    """The lines before and after a part."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def read_text(path: Path) -> str:
    """The content of a text file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error


def has_part(path: Path, name: str) -> bool:
    """Whether a file has both markers of a part.

    Raises:
        BadInput: it cannot be read.
    """
    content = read_text(path)
    return all(marker in content for marker in markers(name))


def between(path: Path, name: str) -> str:
    """The text that stands between the markers of a part.

    Raises:
        BadInput: the file cannot be read, or lacks the markers.
    """
    begin, end = markers(name)
    _, found, rest = read_text(path).partition(f"{begin}\n")
    text, closed, _ = rest.partition(end)
    if not found or not closed:
        raise BadInput(f"{path}: lacks the markers {begin} and {end}")
    return text


def insert(path: Path, name: str, text: str, check: bool = False, same: Callable[[str], str] = str) -> None:
    """Put a text, which ends a line, between the markers of a part.

    Args:
        check: change nothing; raise where the part is not current.
        same: what must be equal for ``check``; by default all of it.

    Raises:
        BadInput: the file cannot be read or written, the markers are missing, or with ``check`` the part differs.
    """
    old = between(path, name)
    if check and same(text) != same(old):
        raise BadInput(f"{path}: the part {name!r} is not current; run the command without --check")
    if old != text:
        before, begin, rest = read_text(path).partition(f"{markers(name)[0]}\n")
        write_whole(path, f"{before}{begin}{text}{rest[len(old) :]}")
