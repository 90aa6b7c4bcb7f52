"""``omnigrok evidence verify`` and ``adopt``: recorded runs trained again, and compared."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import torch

from omnigrok.audit.recording import asked_for
from omnigrok.audit.whole import Unjudged, deciding_numbers
from omnigrok.cli.shared import claims_option, clear_errors, root_option
from omnigrok.curves import Curves
from omnigrok.data import default_root
from omnigrok.errors import BadInput
from omnigrok.evidence.adopt import adopt as adopt_file
from omnigrok.evidence.adopt import is_first, summary
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.verify import Comparison, retrain, sample, train_whole
from omnigrok.suite.suite import Suite, load_suite


def _sample_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        claims_option,
        root_option,
        click.option(
            "--seed",
            type=int,
            default=None,
            help="Seed of the draw; default: a new one, which is printed.",
        ),
        click.option(
            "--steps",
            type=click.IntRange(min=1),
            default=2000,
            show_default=True,
            help="First steps to train again.",
        ),
        click.option(
            "--runs",
            "count",
            type=click.IntRange(min=1),
            default=3,
            show_default=True,
            help="Runs of each file.",
        ),
    ):
        command = option(command)
    return command


@click.command(short_help="Train first steps of recorded runs again, and compare.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_sample_options
@click.option(
    "--whole",
    type=click.IntRange(min=0),
    default=0,
    help="Also train this many runs of each file to their end, and compare what decides verdicts.",
)
def verify(
    files: tuple[Path, ...],
    count: int,
    steps: int,
    seed: int | None,
    root: Path | None,
    folder: Path,
    whole: int,
) -> None:
    """Train the first steps of some recorded runs again, with today's trainer, and compare
    every column.

    Which runs are drawn cannot be known beforehand. Only runs that the claims folder itself asks
    for are trained. A loss or a norm may differ by .001 of its value (1e-6 in float64), an
    accuracy by .01 or one sample; where rounding moves today's trainer away from float64, by ten
    times as far. Exit status 1 where a run differs, or --whole compares nothing.

    Example: omnigrok evidence verify claims/evidence/*.parquet
    """
    with clear_errors():
        suite, drawn = load_suite(folder), _seed(seed)
        found = list(_verified(suite, files, count, steps, drawn, root))
        agree = all(each.agrees for _, comparisons in found for each in comparisons)
        if whole:
            numbers = [
                number for path in files for number in _whole(suite, read(path), whole, drawn, root)
            ]
            if not numbers:
                raise BadInput(
                    f"--whole {whole}: no claim could be judged, so no number was compared; name "
                    f"evidence that the claims of {suite.folder} can be judged from"
                )
            agree &= all(numbers)
    if not agree:
        raise click.exceptions.Exit(1)


@click.command(short_help="Verify evidence, and take it over for today's versions.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@_sample_options
def adopt(
    files: tuple[Path, ...],
    count: int,
    steps: int,
    seed: int | None,
    root: Path | None,
    folder: Path,
) -> None:
    """Verify recorded runs as "verify" does; a file whose runs agree is marked as trained by
    today's versions.

    The file keeps who recorded it and what was compared. One that differs is left as it is, and the
    exit status is 1. Files that version 1 itself recorded, before records named versions, need no
    training.

    Example: omnigrok evidence adopt claims/evidence/*.parquet
    """
    differs = 0
    with clear_errors():
        first = [path for path in files if is_first(read(path))]
        for path in first:
            _report(path, adopt_file(path, [], 0, 0))
        suite, drawn = load_suite(folder), _seed(seed)
        others = [path for path in files if path not in first]
        for path in others:
            _check_all_asked_for(suite, path)
        for path, found in _verified(suite, others, count, steps, drawn, root) if others else ():
            if all(each.agrees for each in found):
                _report(path, adopt_file(path, found, steps, drawn))
            else:
                differs += 1
                click.echo(f"{path.name}: left as it is")
    if differs:
        raise click.exceptions.Exit(1)


def _report(path: Path, changed: dict[str, str]) -> None:
    for before, now in changed.items():
        click.echo(f"{path.name}: {before} -> {now}")
    if not changed:
        click.echo(f"{path.name}: up to date")


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _seed(given: int | None) -> int:
    return secrets.randbelow(2**32) if given is None else given


def _check_all_asked_for(suite: Suite, path: Path) -> None:
    file = read(path)
    if len(asked_for(suite, file)) < len(file):
        raise BadInput(f"{path}: {suite.folder} does not ask for all of its runs; record it again")


def _whole(
    suite: Suite, file: EvidenceFile, count: int, seed: int, root: Path | None
) -> Iterator[bool]:
    """Runs of a file trained to their end, and a line for each deciding number: whether it
    agrees.
    """
    drawn = sample(asked_for(suite, file), count, seed)
    again = train_whole(drawn, torch.device("cpu"), root or default_root(), _tell)
    recorded = {run: curves for run, (curves, _) in file.items()}
    name, protocol = file.meta["experiment"], file.meta["protocol"]
    click.echo(f"{file.path.name}: {len(drawn)} whole runs")
    for each in deciding_numbers(suite, name, protocol, recorded, again):
        if isinstance(each, Unjudged):
            click.echo(f"    {each.claim}: cannot be judged: {each.reason}")
            continue
        click.echo(
            f"    {each.claim}: {each.name}: {each.before:.4g} -> {each.after:.4g}, a seed by up "
            f"to {each.difference:.2g} of {each.accepted:.2g} accepted: "
            f"{'agrees' if each.agrees else 'DIFFERS'}"
        )
        yield each.agrees


def _verified(
    suite: Suite, files: Sequence[Path], count: int, steps: int, seed: int, root: Path | None
) -> Iterator[tuple[Path, list[Comparison]]]:
    """Runs of each file trained again, those of one shape together whatever their file; a line for
    each Run and for each column.
    """
    click.echo(f"{count} runs a file, drawn by --seed {seed}; {steps} steps")
    drawn: dict[Path, list[Curves]] = {}
    for path in files:
        file = read(path)
        drawn[path] = [file[run][0] for run in sample(asked_for(suite, file), count, seed)]
    found = iter(
        retrain(
            [each for part in drawn.values() for each in part],
            steps,
            torch.device("cpu"),
            root or default_root(),
            _tell,
        )
    )
    for path, part in drawn.items():
        comparisons = [next(found) for _ in part]
        for each in comparisons:
            name = (
                f"seed {each.run.seed}, alpha {each.run.alpha:g}, weight decay "
                f"{each.run.weight_decay:g}"
            )
            worst = (
                f"{each.worst.name} at step {each.worst.step} differs by {each.worst.share:.2g} of "
                "what is accepted"
            )
            word = "agrees" if each.agrees else "DIFFERS"
            click.echo(
                f"{path.name}: {name}: {word}, {each.points} points, {len(each.columns)} columns; "
                f"{worst}"
            )
        for column, row in summary(comparisons).items():
            drifts = (
                "" if row["drifts"] is None else f"; drift is accepted from step {row['drifts']}"
            )
            click.echo(f"    {column:20} largest difference {row['difference']:.1e}{drifts}")
        yield path, comparisons
