"""An audit as a Markdown table, alone or between two markers of a README."""

from __future__ import annotations

import re
from pathlib import Path

from omnigrok.audit.schema import PROTOCOLS
from omnigrok.audit.summary import write_whole
from omnigrok.errors import BadInput
from omnigrok.report.document import Audit, Row
from omnigrok.report.view import effect_text

BEGIN, END = "<!-- verdicts: begin -->", "<!-- verdicts: end -->"


def table(audit: Audit) -> str:
    """One row a claim, the protocols side by side; claims without evidence under any protocol are counted, not listed."""
    by_claim: dict[str, dict[str, Row]] = {}
    for row in audit.claims:
        by_claim.setdefault(row.id, {})[row.protocol] = row
    shown = {name: rows for name, rows in by_claim.items() if any(row.verdict != "NOT RUN" for row in rows.values())}
    lines = ["| claim | paper | code | corrected | effect under the first protocol with evidence | n |", "|---|---|---|---|---|---|"]
    if audit.tier == "smoke":
        lines = ["**Smoke tier: small networks, few steps, 3 seeds, verdicts by rule; no evidence for the paper.**", "", *lines]
    if audit.partial:
        lines = [f"**Partial audit: {_plain(audit.partial)}.**", "", *lines]
    for name, rows in shown.items():
        first = next(rows[protocol] for protocol in PROTOCOLS if protocol in rows and rows[protocol].verdict != "NOT RUN")
        cells = [_cell(rows.get(protocol)) for protocol in PROTOCOLS]
        n = max((finding.n for finding in first.findings), default=0)
        lines.append(f"| {name} | {' | '.join(cells)} | {_plain(_effect(first))} | {n} |")
    absent = sorted(set(by_claim) - set(shown))
    versions = ", ".join(f"{name} {version}" for name, version in audit.versions.items())
    lines += ["", f"{audit.tier} tier, {_plain(audit.device)}; judged with {_plain(versions)}."]
    if absent:
        lines.append(f"NOT RUN ({len(absent)}): {', '.join(absent)}.")
    return "\n".join(lines) + "\n"


def _effect(row: Row) -> str:
    finding = row.deciding()
    if finding is None:
        return ""
    region = f" ({finding.region.text})" if finding.region else ""
    return f"{effect_text(finding)}{region}"


def _plain(text: str) -> str:
    """Foreign text in a table cell: one line, no cell borders, no HTML ("< 5" is none)."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.replace("|", "/").split()))


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return row.verdict + (" ~" if row.scale == "reduced" else "") + (" !" if row.stale else "")


def _without_versions(text: str) -> str:
    """The verdicts are what must be current; who judges them again may have other versions."""
    return re.sub(r"judged with .*", "judged", text)


def insert(readme: Path, text: str, check: bool = False) -> None:
    """Put a table between the markers of a file.

    Args:
        check: change nothing; raise where the file is not current.

    Raises:
        BadInput: the file cannot be read, the markers are missing, or with ``check`` the table differs.
    """
    try:
        content = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{readme}: cannot be read: {error}") from error
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"{readme}: lacks the markers {BEGIN} and {END}")
    wanted = f"{before}{BEGIN}\n{text}{END}{after}"
    if check and _without_versions(wanted) != _without_versions(content):
        raise BadInput(f"{readme}: the verdict table is not current; run the command without --check")
    if wanted != content:
        write_whole(readme, wanted)
