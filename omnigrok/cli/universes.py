"""``omnigrok universes``: one claim under every reading that its sentence leaves open."""

from __future__ import annotations

from pathlib import Path

import click

from omnigrok.audit.checks import check_of
from omnigrok.audit.session import AuditSession, Options, Request
from omnigrok.audit.universes import Multiverse, multiverse_of
from omnigrok.cache import cache_of
from omnigrok.cli.shared import claims_option, clear_errors
from omnigrok.errors import BadInput
from omnigrok.report.view import number
from omnigrok.suite.digests import check_digest, check_file
from omnigrok.suite.suite import load_suite

MARKS = {"REPRODUCED": "+", "REFUTED": "x", "INCONCLUSIVE": "?", "ERROR": "E"}


@click.command(short_help="Judge one claim under every reading that its sentence leaves open.")
@click.argument("claim_id")
@click.option("--protocol", default=None, help="Settings of the runs; default: the suite's first.")
@click.option("--json", "as_json", is_flag=True, help="Print every combination as JSON.")
@claims_option
def universes(claim_id: str, protocol: str | None, as_json: bool, folder: Path) -> None:
    """Judge one claim, from recorded curves, under every combination of the readings that its
    sentence leaves open.

    Prints the share of combinations with each verdict, which reading matters most, and the
    specification curve: the estimates in order, with the readings behind each. Changes no verdict.

    Example: omnigrok universes fig02.inverse
    """
    with clear_errors():
        found = _judged(folder, claim_id, protocol)
        if as_json:
            click.echo(found.summary().model_dump_json(indent=1))
            return
        for line in _lines(found):
            click.echo(line)


def _judged(folder: Path, claim_id: str, protocol: str | None) -> Multiverse:
    suite = load_suite(folder)
    figure, claim = suite.claim(claim_id)
    protocol = protocol or suite.protocols[0]
    suite.check_protocol(protocol)
    if not claim.universes:
        raise BadInput(
            f"claim {claim_id}: {figure.figure}.yaml lists no universes for it; its sentence has "
            "one reading"
        )
    if protocol not in claim.protocols:
        raise BadInput(
            f"claim {claim_id} has no form under {protocol}; it has {', '.join(claim.protocols)}"
        )
    check = check_of(folder, figure.figure, claim_id)
    request = Request(suite, figure, claim, protocol, "claim", check)
    case = AuditSession(Options(tier="paper", replay=True), [request]).case(request)
    digest = check_digest(check_file(folder, figure.figure), claim_id)
    return multiverse_of(check, case, digest, cache_of("universes"))


def _lines(found: Multiverse) -> list[str]:
    total = len(found.universes)
    words = ", ".join(f"{found.count(word)} {word}" for word in MARKS if found.count(word))
    none = found.without_value
    apart = f"; {none} of the INCONCLUSIVE have no value" if none else ""
    lines = [f"{found.claim} ({found.protocol}): {total} combinations: {words}{apart}"]
    for of, shares in (
        ("verdict", found.verdict_shares()),
        ("estimate", found.shares()),
    ):
        if shares:
            listed = ", ".join(f"{axis} {share:.0%}" for axis, share in shares.items())
            lines.append(f"share of the {of}'s variance: {listed}")
    lines.append("")
    for each in found.sorted():
        effect = (
            f"{number(each.estimate)} [{number(each.low)}, {number(each.high)}]"
            if each.estimate is not None
            else "no value"
        )
        choices = ", ".join(f"{axis} {level}" for axis, level in each.choices.items())
        lines.append(
            f"{MARKS[each.verdict]} {effect:28} "
            f"{choices}{'; ' + each.reason if each.reason else ''}"
        )
    return lines
