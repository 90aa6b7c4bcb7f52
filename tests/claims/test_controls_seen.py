"""Which controls count as seen, and in which sessions the lack of one is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import controls_seen

ROOT = Path(__file__).parents[2]


def test_a_control_needs_both_worlds() -> None:
    seen = {"a": {"holds", "fails"}, "b": {"holds"}}
    assert controls_seen.lacking("abc", seen) == {"b": ["fails"], "c": ["fails", "holds"]}


def session(*options: str) -> subprocess.CompletedProcess[str]:
    """A session of this folder in which no test of a check has run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--setup-plan"]
    return subprocess.run(
        [*command, *options, "tests/claims"], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_whole_session_that_saw_none_fails(workers: str) -> None:
    done = session("-n", workers)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "the control of fig02.grok fails and one in which it holds" in done.stdout


@pytest.mark.parametrize("options", [("-k", "fig02"), ("-m", "slow")])
def test_part_of_it_does_not(options: tuple[str, ...]) -> None:
    done = session(*options)
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), done.stdout
    assert "the control of" not in done.stdout
