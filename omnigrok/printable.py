"""Text that came out of a file, made harmless for a terminal or a log."""

from __future__ import annotations

import unicodedata
from typing import Any

# Controls, invisible formatting (also what turns the direction of text), halves of a character,
# and separators that some terminals take for the end of a line.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def is_harmless(text: str) -> bool:
    """Whether no character of the text, apart from tabs and ends of lines, acts on a terminal."""
    return all(
        each in "\n\t" or unicodedata.category(each) not in _OBEYED
        for each in text
        if not each.isprintable()
    )


def harmless(text: str) -> str:
    """The text with each character that acts on a terminal written out, as ``\\x1b``."""
    if is_harmless(text):
        return text
    return "".join(
        each if is_harmless(each) else each.encode("unicode_escape").decode() for each in text
    )


def harmless_json(value: Any) -> Any:
    """JSON with every text ``harmless``, keys too."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, dict):
        return {harmless(str(key)): harmless_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [harmless_json(part) for part in value]
    return value
