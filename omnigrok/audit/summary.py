"""From the outcomes of all items to one row a claim and protocol: controls merged in, Holm and
Benjamini-Hochberg applied.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omnigrok.files import write_whole
from omnigrok.stats.multiplicity import benjamini_hochberg, holm

SCHEMA = 1
Row = dict[str, Any]


def merge(
    outcomes: Iterable[Row], partial: str = "", headline: Mapping[str, Sequence[str]] | None = None
) -> list[Row]:
    """One row a claim and protocol, its control's verdict in it. A control that is REPRODUCED or
    ERROR makes its claim ERROR.

    Args:
        partial: how the audit is not whole (``Completeness.partial``): then a half that is missing
            may not have been left out on purpose.
        headline: the ids of the headline claims under each protocol (``Suite.headline``).
    """
    absent = "not judged: the audit is partial" if partial else "not selected"
    claims: dict[tuple[str, str], Row] = {}
    controls: dict[tuple[str, str], Row] = {}
    for outcome in outcomes:
        (claims if outcome["role"] == "claim" else controls)[outcome["id"], outcome["protocol"]] = (
            outcome
        )
    rows = []
    for key in sorted(claims.keys() | controls.keys()):
        control = controls.get(key)
        row = (
            dict(claims[key])
            if key in claims
            else {
                **controls[key],
                "verdict": "NOT RUN",
                "reason": "only its control was judged"
                if partial
                else "only its control was selected",
                "findings": [],
            }
        )
        for key_of_an_item in ("role", "edge"):
            row.pop(key_of_an_item, None)
        row["control"] = {
            "verdict": control["verdict"] if control else "NOT RUN",
            "reason": control["reason"] if control else absent,
        }
        if control:
            row["control"]["findings"] = control["findings"]
            row["control"]["neutral"] = key in claims and is_neutral(claims[key], control)
        if (
            control
            and control["verdict"] in ("REPRODUCED", "ERROR")
            and row["verdict"] not in ("ERROR", "NOT RUN")
        ):
            row["reason"] = (
                f"its control came out {control['verdict']}: {control['reason']} (the claim alone: "
                f"{row['verdict']})"
            )
            row["verdict"] = "ERROR"
        row["p"] = claim_p(row)
        rows.append(row)
    return adjust(rows, headline or {})


def is_neutral(claim: Row, control: Row) -> bool:
    """Whether a control whose data lie on the edge of the claim's regions stays there, and closer
    than the claim.

    Of each of its deciding findings that is not REFUTED the interval holds the edge, and is
    narrower than the claim's distance from it; ratios are compared in logarithms.
    """
    if control["verdict"] != "INCONCLUSIVE" or control["tier"] != "paper":
        return False
    open_ones = [
        finding
        for finding in control["findings"]
        if finding["decides"] and finding["verdict"] != "REFUTED"
    ]
    return bool(open_ones) and all(
        finding["name"] in control.get("edge", ()) and _stays_on_edge(finding, claim)
        for finding in open_ones
    )


def _stays_on_edge(finding: Row, claim: Row) -> bool:
    region, ci = finding["region"], finding["ci"]
    rivals = [each for each in claim["findings"] if each["decides"] and each["region"] == region]
    ends = [
        float(end)
        for end in (region["lo"], region["hi"])
        if end is not None and math.isfinite(float(end))
    ]
    if ci is None or None in ci or not rivals or not ends:
        return False
    low, high = (float(end) for end in ci)
    edge = min(ends, key=lambda end: abs(end - (low + high) / 2))
    numbers = [
        low,
        high,
        edge,
        *(float(each["estimate"]) for each in rivals if each["estimate"] is not None),
    ]
    if not all(map(math.isfinite, numbers)) or len(numbers) < 3 + len(rivals):
        return False
    if edge > 0 and min(numbers) > 0:
        low, high, edge, *others = (math.log(each) for each in numbers)
    else:
        low, high, edge, *others = numbers
    return low <= edge <= high and high - low < min(abs(each - edge) for each in others)


def claim_p(row: Row) -> float | None:
    """The largest p among the deciding findings: a conjunction is as weak as its weakest part."""
    values = [
        finding["p"]
        for finding in row["findings"]
        if finding["decides"] and isinstance(finding["p"], int | float)
    ]
    return max(values) if values else None


def adjust(rows: list[Row], headline: Mapping[str, Sequence[str]]) -> list[Row]:
    """Holm among the headline claims of each protocol decides there; Benjamini-Hochberg over the
    audit is shown and changes nothing.

    A member of the family that was not run or selected, has no p, or ended in ERROR counts with p =
    1: leaving a claim out, or breaking its control, can make no other verdict better. A claim that
    has no form under the protocol is no member.
    """
    for protocol in {row["protocol"] for row in rows}:
        members = dict.fromkeys(headline.get(protocol, ()), 1.0)
        here = [row for row in rows if row["protocol"] == protocol and row["tier"] == "paper"]
        judged = [
            row
            for row in here
            if row["p"] is not None and row["verdict"] not in ("ERROR", "NOT RUN")
        ]
        members.update({row["id"]: row["p"] for row in judged if row["id"] in members})
        adjusted = holm(members)
        shown = benjamini_hochberg({row["id"]: row["p"] for row in judged})
        for row in here:
            row["q"] = shown.get(row["id"])
            if row["id"] in members:
                row["holm_p"] = adjusted[row["id"]]
                if row["verdict"] == "REPRODUCED" and adjusted[row["id"]] > 0.05:
                    row["verdict"] = "INCONCLUSIVE"
                    row["reason"] = (
                        f"Holm-adjusted p = {adjusted[row['id']]:.3g} > .05 among the "
                        f"{len(members)} headline claims of this protocol; "
                        f"{row['reason']}"
                    )
    return rows


def audit_document(
    rows: Sequence[Row],
    tier: str,
    device: str,
    versions: dict[str, str],
    first_seed: int = 0,
    partial: str = "",
    suite: dict[str, Any] | None = None,
    agreement: dict[str, int] | None = None,
) -> dict[str, Any]:
    """What ``--audit-json`` writes.

    Args:
        partial: what is missing of an audit that was stopped, in words.
        suite: what was audited (``omnigrok.audit.document.SuitePart``).
        agreement: of a smoke audit with the recorded evidence (``omnigrok.audit.decided.counts``).
    """
    return {
        "schema": SCHEMA,
        "tier": tier,
        "partial": partial,
        "device": device,
        "versions": versions,
        "first_seed": first_seed,
        "suite": suite or {},
        "agreement": agreement,
        "claims": list(rows),
    }


def write_audit(path: Path, document: dict[str, Any]) -> None:
    """``write_whole`` of the audit document."""
    write_whole(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
