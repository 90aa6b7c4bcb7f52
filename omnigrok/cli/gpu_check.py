"""``omnigrok gpu-check``: whether this package works on the card at hand, in minutes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from omnigrok.bench.gpu_check import document, run_checks
from omnigrok.cli.shared import clear_errors
from omnigrok.files import check_target, write_whole
from omnigrok.training.device import choose_device

WORDS = {True: "ok", False: "NOT AS EXPECTED", None: "-"}
NEXT = (
    "next: pytest tests/gpu -m 'gpu and not slow'; pytest claims/ --gpu --tier smoke -k fig02 -n 0 "
    "and -n 4; docs/gpu-weekend.md has the rest"
)


@click.command("gpu-check", short_help="Whether everything works on the GPU here.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gpu-check.json"),
    show_default=True,
    help="Where to write the result, to be sent home.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=540.0,
    show_default=True,
    help="Begin no check later than this.",
)
def gpu_check(out: Path, seconds: float) -> None:
    """Compare what this package expects of a CUDA device with what it finds, in under ten minutes.

    Looked at are software and compilers, the rates of matrix products, the curves of each family of
    networks next to the CPU's, what large stacks leave in memory, and a stack that does not fit.
    Exit status 1 if anything is not as expected.

    Example: omnigrok gpu-check --out h200.json
    """
    with clear_errors():
        check_target("--out", out)
        device = choose_device(gpu=True)
        rows = []
        for row in run_checks(device, seconds):
            rows.append(row)
            click.echo(
                f"{WORDS[row.ok]:15} {row.check}: expected {row.expected}; found {row.found} "
                f"({row.seconds:.1f} s)"
            )
            write_whole(out, json.dumps(document(rows), indent=1) + "\n")
    failed = sum(row.ok is False for row in rows)
    click.echo(f"{len(rows) - failed} of {len(rows)} as expected or without expectation; {out}")
    click.echo(NEXT)
    if failed:
        raise SystemExit(1)
