"""The README says what the program does: its table is current, its commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from omnigrok.audit.options import add_options
from omnigrok.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"`(omnigrok [a-z][^`]*)`|^    (omnigrok .*)$", README, re.MULTILINE)))


class Options:
    """Stands in for pytest's parser and keeps the names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *args: str) -> Options:
        return self

    def addoption(self, *names: str, **settings: object) -> None:
        self.names.update(names)


def test_every_option_of_an_audit_exists() -> None:
    known = Options()
    add_options(known)  # type: ignore[arg-type]
    used = {option for line in re.findall(r"pytest claims/[^`\n]*", README) for option in re.findall(r"--[a-z-]+", line)}
    assert {"--tier", "--replay", "--protocol"} <= used
    # What follows a semicolon is another command.
    assert used - known.names <= {"--into", "--check", "--html"}


@pytest.mark.parametrize("found", COMMANDS, ids=lambda found: (found[0] or found[1])[:40])
def test_every_command_exists(found: tuple[str, str]) -> None:
    words = (found[0] or found[1]).split()[1:]
    command: click.Command = main
    context = click.Context(main)
    while words and isinstance(command, click.Group):
        name = words.pop(0).rstrip(",")
        inner = command.get_command(context, name)
        assert inner is not None, f"omnigrok has no command {name}"
        command = inner
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_verdict_table_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges all recorded evidence again."""
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(main, ["report", "--replay", "--into", "README.md", "--check"])
    assert done.exit_code == 0, done.output
