"""``omnigrok report``: an audit as a page for people."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.audit import markdown
from omnigrok.cli.shared import clear_errors


@click.command()
@click.argument("audit", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), default=None, help="Put the table between the markers of this file.")
@click.option("--check", "only_check", is_flag=True, help="With --into: change nothing, fail where the table is not current.")
def report(audit: Path, into: Path | None, only_check: bool) -> None:
    """Write the verdicts of an audit as a Markdown table.

    Example: omnigrok report audit.json --into README.md
    """
    with clear_errors():
        text = markdown.table(markdown.load_audit(audit))
        if into is None:
            click.echo(text, nl=False)
        else:
            markdown.insert(into, text, only_check)
