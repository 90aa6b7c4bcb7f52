"""The command line: help with examples, clear errors, evidence and data."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from omnigrok.cli import COMMANDS, main
from omnigrok.report.frames import as_csv
from omnigrok.store.store import Store

from ..report.conftest import document, row

ROOT = Path(__file__).parents[2]


def call(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_help_shows_the_audit_commands() -> None:
    text = call("--help").output
    for part in ("pytest claims/", "--replay", "list", "show", "evidence", "data"):
        assert part in text


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show"],
        ["evidence", "export"],
        ["evidence", "import"],
        ["evidence", "check"],
        ["evidence", "salvage"],
        ["data", "status"],
        ["data", "fetch"],
        ["data", "verify"],
    ],
    ids=" ".join,
)
def test_every_command_has_an_example(command: list[str]) -> None:
    done = call(*command, "--help")
    assert done.exit_code == 0
    assert f"Example: omnigrok {' '.join(command)}" in done.output


def test_list_names_every_claim() -> None:
    lines = call("list").output.splitlines()
    assert any(line.startswith("fig02.inverse") and "*" in line for line in lines)
    assert any(line.startswith("fig02.decay") and "*" not in line for line in lines)


def test_list_with_the_sentences() -> None:
    text = call("list", "--long").output
    assert "    From alpha = 2 the time to generalise is proportional to 1 / weight decay." in text
    assert max(map(len, text.splitlines())) <= 100


def test_every_short_help_is_whole() -> None:
    for command in ([], ["evidence"], ["data"]):
        listed = call(*command, "--help").output.partition("Commands:")[2]
        assert listed.strip()
        assert "..." not in listed


@pytest.mark.parametrize("claim", ["fig06.time", "fig02.test-U"])
def test_show_fits_the_terminal(claim: str) -> None:
    lines = call("show", claim, "--no-verdict").output.splitlines()
    assert max(len(line) for line in lines if "pytest" not in line) <= 100


def test_show() -> None:
    text = call("show", "fig02.inverse", "--no-verdict").output
    for part in (
        "version 2",
        "criterion exponent: inside [-1.15, -0.85]",
        "control:",
        "pytest claims/test_fig02_teacher_student.py -k fig02.inverse",
    ):
        assert part in text


@pytest.fixture
def audit(tmp_path: Path) -> str:
    """Of one claim, REFUTED under paper and REPRODUCED under code."""
    rows = [row("fig02.inverse", verdict="REFUTED"), row("fig02.inverse", protocol="code")]
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(document(*rows)))
    return str(path)


def test_show_has_the_verdict_and_its_numbers(audit: str) -> None:
    text = call("show", "fig02.inverse", "--audit", audit).output
    assert "paper: REFUTED. because" in text
    assert "  a ratio: 2 [1, 3] (> 0.5), n = 10, p = 0.01, REFUTED" in text
    assert "code: REPRODUCED. because" in text


def test_list_has_filters(audit: str) -> None:
    def ids(*options: str) -> set[str]:
        done = call("list", *options)
        assert done.exit_code == 0, done.output
        return {
            line.split()[0] for line in done.output.splitlines() if line.startswith(("f", "co"))
        }

    assert ids("--headline", "--figure", "fig02") == {
        "fig02.train-L",
        "fig02.test-U",
        "fig02.inverse",
    }
    assert "fig02.inverse" in ids("--protocol", "code")
    assert ids("--verdict", "REFUTED", "--audit", audit) == {"fig02.inverse"}
    assert ids("--verdict", "error", "--audit", audit) == set()
    assert ids("--verdict", "REFUTED", "--protocol", "code", "--audit", audit) == set()
    assert "paper x, code +" in call("list", "--audit", audit).output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["list", "--protocol", "papre"], "did you mean 'paper'?"),
        (["list", "--figure", "fig99"], "no claim matches; the figure files are"),
        (["list", "--headlin"], "--headline"),
        (["status", "fig99"], "no experiment matches 'fig99'; the figure files are conclusions"),
        (["report", "--replay", "--into", "none.md"], "none.md: there is no such file; it needs"),
        (["evidence", "exprot"], "did you mean 'export'?"),
        (["plto"], "did you mean 'plot'?"),
        (["plot", "fig02.invers"], "did you mean 'fig02.inverse'?"),
        (["plot", "fig02.inverse", "--protocol", "cod"], "did you mean 'code'?"),
        (["plot", "fig02.inverse", "-o", "x.gif"], "must end in .svg, .png, .pdf"),
        (["plot", "fig02.inverse", "--tier", "smoke"], "name a run store with --runs"),
        (["plot", "fig11.ce-LU", "-o", "none/x.svg"], "--output none/x.svg: cannot be written"),
        (["universes", "fig02.inverse", "--protocol", "papr"], "did you mean 'paper'?"),
    ],
)
def test_what_was_meant(command: list[str], message: str) -> None:
    done = call(*command)
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.output.split())


def test_csv_of_findings(audit: str) -> None:
    table = list(csv.DictReader(io.StringIO(call("report", audit, "--csv", "findings").output)))
    assert [each["protocol"] for each in table] == ["paper", "code"]
    assert {key: table[0][key] for key in ("id", "name", "estimate", "low", "high", "values")} == {
        "id": "fig02.inverse",
        "name": "a ratio",
        "estimate": "2.0",
        "low": "1.0",
        "high": "3.0",
        "values": "1.5 2.0 2.5",
    }
    verdicts = list(csv.DictReader(io.StringIO(call("report", audit, "--csv", "verdicts").output)))
    assert [each["verdict"] for each in verdicts] == ["REFUTED", "REPRODUCED"]
    assert as_csv([{"a": "=1+1", "b": None, "c": -2.5}]) == "a,b,c\n'=1+1,,-2.5\n"


@pytest.mark.parametrize("name", ["x.svg", "x.png", "x.pdf"])
def test_plot(name: str, tmp_path: Path) -> None:
    done = call("plot", "fig02.grok", "-o", str(tmp_path / name))
    assert done.exit_code == 0, done.output
    first = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[Path(name).suffix]
    written = list(tmp_path.iterdir())
    assert written
    assert all(path.read_bytes().startswith(first) for path in written)


def test_show_of_an_unknown_claim() -> None:
    done = call("show", "fig99.nothing")
    assert done.exit_code == 1
    assert "unknown claim 'fig99.nothing'; omnigrok list names them" in done.output


@pytest.mark.parametrize("command", ["show", "run", "power"])
def test_a_misspelt_claim(command: str) -> None:
    done = call(command, "fig02.invers")
    assert done.exit_code == 1
    assert "did you mean 'fig02.inverse'?" in done.output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["report", "none.json"], "none.json: there is no such file"),
        (["compare", "none.json", "none.json"], "none.json: there is no such file"),
        (["report", "--repaly"], "Did you mean"),
        (
            ["evidence", "export", "--figure", "fig03_mnits", "--runs", "{store}"],
            "did you mean 'fig03_mnist'?",
        ),
        (
            ["report", "none.json", "--html", "none/page.html"],
            "--html none/page.html: cannot be written: there is no folder",
        ),
        (
            ["calibrate", "--markdown", "none/table.md"],
            "--markdown none/table.md: cannot be written",
        ),
        (["bench", "--json", "none/b.json"], "--json none/b.json: cannot be written"),
        (["precision", "--markdown", "none/p.md"], "--markdown none/p.md: cannot be written"),
    ],
)
def test_what_was_meant_or_is_missing(tmp_path: Path, command: list[str], message: str) -> None:
    Store(tmp_path / "runs.sqlite").close()
    for name in ("a.json", "b.json"):
        assert not Path(name).exists()
    done = call(*(each.format(store=tmp_path / "runs.sqlite") for each in command))
    assert done.exit_code in (1, 2)
    assert message in " ".join(done.output.split())


def test_folder_without_figures(tmp_path: Path) -> None:
    done = call("list", "--claims", str(tmp_path))
    assert done.exit_code == 1
    assert "holds no figure file" in done.output


def test_nowhere_is_the_installed_folder_or_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omnigrok.suite.installed.entry_points", lambda group: [])
    done = call("list")
    assert done.exit_code == 2
    assert "there is no folder claims here" in " ".join(done.output.split())
    assert "omnigrok init" in done.output
    ours = SimpleNamespace(name="ours", load=lambda: ROOT / "claims")
    monkeypatch.setattr("omnigrok.suite.installed.entry_points", lambda group: [ours])
    assert "fig02.inverse" in call("list").output


def test_what_init_wrote_is_not_written_over(tmp_path: Path) -> None:
    assert call("init", str(tmp_path / "own")).exit_code == 0
    again = call("init", str(tmp_path / "own"))
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_the_table_of_commands_is_what_they_say_of_themselves() -> None:
    for name, (_, _, words) in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(100).rstrip(".") == words.rstrip(".")


def test_help_and_completion_import_nothing_heavy() -> None:
    source = (
        "import sys; from omnigrok.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(main.shell_complete(__import__('click').Context(main), 're'))\n"
        "assert not {'torch', 'numpy', 'scipy', 'pydantic'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "report" in done.stdout


def test_export_without_a_store(tmp_path: Path) -> None:
    done = call("evidence", "export", "--runs", str(tmp_path / "none.sqlite"))
    assert done.exit_code == 1
    assert "none.sqlite" in done.output


def test_check_of_a_file_that_is_no_evidence(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"hello")
    done = call("evidence", "check", str(path))
    assert done.exit_code == 1
    assert "x.parquet" in done.output


def test_data_status_of_an_empty_folder(tmp_path: Path) -> None:
    done = call("data", "status", "--data-root", str(tmp_path))
    assert done.exit_code == 0
    assert "train-images-idx3-ubyte: missing" in done.output
    assert "qm9" in done.output
