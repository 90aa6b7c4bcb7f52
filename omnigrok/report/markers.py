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


def insert(path: Path, name: str, text: str, check: bool = False, same: Callable[[str], str] = str) -> None:
    """Put a text, which ends a line, between the markers of a part.

    Args:
        check: change nothing; raise where the part is not current.
        same: what must be equal for ``check``; by default all of it.

    Raises:
        BadInput: the file cannot be read, the markers are missing, or with ``check`` the part differs.
    """
    content = read_text(path)
    begin, end = markers(name)
    before, found, rest = content.partition(begin)
    old, closed, after = rest.partition(end)
    if not found or not closed:
        raise BadInput(f"{path}: lacks the markers {begin} and {end}")
    if check and same(f"\n{text}") != same(old):
        raise BadInput(f"{path}: the part {name!r} is not current; run the command without --check")
    if old != f"\n{text}":
        write_whole(path, f"{before}{begin}\n{text}{end}{after}")
