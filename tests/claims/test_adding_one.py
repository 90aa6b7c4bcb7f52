"""A claim that is added to this repository touches one YAML file and one check file, and its
figure's simulations if it wants power.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import omnigrok
from omnigrok.cli import main

CLAIMS = Path(__file__).parents[2] / "claims"
PACKAGE = Path(omnigrok.__file__).parent
# What the figures of other files hold is not judged anew.
OTHERS = ("__pycache__", "*fig0[3-9]*", "*fig1*", "*conclusions*")
FIGURE = "fig02_teacher_student"
ENTRY = """
  - id: fig02.added
    statement: With weight decay .03 the student of alpha = 2 has fitted its training set.
    place: Figure 2b
    reported: an accuracy of 1
    experiments: [large]
    protocols: [paper]
    quantity: {side: train, weight_decay: 0.03, least: 0.99}
    criterion: {share: {above: 0.5}}
    choices: the last logged accuracy is read
    control: {why: the test set is not fitted without weight decay,
      quantity: {side: test, weight_decay: 0}}
    "null": control arm
"""
CHECK = """

@claim("fig02.added")
def test_added(case: Case) -> None:
    runs = case.grid("large").where(weight_decay=case["weight_decay"])
    accuracy = runs.per_seed(final(f"{case['side']}_acc"))
    case.judge([share("seeds that fit", accuracy >= case["least"], case.region("share"))])
"""


# Every network fits, half-way through its training.
SIMULATION = """SIMULATIONS = {
    "fig02.added": Simulation(
        {"large": dynamics(lambda run, scatter: run.steps / 2, lambda run, scatter: math.inf)},
        "every network fits",
    ),"""


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    """Figure 2 of the audit with one claim more: two files differ from the repository's."""
    folder = tmp_path / "claims"
    shutil.copytree(CLAIMS, folder, ignore=shutil.ignore_patterns(*OTHERS))
    for name, added in ((f"{FIGURE}.yaml", ENTRY), (f"test_{FIGURE}.py", CHECK)):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(added)
    return folder


def test_it_is_judged_from_the_evidence_and_shown(claims: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        claims,
        "--replay",
        "-k",
        "fig02.added",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-p",
        "omnigrok.plugin.plugin",
        "--audit-json",
        "a.json",
        "--report",
        "page.html",
    )
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    (row,) = json.loads((pytester.path / "a.json").read_text())["claims"]
    assert (row["id"], row["verdict"], row["control"]["verdict"]) == (
        "fig02.added",
        "REPRODUCED",
        "REFUTED",
    )
    assert "has fitted its training set" in (pytester.path / "page.html").read_text()
    done = CliRunner().invoke(
        main, ["show", "fig02.added", "--no-verdict", "--claims", str(claims)]
    )
    assert done.exit_code == 0, done.output
    assert "has fitted its training set" in " ".join(done.output.split())


def test_without_a_simulation_it_has_no_power_and_with_one_it_has(
    claims: Path, tmp_path: Path
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "omnigrok", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "omnigrok", "calibrate", "--claim", "fig02.added"]
    command += ["--draws", "20", "--claims", str(claims)]

    def calibrate() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    without = calibrate()
    assert without.returncode == 1
    assert "claim fig02.added has no simulation" in without.stderr
    source = tmp_path / "omnigrok" / "paper" / "simulations" / "fig02.py"
    text = source.read_text(encoding="utf-8")
    assert text.count("SIMULATIONS = {") == 1
    source.write_text(text.replace("SIMULATIONS = {", SIMULATION), encoding="utf-8")
    measured = calibrate()
    assert measured.returncode == 0, measured.stderr
    assert "100 %" in measured.stdout
