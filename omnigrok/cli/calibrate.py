"""``omnigrok calibrate`` and ``omnigrok power``: how often detectors and checks err on simulated
data, and how many seeds would do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from omnigrok.calibration.rates import LEAST_POWER, measure
from omnigrok.calibration.registry import simulated, simulations_of, trials_of
from omnigrok.calibration.table import (
    cells,
    claim_cells,
    claim_line,
    claim_lines,
    claims_markdown,
    markdown,
    percent,
)
from omnigrok.calibration.verdicts import measure_claims, power_at, seeds_for
from omnigrok.cli.shared import claims_option, clear_errors
from omnigrok.errors import BadInput
from omnigrok.files import check_target, write_whole
from omnigrok.suite.schema import Claim
from omnigrok.suite.suite import load_suite

DRAWS = 2000


@click.command(short_help="Error rates of detectors and checks on simulated data.")
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=DRAWS,
    show_default=True,
    help="Simulated data sets of each null and effect.",
)
@click.option("--detector", metavar="NAME", help="Only this detector.")
@click.option(
    "--all-claims",
    "of_claims",
    is_flag=True,
    help="The checks of all claims that have a simulation, instead of the detectors.",
)
@click.option(
    "--claim",
    "claim_ids",
    metavar="ID",
    multiple=True,
    help="The check of this claim only; may be given several times.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that measure claims at once.",
)
@click.option("--check", is_flag=True, help="Exit with status 1 if a bound does not hold.")
@click.option(
    "--markdown",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table to this file too.",
)
@claims_option
def calibrate(
    draws: int,
    detector: str | None,
    of_claims: bool,
    claim_ids: tuple[str, ...],
    jobs: int,
    check: bool,
    target: Path | None,
    folder: Path,
) -> None:
    """Calibrate detectors or claims' checks: false positives, power and coverage on simulated data.
    The seed is fixed.

    With --markdown each claim's row is put into the table that the file holds as soon as it is
    measured. Rows do not depend on each other, nor on --jobs.

    \b
    Example: omnigrok calibrate --detector u_shape --draws 500
    Example: omnigrok calibrate --claim fig02.inverse --claim fig02.decay
    Example: omnigrok calibrate --all-claims -j 16 --markdown CLAIMS.md
    """
    with clear_errors():
        if detector and (of_claims or claim_ids):
            raise BadInput(
                "--detector and --claim (or --all-claims) exclude each other: a table is of "
                "detectors or of claims"
            )
        if target is not None:
            check_target("--markdown", target)
        failing, total = (
            _claims(folder, claim_ids, draws, jobs, target)
            if of_claims or claim_ids
            else _detectors(folder, detector, draws, target)
        )
    click.echo(f"{total - failing} of {total} rows hold their bounds")
    if check and failing:
        raise SystemExit(1)


def _detectors(
    folder: Path, detector: str | None, draws: int, target: Path | None
) -> tuple[int, int]:
    """How many rows fail, and how many there are."""
    rows = []
    for trial in trials_of(load_suite(folder), detector):
        rows.append(measure(trial, draws))
        click.echo(" | ".join(part for part in cells(rows[-1]) if part))
    if target is not None:
        write_whole(target, "\n".join(markdown(rows)) + "\n")
    return sum(bool(row.problems) for row in rows), len(rows)


def _claims(
    folder: Path, claim_ids: Sequence[str], draws: int, jobs: int, target: Path | None
) -> tuple[int, int]:
    """How many rows fail, and how many there are; all claims that have a simulation where none is
    named.
    """
    suite = load_suite(folder)
    claims = [claim for figure in suite.figures for claim in figure.claims]
    known = [claim.id for claim in claims]
    for name in claim_ids:
        simulated(suite, name)
    wanted = [name for name in known if name in (claim_ids or simulations_of(suite))]
    lines = claim_lines(target.read_text(encoding="utf-8")) if target and target.exists() else {}
    rows = []
    for row in measure_claims(folder, wanted, draws, jobs):
        rows.append(row)
        click.echo(" | ".join(claim_cells(row)))
        lines[row.claim, row.null] = claim_line(row)
        if target is not None:
            table = claims_markdown(*_in_order(lines, claims))
            write_whole(target, "\n".join(table) + "\n")
    return sum(not row.holds for row in rows), len(rows)


def _in_order(
    lines: Mapping[tuple[str, str], str], entries: Sequence[Claim]
) -> tuple[list[str], list[str]]:
    """The lines in the order of the YAML, and the claims that lack one of theirs."""
    pairs = [(claim.id, null) for claim in entries for null in claim.nulls]
    gaps = dict.fromkeys(name for name, null in pairs if (name, null) not in lines)
    return [lines[pair] for pair in pairs if pair in lines], list(gaps)


@click.command(short_help="The seeds that a claim needs.")
@click.argument("claim_id", metavar="CLAIM")
@click.option(
    "--seeds",
    multiple=True,
    type=click.IntRange(min=2),
    help="A number of seeds; may be given several times.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Simulated data sets for each number.",
)
@click.option(
    "--scatter",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Multiplies the scatter.",
)
@claims_option
def power(claim_id: str, seeds: tuple[int, ...], draws: int, scatter: float, folder: Path) -> None:
    """Power of a claim's check at the effect that the paper reports or that was recorded, and the
    seeds needed for .9.

    \b
    Example: omnigrok power fig02.inverse --seeds 5 --seeds 10
    Example: omnigrok power fig03.degrok-data --seeds 10 --scatter 1.6
    """
    with clear_errors():
        click.echo(f"{claim_id}: effect: {simulated(load_suite(folder), claim_id).words}")
        for n, rate in power_at(folder, claim_id, seeds, draws, scatter).items():
            click.echo(f"{n:4d} seeds: REPRODUCED in {percent(rate)} of {draws} draws")
        needed = seeds_for(folder, claim_id, draws, scatter)
    click.echo(
        f"power {LEAST_POWER:g}: {needed} seeds"
        if needed
        else f"power {LEAST_POWER:g}: not with 50 seeds"
    )
