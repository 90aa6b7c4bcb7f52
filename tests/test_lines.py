"""No line of the source is longer than 100 columns. The formatter breaks code, but no comment, no
string and no template.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 100
KINDS = ("py", "pyi", "yaml", "yml", "toml", "ini", "j2", "css", "js", "cpp")


def sources() -> list[Path]:
    """Tracked files whose lines are written by hand."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *(f"*.{kind}" for kind in KINDS)]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: nothing says which files are tracked")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_line_of_the_source_is_longer_than_100_columns() -> None:
    found = sources()
    assert Path(__file__) in found or not (ROOT / ".git").exists()
    long = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)} columns"
        for path in found
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST
    ]
    assert long == []
