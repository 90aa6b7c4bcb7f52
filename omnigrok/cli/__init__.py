"""The command ``omnigrok``: look at claims, move evidence, fetch data. Audits themselves are run by
pytest.

A command's module, and torch with it, is imported when the command is used: help and completion
take a fraction of a second.
"""

from __future__ import annotations

import importlib

import click
from click.shell_completion import CompletionItem

import omnigrok
from omnigrok.cli.groups import STATUSES, Group, with_statuses

# Name: (module, function, what ``omnigrok --help`` says of it).
COMMANDS = {
    "list": ("claims", "list_claims", "List the claims, with their verdicts if you like."),
    "show": ("claims", "show", "Explain one claim: criterion, verdict, numbers, records."),
    "plot": ("plot", "plot", "Draw the figures of one claim from recorded curves."),
    "run": ("run", "run", "Run pytest for one claim and its control."),
    "report": ("report", "report", "The verdicts of an audit as a page, Markdown or JSON."),
    "status": ("status", "status", "What is recorded of every experiment, and what is missing."),
    "compare": (
        "compare",
        "compare_audits",
        "What changed between two audits; its exit status is for CI.",
    ),
    "universes": (
        "universes",
        "universes",
        "Judge one claim under every reading that its sentence leaves open.",
    ),
    "evidence": (
        "evidence",
        "evidence",
        "Recorded curves: export, import, check, sign, verify, adopt, salvage.",
    ),
    "data": ("data", "data", "Look after downloaded data sets."),
    "init": ("init", "init", "Make a claims folder of your own that runs."),
    "calibrate": (
        "calibrate",
        "calibrate",
        "Error rates of detectors and checks on simulated data.",
    ),
    "power": ("calibrate", "power", "The seeds that a claim needs."),
    "bench": ("bench", "bench", "Time every way to train each family of networks."),
    "precision": ("precision", "precision", "Whether cheap arithmetic gives the same results."),
    "gpu-check": ("gpu_check", "gpu_check", "Whether everything works on the GPU here."),
}


class Lazy(Group):
    """Imports a command when it is asked for, and lists all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        importlib.import_module("omnigrok.waiting")  # before torch, which reads what it sets
        module, function, _ = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"omnigrok.cli.{module}"), function)
        assert isinstance(found, click.Command)
        return with_statuses(found)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with a line each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, _, words) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin so, and the group's own options."""
        names = [
            CompletionItem(name, help=words)
            for name, (_, _, words) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog=STATUSES)
@click.version_option(omnigrok.__version__)
def main() -> None:
    """An executable audit of a paper: its claims as checks, the verdicts, the evidence.

    \b
    The audit itself is a pytest run:
      pytest claims/                 smoke tier, minutes on a CPU
      pytest claims/ --tier paper    the paper's sizes, resumes where it stopped
      pytest claims/ --replay        verdicts from the recorded evidence, no training
      pytest claims/ --report r.html the same as a page with the figures redrawn

    \b
    Example: omnigrok list
    Example: omnigrok plot fig02.inverse

    \b
    Completion of commands and options in the shell (bash; zsh and fish likewise):
      eval "$(_OMNIGROK_COMPLETE=bash_source omnigrok)"
    """
