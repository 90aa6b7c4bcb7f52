"""Generated parts of a text file, each between two markers: ``<!-- NAME: begin -->`` and
``<!-- NAME: end -->``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.files import read_whole, write_whole

LARGEST_FILE = 16_000_000


@dataclass(frozen=True)
class GeneratedPart:
    """What is to stand between the markers of a part.

    Args:
        text: ends a line.
        same: what must be equal for a part to be current; by default all of it.
    """

    name: str
    text: str
    same: Callable[[str], str] = str


def markers(name: str) -> tuple[str, str]:
    """The lines before and after a part."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def read_text(path: Path) -> str:
    """The content of a text file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return read_whole(path, LARGEST_FILE).decode("utf-8")
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
    """The text between the markers of a part.

    Raises:
        BadInput: the file cannot be read, or lacks the markers.
    """
    return _between(path, read_text(path), name)


def _between(path: Path, content: str, name: str) -> str:
    begin, end = markers(name)
    _, found, rest = content.partition(f"{begin}\n")
    text, closed, _ = rest.partition(end)
    if not found or not closed:
        raise BadInput(f"{path}: lacks the markers {begin} and {end}")
    return text


def insert(
    path: Path, name: str, text: str, check: bool = False, same: Callable[[str], str] = str
) -> None:
    """``insert_all`` of one part."""
    insert_all(path, [GeneratedPart(name, text, same)], check)


def insert_all(path: Path, parts: Iterable[GeneratedPart], check: bool = False) -> None:
    """Put texts between the markers of their parts: all of them, or none.

    Args:
        check: change nothing; raise where a part is not current.

    Raises:
        BadInput: the file cannot be read or written, markers are missing, or with ``check`` a part
            differs.
    """
    before = after = read_text(path)
    for part in parts:
        old = _between(path, after, part.name)
        if check and part.same(part.text) != part.same(old):
            raise BadInput(
                f"{path}: the part {part.name!r} is not current; run the command without --check"
            )
        head, begin, rest = after.partition(f"{markers(part.name)[0]}\n")
        after = f"{head}{begin}{part.text}{rest[len(old) :]}"
    if not check and after != before:
        write_whole(path, after)
