"""Text that came out of a file, made harmless for a terminal or a log."""

from __future__ import annotations


def printable(text: object) -> str:
    """The text without characters that a terminal would obey: each becomes a space."""
    return "".join(each if each.isprintable() else " " for each in str(text)).strip()
