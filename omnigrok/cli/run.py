"""``omnigrok run``: pytest for one claim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from omnigrok.audit.recording import figures
from omnigrok.cli.shared import claims_option, clear_errors
from omnigrok.errors import BadInput


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("claim_id")
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
@claims_option
@click.pass_context
def run(context: click.Context, claim_id: str, pytest_options: tuple[str, ...], folder: Path) -> None:
    """Run pytest for one claim and its control; further options go to pytest.

    \b
    Example: omnigrok run fig02.inverse
    Example: omnigrok run fig02.inverse --replay --protocol all -v

    The exit status is pytest's.
    """
    with clear_errors():
        home = next((figure.figure for figure in figures(folder) if any(claim.id == claim_id for claim in figure.claims)), None)
        if home is None:
            raise BadInput(f"unknown claim {claim_id!r}; omnigrok list names them")
    # The brackets of the item's name keep a longer id that starts with this one out.
    command = [sys.executable, "-m", "pytest", str(folder / f"test_{home}.py"), "-k", f"[{claim_id}-", *pytest_options]
    context.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 (pytest with the user's own options)
