"""``omnigrok report``: an audit for people, as an HTML page, a Markdown table, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from omnigrok.audit.document import Audit, load_audit, text_of
from omnigrok.audit.session import store_of
from omnigrok.calibration.registry import power_by_claim
from omnigrok.cli.replayed import cache_option, replay_aloud
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.report import findings, markdown, retraining
from omnigrok.report.frames import as_csv, finding_rows, verdict_rows
from omnigrok.report.markers import GeneratedPart, has_part, insert_all, markers
from omnigrok.suite.suite import load_suite

PAGES = (".html", ".htm")  # one file; a folder has no such name


def _table(folder: Path, audit: Audit) -> str:
    suite = load_suite(folder)
    return markdown.table(audit, suite, power_by_claim(suite))


# Generated parts: name to what makes the text, and what must be equal for it to be current.
PARTS: dict[str, Callable[[Path, Audit], tuple[str, Callable[[str], str]]]] = {
    markdown.HEADLINE: lambda folder, audit: (markdown.headline_table(audit), str),
    markdown.PART: lambda folder, audit: (
        _table(folder, audit),
        markdown.without_versions,
    ),
    "findings": lambda folder, audit: (findings.findings_text(folder, audit), str),
    retraining.PART: lambda folder, audit: (retraining.retrained_table(folder, audit), str),
}


@click.command(short_help="The verdicts of an audit as a page, Markdown or JSON.")
@click.argument("audit", type=click.Path(path_type=Path), required=False)
@click.option(
    "--replay",
    "replayed",
    is_flag=True,
    help="Instead of AUDIT: judge the recorded evidence now (no training, no network).",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Write the page: one file with everything if PATH ends in .html, else a folder with an "
    "index and a page for each figure.",
)
@click.option(
    "--single",
    is_flag=True,
    help="With a folder: its index.html holds everything.",
)
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the verdict table as Markdown (the default).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
@click.option(
    "--schema", "as_schema", is_flag=True, help="Print the JSON schema of an audit and exit."
)
@click.option(
    "--csv",
    "table",
    type=click.Choice(["verdicts", "findings"]),
    default=None,
    help="Print one row a verdict, or one a finding, as CSV.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Fill the generated parts whose markers this file has; may be given several times.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="With --into: change nothing, fail where they are not current.",
)
@cache_option
@store_option
@claims_option
def report(
    audit: Path | None,
    replayed: bool,
    html: Path | None,
    single: bool,
    as_markdown: bool,
    as_json: bool,
    as_schema: bool,
    table: str | None,
    into: tuple[Path, ...],
    only_check: bool,
    cache: bool,
    store: Path | None,
    folder: Path,
) -> None:
    """Show the verdicts of an audit, written by pytest claims/ --audit-json AUDIT.

    \b
    Example: omnigrok report audit.json
    Example: omnigrok report --replay --html report.html
    Example: omnigrok report audit.json --html site
    Example: omnigrok report audit.json --csv findings
    Example: omnigrok report audit.json --into README.md --into docs/verdicts.md --check

    Exit status: 0 whatever the verdicts are, 1 after an error, or where --check finds a part that
    is not current, 2 where the command line is not accepted.

    The figures of the page are drawn from the run store (--runs), those of a replay from the
    recorded evidence.
    """
    if as_schema:
        click.echo(json.dumps(Audit.model_json_schema(), indent=1))
        return
    with clear_errors():
        if (audit is None) == (not replayed):
            raise BadInput("give either an audit file or --replay")
        if sum((html is not None, as_markdown, as_json, table is not None, bool(into))) > 1:
            raise BadInput("give one of --html, --markdown, --json, --csv and --into")
        if only_check and not into:
            raise BadInput("--check goes with --into FILE")
        if single and html is None:
            raise BadInput("--single goes with --html PATH")
        if html is not None:
            _check_page(html)
        targets = {target: _parts_of(target, writable=not only_check) for target in into}
        parsed = load_audit(audit) if audit is not None else replay_aloud(folder, cache)
        if html is not None:
            click.echo(f"{_write(html, parsed, folder, store, single)}: written")
        elif as_json:
            click.echo(text_of(parsed), nl=False)
        elif table is not None:
            made = verdict_rows(parsed) if table == "verdicts" else finding_rows(parsed)
            click.echo(as_csv(made), nl=False)
        elif targets:
            _fill(targets, folder, parsed, only_check)
        else:
            click.echo(_table(folder, parsed), nl=False)


def _write(html: Path, audit: Audit, folder: Path, store: Path | None, single: bool) -> Path:
    from omnigrok.report import page  # noqa: PLC0415 (needs the extra omnigrok[report])

    runs = store or store_of(folder)
    if not _is_file(html):
        return page.write_site(html, audit, folder, runs, single)
    page.write_page(html, audit, folder, runs)
    return html


def _is_file(html: Path) -> bool:
    return html.suffix.lower() in PAGES


def _check_page(path: Path) -> None:
    """Refuse a page that cannot be written, before minutes of work.

    Raises:
        BadInput: the file, or a file in the folder, cannot be written.
    """
    if _is_file(path):
        check_target("--html", path)
    elif path.exists() and not path.is_dir():
        raise BadInput(
            f"--html {path}: is a file; name a folder, or a file that ends in {' or '.join(PAGES)}"
        )
    else:
        check_target("--html", path / "index.html", make_folder=True)


def _parts_of(path: Path, writable: bool) -> list[str]:
    """The generated parts that a file has.

    Raises:
        BadInput: it cannot be read, cannot be written though it must be ``writable``, or has no
            generated part.
    """
    if not path.exists():
        raise BadInput(
            f"{path}: there is no such file; it needs the lines "
            f"{' and '.join(markers(markdown.PART))}"
        )
    if writable:
        check_target("--into", path)
    found = [name for name in PARTS if has_part(path, name)]
    if not found:
        raise BadInput(
            f"{path}: lacks the markers {' and '.join(markers(markdown.PART))}, and those of "
            f"{', '.join(name for name in PARTS if name != markdown.PART)}"
        )
    return found


def _fill(targets: dict[Path, list[str]], folder: Path, audit: Audit, only_check: bool) -> None:
    """Each part is made once, and all before any file is written."""
    names = dict.fromkeys(name for parts in targets.values() for name in parts)
    made = {name: GeneratedPart(name, *PARTS[name](folder, audit)) for name in names}
    for target, parts in targets.items():
        insert_all(target, [made[name] for name in parts], only_check)
