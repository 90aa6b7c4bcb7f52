"""``omnigrok evidence``: recorded curves between stores and files."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import torch

from omnigrok.audit.decided import FILE as DECIDED
from omnigrok.audit.decided import entries_of, load_decided, write_decided
from omnigrok.audit.document import load_audit
from omnigrok.audit.recording import asked_for, export_experiment
from omnigrok.audit.session import store_of
from omnigrok.audit.whole import Unjudged, deciding_numbers
from omnigrok.cli.groups import Group
from omnigrok.cli.replayed import cache_option, replay_aloud
from omnigrok.cli.shared import claims_option, clear_errors, root_option, store_option
from omnigrok.curves import Curves
from omnigrok.data import default_root
from omnigrok.errors import BadInput
from omnigrok.evidence.adopt import adopt as adopt_file
from omnigrok.evidence.adopt import is_first, summary
from omnigrok.evidence.find import FOLDER
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.signature import sign, signer_of
from omnigrok.evidence.transfer import import_into
from omnigrok.evidence.verify import Comparison, retrain, sample, train_whole
from omnigrok.printable import harmless
from omnigrok.report.crate import differences, write_description
from omnigrok.spelling import did_you_mean
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Store
from omnigrok.suite.suite import Suite, load_suite


@click.group(
    cls=Group, short_help="Recorded curves: export, import, check, sign, verify, adopt, salvage."
)
def evidence() -> None:
    """Move recorded curves between stores and compact, checksummed files.

    Example: omnigrok evidence check claims/evidence/*.parquet
    """


@evidence.command(short_help="Write the experiments of a store as files.")
@click.option("--figure", default=None, help="Only this figure, e.g. fig02_teacher_student.")
@click.option("--protocol", default=None, help="Only this protocol.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder; default: evidence/ in the claims folder.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Also experiments of which runs are missing, to go on elsewhere; needs --to.",
)
@store_option
@claims_option
def export(
    figure: str | None,
    protocol: str | None,
    target: Path | None,
    partial: bool,
    store: Path | None,
    folder: Path,
) -> None:
    """Write every complete paper-tier experiment of a store as evidence files.

    With --partial a campaign can move to another machine before it ends: "import" puts the files
    into a store there, which trains the rest. They are no evidence, so they need a folder of their
    own.

    \b
    Example: omnigrok evidence export --figure fig02_teacher_student
    Example: omnigrok evidence export --partial --to parts
    """
    if partial and (target is None or target.resolve() == (folder / FOLDER).resolve()):
        raise click.UsageError(
            f"--partial needs --to and a folder other than {folder / FOLDER}: incomplete files are "
            "no evidence"
        )
    with clear_errors(), Store(store or store_of(folder), readonly=True) as opened:
        suite = load_suite(folder)
        known = [each.figure for each in suite.figures]
        if figure is not None and figure not in known:
            raise BadInput(
                f"unknown figure {figure!r}{did_you_mean(figure, known)}; accepted: "
                f"{', '.join(known)}"
            )
        if protocol is not None and protocol not in suite.protocols:
            raise BadInput(
                f"unknown protocol {protocol!r}{did_you_mean(protocol, suite.protocols)}; "
                f"accepted: {', '.join(suite.protocols)}"
            )
        written = 0
        for each in suite.figures:
            if figure in (None, each.figure):
                for path, note in export_experiment(
                    opened, suite, each, protocol, target or folder / FOLDER, partial
                ):
                    click.echo(f"{path}: {note}")
                    written += note.startswith("written")
        click.echo(f"{written} experiments written")


@evidence.command(short_help="Write down what the evidence decides, for smoke audits.")
@click.argument("audit", type=click.Path(path_type=Path), required=False)
@click.option("--check", "only_check", is_flag=True, help="Change nothing, fail if it is outdated.")
@cache_option
@claims_option
def decide(audit: Path | None, only_check: bool, cache: bool, folder: Path) -> None:
    """Judge the recorded evidence, and write the verdicts to decided.json in the claims folder.

    A smoke audit says how many of them it agrees with. An entry holds as long as claim, check and
    evidence stay as they are. AUDIT is the JSON of a replay, if there is one already.

    \b
    Example: omnigrok evidence decide
    Example: omnigrok evidence decide --check
    """
    with clear_errors():
        replayed = load_audit(audit) if audit is not None else replay_aloud(folder, cache)
        found = entries_of(load_suite(folder), replayed)
        if not only_check:
            click.echo(f"{write_decided(folder, found)}: {len(found)} verdicts")
        elif found != load_decided(folder):
            raise BadInput(
                f"{folder / DECIDED}: is outdated; write it with omnigrok evidence decide"
            )


@evidence.command(short_help="Describe the evidence as an RO-Crate.")
@click.option("--check", "only_check", is_flag=True, help="Change nothing, fail if it is outdated.")
@claims_option
def describe(only_check: bool, folder: Path) -> None:
    """Write ro-crate-metadata.json next to the recorded evidence: what each file is, its size and
    its SHA-256.

    \b
    Example: omnigrok evidence describe
    Example: omnigrok evidence describe --check
    """
    with clear_errors():
        if not only_check:
            click.echo(f"{write_description(load_suite(folder))}: written")
        elif found := differences(folder / FOLDER):
            raise BadInput("; ".join(found) + ": write it with omnigrok evidence describe")


@evidence.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@store_option
def import_files(files: tuple[Path, ...], store: Path | None) -> None:
    """Copy recorded curves into a store.

    Example: omnigrok evidence import claims/evidence/*.parquet
    """
    with clear_errors(), Store(store or store_of(Path("claims"))) as opened:
        for path in files:
            click.echo(f"{path}: {import_into(opened, path)} new runs")


@evidence.command(short_help="Check that evidence files are whole, and who signed them.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--allowed-signers",
    "allowed",
    type=click.Path(path_type=Path),
    default=None,
    help="Also verify FILE.sig against this file of OpenSSH.",
)
def check(files: tuple[Path, ...], allowed: Path | None) -> None:
    """Verify that evidence files are whole and match their list of runs.

    \b
    Example: omnigrok evidence check claims/evidence/*.parquet
    Example: omnigrok evidence check --allowed-signers signers claims/evidence/*.parquet
    """
    with clear_errors():
        for path in files:
            found = read(path)
            for run in found:
                found[run]
            environments = {entry.environment for entry in found.entries.values()}
            places = sorted({f"torch {each.torch} on {each.device}" for each in environments})
            signed = f"; signed by {harmless(signer_of(path, allowed))}" if allowed else ""
            click.echo(
                f"{path}: {len(found)} runs, sound; {', '.join(places)}; {found.meta['date']}"
                f"{signed}"
            )


@evidence.command("sign", short_help="Sign evidence files with an SSH key.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="A private SSH key.")
def sign_files(files: tuple[Path, ...], key: Path) -> None:
    """Write FILE.sig next to each file, with ssh-keygen.

    Example: omnigrok evidence sign --key ~/.ssh/id_ed25519 claims/evidence/*.parquet
    """
    with clear_errors():
        for path in files:
            read(path)
            click.echo(f"{sign(path, key)}: written")


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


@evidence.command(short_help="Train first steps of recorded runs again, and compare.")
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
    times as far. Exit status 1 where a run differs.

    Example: omnigrok evidence verify claims/evidence/*.parquet
    """
    with clear_errors():
        suite, drawn = load_suite(folder), _seed(seed)
        found = list(_verified(suite, files, count, steps, drawn, root))
        agree = all(each.agrees for _, comparisons in found for each in comparisons)
        for path in files if whole else ():
            agree &= _whole(suite, read(path), whole, drawn, root)
    if not agree:
        raise click.exceptions.Exit(1)


@evidence.command(short_help="Verify evidence, and take it over for today's versions.")
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


def _whole(suite: Suite, file: EvidenceFile, count: int, seed: int, root: Path | None) -> bool:
    """Runs of a file trained to their end, and a line for each deciding number; whether all
    agree.
    """
    drawn = sample(asked_for(suite, file), count, seed)
    again = train_whole(drawn, torch.device("cpu"), root or default_root(), _tell)
    recorded = {run: curves for run, (curves, _) in file.items()}
    name, protocol = file.meta["experiment"], file.meta["protocol"]
    click.echo(f"{file.path.name}: {len(drawn)} whole runs")
    agree = True
    for each in deciding_numbers(suite, name, protocol, recorded, again):
        if isinstance(each, Unjudged):
            click.echo(f"    {each.claim}: cannot be judged: {each.reason}")
            continue
        agree &= each.agrees
        click.echo(
            f"    {each.claim}: {each.name}: {each.before:.4g} -> {each.after:.4g}, a seed by up "
            f"to {each.difference:.2g} of {each.accepted:.2g} accepted: "
            f"{'agrees' if each.agrees else 'DIFFERS'}"
        )
    return agree


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
        click.echo(
            f"{done.copied} results copied to {target}; {lost} damaged. Go on with --runs {target}"
        )
