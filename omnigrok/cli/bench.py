"""``omnigrok bench``: how fast stacks train here, compared with loops as people write them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from omnigrok.bench.families import FAMILIES
from omnigrok.bench.speeds import LEGEND, SUMMARY_LEGEND, joined, load, summary, table
from omnigrok.cli.shared import clear_errors
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.report.markers import between, insert

MARKERS = "speeds"
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Time every way to train each family of networks.")
@click.option(
    "--family",
    "families",
    multiple=True,
    type=click.Choice(list(FAMILIES)),
    help="Only this family; may be repeated.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default=None,
    help="Only this device; default: all there are.",
)
@click.option("--json", "target", type=FILE, default=None, help="Keep pytest-benchmark's file.")
@click.option(
    "--from",
    "sources",
    type=FILE,
    multiple=True,
    help="Measure nothing: show such a file; may be repeated.",
)
@click.option("--markdown", is_flag=True, help="A Markdown table.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=None,
    help="Put a short table between the markers of this file.",
)
@click.option(
    "--tests",
    type=click.Path(path_type=Path),
    default=Path("tests/benchmarks"),
    show_default=True,
    help="Where the benchmarks are.",
)
def bench(
    families: tuple[str, ...],
    device: str | None,
    target: Path | None,
    sources: tuple[Path, ...],
    markdown: bool,
    into: Path | None,
    tests: Path,
) -> None:
    """Time every way to train each family of networks and print the table with ratios.

    \b
    Example: omnigrok bench --family mnist --json before.json
    Example: omnigrok bench --from before.json --markdown
    Example: omnigrok bench --from cpu.json --from gpu.json --into README.md
    """
    with clear_errors(), tempfile.TemporaryDirectory() as folder:
        if sources and (families or device or target):
            raise BadInput(
                "--from shows what was measured; leave --family, --device and --json out"
            )
        if into is not None and markdown:
            raise BadInput("give one of --markdown and --into")
        if into is not None:
            between(into, MARKERS)  # before minutes of measuring, as the next two
            check_target("--into", into)
        if target is not None:
            check_target("--json", target)
        failed = 0
        if not sources:
            sources = (Path(folder) / "benchmark.json",)
            failed = _measure(tests, families, device, sources[0])
            if target is not None:
                shutil.copyfile(sources[0], target)
        measured = joined([load(source) for source in sources])
        if into is not None and not failed:
            insert(
                into,
                MARKERS,
                "\n".join(summary(*each) for each in measured) + "\n" + SUMMARY_LEGEND,
            )
        else:
            for speeds, where in measured:
                click.echo(", ".join(f"{key} {value}" for key, value in where.items()))
                for line in table(speeds, markdown):
                    click.echo(line)
            click.echo(f"\n{LEGEND}")
        if failed:
            raise BadInput(
                f"some benchmarks failed (pytest ended with {failed}); the messages above say why, "
                "and the table lacks them"
            )


def _measure(tests: Path, families: tuple[str, ...], device: str | None, target: Path) -> int:
    """Run the benchmarks with pytest; returns its exit status, not 0 where some failed and the
    others are in the file.

    Raises:
        BadInput: they are not here, or nothing was measured.
    """
    file = tests / "test_bench_families.py"
    if not file.exists():
        raise BadInput(
            f"{file}: is not here; run omnigrok bench in the root of a clone, or name the folder "
            "with --tests"
        )
    chosen = [f"--bench-family={name}" for name in families] + (
        [f"--bench-device={device}"] if device else []
    )
    options = [
        "-n",
        "0",
        "-q",
        "-rs",
        "-p",
        "no:cacheprovider",
        "-m",
        "slow",
        f"--benchmark-json={target}",
        "--benchmark-columns=median,rounds",
    ]
    command = [sys.executable, "-m", "pytest", str(file), *options, *chosen]
    done = subprocess.run(command, check=False)  # noqa: S603 (our own command)
    if not target.exists() or not target.stat().st_size:
        raise BadInput(
            f"{file}: nothing was measured (pytest ended with {done.returncode}); the messages "
            "above say why"
        )
    return done.returncode
