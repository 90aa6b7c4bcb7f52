"""``omnigrok run``: pytest for one claim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from omnigrok.cli.shared import claims_option, clear_errors
from omnigrok.suite.schema import item_name
from omnigrok.suite.suite import load_suite


@click.command(
    short_help="Run pytest for one claim and its control.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("claim_id")
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
@claims_option
@click.pass_context
def run(
    context: click.Context, claim_id: str, pytest_options: tuple[str, ...], folder: Path
) -> None:
    """Run pytest for one claim and its control; further options go to pytest.

    \b
    Example: omnigrok run fig02.inverse
    Example: omnigrok run fig02.inverse --replay --protocol all -v

    The exit status is pytest's.
    """
    with clear_errors():
        figure, claim = load_suite(folder).claim(claim_id)
    # With the protocol, so that fig06.time is not also fig06.time-eta.
    names = " or ".join(item_name(claim_id, protocol) for protocol in claim.protocols)
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(folder / f"test_{figure.figure}.py"),
        "-k",
        names,
        *pytest_options,
    ]
    # pytest with the user's own options.
    context.exit(subprocess.run(command, check=False).returncode)  # noqa: S603
