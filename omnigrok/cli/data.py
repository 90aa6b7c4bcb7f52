"""``omnigrok data``: the downloaded data sets."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.cli.groups import Group
from omnigrok.cli.shared import clear_errors, root_option
from omnigrok.data import default_root, imdb_files, integrity, mnist
from omnigrok.errors import DataCorrupt

DATA_SETS = ("mnist", "imdb")


@click.group(cls=Group)
def data() -> None:
    """Look after downloaded data sets.

    Example: omnigrok data status
    """


@data.command()
@root_option
def status(root: Path | None) -> None:
    """Say which data sets are on this machine.

    Example: omnigrok data status
    """
    folder = root or default_root()
    for file, state in mnist.status(folder).items():
        click.echo(f"mnist    {file}: {state}")
    found = [
        name
        for name in (imdb_files.FOLDER, *imdb_files.ARCHIVES, imdb_files.TOKENS)
        if (folder / name).exists()
    ]
    click.echo(f"imdb     {', '.join(found) or ' or '.join(imdb_files.ARCHIVES) + ': missing'}")
    click.echo("qm9      bundled with the package")
    click.echo(f"folder   {folder}")


@data.command()
@click.argument("name", type=click.Choice(DATA_SETS))
@root_option
def fetch(name: str, root: Path | None) -> None:
    """Download a data set.

    Example: omnigrok data fetch mnist
    """
    with clear_errors():
        {"mnist": mnist.fetch, "imdb": imdb_files.fetch}[name](root or default_root())
        click.echo(f"{name}: ready in {root or default_root()}")


@data.command(short_help="Check size, checksum and count of every data file.")
@click.argument("name", type=click.Choice(integrity.DATA_SETS), required=False)
@root_option
def verify(name: str | None, root: Path | None) -> None:
    """Read every data file and check its size, checksum and count; exit status 1 where one is
    damaged.

    Example: omnigrok data verify mnist
    """
    damaged = 0
    for checked in integrity.verify(root or default_root(), name):
        damaged += not checked.sound
        mark = (
            "DAMAGED: "
            if not checked.sound
            else ""
            if checked.found == integrity.MISSING
            else "sound, "
        )
        click.echo(f"{checked.data_set:8} {checked.file}: {mark}{checked.found}")
    with clear_errors():
        if damaged:
            raise DataCorrupt(f"{damaged} damaged; each line says what to do")
