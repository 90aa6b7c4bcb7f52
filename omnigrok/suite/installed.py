"""Claims folders that installed packages bring along: entry points of the group
``omnigrok.suites``, each a ``Path``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

GROUP = "omnigrok.suites"
USUAL = Path("claims")


def installed() -> dict[str, Path]:
    """The claims folders of installed packages that are there, by name."""
    found = {each.name: each.load() for each in entry_points(group=GROUP)}
    return {name: path for name, path in found.items() if isinstance(path, Path) and path.is_dir()}


def default_folder() -> Path:
    """``claims`` in the working folder, or else the only installed claims folder; ``claims`` where
    there is neither.
    """
    if USUAL.is_dir():
        return USUAL
    others = list(installed().values())
    return others[0] if len(others) == 1 else USUAL


def home_of(folder: Path) -> Path:
    """Where the runs of a claims folder belong: next to it, or in the working folder where it lies
    in a package.
    """
    above = folder.resolve().parent
    return Path.cwd() if (above / "__init__.py").is_file() else above
