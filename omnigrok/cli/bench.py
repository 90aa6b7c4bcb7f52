"""``omnigrok bench``: how fast stacks train here, beside loops as people write them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from omnigrok.bench.families import FAMILIES
from omnigrok.bench.table import LEGEND, load, table
from omnigrok.cli.shared import clear_errors
from omnigrok.errors import BadInput

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Time every way to train each family of networks.")
@click.option("--family", "families", multiple=True, type=click.Choice(list(FAMILIES)), help="Only this family; may be repeated.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default=None, help="Only this device; default: all there are.")
@click.option("--json", "target", type=FILE, default=None, help="Keep pytest-benchmark's file.")
@click.option("--from", "source", type=FILE, default=None, help="Measure nothing: show such a file.")
@click.option("--markdown", is_flag=True, help="A Markdown table.")
@click.option(
    "--tests", type=click.Path(path_type=Path), default=Path("tests/benchmarks"), show_default=True, help="Where the benchmarks are."
)
def bench(families: tuple[str, ...], device: str | None, target: Path | None, source: Path | None, markdown: bool, tests: Path) -> None:
    """Time every way to train each family of networks and print the table with ratios.

    \b
    Examples:
      omnigrok bench --family mnist --json before.json
      omnigrok bench --from before.json --markdown
    """
    with clear_errors(), tempfile.TemporaryDirectory() as folder:
        if source is None:
            source = target or Path(folder) / "benchmark.json"
            _measure(tests, families, device, source)
        speeds, where = load(source)
        click.echo(", ".join(f"{key} {value}" for key, value in where.items()))
        for line in table(speeds, markdown):
            click.echo(line)
        click.echo(f"\n{LEGEND}")


def _measure(tests: Path, families: tuple[str, ...], device: str | None, target: Path) -> None:
    """Run the benchmarks with pytest.

    Raises:
        BadInput: they are not here, or one failed.
    """
    file = tests / "test_bench_families.py"
    if not file.exists():
        raise BadInput(f"{file}: is not here; run omnigrok bench in the root of a clone, or name the folder with --tests")
    chosen = [f"--bench-family={name}" for name in families] + ([f"--bench-device={device}"] if device else [])
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
    done = subprocess.run([sys.executable, "-m", "pytest", str(file), *options, *chosen], check=False)  # noqa: S603 (our own command)
    if done.returncode:
        raise BadInput(f"{file}: the benchmarks did not finish (pytest ended with {done.returncode}); the messages above say why")
