"""Every help text has examples and exit statuses, and every example does what it says: it ends with
success, in a folder with claims, some evidence, a store and an audit.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from omnigrok.cli import main
from omnigrok.report.markers import markers
from omnigrok.store.store import Environment, Store
from omnigrok.suite.suite import Setting, forget, load_suite
from omnigrok.training.identity import identity

from ..report.conftest import document, made_up, row

ROOT = Path(__file__).parents[2]
EVIDENCE = ("fig02_teacher_student.large.paper", "fig02_teacher_student.landscape.code")
# What takes more than seconds, and what needs a network or a GPU.
SLOW = (
    "run",
    "status",
    "bench",
    "calibrate",
    "power",
    "precision",
    "report --replay",
    "show fig02.inverse$",
    "evidence verify",
    "evidence adopt",
    "evidence decide",
)
ELSEWHERE = ("data fetch", "gpu-check")


def commands(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below one, by its words."""
    yield " ".join(names), command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from commands(found, *names, name)


COMMANDS = dict(commands(main))


def examples() -> list[str]:
    """The words after ``omnigrok`` of all examples, each once; files are signed before the
    signatures are checked.
    """
    found = [
        line
        for command in COMMANDS.values()
        for line in re.findall(r"^ *Example: omnigrok (.+)$", command.help or "", re.MULTILINE)
    ]
    return sorted(dict.fromkeys(found), key=lambda line: "--allowed-signers" in line)


def marks(example: str) -> list[pytest.MarkDecorator]:
    if any(re.match(each, example) for each in SLOW):
        return [pytest.mark.slow]
    if any(example.startswith(each) for each in ELSEWHERE):
        return [pytest.mark.skip(reason="needs a network, or a GPU")]
    return []


@pytest.mark.parametrize("words", COMMANDS)
def test_every_help_text_has_an_example_and_exit_statuses(words: str) -> None:
    done = CliRunner().invoke(main, [*words.split(), "--help"])
    assert done.exit_code == 0
    assert f"Example: omnigrok {words}".strip() in done.output
    assert "xit status" in done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a person has who tries the examples."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "claims", folder / "claims", ignore=shutil.ignore_patterns("evidence"))
    (folder / "claims" / "evidence").mkdir()
    for name in EVIDENCE:
        shutil.copy(ROOT / "claims" / "evidence" / f"{name}.parquet", folder / "claims/evidence")
    (folder / "tests").symlink_to(ROOT / "tests")
    (folder / "docs").mkdir()
    rows = [row("fig02.inverse", figure="fig02_teacher_student")]
    rows.append({**rows[0], "protocol": "code"})
    for name in ("audit.json", "a.json", "b.json", "torch-2.12.json", "torch-2.13.json"):
        (folder / name).write_text(json.dumps(document(*rows)))
    for name, part in (("README.md", "headline"), ("docs/verdicts.md", "verdicts")):
        (folder / name).write_text("\n\n".join(markers(part)) + "\n")
    suite = load_suite(ROOT / "claims")
    runs = suite.runs("fig02_teacher_student:large", Setting("smoke", "paper"))
    (folder / ".omnigrok").mkdir()
    with Store(folder / ".omnigrok" / "runs.sqlite") as store:
        store.adopt(
            (made_up(run), Environment(identity(run), torch.__version__, "cpu")) for run in runs
        )
    return folder


def _current(folder: Path) -> None:
    done = CliRunner().invoke(
        main, ["report", "audit.json", "--into", "README.md", "--into", "docs/verdicts.md"]
    )
    assert done.exit_code == 0, done.output


def _key(folder: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not here")
    path = folder / ".ssh" / "id_ed25519"
    path.parent.mkdir(exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a@b", "-f", str(path)], check=True
    )
    (folder / "signers").write_text(f"a@b {path.with_suffix('.pub').read_text()}")


def _benches(folder: Path) -> None:
    for name in ("cpu.json", "gpu.json"):
        shutil.copy(folder / "before.json", folder / name)
    with (folder / "README.md").open("a") as file:
        file.write("\n" + "\n\n".join(markers("speed")) + "\n")


# What has to be there, by the beginning of an example.
FIRST: dict[str, Callable[[Path], None]] = {
    "report audit.json --into": _current,
    "evidence sign": _key,
    "bench --from cpu.json": _benches,
}
# Where it is not success: in the paper tier a REFUTED claim fails the session.
STATUSES = {"run fig02.inverse --replay": 1}


@pytest.mark.parametrize(
    "example", [pytest.param(each, marks=marks(each), id=each) for each in examples()]
)
def test_the_example_runs(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("OMNIGROK_DATA", str(folder / "data"))
    forget()
    for beginning, prepare in FIRST.items():
        if example.startswith(beginning):
            prepare(folder)
    words = [
        path
        for word in shlex.split(example)
        for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    done = CliRunner().invoke(main, [os.path.expanduser(word) for word in words])
    expected = [status for beginning, status in STATUSES.items() if example.startswith(beginning)]
    assert done.exit_code == (expected[0] if expected else 0), done.output
    forget()
