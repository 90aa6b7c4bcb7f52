"""On GitHub Actions an audit leaves its table on the job's page, and annotates what is an ERROR or
the opposite of the recorded evidence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_audit import BAD

from omnigrok.audit.document import Row
from omnigrok.plugin.github import annotation


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "summary.md"
    path.write_text("from an earlier step\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


@pytest.fixture
def three(toy: Any) -> Any:
    toy.add("good")
    toy.add("bad", values=BAD)
    toy.add("broken", body='raise ValueError("100 % wrong")')
    return toy


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_table_and_the_errors(three: Any, summary: Path, workers: str) -> None:
    done = three.run("-n", workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    text = summary.read_text()
    assert text.startswith("from an earlier step\n## Audit of ")
    assert text.count("Smoke tier") == 1
    for claim, verdict in (("good", "REPRODUCED"), ("bad", "REFUTED"), ("broken", "ERROR")):
        assert f"| toy.{claim} | {verdict} |" in text
    errors = [line for line in done.outlines if line.startswith("::error")]
    assert len(errors) == 1
    assert errors[0].startswith("::error title=toy.broken-paper is an ERROR::")
    assert "100 %25 wrong" in errors[0]


def test_an_opposite_verdict_is_annotated_and_on_the_page(toy: Any, summary: Path) -> None:
    toy.add("good")
    toy.add("bad", values=BAD)
    toy.write()
    toy.decide(good="REPRODUCED", bad="REPRODUCED")
    done = toy.run("-n", "2")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    errors = [line for line in done.outlines if line.startswith("::error")]
    title = "::error title=toy.bad-paper is REFUTED%2C and REPRODUCED in the recorded evidence::"
    assert len(errors) == 1
    assert errors[0].startswith(title)
    text = summary.read_text()
    assert "| toy.bad | REFUTED (evidence: REPRODUCED) |" in text
    assert "| toy.good | REPRODUCED |" in text
    line = "1 of the 2 claims that it decided agree, 0 undecided, 1 opposite (toy.bad-paper)"
    assert f"**evidence: {line}.**" in text
    assert "Not a success: the opposite of what the recorded evidence decided" in text


def test_elsewhere_nothing_is_written(
    three: Any, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    done = three.run("-n", "0")
    assert summary.read_text() == "from an earlier step\n"
    assert not [line for line in done.outlines if line.startswith("::")]


def test_a_summary_that_cannot_be_written_changes_no_status(
    toy: Any, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary.parent))
    toy.add("good")
    done = toy.run("-n", "0")
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["GITHUB_STEP_SUMMARY: not written: *"])


def test_a_reason_stays_one_command() -> None:
    row = Row(id="a.b", protocol="paper", verdict="ERROR", reason="50 %\n::set-output name=x::y")
    assert annotation(row) == (
        "::error title=a.b-paper is an ERROR::50 %25%0A::set-output name=x::y"
    )
