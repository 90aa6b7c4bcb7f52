"""What is wrong with the claims that pytest collected: an id in two folders or with two checks, and
a ``-k`` that selects none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from omnigrok.spelling import nearest


def id_used_twice(checks: Iterable[tuple[Path, str, str]]) -> str:
    """Which claim is in two folders, or has two checks, with both; "" if none is or has. The
    repetitions of one check are one.

    Args:
        checks: folder, claim id, and node id without parameters, of each item.
    """
    known: dict[str, tuple[Path, str]] = {}
    for folder, claim, check in checks:
        home, other = known.setdefault(claim, (folder, check))
        if home != folder:
            return (
                f"claim {claim} is in two folders, {home} and {folder}: audit one folder at a "
                "time, or give one of the claims an id of its own"
            )
        if other != check:
            return (
                f"claim {claim} has two checks, {other} and {check}: leave one, or give the other "
                "an id of its own"
            )
    return ""


def misspelt_keyword(keyword: str, claims: Iterable[str]) -> str:
    """A hint where ``-k KEYWORD`` selects no claim although one has nearly that id; "" if
    none has.
    """
    for word in re.findall(r"[\w.-]+", keyword):
        if found := nearest(word, claims):
            return f"-k {keyword!r} selects no claim; did you mean {found}?"
    return ""
