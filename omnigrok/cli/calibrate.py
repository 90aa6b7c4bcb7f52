"""``omnigrok calibrate``: how often detectors err on simulated data."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.audit.summary import write_whole
from omnigrok.calibration.detectors import trials
from omnigrok.calibration.rates import measure
from omnigrok.calibration.table import cells, markdown
from omnigrok.cli.shared import clear_errors


@click.command()
@click.option("--draws", type=click.IntRange(min=1), default=2000, show_default=True, help="Simulated data sets of each null and effect.")
@click.option("--detector", metavar="NAME", help="Only this detector.")
@click.option("--check", is_flag=True, help="Exit with status 1 if a bound does not hold.")
@click.option("--markdown", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the table to this file too.")
def calibrate(draws: int, detector: str | None, check: bool, target: Path | None) -> None:
    """Calibrate the detectors: false positives, power and coverage on simulated data. The seed is fixed.

    Example: omnigrok calibrate --detector u_shape --draws 500
    """
    rows = []
    with clear_errors():
        for trial in trials(detector):
            rows.append(measure(trial, draws))
            click.echo(" | ".join(part for part in cells(rows[-1]) if part))
        if target is not None:
            write_whole(target, "\n".join(markdown(rows)) + "\n")
    failing = [row for row in rows if row.problems]
    click.echo(f"{len(rows) - len(failing)} of {len(rows)} rows hold their bounds")
    if check and failing:
        raise SystemExit(1)
