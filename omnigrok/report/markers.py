"""What a command writes between two markers of a file: the tables of a README."""

from __future__ import annotations

from pathlib import Path

from omnigrok.audit.summary import write_whole
from omnigrok.errors import BadInput


def markers(name: str) -> tuple[str, str]:
    """The lines between which the text ``name`` stands."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def between(path: Path, name: str, text: str) -> tuple[str, str]:
    """The content of a file as it is, and with ``text`` between its markers.

    Raises:
        BadInput: the file cannot be read, or lacks the markers.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    begin, end = markers(name)
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise BadInput(f"{path}: lacks the markers {begin} and {end}")
    return content, f"{before}{begin}\n{text}{end}{after}"


def insert(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the markers of a file.

    Raises:
        BadInput: the file cannot be read or written, or lacks the markers.
    """
    content, wanted = between(path, name, text)
    if wanted != content:
        write_whole(path, wanted)
