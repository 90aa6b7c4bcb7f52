"""Replay is proof: recorded evidence is judged without training, and damage, gaps and changed criteria are said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.experiment import runs_of
from omnigrok.audit.schema import load_figure
from omnigrok.cli import main
from omnigrok.runs.store import Store

BODY = (
    'losses = case.grid().where(alpha=case["alpha"]).per_seed(lambda curves: float(curves["train_loss"][0])); '
    'case.judge([mean_in_region("loss", losses, case.region("mean"))])'
)


def export(store: str) -> str:
    """``omnigrok evidence export``, after the YAML has changed."""
    load_figure.cache_clear()
    runs_of.cache_clear()
    done = CliRunner().invoke(main, ["evidence", "export", "--runs", store])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def recorded(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A toy claim with its evidence recorded; the store is gone afterwards."""
    toy.add("good", experiments="[tiny]", body=BODY)
    toy.yaml = toy.yaml.replace("quantity: {values: [1.0, 1.1, 1.2]}", "quantity: {alpha: 2.0}").replace(
        "quantity: {values: [-1.0, -1.1, -1.2]}", "quantity: {alpha: 0.5}"
    )
    toy.write()
    monkeypatch.chdir(toy.pytester.path)
    first = toy.run("--tier", "paper", "--runs", "store.sqlite", "--audit-json", "trained.json")
    assert "1 ERROR" in first.stdout.str() or "toy.good" in first.stdout.str()
    assert "written, 6 runs" in export("store.sqlite")
    Path("store.sqlite").unlink()
    return toy


def row(toy: Any, *args: str) -> dict[str, Any]:
    toy.run("--replay", "--audit-json", "a.json", *args)
    (found,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    return dict(found)


def test_replay_gives_the_trained_verdict(recorded: Any) -> None:
    (trained,) = json.loads((recorded.pytester.path / "trained.json").read_text())["claims"]
    replayed = row(recorded)
    assert replayed["findings"] == trained["findings"]
    assert replayed["verdict"] == trained["verdict"]
    assert replayed["stale"] == 0
    assert not (recorded.pytester.path / ".omnigrok").exists()


def test_changed_byte_is_an_error(recorded: Any) -> None:
    (path,) = (recorded.folder / "evidence").glob("*.ogev")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = row(recorded)
    assert found["verdict"] == "ERROR"
    assert path.name in found["reason"]


def test_other_settings_are_an_error(recorded: Any) -> None:
    recorded.yaml = recorded.yaml.replace("alpha: [0.5, 2.0]", "alpha: [0.5, 2.0, 3.0]")
    found = row(recorded)
    assert found["verdict"] == "ERROR"
    assert "3 of 9 runs of toy:tiny under paper are not in it" in found["reason"]


def test_changed_criterion_is_said(recorded: Any) -> None:
    recorded.yaml = recorded.yaml.replace("above: 0", "above: 0.0001")
    assert "the criterion has changed since the evidence was recorded" in row(recorded)["reason"]


def test_incomplete_experiment_is_not_exported(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.add("good", experiments="[tiny]", body=BODY)
    toy.write()
    monkeypatch.chdir(toy.pytester.path)
    Store("empty.sqlite").close()
    done = CliRunner().invoke(main, ["evidence", "export", "--runs", "empty.sqlite"])
    assert "left out: 0 of 6 runs recorded" in done.output
    assert not (toy.folder / "evidence").exists()


REDUCED = "reduced: {sweep: {alpha: [0.5, 2.0]}, how: two scales}\n    sweep: {seed: {count: 3}, alpha: [0.5, 1.0, 2.0]}"


def test_reduced_evidence_is_marked_and_full_evidence_takes_its_place(recorded: Any) -> None:
    """The recorded two scales are the reduced form of a grid of three; the full grid is trained afterwards."""
    recorded.yaml = recorded.yaml.replace("sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}", REDUCED)
    found = row(recorded)
    assert (found["scale"], found["reduction"], found["cost"]["runs"]) == ("reduced", "two scales", 6)
    recorded.run("--tier", "paper", "--runs", "full.sqlite")
    assert "written, 9 runs" in export("full.sqlite")
    found = row(recorded)
    assert (found["scale"], found["reduction"], found["cost"]["runs"]) == ("full", "", 9)


def test_the_reduced_scale_is_a_choice(recorded: Any) -> None:
    recorded.yaml = recorded.yaml.replace("sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}", REDUCED)
    recorded.run("--tier", "paper", "--scale", "reduced", "--runs", "small.sqlite", "--audit-json", "a.json")
    (found,) = json.loads((recorded.pytester.path / "a.json").read_text())["claims"]
    assert (found["scale"], found["cost"]["runs"]) == ("reduced", 6)
    assert "written, 6 runs" in export("small.sqlite")


def test_the_smoke_tier_has_no_reduced_scale(toy: Any) -> None:
    toy.add("good")
    result = toy.run("--scale", "reduced")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--scale reduced belongs to --tier paper*"])


def test_a_replay_has_no_other_seeds(recorded: Any) -> None:
    result = recorded.run("--replay", "--first-seed", "100")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--first-seed trains other seeds than those recorded*"])


@pytest.mark.parametrize("value", ["-1", "x"])
def test_a_first_seed_is_a_whole_number(toy: Any, value: str) -> None:
    toy.add("good")
    result = toy.run("--first-seed", value)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--first-seed*{value}*"])
