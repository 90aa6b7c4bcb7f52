"""What is wrong with the claims that pytest collected: an id with two checks, and a ``-k`` that
selects none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from omnigrok.spelling import nearest


def id_with_two_checks(checks: Iterable[tuple[Path, str, str]]) -> str:
    """Which claim has two checks, with both; "" if none has. The repetitions of one check are one.

    Args:
        checks: folder, claim id, and node id without parameters, of each item.
    """
    known: dict[tuple[Path, str], str] = {}
    for folder, claim, check in checks:
        other = known.setdefault((folder, claim), check)
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
