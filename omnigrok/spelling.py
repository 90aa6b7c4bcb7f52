"""What somebody may have meant by a word that is not accepted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LEAST = 0.7  # of difflib's ratio: one or two letters of a short word


def nearest(word: str, accepted: Iterable[str]) -> str | None:
    """The accepted word that is most like another; None where there is no similar one."""
    found = difflib.get_close_matches(word, list(accepted), n=1, cutoff=LEAST)
    return found[0] if found else None


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """The end of a message: " (did you mean 'x'?)", or "" where nothing is similar."""
    found = nearest(word, accepted)
    return f" (did you mean {found!r}?)" if found else ""
