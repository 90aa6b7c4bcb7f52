"""The command ``omnigrok``: look at claims, move evidence, fetch data. Audits themselves are run by pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import omnigrok
from omnigrok.audit import markdown
from omnigrok.audit.evidence import FOLDER
from omnigrok.audit.recording import export_experiment, figures
from omnigrok.data import default_root, imdb_files, mnist
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.runs.evidence import import_into, read, salvage
from omnigrok.runs.store import Store

DATA_SETS = ("mnist", "imdb")


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Every error of the package ends in one line and status 2."""
    try:
        yield
    except OmnigrokError as error:
        raise click.ClickException(str(error)) from error


claims_option = click.option(
    "--claims", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("claims"), show_default=True,
    help="Folder with the figure files.",
)  # fmt: skip
store_option = click.option(
    "--runs", "store", type=click.Path(path_type=Path), default=Path(".omnigrok/runs.sqlite"), show_default=True, help="The run store."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(omnigrok.__version__)
def main() -> None:
    """An executable audit of the paper "Omnigrok: Grokking Beyond Algorithmic Data".

    \b
    The audit itself is a pytest run:
      pytest claims/                 smoke tier, minutes on a CPU
      pytest claims/ --tier paper    the paper's sizes, resumes where it stopped
      pytest claims/ --replay        verdicts from the recorded evidence, no training
    """


@main.command("list")
@claims_option
def list_claims(folder: Path) -> None:
    """List every claim with its place in the paper.

    Example: omnigrok list
    """
    with _clear_errors():
        for figure in figures(folder):
            for claim in figure.claims:
                star = "*" if claim.headline else " "
                click.echo(f"{claim.id:28}{star} {','.join(claim.protocols):22} {claim.place}")
    click.echo("* headline claim")


@main.command()
@click.argument("claim_id")
@claims_option
def show(claim_id: str, folder: Path) -> None:
    """Explain one claim: sentence, criterion, control, settings.

    Example: omnigrok show fig02.inverse
    """
    with _clear_errors():
        for figure in figures(folder):
            for claim in figure.claims:
                if claim.id == claim_id:
                    click.echo(f"{claim.id}  (version {claim.version}, {claim.place})\n\n{claim.statement}\n")
                    for name, bounds in claim.criterion.items():
                        click.echo(f"criterion {name}: {bounds if isinstance(bounds, float) else bounds.region()}")
                    click.echo(f"control: {claim.control.why}")
                    click.echo(f"experiments: {', '.join(claim.experiments)}   protocols: {', '.join(claim.protocols)}")
                    for text in (claim.choices, figure.choices):
                        if text:
                            click.echo(f"choices: {text}")
                    click.echo(f"\nrun it: pytest {folder}/test_{figure.figure}.py -k {claim.id}")
                    return
        raise BadInput(f"unknown claim {claim_id!r}; omnigrok list names them")


@main.command()
@click.argument("audit", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), default=None, help="Put the table between the markers of this file.")
@click.option("--check", "only_check", is_flag=True, help="With --into: change nothing, fail where the table is not current.")
def report(audit: Path, into: Path | None, only_check: bool) -> None:
    """Write the verdicts of an audit as a Markdown table.

    Example: omnigrok report audit.json --into README.md
    """
    with _clear_errors():
        text = markdown.table(markdown.load_audit(audit))
        if into is None:
            click.echo(text, nl=False)
        else:
            markdown.insert(into, text, only_check)


@main.group()
def evidence() -> None:
    """Move recorded curves between stores and compact, checksummed files."""


@evidence.command()
@click.option("--figure", default=None, help="Only this figure, e.g. fig02_teacher_student.")
@click.option("--protocol", type=click.Choice(["paper", "code", "corrected"]), default=None, help="Only this protocol.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder; default: evidence/ in the claims folder.",
)
@store_option
@claims_option
def export(figure: str | None, protocol: str | None, target: Path | None, store: Path, folder: Path) -> None:
    """Write every complete paper-tier experiment of a store as evidence files.

    Example: omnigrok evidence export --figure fig02_teacher_student
    """
    with _clear_errors(), Store(store, readonly=True) as opened:
        written = 0
        for each in figures(folder):
            if figure in (None, each.figure):
                for path, note in export_experiment(opened, folder, each, protocol, target or folder / FOLDER):
                    click.echo(f"{path}: {note}")
                    written += note.startswith("written")
        click.echo(f"{written} experiments written")


@evidence.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@store_option
def import_files(files: tuple[Path, ...], store: Path) -> None:
    """Copy recorded curves into a store.

    Example: omnigrok evidence import claims/evidence/*.ogev
    """
    with _clear_errors(), Store(store) as opened:
        for path in files:
            click.echo(f"{path}: {import_into(opened, path)} new runs")


@evidence.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def check(files: tuple[Path, ...]) -> None:
    """Verify the checksums of evidence files.

    Example: omnigrok evidence check claims/evidence/*.ogev
    """
    with _clear_errors():
        for path in files:
            found = read(path)
            places = sorted({f"torch {env.torch} on {env.device}" for env in found.environments.values()})
            click.echo(f"{path}: {len(found.curves)} runs, sound; {', '.join(places)}; {found.meta.get('date', '')}")


@evidence.command("salvage")
@click.argument("damaged", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
def salvage_store(damaged: Path, target: Path) -> None:
    """Copy every readable result of a damaged store into a new one.

    Example: omnigrok evidence salvage .omnigrok/runs.sqlite .omnigrok/saved.sqlite
    """
    with _clear_errors():
        done = salvage(damaged, target)
        lost = "an unknown number" if done.damaged is None else str(done.damaged)
        click.echo(f"{done.copied} results copied to {target}; {lost} damaged. Go on with --runs {target}")


@main.group()
def data() -> None:
    """Look after downloaded data sets."""


root_option = click.option(
    "--data-root", "root", type=click.Path(path_type=Path), default=None, help="Default: $OMNIGROK_DATA or the user's cache folder."
)


@data.command()
@root_option
def status(root: Path | None) -> None:
    """Say which data sets are on this machine.

    Example: omnigrok data status
    """
    folder = root or default_root()
    for file, state in mnist.status(folder).items():
        click.echo(f"mnist    {file}: {state}")
    found = [name for name in (imdb_files.FOLDER, *imdb_files.ARCHIVES, imdb_files.TOKENS) if (folder / name).exists()]
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
    with _clear_errors():
        {"mnist": mnist.fetch, "imdb": imdb_files.fetch}[name](root or default_root())
        click.echo(f"{name}: ready in {root or default_root()}")
