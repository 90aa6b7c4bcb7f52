"""The commit of a claims folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from omnigrok.suite.revision import revision


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "a.yaml").write_text("figure: a\n")
    git(tmp_path, "add", "claims")
    git(tmp_path, "commit", "-q", "-m", "first")
    return folder


def test_a_clean_folder(claims: Path) -> None:
    assert revision(claims) == git(claims, "rev-parse", "--short=12", "HEAD")


def test_a_changed_one_says_so(claims: Path) -> None:
    (claims / "a.yaml").write_text("figure: b\n")
    assert revision(claims).endswith("-dirty")


def test_files_that_lie_in_a_repository_and_are_not_its_own(claims: Path) -> None:
    other = claims.parent / "venv" / "claims"
    other.mkdir(parents=True)
    (other / "a.yaml").write_text("figure: a\n")
    assert revision(other) == ""


def test_outside_a_repository(tmp_path: Path) -> None:
    assert revision(tmp_path) == ""


def test_without_git(claims: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision(claims) == ""
