"""``omnigrok init``: a claims folder that runs, to be changed into an audit of your paper."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import click

from omnigrok.cli.shared import clear_errors
from omnigrok.errors import BadInput
from omnigrok.files import write_whole


@click.command(short_help="Make a claims folder of your own that runs.")
@click.argument("target", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(target: Path) -> None:
    """Write five small files into TARGET (default: the working folder): claims/ with audit.yaml,
    one figure and its check, and mypaper/ with a data set and a model.

    \b
    Example: omnigrok init my-audit

    Then, in that folder: pytest claims/
    """
    with clear_errors(), as_file(files("omnigrok.cli") / "template") as template:
        sources = sorted(path for path in template.rglob("*") if path.suffix in (".yaml", ".py"))
        texts = {
            target / path.relative_to(template): path.read_text(encoding="utf-8")
            for path in sources
        }
        there = [path for path in texts if path.exists()]
        if there:
            raise BadInput(f"{there[0]}: is there already; name another folder")
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)
            click.echo(path)
    click.echo(f"run it: cd {target} && pytest claims/ --report report.html")
