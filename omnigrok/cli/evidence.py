"""``omnigrok evidence``: recorded curves between stores and files."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.audit.decided import FILE as DECIDED
from omnigrok.audit.decided import entries_of, load_decided, write_decided
from omnigrok.audit.document import load_audit
from omnigrok.audit.recording import REFUSED, export_experiment
from omnigrok.audit.session import store_of
from omnigrok.cli.groups import Group
from omnigrok.cli.replayed import cache_option, replay_aloud
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.cli.verify import adopt, verify
from omnigrok.errors import BadInput
from omnigrok.evidence.find import FOLDER
from omnigrok.evidence.reading import read
from omnigrok.evidence.signature import sign, signer_of
from omnigrok.evidence.transfer import import_into
from omnigrok.printable import harmless
from omnigrok.report.crate import differences, write_description
from omnigrok.spelling import did_you_mean
from omnigrok.store.salvage import salvage
from omnigrok.store.store import Store
from omnigrok.suite.suite import load_suite


@click.group(
    cls=Group, short_help="Recorded curves: export, import, check, sign, verify, adopt, salvage."
)
def evidence() -> None:
    """Move recorded curves between stores and compact, checksummed files.

    Example: omnigrok evidence check claims/evidence/*.parquet
    """


evidence.add_command(verify)
evidence.add_command(adopt)


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
@click.option(
    "--force", is_flag=True, help="Replace evidence of the full scale by the reduced one too."
)
@store_option
@claims_option
def export(
    figure: str | None,
    protocol: str | None,
    target: Path | None,
    partial: bool,
    force: bool,
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
        written, refused = 0, []
        for each in suite.figures:
            if figure in (None, each.figure):
                for path, note in export_experiment(
                    opened, suite, each, protocol, target or folder / FOLDER, partial, force
                ):
                    if note.startswith(REFUSED):
                        refused.append(f"{path}:{note.removeprefix(REFUSED)}")
                    else:
                        click.echo(f"{path}: {note}")
                    written += note.startswith("written")
        click.echo(f"{written} experiments written")
        if refused:
            raise BadInput(f"{'; '.join(refused)}; --force replaces it")


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
@claims_option
def import_files(files: tuple[Path, ...], store: Path | None, folder: Path) -> None:
    """Copy recorded curves into a store.

    Example: omnigrok evidence import claims/evidence/*.parquet
    """
    with clear_errors(), Store(store or store_of(folder)) as opened:
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
