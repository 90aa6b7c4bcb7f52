"""``omnigrok list`` and ``omnigrok show``: the claims, and one claim explained."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from omnigrok.audit.deviation import load_deviations
from omnigrok.audit.session import store_of
from omnigrok.audit.state import evidence_states, store_states
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.store.store import Store
from omnigrok.suite.schema import Claim, Figure, item_name
from omnigrok.suite.suite import Suite, load_suite


@click.command("list")
@click.option(
    "--long", "sentences", is_flag=True, help="With the sentence that each claim stands for."
)
@claims_option
def list_claims(sentences: bool, folder: Path) -> None:
    """List every claim with its place in the paper.

    \b
    Example: omnigrok list
    Example: omnigrok list --long
    """
    with clear_errors():
        click.echo(f"{'claim':28}  {'protocols':22} place in the paper")
        for figure in load_suite(folder).figures:
            for claim in figure.claims:
                star = "*" if claim.headline else " "
                click.echo(f"{claim.id:28}{star} {','.join(claim.protocols):22} {claim.place}")
                if sentences:
                    click.echo(_wrapped(claim.statement, "    "))
    click.echo("* headline claim; omnigrok show CLAIM explains one")


def _wrapped(text: str, indent: str = "") -> str:
    """Within the terminal, at most 100 columns; later lines are indented."""
    width = min(shutil.get_terminal_size().columns, 100)
    return click.wrap_text(text, width, initial_indent=indent, subsequent_indent="    ")


@click.command(short_help="Explain one claim, and say what is recorded for it.")
@click.argument("claim_id")
@store_option
@claims_option
def show(claim_id: str, store: Path | None, folder: Path) -> None:
    """Explain one claim: sentence, criterion, control, settings, and what is recorded for it.

    Example: omnigrok show fig02.inverse
    """
    with clear_errors():
        suite = load_suite(folder)
        figure, claim = suite.claim(claim_id)
        _explain(folder, figure, claim)
        _state(suite, figure, claim, store or store_of(folder))
    click.echo(
        f"\nrun it: pytest {folder}/test_{figure.figure}.py -k "
        f"{item_name(claim.id, claim.protocols[0])}"
    )
    click.echo(f"    or: omnigrok run {claim.id}")


def _explain(folder: Path, figure: Figure, claim: Claim) -> None:
    click.echo(
        f"{claim.id}  (version {claim.version}, {claim.place})\n\n{_wrapped(claim.statement)}\n"
    )
    if claim.reported:
        click.echo(_wrapped(f"the paper: {claim.reported}"))
    for name, bounds in claim.criterion.items():
        click.echo(f"criterion {name}: {bounds if isinstance(bounds, float) else bounds.region()}")
    click.echo(_wrapped(f"control: {claim.control.why}"))
    click.echo(
        f"experiments: {', '.join(claim.experiments)}   protocols: {', '.join(claim.protocols)}"
    )
    for text in (claim.choices, figure.choices):
        if text:
            click.echo(_wrapped(f"choices: {text}"))
    for line in claim.history:
        click.echo(_wrapped(f"history: {line}"))
    for entry in load_deviations(folder):
        if entry.claim == claim.id:
            click.echo(
                _wrapped(
                    f"recorded deviation ({entry.tier} tier, {entry.protocol}, version "
                    f"{entry.version}): {entry.why}"
                )
            )


def _state(suite: Suite, figure: Figure, claim: Claim, store: Path) -> None:
    click.echo("")
    for state in evidence_states(suite, figure, claim):
        click.echo(_wrapped(str(state)))
    if not store.exists():
        click.echo(f"store: none at {store} (name another with --runs)")
        return
    with Store(store, readonly=True) as opened:
        found = list(store_states(suite, figure, claim, opened))
    for state in found:
        click.echo(_wrapped(str(state)))
    if not found:
        click.echo(f"store: nothing of this claim in {store}")
