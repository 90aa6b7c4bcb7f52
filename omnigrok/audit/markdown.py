"""An audit as a Markdown table, alone or between two markers of a README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omnigrok.audit.summary import SCHEMA, write_whole
from omnigrok.audit.table import effect
from omnigrok.errors import BadInput

BEGIN, END = "<!-- verdicts: begin -->", "<!-- verdicts: end -->"
PROTOCOLS = ("paper", "code", "corrected")


def load_audit(path: Path) -> dict[str, Any]:
    """A document that ``--audit-json`` wrote.

    Raises:
        BadInput: the file cannot be read, is not such a document, or is of a newer schema.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("claims"), list):
        raise BadInput(f"{path}: is no audit; write one with pytest claims/ --audit-json {path}")
    if document.get("schema") != SCHEMA:
        raise BadInput(f"{path}: has schema {document.get('schema')!r}, this omnigrok reads {SCHEMA}")
    return document


def table(document: dict[str, Any]) -> str:
    """One row a claim, the protocols side by side; claims without evidence under any protocol are counted, not listed."""
    by_claim: dict[str, dict[str, dict[str, Any]]] = {}
    for row in document["claims"]:
        by_claim.setdefault(row["id"], {})[row["protocol"]] = row
    shown = {name: rows for name, rows in by_claim.items() if any(row["verdict"] != "NOT RUN" for row in rows.values())}
    lines = ["| claim | paper | code | corrected | effect under the first protocol with evidence | n |", "|---|---|---|---|---|---|"]
    for name, rows in shown.items():
        first = next(rows[protocol] for protocol in PROTOCOLS if protocol in rows and rows[protocol]["verdict"] != "NOT RUN")
        cells = [_cell(rows.get(protocol)) for protocol in PROTOCOLS]
        n = max((int(finding["n"]) for finding in first["findings"]), default=0)
        lines.append(f"| {name} | {' | '.join(cells)} | {effect(first).replace('|', '/')} | {n} |")
    absent = sorted(set(by_claim) - set(shown))
    versions = ", ".join(f"{name} {version}" for name, version in document.get("versions", {}).items())
    lines += ["", f"{document['tier']} tier, {document['device']}; judged with {versions}."]
    if absent:
        lines.append(f"NOT RUN ({len(absent)}): {', '.join(absent)}.")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return str(row["verdict"]) + (" ~" if row.get("scale") == "reduced" else "") + (" !" if row.get("stale") else "")


def insert(readme: Path, text: str, check: bool = False) -> None:
    """Put a table between the markers of a file.

    Args:
        check: change nothing; raise where the file is not current.

    Raises:
        BadInput: the markers are missing, or with ``check`` the table differs.
    """
    content = readme.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"{readme}: lacks the markers {BEGIN} and {END}")
    wanted = f"{before}{BEGIN}\n{text}{END}{after}"
    if check and wanted != content:
        raise BadInput(f"{readme}: the verdict table is not current; run the command without --check")
    if wanted != content:
        write_whole(readme, wanted)
