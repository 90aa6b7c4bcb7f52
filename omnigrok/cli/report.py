"""``omnigrok report``: an audit for people, as an HTML page, a Markdown table, or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from omnigrok.audit.document import Audit, parse, read_document
from omnigrok.audit.session import store_of
from omnigrok.calibration.table import power_by_claim
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.report import findings, markdown, retraining
from omnigrok.report.markers import Part, has_part, insert_all
from omnigrok.report.replaying import replay
from omnigrok.suite.suite import load_suite


@click.command(short_help="The verdicts of an audit as a page, Markdown or JSON.")
@click.argument("audit", type=click.Path(path_type=Path), required=False)
@click.option(
    "--replay",
    "replayed",
    is_flag=True,
    help="In place of AUDIT: judge the recorded evidence now (no training, no network).",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Write one self-contained page with all figures.",
)
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the verdict table as Markdown (the default).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=None,
    help="Put table, findings and retraining between the markers of this file.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="With --into: change nothing, fail where they are not current.",
)
@store_option
@claims_option
def report(
    audit: Path | None,
    replayed: bool,
    html: Path | None,
    as_markdown: bool,
    as_json: bool,
    into: Path | None,
    only_check: bool,
    store: Path | None,
    folder: Path,
) -> None:
    """Show the verdicts of an audit, written by pytest claims/ --audit-json AUDIT.

    \b
    Example: omnigrok report audit.json
    Example: omnigrok report --replay --html report.html
    Example: omnigrok report audit.json --into README.md --check

    The figures of the page are drawn from the run store (--runs), those of a replay from the
    recorded evidence.
    """
    with clear_errors():
        if (audit is None) == (not replayed):
            raise BadInput("give either an audit file or --replay")
        if sum((html is not None, as_markdown, as_json, into is not None)) > 1:
            raise BadInput("give one of --html, --markdown, --json and --into")
        if only_check and into is None:
            raise BadInput("--check goes with --into FILE")
        for option, target in (("--html", html), ("--into", into)):
            if target is not None and not only_check:
                check_target(option, target)
        document = read_document(audit) if audit is not None else replay(folder)
        parsed = parse(document, str(audit or "the replay"))
        if html is not None:
            from omnigrok.report.page import write_page  # noqa: PLC0415 (needs the extra omnigrok[report])

            write_page(html, parsed, folder, store or store_of(folder))
            click.echo(f"{html}: written")
        elif as_json:
            click.echo(json.dumps(document, indent=1))
        elif into is not None:
            _insert_parts(into, parsed, folder, only_check)
        else:
            click.echo(markdown.table(parsed, load_suite(folder), power_by_claim()), nl=False)


def _insert_parts(path: Path, audit: Audit, folder: Path, only_check: bool) -> None:
    """The verdict table and, where the file has their markers, what was found and what was
    retrained.
    """
    parts = [
        Part(
            markdown.PART,
            markdown.table(audit, load_suite(folder), power_by_claim()),
            markdown.without_versions,
        )
    ]
    if has_part(path, "findings"):
        parts.append(Part("findings", findings.findings_text(folder, audit)))
    if has_part(path, retraining.PART):
        parts.append(Part(retraining.PART, retraining.retrained_table(folder, audit)))
    insert_all(path, parts, only_check)
