"""Replay is proof: recorded evidence is judged without training, and damage, gaps and changed
criteria are said.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from toy_audit import BODY, export, record

from omnigrok.cli import main
from omnigrok.evidence.reading import read
from omnigrok.evidence.writing import write
from omnigrok.store.store import Store
from omnigrok.suite.digests import check_digest
from omnigrok.suite.schema import load_figure
from omnigrok.suite.suite import forget, load_suite


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


@pytest.mark.parametrize(
    "other",
    [{"torch": "0.0"}, {"identity": "0" * 16}, {"device": "another"}],
    ids=lambda change: next(iter(change)),
)
def test_another_trainer_torch_or_device_is_shown_as_stale(
    recorded: Any, other: dict[str, str]
) -> None:
    """Two of the six runs come from elsewhere: the verdict stands, and says so."""
    before = row(recorded)
    (path,) = (recorded.folder / "evidence").glob("*.parquet")
    file = read(path)
    results = dict(file)
    for run in list(results)[:2]:
        curves, env = results[run]
        results[run] = curves, dataclasses.replace(env, **other)
    write(path, results, meta=file.meta)
    found = row(recorded)
    assert found["stale"] == 2
    assert (found["verdict"], found["findings"]) == (before["verdict"], before["findings"])


def test_changed_byte_is_an_error(recorded: Any) -> None:
    (path,) = (recorded.folder / "evidence").glob("*.parquet")
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
    assert "the YAML entry has changed since the evidence was recorded" in row(recorded)["reason"]


def test_a_changed_criterion_of_a_claim_that_reads_by_full_name_is_said(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(toy, monkeypatch, experiments='["toy:tiny"]')
    assert "has changed" not in row(toy)["reason"]
    toy.yaml = toy.yaml.replace("above: 0", "above: 0.0001")
    assert "the YAML entry has changed since the evidence was recorded" in row(toy)["reason"]


def test_the_claims_that_read_an_experiment_of_another_figure_are_known() -> None:
    suite = load_suite(Path(__file__).parents[2] / "claims")

    def readers(full_name: str) -> set[str]:
        return {claim.id for _, claim in suite.readers(full_name)}

    assert readers("fig10_time_vs_decay:transformer") >= {
        "fig07.norm-tracks",
        "fig10.transformer-inverse",
    }
    assert "fig07.norm-tracks" not in readers("fig10_time_vs_decay:mnist")


def test_a_missing_run_is_an_error(recorded: Any) -> None:
    """The evidence holds scales that the experiment names, but not all of its seeds."""
    recorded.yaml = recorded.yaml.replace("seed: {count: 3}", "seed: {count: 4}")
    found = row(recorded)
    assert found["verdict"] == "ERROR"
    assert (
        "2 of 8 runs of toy:tiny under paper are not in it (first: seed 3, alpha 0.5, weight "
        "decay 0)"
    ) in found["reason"]


def test_a_verdict_carries_the_digests_of_its_entry_and_of_its_check(recorded: Any) -> None:
    recorded.checks += "\n# a comment changes nothing\n"
    before = row(recorded)["digests"]
    assert before["check"] == check_digest(recorded.folder / "test_toy.py", "toy.good")
    forget()
    assert before["criterion"] == load_figure(recorded.folder / "toy.yaml").claim("toy.good").digest


def test_a_changed_check_has_another_digest(recorded: Any) -> None:
    (trained,) = json.loads((recorded.pytester.path / "trained.json").read_text())["claims"]
    recorded.checks = recorded.checks.replace('["train_loss"][0]', '["train_loss"][1]')
    found = row(recorded)
    assert found["digests"]["check"] != trained["digests"]["check"]
    assert found["digests"]["criterion"] == trained["digests"]["criterion"]
    assert "the check has changed since the evidence was recorded" in found["reason"]


def test_changes_of_both_are_said(recorded: Any) -> None:
    recorded.checks = recorded.checks.replace('["train_loss"][0]', '["train_loss"][1]')
    recorded.yaml = recorded.yaml.replace("above: 0", "above: 0.0001")
    assert (
        "the YAML entry and the check have changed since the evidence was recorded"
        in row(recorded)["reason"]
    )


def test_another_export_of_the_same_results_keeps_the_criteria_they_were_recorded_under(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(toy, monkeypatch)
    (path,) = (toy.folder / "evidence").glob("*.parquet")
    before = path.read_bytes()
    toy.yaml = toy.yaml.replace("above: 0", "above: 0.0001")
    toy.write()
    assert "as it was, 6 runs" in export("store.sqlite")
    assert path.read_bytes() == before
    assert "the YAML entry has changed since the evidence was recorded" in row(toy)["reason"]
    path.write_bytes(before[:-1])
    assert "written, 6 runs" in export("store.sqlite")
    assert len(read(path)) == 6


def test_incomplete_experiment_is_not_exported(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.add("good", experiments="[tiny]", body=BODY)
    toy.write()
    monkeypatch.chdir(toy.pytester.path)
    Store("empty.sqlite").close()
    done = CliRunner().invoke(main, ["evidence", "export", "--runs", "empty.sqlite"])
    assert "left out: 0 of 6 runs recorded" in done.output
    assert not (toy.folder / "evidence").exists()


REDUCED = (
    "reduced: {sweep: {alpha: [0.5, 2.0]}, how: two scales}\n    sweep: {seed: {count: 3}, alpha: "
    "[0.5, 1.0, 2.0]}"
)


def test_reduced_evidence_is_marked_and_full_evidence_takes_its_place(recorded: Any) -> None:
    """The recorded two scales are the reduced form of a grid of three; the full grid is trained
    afterwards.
    """
    recorded.yaml = recorded.yaml.replace("sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}", REDUCED)
    found = row(recorded)
    assert (found["scale"], found["reduction"], found["cost"]["runs"]) == (
        "reduced",
        "two scales",
        6,
    )
    recorded.run("--tier", "paper", "--runs", "full.sqlite")
    assert "written, 9 runs" in export("full.sqlite")
    found = row(recorded)
    assert (found["scale"], found["reduction"], found["cost"]["runs"]) == ("full", "", 9)


def test_the_reduced_scale_is_a_choice(recorded: Any) -> None:
    recorded.yaml = recorded.yaml.replace("sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}", REDUCED)
    recorded.run(
        "--tier", "paper", "--scale", "reduced", "--runs", "small.sqlite", "--audit-json", "a.json"
    )
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


def test_imported_results_stay_marked(recorded: Any) -> None:
    """In the store, the JSON and the table: what came as a file was not trained here."""
    (path,) = (recorded.folder / "evidence").glob("*.parquet")
    done = CliRunner().invoke(main, ["evidence", "import", "--runs", "other.sqlite", str(path)])
    assert "6 new runs" in done.output
    audit = recorded.run("--tier", "paper", "--runs", "other.sqlite", "--audit-json", "b.json")
    (found,) = json.loads((recorded.pytester.path / "b.json").read_text())["claims"]
    assert found["imported"] == 6
    assert row(recorded)["imported"] == 0
    audit.stdout.fnmatch_lines(["toy.good^ *", "^ imported: *"])
