"""``pytest claims/ --report`` and ``omnigrok report``, as a user starts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.document import load_audit
from omnigrok.cli import main

from .conftest import document, row

TOY = """\
figure: toy
title: Toy
place: nowhere
claims:
  - id: toy.good
    statement: the mean of three numbers is above zero
    place: nowhere
    criterion: {mean: {above: 0}}
    quantity: {values: [1.0, 1.1, 1.2]}
    control: {why: these numbers are below zero, quantity: {values: [-1.0, -1.1, -1.2]}}
    "null": sign flips
"""
CHECK = """
from omnigrok.audit import Case, claim
from omnigrok.stats import mean_in_region


@claim("toy.good")
def test_good(case: Case) -> None:
    case.judge([mean_in_region("mean", case["values"], case.region("mean"))])
"""


@pytest.fixture
def toy(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(
        "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider\nfilterwarnings = error\n"
    )
    pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n')
    folder = pytester.mkdir("claims")
    (folder / "toy.yaml").write_text(TOY)
    (folder / "test_toy.py").write_text(CHECK)
    return pytester


def test_report_option_under_xdist(toy: pytest.Pytester) -> None:
    done = toy.runpytest_subprocess("claims", "--report", "r.html", "-n", "2")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["page: r.html"])
    text = (toy.path / "r.html").read_text()
    assert '<article class="card" id="toy.good"' in text
    assert "these numbers are below zero" in text
    assert "Smoke tier: this is no evidence" in text


def test_report_that_cannot_be_written(toy: pytest.Pytester) -> None:
    done = toy.runpytest_subprocess("claims", "--report", "no/folder/r.html", "-n", "0")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*ERROR: *no/folder/r.html: cannot be written*"])


def test_report_without_claims(toy: pytest.Pytester) -> None:
    done = toy.runpytest_subprocess("claims", "--report", "r.html", "-n", "0", "-k", "nothing")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stdout.fnmatch_lines(["*r.html: not written: no claim was judged*"])
    assert not (toy.path / "r.html").exists()


def test_replay_command(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.path)
    done = CliRunner().invoke(main, ["report", "--replay", "--html", "r.html"])
    assert done.exit_code == 0, done.output
    assert done.stdout == "r.html: written\n"
    assert "verdicts and controls judged" in done.stderr
    assert "judged again from recorded curves" in Path("r.html").read_text()


def test_replay_that_fails(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.path)
    (toy.path / "claims" / "toy.yaml").write_text("figure: [")
    done = CliRunner().invoke(main, ["report", "--replay"])
    assert done.exit_code == 1
    assert "not valid YAML" in done.output


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parents[2])
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(document(row("fig02.grok", figure="fig02_teacher_student"))))
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either an audit file or --replay"),
        (["AUDIT", "--replay"], "give either an audit file or --replay"),
        (
            ["AUDIT", "--json", "--markdown"],
            "give one of --html, --markdown, --json, --csv and --into",
        ),
        (["AUDIT", "--check"], "--check goes with --into FILE"),
        (["none.json"], "none.json: there is no such file"),
        (["AUDIT", "--single"], "--single goes with --html PATH"),
        (["AUDIT", "--html", "README.md"], "README.md: is a file; name a folder, or a file that"),
        (["AUDIT", "--html", "none/r.html"], "--html none/r.html: cannot be written"),
        (["AUDIT", "--html", "README.md/site"], "cannot be written"),
    ],
)
def test_bad_arguments(audit: Path, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(
        main, ["report", *(str(audit) if each == "AUDIT" else each for each in arguments)]
    )
    assert done.exit_code == 1
    assert said in done.output


def test_formats(audit: Path, tmp_path: Path) -> None:
    def call(*arguments: str) -> Any:
        done = CliRunner().invoke(main, ["report", str(audit), *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    (tmp_path / "again.json").write_text(call("--json"))
    assert load_audit(tmp_path / "again.json") == load_audit(audit)
    assert "| fig02.grok | REPRODUCED |" in call("--markdown")
    assert call() == call("--markdown")
    call("--html", str(tmp_path / "r.html"), "--runs", str(tmp_path / "none.sqlite"))
    assert 'id="fig02.grok"' in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("single", [False, True])
def test_a_folder_has_an_index(audit: Path, tmp_path: Path, single: bool) -> None:
    target = tmp_path / "new" / "site"
    arguments = [str(audit), "--html", str(target), "--runs", str(tmp_path / "none.sqlite")]
    done = CliRunner().invoke(main, ["report", *arguments, *["--single"] * single])
    assert done.exit_code == 0, done.output
    assert done.output == f"{target / 'index.html'}: written\n"
    names = {path.name for path in target.iterdir()}
    assert ("fig02_teacher_student.html" in names) != single
    assert (names == {"index.html"}) == single
    assert ('id="fig02.grok"' in (target / "index.html").read_text()) == single
