"""From the rows of all items to one row a claim and protocol: controls merged in, Holm and
Benjamini-Hochberg applied.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from omnigrok.audit.document import ControlPart, FindingPart, ItemRow, Row
from omnigrok.stats.multiplicity import benjamini_hochberg, holm

DECIDED_BY_CONTROL = ("REPRODUCED", "ERROR")
WITHOUT_VERDICT = ("ERROR", "NOT RUN")


def merge(
    items: Iterable[ItemRow], partial: str = "", headline: Mapping[str, Sequence[str]] | None = None
) -> list[Row]:
    """One row a claim and protocol, its control's verdict in it. A control that is REPRODUCED or
    ERROR makes its claim ERROR.

    Args:
        partial: how the audit is not whole (``Completeness.partial``): then a half that is missing
            may not have been left out on purpose.
        headline: the ids of the headline claims under each protocol (``Suite.headline``).
    """
    claims: dict[tuple[str, str], ItemRow] = {}
    controls: dict[tuple[str, str], ItemRow] = {}
    for item in items:
        (claims if item.role == "claim" else controls)[item.id, item.protocol] = item
    rows = [
        _row(claims.get(key), controls.get(key), partial)
        for key in sorted(claims.keys() | controls.keys())
    ]
    return adjust(rows, headline or {})


def _row(claim: ItemRow | None, control: ItemRow | None, partial: str) -> Row:
    changes: dict[str, Any] = {}
    item = claim or control
    assert item is not None
    if claim is None:
        judged = "judged" if partial else "selected"
        changes = {"verdict": "NOT RUN", "reason": f"only its control was {judged}", "findings": ()}
    if control is None:
        absent = "not judged: the audit is partial" if partial else "not selected"
        changes["control"] = ControlPart(reason=absent)
    else:
        changes["control"] = ControlPart(
            verdict=control.verdict,
            reason=control.reason,
            neutral=claim is not None and is_neutral(claim, control),
            findings=control.findings,
        )
        if claim and control.verdict in DECIDED_BY_CONTROL and claim.verdict not in WITHOUT_VERDICT:
            changes["verdict"] = "ERROR"
            changes["reason"] = (
                f"its control came out {control.verdict}: {control.reason} (the claim alone: "
                f"{claim.verdict})"
            )
    fields = {name: getattr(item, name) for name in Row.model_fields} | changes
    return Row(**fields | {"p": claim_p(fields["findings"])})


def is_neutral(claim: ItemRow, control: ItemRow) -> bool:
    """Whether a control whose data lie on the edge of the claim's regions stays there, and closer
    than the claim.

    Of each of its deciding findings that is not REFUTED the interval holds the edge, and is
    narrower than the claim's distance from it; ratios are compared in logarithms.
    """
    if control.verdict != "INCONCLUSIVE" or control.tier != "paper":
        return False
    open_ones = [
        finding for finding in control.findings if finding.decides and finding.verdict != "REFUTED"
    ]
    return bool(open_ones) and all(
        finding.name in control.edge and _stays_on_edge(finding, claim) for finding in open_ones
    )


def _stays_on_edge(finding: FindingPart, claim: ItemRow) -> bool:
    region, ci = finding.region, finding.ci
    rivals = [each for each in claim.findings if each.decides and each.region == region]
    ends = [
        end
        for end in ((region.lo, region.hi) if region else ())
        if end is not None and math.isfinite(end)
    ]
    if ci is None or not rivals or not ends:
        return False
    low, high = ci
    if low is None or high is None:
        return False
    middle = (low + high) / 2
    edge = min(ends, key=lambda end: abs(end - middle))
    numbers = [
        low,
        high,
        edge,
        *(each.estimate for each in rivals if each.estimate is not None),
    ]
    if not all(map(math.isfinite, numbers)) or len(numbers) < 3 + len(rivals):
        return False
    if edge > 0 and min(numbers) > 0:
        numbers = [math.log(each) for each in numbers]
    low, high, edge, *others = numbers
    return low <= edge <= high and high - low < min(abs(each - edge) for each in others)


def claim_p(findings: Iterable[FindingPart]) -> float | None:
    """The largest p among the deciding findings: a conjunction is as weak as its weakest part."""
    values = [each.p for each in findings if each.decides and each.p is not None]
    return max(values) if values else None


def adjust(rows: Sequence[Row], headline: Mapping[str, Sequence[str]]) -> list[Row]:
    """Holm among the headline claims of each protocol decides there; Benjamini-Hochberg over the
    audit is shown and changes nothing.

    A member of the family that was not run or selected, has no p, or ended in ERROR counts with p =
    1: leaving a claim out, or breaking its control, can make no other verdict better. A claim that
    has no form under the protocol is no member.
    """
    adjusted: dict[str, dict[str, float]] = {}
    shown: dict[str, dict[str, float]] = {}
    for protocol in {row.protocol for row in rows}:
        judged = {
            row.id: row.p
            for row in rows
            if row.protocol == protocol
            and row.tier == "paper"
            and row.p is not None
            and row.verdict not in WITHOUT_VERDICT
        }
        members = dict.fromkeys(headline.get(protocol, ()), 1.0)
        members.update({name: p for name, p in judged.items() if name in members})
        adjusted[protocol], shown[protocol] = holm(members), benjamini_hochberg(judged)
    return [
        _adjusted(row, adjusted[row.protocol], shown[row.protocol]) if row.tier == "paper" else row
        for row in rows
    ]


def _adjusted(row: Row, family: Mapping[str, float], shown: Mapping[str, float]) -> Row:
    changes: dict[str, Any] = {"q": shown.get(row.id), "holm_p": family.get(row.id)}
    if row.verdict == "REPRODUCED" and family.get(row.id, 0.0) > 0.05:
        changes["verdict"] = "INCONCLUSIVE"
        changes["reason"] = (
            f"Holm-adjusted p = {family[row.id]:.3g} > .05 among the {len(family)} headline claims "
            f"of this protocol; {row.reason}"
        )
    return row.model_copy(update=changes)
