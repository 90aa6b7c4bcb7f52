"""A worker of pytest-xdist that dies in the middle: the others go on, its runs are taken over, and
every claim has a verdict.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.plugin.crash import crashed
from omnigrok.store.store import Store

BODY = (
    'case.judge([mean_in_region("loss", case.grid().per_seed(lambda c: '
    'float(c["train_loss"][-1])), case.region("mean"))])'
)
ROOT = Path(__file__).parents[2]
NAMES = ("one", "two", "three")
# The first worker that has trained a chunk dies, and no other after it.
CRASH = """
import os
from pathlib import Path
from omnigrok.execution import execute
from omnigrok.training import Stack
execute.HEARTBEAT = execute.CHECKPOINT_EVERY = 0.0
advance = Stack.advance
def dying(self, seconds=1e9):
    done = advance(self, seconds)
    if self.step >= 200:
        try:
            Path(__file__).with_name("died").open("x").close()
        except FileExistsError:
            pass
        else:
            os._exit(1)
    return done
Stack.advance = dying
"""


@pytest.mark.fault("a worker crashes (xdist)")
def test_the_others_go_on_and_its_runs_are_taken_over(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim it was at is ERROR and says so; its runs are taken over from their checkpoints, and
    all other verdicts come.
    """
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    toy.yaml = toy.yaml.replace("alpha: [0.5, 2.0]", "alpha: [2.0]").replace(
        "steps: 12,", "steps: 600, log_every: 100,"
    )
    for name in NAMES:
        toy.add(name, experiments="[tiny]", body=BODY)
    toy.add("untrained")
    toy.write()
    folder = toy.pytester.path
    with (folder / "conftest.py").open("a") as conftest:
        conftest.write(CRASH)
    result = toy.run(
        "-n", "2", "-k", "not control", "--runs", "store.sqlite", "--audit-json", "a.json"
    )
    assert (folder / "died").exists()
    rows = {row["id"]: row for row in json.loads((folder / "a.json").read_text())["claims"]}
    assert set(rows) == {"toy.one", "toy.two", "toy.three", "toy.untrained"}
    struck = [
        row for row in rows.values() if row["verdict"] == "ERROR" and "crashed" in row["reason"]
    ]
    assert len(struck) == 1
    assert "run the same command again" in struck[0]["reason"]
    assert rows["toy.untrained"]["verdict"] == "REPRODUCED"
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    with Store(folder / "store.sqlite", readonly=True) as store:
        assert store.count() == 3
        assert store.problems() == []
    findings = [
        rows[f"toy.{name}"]["findings"] for name in NAMES if rows[f"toy.{name}"] is not struck[0]
    ]
    assert findings[0]
    assert findings[0] == findings[1]


REASON = "worker 'gw1' crashed while running 'claims/test_fig02_teacher_student.py'"


def lost(nodeid: str, when: Any = "???", outcome: Any = "failed") -> Outcome | None:
    report = pytest.TestReport(
        nodeid, ("x", None, "x"), {}, outcome, REASON if outcome == "failed" else None, when
    )
    return crashed(report, [ROOT], "paper")


@pytest.mark.parametrize(
    ("bracket", "claim", "protocol", "role"),
    [
        ("fig02.grok-paper", "fig02.grok", "paper", "claim"),
        ("fig02.large-reg-code-control", "fig02.large-reg", "code", "control"),
        ("fig02.test-U-corrected", "fig02.test-U", "corrected", "claim"),
        ("fig02.grok-paper-1-2", "fig02.grok", "paper", "claim"),
    ],
)
def test_the_item_is_read_from_its_id(bracket: str, claim: str, protocol: str, role: str) -> None:
    outcome = lost(f"claims/test_fig02_teacher_student.py::test_x[{bracket}]")
    assert outcome is not None
    assert (outcome.claim, outcome.protocol, outcome.role, outcome.tier) == (
        claim,
        protocol,
        role,
        "paper",
    )
    assert outcome.figure == "fig02_teacher_student"
    assert outcome.verdict.value == "ERROR"
    assert "crashed" in outcome.reason
    assert outcome.statement


def test_other_reports_are_left_alone() -> None:
    node = "claims/test_fig02_teacher_student.py::test_x[fig02.grok-paper]"
    assert lost(node, when="call") is None
    assert lost(node, outcome="passed") is None
    assert lost("tests/test_other.py::test_y[a-b]") is None
    assert lost("tests/test_other.py::test_y[fig02.grok-paper]") is None
    assert lost("tests/test_other.py::test_y") is None
