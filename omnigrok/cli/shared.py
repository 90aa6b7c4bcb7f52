"""What several commands share: the options for the claims folder and the store, and errors as one
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from omnigrok.errors import OmnigrokError
from omnigrok.suite.installed import default_folder


@contextmanager
def clear_errors(kind: type[click.ClickException] = click.ClickException) -> Iterator[None]:
    """Every error of the package ends in one clear message and the exit status of ``kind`` (1
    unless given).
    """
    try:
        yield
    except OmnigrokError as error:
        raise kind(str(error)) from error


def _folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:
    """The claims folder, whose data sets and models can be imported from here on."""
    folder = value or default_folder()
    if not folder.is_dir():
        raise click.BadParameter(
            f"there is no folder {folder} here, and no installed package brings one along; name a "
            "claims folder, or make one with omnigrok init"
        )
    if not context.resilient_parsing:  # no completion of a word
        from omnigrok.suite.suite import load_suite  # noqa: PLC0415 (slow to import)

        with clear_errors():
            load_suite(folder).make_importable()
    return folder


claims_option = click.option(
    "--claims",
    "folder",
    type=click.Path(path_type=Path),
    default=None,
    callback=_folder,
    help="Folder with the figure files; default: claims/, or the one that is installed.",
)
store_option = click.option(
    "--runs",
    "store",
    type=click.Path(path_type=Path),
    default=None,
    help="The run store; default: .omnigrok/runs.sqlite next to the claims folder.",
)
root_option = click.option(
    "--data-root",
    "root",
    type=click.Path(path_type=Path),
    default=None,
    help="Default: $OMNIGROK_DATA or the user's cache folder.",
)
