"""``omnigrok status``: what is recorded, what has settled, what is missing and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from omnigrok.audit.session import store_of
from omnigrok.audit.stock import Stock, stocks
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.errors import BadInput
from omnigrok.forecast.text import duration
from omnigrok.store.store import Store
from omnigrok.suite.schema import Scale
from omnigrok.suite.suite import load_suite


@click.command(short_help="What is recorded of every experiment, and what is missing.")
@click.argument("part", default="")
@click.option(
    "--missing", "only_missing", is_flag=True, help="Only experiments of which runs are missing."
)
@click.option(
    "--scale",
    type=click.Choice(get_args(Scale)),
    default=None,
    help="Count at this scale; default: the one of which the largest share is recorded.",
)
@store_option
@claims_option
def status(
    part: str, only_missing: bool, scale: Scale | None, store: Path | None, folder: Path
) -> None:
    """Show every experiment: recorded runs and their scale, how many have settled, what is missing
    and what it costs.

    PART selects experiments by a part of figure:experiment. Counted are the recorded evidence and,
    where there is one, the run store. Times are at the speed of recorded runs of the same network,
    on the machines that trained them; pytest claims/ --tier paper --plan measures this one.

    \b
    Example: omnigrok status
    Example: omnigrok status fig03 --missing
    Example: omnigrok status --scale full
    """
    with clear_errors():
        path = store or store_of(folder)
        suite = load_suite(folder)
        if path.exists():
            with Store(path, readonly=True) as opened:
                found = list(stocks(suite, opened, part, scale))
        else:
            found = list(stocks(suite, None, part, scale))
        if not found:
            raise BadInput(
                f"no experiment matches {part!r}; the figure files are "
                f"{', '.join(figure.figure for figure in suite.figures)}"
            )
        for line in lines([each for each in found if not (only_missing and each.complete)]):
            click.echo(line)


def lines(found: list[Stock]) -> list[str]:
    """The table, at most 100 columns wide."""
    shown = [
        (
            f"{'experiment':44} {'protocol':9} {'scale':7} {'recorded':>11} {'settled':>9} "
            f"{'missing steps':>13} {'time':>8}"
        )
    ]
    for each in found:
        settled = f"{each.settled}/{each.held}" if each.held else "-"
        missing = f"{each.network_steps:.1e}" if each.network_steps else "-"
        time = (
            "-"
            if not each.network_steps
            else "unknown"
            if each.seconds is None
            else duration(each.seconds)
        )
        have = f"{each.recorded}/{each.runs}"
        shown.append(
            f"{each.experiment:44} {each.protocol:9} {each.scale:7} {have:>11} {settled:>9} "
            f"{missing:>13} {time:>8}"
        )
    known = sum(each.seconds or 0.0 for each in found)
    shown.append(
        f"{sum(each.complete for each in found)} of {len(found)} experiments complete; the others "
        f"take {duration(known)}"
        f" on one core, {sum(each.seconds is None for each in found)} of unknown speed left out"
    )
    return shown
