"""What is wrong with the claims that were collected: an id with two checks or in two files, and a
``-k`` that selects none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from omnigrok.audit.schema import Figure, load_figure
from omnigrok.errors import BadInput
from omnigrok.spelling import nearest


def figure_files(folder: Path) -> list[Path]:
    """The figure files of a claims folder, by name: each ``NAME.yaml`` that has a
    ``test_NAME.py``.
    """
    return sorted(
        path for path in folder.glob("*.yaml") if path.with_name(f"test_{path.stem}.py").exists()
    )


def readable_figures(folder: Path) -> list[Figure]:
    """The figures of a claims folder that can be read; the others are errors of the claims that
    need them.
    """
    found = []
    for path in figure_files(folder):
        try:
            found.append(load_figure(path))
        except BadInput:
            continue
    return found


def id_in_two_files(figures: Iterable[Figure]) -> str:
    """Which claim id stands in two figure files, with both; "" if none does."""
    homes: dict[str, str] = {}
    for figure in figures:
        for claim in figure.claims:
            other = homes.setdefault(claim.id, figure.figure)
            if other != figure.figure:
                return (
                    f"claim {claim.id} stands in two files, {other}.yaml and {figure.figure}.yaml: "
                    "an id has to be its own"
                )
    return ""


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
