"""``omnigrok list`` and ``omnigrok show``: the claims, and one claim explained."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.audit.recording import figures
from omnigrok.cli.shared import claims_option, clear_errors
from omnigrok.errors import BadInput


@click.command("list")
@claims_option
def list_claims(folder: Path) -> None:
    """List every claim with its place in the paper.

    Example: omnigrok list
    """
    with clear_errors():
        for figure in figures(folder):
            for claim in figure.claims:
                star = "*" if claim.headline else " "
                click.echo(f"{claim.id:28}{star} {','.join(claim.protocols):22} {claim.place}")
    click.echo("* headline claim")


@click.command()
@click.argument("claim_id")
@claims_option
def show(claim_id: str, folder: Path) -> None:
    """Explain one claim: sentence, criterion, control, settings.

    Example: omnigrok show fig02.inverse
    """
    with clear_errors():
        for figure in figures(folder):
            for claim in figure.claims:
                if claim.id == claim_id:
                    click.echo(f"{claim.id}  (version {claim.version}, {claim.place})\n\n{claim.statement}\n")
                    for name, bounds in claim.criterion.items():
                        click.echo(f"criterion {name}: {bounds if isinstance(bounds, float) else bounds.region()}")
                    click.echo(f"control: {claim.control.why}")
                    click.echo(f"experiments: {', '.join(claim.experiments)}   protocols: {', '.join(claim.protocols)}")
                    for text in (claim.choices, figure.choices):
                        if text:
                            click.echo(f"choices: {text}")
                    click.echo(f"\nrun it: pytest {folder}/test_{figure.figure}.py -k {claim.id}")
                    return
        raise BadInput(f"unknown claim {claim_id!r}; omnigrok list names them")
