"""``omnigrok compare``: what changed between two audits; its exit status is for CI."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from omnigrok.audit.document import Audit, Row, load_audit
from omnigrok.cli.shared import clear_errors
from omnigrok.errors import BadInput
from omnigrok.files import check_target
from omnigrok.report.changes import LEVEL, Difference, compare, moved_text
from omnigrok.report.view import effect_text
from omnigrok.spelling import did_you_mean
from omnigrok.suite.schema import Protocol


class NotComparable(click.ClickException):
    """Bad input: status 1 already means that something changed."""

    exit_code = 2


def _protocols(text: str | None, known: Sequence[str]) -> tuple[Protocol, Protocol] | None:
    if text is None:
        return None
    names = text.split(",")
    if len(names) != 2 or any(name not in known for name in names):
        meant = "".join(did_you_mean(name, known) for name in names if name not in known)
        raise BadInput(
            f"--protocols {text!r}{meant}: give two of {', '.join(known)}, e.g. "
            f"{','.join([*known, *known][:2])}"
        )
    return names[0], names[1]


@click.command("compare", short_help="What changed between two audits; its exit status is for CI.")
@click.argument("left", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("right", metavar="B.json", type=click.Path(path_type=Path))
@click.option(
    "--protocols",
    default=None,
    metavar="P,Q",
    help="Compare A under protocol P with B under Q (A and B may be one file).",
)
@click.option("--common", is_flag=True, help="Leave out claims that only one of the audits has.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Write the comparison as a page.",
)
@click.pass_context
def compare_audits(
    context: click.Context,
    left: Path,
    right: Path,
    protocols: str | None,
    common: bool,
    as_json: bool,
    html: Path | None,
) -> None:
    """Say which verdicts and effects changed between two audits.

    \b
    Example: omnigrok compare torch-2.12.json torch-2.13.json
    Example: omnigrok compare audit.json audit.json --protocols paper,code --common
    Example: omnigrok compare a.json b.json --html changes.html

    An effect has moved where Welch's t test on the numbers of its seeds, after Holm's correction
    over all effects, has p <= .05. The exit status is 0 where nothing changed, 1 where a verdict
    changed or an effect moved (also where a claim, or a finding that decides, is in one audit
    only), and 2 for input that cannot be compared.
    """
    with clear_errors(NotComparable):
        if html is not None:
            check_target("--html", html)
        one, other = load_audit(left), load_audit(right)
        named = (*one.suite.protocols, *other.suite.protocols, *one.protocols, *other.protocols)
        pair = _protocols(protocols, list(dict.fromkeys(named)))
        found = compare(one, other, pair, common)
        if html is not None:
            # Needs the extra omnigrok[report].
            from omnigrok.report import changes_page  # noqa: PLC0415

            changes_page.write(html, found, (one, other), (str(left), str(right)))
    changed = [each for each in found if each.changed]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "a": str(left),
                    "b": str(right),
                    "partial": [one.partial, other.partial],
                    "changed": bool(changed),
                    "claims": [_json(each) for each in found],
                },
                indent=1,
            )
        )
    else:
        for line in _lines(found, one, other):
            click.echo(line)
    if html is not None:
        click.echo(f"{html}: written", err=True)
    context.exit(1 if changed else 0)


def _lines(found: Sequence[Difference], one: Audit, other: Audit) -> Iterator[str]:
    if one.tier == "smoke":
        yield "SMOKE TIER: no evidence for the paper"
    for name, audit in (("A", one), ("B", other)):
        if audit.partial:
            yield f"{name} is a partial audit: {audit.partial}"
    for name in sorted(set(one.versions) | set(other.versions)):
        if one.versions.get(name) != other.versions.get(name):
            yield (
                f"{name}: {one.versions.get(name, 'unknown')} -> "
                f"{other.versions.get(name, 'unknown')}"
            )
    if one.device != other.device:
        yield f"device: {one.device} -> {other.device}"
    for each in found:
        if not each.changed:
            continue
        where = each.protocols[0] if len(set(each.protocols)) == 1 else " -> ".join(each.protocols)
        yield f"{each.id} ({where}): {_verdict(each.left)}" + (
            f" -> {_verdict(each.right)}" if each.verdict_changed else ""
        )
        for effect in each.effects if each.verdict_changed else each.moved:
            yield (
                f"    {effect.name}: {effect_text(effect.left)} -> {effect_text(effect.right)}, "
                f"{moved_text(effect)}"
            )
        for side, findings in zip("AB", each.alone, strict=True):
            for finding in findings:
                yield f"    {finding.name}: {effect_text(finding)}, in {side} only"
    verdicts, effects = (
        sum(each.verdict_changed for each in found),
        sum(len(each.moved) for each in found),
    )
    tested = sum(effect.p is not None for each in found for effect in each.effects)
    yield (
        f"{len(found)} claims compared: {verdicts} verdicts changed, {effects} effects moved "
        f"({tested} tested, Holm, level {LEVEL:g})"
    )


def _verdict(row: Row | None) -> str:
    return "absent" if row is None else row.verdict


def _json(each: Difference) -> dict[str, Any]:
    return {
        "id": each.id,
        "protocols": list(each.protocols),
        "verdicts": [_verdict(each.left), _verdict(each.right)],
        "verdict_changed": each.verdict_changed,
        "effects": [
            {
                "name": effect.name,
                "estimates": [_number(effect.left.estimate), _number(effect.right.estimate)],
                "p": effect.p,
                "holm_p": effect.holm_p,
                "intervals_apart": effect.apart,
                "moved": effect.moved,
            }
            for effect in each.effects
        ],
        "only_in_a": [finding.name for finding in each.alone[0]],
        "only_in_b": [finding.name for finding in each.alone[1]],
    }


def _number(value: float | None) -> float | str | None:
    return str(value) if value is not None and value in (float("inf"), float("-inf")) else value
