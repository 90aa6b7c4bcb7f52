"""``omnigrok evidence``: recorded curves between stores and files."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from omnigrok.audit.evidence import FOLDER
from omnigrok.audit.recording import export_experiment, figures
from omnigrok.cli.shared import claims_option, clear_errors, root_option, store_option
from omnigrok.data import default_root
from omnigrok.runs.evidence import import_into, read
from omnigrok.runs.salvage import salvage
from omnigrok.runs.store import Store
from omnigrok.runs.verify import retrain, sample


@click.group(short_help="Recorded curves: export, import, check, verify, salvage.")
def evidence() -> None:
    """Move recorded curves between stores and compact, checksummed files."""


@evidence.command(short_help="Write the complete experiments of a store as files.")
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
    with clear_errors(), Store(store, readonly=True) as opened:
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
    with clear_errors(), Store(store) as opened:
        for path in files:
            click.echo(f"{path}: {import_into(opened, path)} new runs")


@evidence.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def check(files: tuple[Path, ...]) -> None:
    """Verify the checksums of evidence files.

    Example: omnigrok evidence check claims/evidence/*.ogev
    """
    with clear_errors():
        for path in files:
            found = read(path)
            places = sorted({f"torch {env.torch} on {env.device}" for env in found.environments.values()})
            click.echo(f"{path}: {len(found.curves)} runs, sound; {', '.join(places)}; {found.meta.get('date', '')}")


@evidence.command(short_help="Train first steps of recorded runs again, and compare.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--runs", "count", type=click.IntRange(min=1), default=2, show_default=True, help="Runs of each file, chosen by digest.")
@click.option("--steps", type=click.IntRange(min=1), default=100, show_default=True, help="First steps to train again.")
@root_option
def verify(files: tuple[Path, ...], count: int, steps: int, root: Path | None) -> None:
    """Train the first steps of some recorded runs again, with the trainer of today, and compare.

    Says whether evidence marked as stale comes from a trainer that computes the same. Exit status 1 where it does not.

    Example: omnigrok evidence verify claims/evidence/*.ogev
    """
    differs = 0
    with clear_errors():
        for path in files:
            curves = read(path).curves
            chosen = [curves[run.digest] for run in sample([each.run for each in curves.values()], count)]
            for found in retrain(chosen, steps, torch.device("cpu"), root or default_root()):
                differs += not found.agrees
                word = "agrees" if found.agrees else "DIFFERS"
                name = f"seed {found.run.seed}, alpha {found.run.alpha:g}, weight decay {found.run.weight_decay:g}"
                click.echo(f"{path.name}: {name}: {word}, {found.points} points, largest relative difference {found.difference:.1e}")
    if differs:
        raise click.exceptions.Exit(1)


@evidence.command("salvage")
@click.argument("damaged", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path))
def salvage_store(damaged: Path, target: Path) -> None:
    """Copy every readable result of a damaged store into a new one.

    Example: omnigrok evidence salvage .omnigrok/runs.sqlite .omnigrok/saved.sqlite
    """
    with clear_errors():
        done = salvage(damaged, target)
        lost = "an unknown number" if done.damaged is None else str(done.damaged)
        click.echo(f"{done.copied} results copied to {target}; {lost} damaged. Go on with --runs {target}")
