"""``omnigrok list`` and ``omnigrok show``: the claims, and one claim explained."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from omnigrok.audit.claim_state import ClaimState, evidence_states, store_states
from omnigrok.audit.deviation import load_deviations
from omnigrok.audit.document import Audit, Row, load_audit
from omnigrok.audit.session import store_of
from omnigrok.cli.replayed import cache_option, replay_aloud
from omnigrok.cli.shared import claims_option, clear_errors, store_option
from omnigrok.errors import BadInput
from omnigrok.report.terminal import LETTERS
from omnigrok.report.view import effect_text
from omnigrok.store.store import Store
from omnigrok.suite.schema import Claim, Figure, item_name
from omnigrok.suite.suite import Suite, load_suite

audit_option = click.option(
    "--audit",
    "audit_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Verdicts from this JSON of an audit; default: the recorded evidence is judged.",
)


def _audit(folder: Path, path: Path | None, cache: bool) -> Audit:
    return load_audit(path) if path is not None else replay_aloud(folder, cache)


@click.command("list", short_help="List the claims, with their verdicts if you like.")
@click.option(
    "--long", "sentences", is_flag=True, help="With the sentence that each claim stands for."
)
@click.option("--headline", is_flag=True, help="Only headline claims.")
@click.option("--figure", "part", default="", help="Only figure files whose names have this part.")
@click.option("--protocol", default=None, help="Only claims that have a form under it.")
@click.option("--verdicts", is_flag=True, help="With the verdict under each protocol.")
@click.option(
    "--verdict",
    "wanted",
    type=click.Choice(list(LETTERS), case_sensitive=False),
    multiple=True,
    help="Only claims with this verdict; may be given several times.",
)
@audit_option
@cache_option
@claims_option
def list_claims(
    sentences: bool,
    headline: bool,
    part: str,
    protocol: str | None,
    verdicts: bool,
    wanted: tuple[str, ...],
    audit_path: Path | None,
    cache: bool,
    folder: Path,
) -> None:
    """List the claims with their places in the paper and, if asked, their verdicts.

    Verdicts are those of --audit, or of the recorded evidence, which takes seconds if it was judged
    before.

    \b
    Example: omnigrok list
    Example: omnigrok list --long --headline
    Example: omnigrok list --figure fig02 --protocol code
    Example: omnigrok list --verdict REFUTED --verdict INCONCLUSIVE --audit audit.json
    """
    with clear_errors():
        suite = load_suite(folder)
        if protocol is not None:
            suite.check_protocol(protocol)
        found = [
            (figure, claim)
            for figure in suite.figures
            for claim in figure.claims
            if part in figure.figure
            and (claim.headline or not headline)
            and (protocol is None or protocol in claim.protocols)
        ]
        if not found:
            raise BadInput(
                "no claim matches; the figure files are " + ", ".join(suite.names)
                if part
                else "no claim matches"
            )
        letters: dict[tuple[str, str], str] = {}
        if verdicts or wanted or audit_path is not None:
            rows = _audit(folder, audit_path, cache).claims
            letters = {(row.id, row.protocol): LETTERS[row.verdict] for row in rows}
        _print(
            [claim for _, claim in found],
            letters,
            [letter for word, letter in LETTERS.items() if word in wanted],
            protocol,
            sentences,
        )


def _print(
    claims: Sequence[Claim],
    letters: Mapping[tuple[str, str], str],
    wanted: Collection[str],
    protocol: str | None,
    sentences: bool,
) -> None:
    click.echo(f"{'claim':28}  {'protocols':24} place in the paper")
    for claim in claims:
        shown = [each for each in claim.protocols if protocol in (None, each)]
        here = {each: letters.get((claim.id, each), "") for each in shown}
        if wanted and not set(here.values()) & set(wanted):
            continue
        star = "*" if claim.headline else " "
        names = ", ".join(f"{each} {letter}".strip() for each, letter in here.items())
        click.echo(f"{claim.id:28}{star} {names:24} {claim.place}")
        if sentences:
            click.echo(_wrapped(claim.statement, "    "))
    click.echo("* headline claim; omnigrok show CLAIM explains one")
    if letters:
        click.echo(", ".join(f"{letter} {word}" for word, letter in LETTERS.items()))


def _wrapped(text: str, indent: str = "") -> str:
    """Within the terminal, at most 100 columns; later lines are indented."""
    width = min(shutil.get_terminal_size().columns, 100)
    return click.wrap_text(text, width, initial_indent=indent, subsequent_indent="    ")


@click.command(short_help="Explain one claim: criterion, verdict, numbers, records.")
@click.argument("claim_id", metavar="CLAIM")
@click.option(
    "--no-verdict",
    "judged",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Judge nothing: only what the claim says and what is recorded.",
)
@audit_option
@cache_option
@store_option
@claims_option
def show(
    claim_id: str,
    judged: bool,
    audit_path: Path | None,
    cache: bool,
    store: Path | None,
    folder: Path,
) -> None:
    """Explain one claim: sentence, criterion, control, settings, verdict with its numbers, and what
    is recorded.

    The verdict is that of --audit, or of the recorded evidence where it holds some of this claim;
    that takes seconds if it was judged before.

    \b
    Example: omnigrok show fig02.inverse
    Example: omnigrok show fig02.inverse --no-verdict
    Example: omnigrok show fig02.inverse --audit audit.json
    """
    with clear_errors():
        suite = load_suite(folder)
        figure, claim = suite.claim(claim_id)
        states = list(evidence_states(suite, figure, claim))
        rows: Sequence[Row] = ()
        if judged and (audit_path is not None or any(each.current + each.stale for each in states)):
            found = _audit(folder, audit_path, cache).claims
            rows = [row for row in found if row.id == claim_id]
        _explain(folder, figure, claim)
        for row in rows:
            click.echo("\n".join(_numbers(row)))
        _state(suite, figure, claim, states, store or store_of(folder))
    click.echo(
        f"\nrun it: pytest {folder}/test_{figure.figure}.py -k "
        f"{item_name(claim.id, claim.protocols[0])}"
    )
    click.echo(f"    or: omnigrok run {claim.id}")


def _numbers(row: Row) -> Iterator[str]:
    """The verdict under one protocol, and every finding of the claim."""
    scale = ", reduced scale" if row.scale == "reduced" else ""
    yield ""
    yield _wrapped(f"{row.protocol}: {row.verdict}{scale}. {row.reason}")
    for finding in row.findings:
        region = f" ({finding.region.text})" if finding.region else " (shown only)"
        own = f", {finding.verdict}" if finding.verdict else ""
        p = f", p = {finding.p:.2g}" if finding.p is not None else ""
        yield _wrapped(
            f"{finding.name}: {effect_text(finding)}{region}, n = {finding.n}{p}{own}", "  "
        )


def _explain(folder: Path, figure: Figure, claim: Claim) -> None:
    click.echo(
        f"{claim.id}  (version {claim.version}, {claim.place})\n\n{_wrapped(claim.statement)}\n"
    )
    if claim.reported:
        click.echo(_wrapped(f"the paper: {claim.reported}"))
    for name, bounds in claim.criterion.items():
        click.echo(f"criterion {name}: {bounds if isinstance(bounds, float) else bounds.region()}")
    click.echo(_wrapped(f"control: {claim.control.why}"))
    click.echo(
        f"experiments: {', '.join(claim.experiments)}   protocols: {', '.join(claim.protocols)}"
    )
    for text in (claim.choices, figure.choices):
        if text:
            click.echo(_wrapped(f"choices: {text}"))
    for line in claim.history:
        click.echo(_wrapped(f"history: {line}"))
    for entry in load_deviations(folder):
        if entry.claim == claim.id:
            click.echo(
                _wrapped(
                    f"recorded deviation ({entry.tier} tier, {entry.protocol}, version "
                    f"{entry.version}): {entry.why}"
                )
            )


def _state(
    suite: Suite, figure: Figure, claim: Claim, recorded: Iterable[ClaimState], store: Path
) -> None:
    click.echo("")
    for state in recorded:
        click.echo(_wrapped(str(state)))
    if not store.exists():
        click.echo(f"store: none at {store} (name another with --runs)")
        return
    with Store(store, readonly=True) as opened:
        found = list(store_states(suite, figure, claim, opened))
    for state in found:
        click.echo(_wrapped(str(state)))
    if not found:
        click.echo(f"store: nothing of this claim in {store}")
