"""Why a claim has its verdict, in one sentence."""

from __future__ import annotations

from collections import Counter

from omnigrok.audit.document import FindingPart, Row
from omnigrok.report.view import effect_text


def reason(row: Row) -> str:
    """The finding that decided, its interval and region, and what that means.

    The audit's own reason where there is no finding: an ERROR, or a claim that was not run.
    """
    shown = row.deciding()
    if row.verdict in ("ERROR", "NOT RUN") or shown is None or shown.region is None:
        return _sentence(row.reason)
    said = f"{shown.name}: {effect_text(shown)}"
    wanted = f"where the claim needs a value {shown.region.text}"
    if shown.premise and shown.verdict != "REPRODUCED":
        return _sentence(f"{said}, {wanted} as its premise, which is not met")
    if shown.estimate is None and not any(value is not None for value in shown.values):
        return _sentence(f"{shown.name} has no value in these runs, {wanted}")
    cause = row.cause()
    if cause:
        return _sentence(f"{said}, {wanted}; {cause}")
    return _sentence(f"{said}, {wanted}: {_meaning(row, shown)}{_others(row, shown)}")


def _meaning(row: Row, shown: FindingPart) -> str:
    if row.tier == "smoke" or shown.ci is None:
        return {
            "REPRODUCED": "every seed lies inside",
            "REFUTED": "every seed lies outside",
        }.get(row.verdict, "the seeds do not agree")
    interval = f"the {shown.level:.0%} interval"
    return {
        "REPRODUCED": f"{interval} lies inside",
        "REFUTED": f"{interval} lies outside",
    }.get(row.verdict, f"{interval} lies neither inside nor outside")


def _others(row: Row, shown: FindingPart) -> str:
    """What the other deciding findings say."""
    count = Counter(
        finding.verdict
        for finding in row.findings
        if finding.decides and finding is not shown and finding.verdict
    )
    if not count:
        return ""
    if set(count) == {row.verdict}:
        total = count.total()
        return "; so does the other part" if total == 1 else f"; so do the other {total} parts"
    said = ", ".join(f"{number} {word}" for word, number in sorted(count.items()))
    return f"; other parts: {said}"


def _sentence(text: str) -> str:
    """Ends with a full stop."""
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
