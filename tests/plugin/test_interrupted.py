"""An audit that is killed goes on: what was recorded stays, and the verdicts are those of an audit
that was not.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BODY = (
    'losses = case.grid().where(alpha=case["alpha"]).per_seed(lambda curves: '
    'float(curves["train_loss"][-1])); '
    'case.judge([mean_in_region("loss", losses, case.region("mean"))])'
)
COMMAND = [
    sys.executable,
    "-m",
    "pytest",
    "claims",
    "-q",
    "-p",
    "no:cacheprovider",
    "--runs",
    "store.sqlite",
    "--audit-json",
]


@pytest.fixture
def slow_toy(toy: Any) -> Any:
    """Two shapes, so two stacks: the first ends while the second still trains."""
    toy.yaml = toy.yaml.replace("steps: 12,", "steps: 4000,").replace(
        "alpha: [0.5, 2.0]", "alpha: [0.5, 2.0], network.activation: [tanh, relu]"
    )
    toy.add("good", experiments="[tiny]", body=BODY.replace("where(", 'where(activation="tanh", '))
    toy.yaml = toy.yaml.replace(
        "quantity: {values: [1.0, 1.1, 1.2]}", "quantity: {alpha: 2.0}"
    ).replace("quantity: {values: [-1.0, -1.1, -1.2]}", "quantity: {alpha: 0.5}")
    toy.write()
    return toy


def recorded(store: Path) -> dict[str, bytes]:
    if not store.exists():
        return {}
    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return dict(database.execute("SELECT digest, sha256 FROM results"))
    except sqlite3.OperationalError:  # not yet made
        return {}
    finally:
        database.close()


def findings(path: Path) -> list[Any]:
    return [(row["verdict"], row["findings"]) for row in json.loads(path.read_text())["claims"]]


@pytest.mark.fault("SIGKILL of an audit")
def test_sigkill_then_the_same_command(slow_toy: Any) -> None:
    """What was recorded stays, and the same command ends with the verdicts of an audit that was not
    killed.
    """
    folder: Path = slow_toy.pytester.path
    process = subprocess.Popen(
        [*COMMAND, "killed.json"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 400
    while (
        not recorded(folder / "store.sqlite")
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = recorded(folder / "store.sqlite")
    assert before, "nothing was recorded before the kill"
    assert not (folder / "killed.json").exists()
    subprocess.run([*COMMAND, "resumed.json"], cwd=folder, capture_output=True, check=False)
    after = recorded(folder / "store.sqlite")
    assert len(after) == 12
    assert before.items() <= after.items()
    (folder / "store.sqlite").unlink()
    subprocess.run([*COMMAND, "whole.json"], cwd=folder, capture_output=True, check=False)
    assert findings(folder / "resumed.json") == findings(folder / "whole.json")


def test_budget_stops_cleanly_and_a_later_call_goes_on(slow_toy: Any) -> None:
    folder: Path = slow_toy.pytester.path
    first = subprocess.run(
        [*COMMAND, "first.json", "--budget", "0.5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads((folder / "first.json").read_text())
    assert (
        document["partial"]
        == "the --budget was spent before 2 of 2 claims and controls had their training"
    )
    assert "smoke tier, PARTIAL: 1 NOT RUN" in first.stdout
    rows = document["claims"]
    assert rows[0]["verdict"] == "NOT RUN", first.stdout
    assert "--budget is spent" in rows[0]["reason"]
    assert first.returncode == pytest.ExitCode.OK
    subprocess.run([*COMMAND, "second.json"], cwd=folder, capture_output=True, check=False)
    whole = json.loads((folder / "second.json").read_text())
    assert whole["partial"] == ""
    assert whole["claims"][0]["verdict"] != "NOT RUN"


def test_a_second_call_trains_nothing_and_workers_share(slow_toy: Any) -> None:
    folder: Path = slow_toy.pytester.path
    subprocess.run([*COMMAND, "one.json", "-n", "2"], cwd=folder, capture_output=True, check=False)
    first = recorded(folder / "store.sqlite")
    assert len(first) == 12
    subprocess.run([*COMMAND, "two.json", "-n", "0"], cwd=folder, capture_output=True, check=False)
    assert recorded(folder / "store.sqlite") == first
    assert findings(folder / "one.json") == findings(folder / "two.json")
