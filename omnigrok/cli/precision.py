"""``omnigrok precision``: whether float32 and TF32 give the results of float64, family by
family.
"""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.bench.precision import SEEDS, measure
from omnigrok.bench.precision_table import cells, line, markdown, recorded
from omnigrok.bench.sweeps import SWEEPS
from omnigrok.cli.shared import clear_errors, root_option
from omnigrok.files import check_target, write_whole
from omnigrok.training.device import choose_device


@click.command()
@click.option(
    "--family",
    "families",
    multiple=True,
    type=click.Choice(list(SWEEPS)),
    help="Only this family; may be repeated.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=SEEDS,
    show_default=True,
    help="Seeds of each family.",
)
@click.option("--gpu", is_flag=True, help="On CUDA, with TF32 as well.")
@click.option(
    "--markdown",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table to this file too.",
)
@root_option
def precision(
    families: tuple[str, ...], seeds: int, gpu: bool, target: Path | None, root: Path | None
) -> None:
    """Whether cheap arithmetic gives the same results.

    Train small networks of each family in cheap arithmetic and in float64, and test whether their
    results are equivalent.

    With --family and --markdown the families' rows are put into the table that the file holds, if
    it was made here.

    Example: omnigrok precision --family "addition, held" --seeds 5
    """
    rows = []
    with clear_errors():
        if target is not None:
            check_target("--markdown", target)
        device = choose_device(gpu)
        lines = (
            recorded(target.read_text(encoding="utf-8"), device)
            if families and target and target.exists()
            else {}
        )
        for name in families or SWEEPS:
            lines[name] = []
            for row in measure(SWEEPS[name], device, root, seeds):
                rows.append(row)
                lines[name].append(line(row))
                click.echo(" | ".join(cells(row)))
            if target is not None:
                write_whole(
                    target,
                    "\n".join(
                        markdown(
                            (each for known in SWEEPS for each in lines.get(known, ())), device
                        )
                    )
                    + "\n",
                )
    same = sum(row.same for row in rows)
    click.echo(f"{same} of {len(rows)} rows: the same")
