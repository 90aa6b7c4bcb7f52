"""What ``omnigrok show`` says is recorded, and ``omnigrok run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from toy_audit import forget_all

from omnigrok.audit.claim_state import ClaimState, evidence_states, store_states
from omnigrok.cli import main
from omnigrok.curves import Curves
from omnigrok.evidence.writing import write
from omnigrok.store.store import Environment, Store
from omnigrok.suite.schema import load_figure
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.calendar import log_steps
from omnigrok.training.identity import identity


def curves(run: Any) -> Curves:
    step = np.array(log_steps(run))
    return Curves(run, step, {"train_loss": np.ones(len(step))})


def here(run: Any, version: str = torch.__version__) -> Environment:
    return Environment(identity(run), version, "cpu")


@pytest.fixture
def folder(toy: Any) -> Path:
    toy.add("good", experiments="[tiny]")
    toy.write()
    return Path(toy.folder)


def test_nothing_recorded(folder: Path, tmp_path: Path) -> None:
    figure = load_figure(folder / "toy.yaml")
    (state,) = evidence_states(load_suite(folder), figure, figure.claim("toy.good"))
    assert str(state) == "evidence, paper, toy:tiny: nothing recorded"
    with Store(tmp_path / "s.sqlite") as store:
        assert list(store_states(load_suite(folder), figure, figure.claim("toy.good"), store)) == []


def test_evidence_current_stale_and_incomplete(folder: Path) -> None:
    figure = load_figure(folder / "toy.yaml")
    runs = load_suite(folder).runs("toy:tiny", Setting("paper", "paper"))
    (folder / "evidence").mkdir()
    path = folder / "evidence" / "toy.tiny.paper.parquet"
    results = {
        run: (curves(run), here(run, torch.__version__ if run.seed else "0.0")) for run in runs[:5]
    }
    write(path, results, meta={"criteria": {"toy.good": "other"}})
    (state,) = evidence_states(load_suite(folder), figure, figure.claim("toy.good"))
    stale = sum(run.seed == 0 for run in runs[:5])
    assert state == ClaimState(
        "toy:tiny", "paper", "evidence", "full", 6, 5 - stale, stale, changed=("YAML entry",)
    )
    assert str(state) == (
        f"evidence, paper, toy:tiny: 5 of 6 runs recorded; {stale} stale (another trainer, torch "
        "or device); "
        "the YAML entry has changed since"
    )


def test_the_scale_of_which_most_is_recorded(folder: Path) -> None:
    """Two of six runs at full scale are two of two at the reduced one."""
    text = (folder / "toy.yaml").read_text()
    (folder / "toy.yaml").write_text(
        text.replace(
            "claims:", "    reduced: {sweep: {seed: {count: 1}}, how: one seed}\nclaims:", 1
        )
    )
    forget_all()
    suite = load_suite(folder)
    figure = load_figure(folder / "toy.yaml")
    few = suite.runs("toy:tiny", Setting("paper", "paper", "reduced"))
    many = suite.runs("toy:tiny", Setting("paper", "paper", "full"))
    assert set(few) < set(many)
    (folder / "evidence").mkdir()
    path = folder / "evidence" / "toy.tiny.paper.parquet"
    write(path, {run: (curves(run), here(run)) for run in few}, meta={})
    (state,) = evidence_states(suite, figure, figure.claim("toy.good"))
    assert (state.scale, state.runs, state.current) == ("reduced", len(few), len(few))
    write(path, {run: (curves(run), here(run)) for run in many}, meta={})
    forget_all()
    (state,) = evidence_states(suite, figure, figure.claim("toy.good"))
    assert (state.scale, state.runs, state.current) == ("full", len(many), len(many))


def test_store_by_tier(folder: Path, tmp_path: Path) -> None:
    figure = load_figure(folder / "toy.yaml")
    runs = load_suite(folder).runs("toy:tiny", Setting("smoke", "paper"))
    with Store(tmp_path / "s.sqlite") as store:
        store.adopt([(curves(run), here(run)) for run in runs[:2]])
        store.adopt([(curves(runs[2]), here(runs[2], "0.0"))])
        found = list(store_states(load_suite(folder), figure, figure.claim("toy.good"), store))
    # The toy's tiers have the same runs.
    assert [state.where for state in found] == ["store, smoke tier", "store, paper tier"]
    assert [(state.current, state.stale) for state in found] == [(2, 1), (2, 1)]


def test_show_says_the_state(folder: Path, tmp_path: Path) -> None:
    arguments = ["show", "toy.good", "--claims", str(folder)]
    done = CliRunner().invoke(main, [*arguments, "--runs", str(tmp_path / "none.sqlite")])
    assert done.exit_code == 0, done.output
    assert "evidence, paper, toy:tiny: nothing recorded" in done.output
    assert "none.sqlite (name another with --runs)" in done.output
    Store(tmp_path / "empty.sqlite").close()
    assert (
        "store: nothing of this claim in"
        in CliRunner().invoke(main, [*arguments, "--runs", str(tmp_path / "empty.sqlite")]).output
    )
    (tmp_path / "bad.sqlite").write_bytes(b"x" * 5000)
    bad = CliRunner().invoke(main, [*arguments, "--runs", str(tmp_path / "bad.sqlite")])
    assert bad.exit_code == 1
    assert "bad.sqlite" in bad.output


def test_run_one_claim(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    toy.add("good")
    toy.add("goodness")
    toy.add("good-eta")
    toy.write()
    monkeypatch.chdir(toy.pytester.path)
    done = CliRunner().invoke(
        main, ["run", "toy.good", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    )
    said = capfd.readouterr().out
    assert done.exit_code == 0
    assert "test_good[toy.good-paper]" in said
    assert "test_good[toy.good-paper-control]" in said
    assert "goodness" not in said
    assert "good-eta" not in said


def test_run_of_an_unknown_claim(folder: Path) -> None:
    done = CliRunner().invoke(main, ["run", "toy.none", "--claims", str(folder)])
    assert done.exit_code == 1
    assert "unknown claim 'toy.none'; omnigrok list names them" in done.output


def test_help_of_run_and_completion() -> None:
    assert (
        "Example: omnigrok run fig02.inverse" in CliRunner().invoke(main, ["run", "--help"]).output
    )
    assert "_OMNIGROK_COMPLETE=bash_source" in CliRunner().invoke(main, ["--help"]).output
