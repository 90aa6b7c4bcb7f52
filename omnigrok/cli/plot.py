"""``omnigrok plot``: the figures of one claim as files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click
import torch

from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.report.plotting import panels_of_claim, write_panels
from omnigrok.report.recorded import Recorded
from omnigrok.store.store import Store
from omnigrok.suite.schema import Tier
from omnigrok.suite.suite import load_suite
from omnigrok.training.device import describe


@click.command(short_help="Draw the figures of one claim from recorded curves.")
@click.argument("claim_id", metavar="CLAIM")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="A file that ends in .svg, .png or .pdf; default: CLAIM.svg. With several panels "
    "each file has its panel's name before the ending.",
)
@click.option("--protocol", default=None, help="Settings of the runs; default: the suite's first.")
@click.option(
    "--tier",
    type=click.Choice(["paper", "smoke"]),
    default="paper",
    show_default=True,
    help="Tier of the runs in the store; recorded evidence is of the paper tier.",
)
@store_option
@claims_option
def plot(
    claim_id: str,
    target: Path | None,
    protocol: str | None,
    tier: Tier,
    store: Path | None,
    folder: Path,
) -> None:
    """Draw the panels of the paper's figures that one claim is about, from the recorded evidence,
    or from a run store that --runs names.

    \b
    Example: omnigrok plot fig02.inverse
    Example: omnigrok plot fig02.test-U -o u.png --protocol code
    Example: omnigrok plot fig02.inverse -o times.pdf --runs .omnigrok/runs.sqlite --tier smoke
    """
    with clear_errors(), ExitStack() as stack:
        suite = load_suite(folder)
        figure, claim = suite.claim(claim_id)
        protocol = protocol or suite.protocols[0]
        suite.check_protocol(protocol)
        if tier == "smoke" and store is None:
            raise BadInput("--tier smoke is not among the evidence; name a run store with --runs")
        target = target or Path(f"{claim_id}.svg")
        check_target("--output", target)
        panels = panels_of_claim(suite, figure, claim)
        if not panels:
            raise BadInput(f"{claim_id}: no panel is drawn from what it reads")
        opened = stack.enter_context(Store(store, readonly=True)) if store is not None else None
        device = describe(torch.device("cpu"))
        source = Recorded(suite, tier, opened, torch.__version__, device)
        written = 0
        for each in write_panels(panels, protocol, source, target):
            click.echo(
                f"{each.path}: Figure {each.panel.name}, {each.panel.title}"
                if each.path is not None
                else f"Figure {each.panel.name} is left out: {each.missing}",
                err=each.path is None,
            )
            written += each.path is not None
        if not written:
            raise BadInput(f"{claim_id}: nothing is recorded that could be drawn")
