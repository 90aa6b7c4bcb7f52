"""The figure files of a claims folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.suite.schema import Figure, load_figure


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
