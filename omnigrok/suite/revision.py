"""Which commit of its repository a claims folder is at."""

from __future__ import annotations

import subprocess
from pathlib import Path

PATIENCE = 10  # seconds


def revision(folder: Path) -> str:
    """Abbreviated commit of a folder whose files git tracks, with "-dirty" after local changes.

    "" without git, outside a repository, and for files that lie in somebody else's repository and
    are not tracked there, such as an installed package in a virtual environment.
    """
    if not _git(folder, "ls-files", "--", "."):
        return ""
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; "" where it cannot."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed words, no shell)
            ["git", "-C", str(folder), *arguments],  # noqa: S607 (the user's own git)
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
