"""Curves, findings and verdicts as tables for any data-frame tool."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from omnigrok.audit.document import Audit, FindingPart, Row, load_audit
from omnigrok.errors import BadInput
from omnigrok.evidence.find import FOLDER
from omnigrok.evidence.layout import SUFFIX
from omnigrok.evidence.listing import Entry, flat
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.transfer import IMPORTED
from omnigrok.report.replaying import replay


class Tables:
    """What a path holds; each table is made when it is first asked for.

    Args:
        path: an evidence file, a folder of them, a claims folder, or an audit's JSON.

    Raises:
        BadInput: there is nothing at this path.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BadInput(f"{path}: there is no such file or folder")
        self.path = path

    @cached_property
    def curves(self) -> Any:
        """One row a logged step, as ``pyarrow.Table``: experiment, protocol, digest and settings of
        the Run, whether it diverged, stopped early or was imported, ``step``, and what was logged.

        Raises:
            BadInput: there is no evidence at this path.
            EvidenceError: a file is damaged.
        """
        tables = [_curves(read(each)) for each in self._files()]
        return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()

    @cached_property
    def verdicts(self) -> Any:
        """One row a claim and protocol, as ``pyarrow.Table``.

        Raises:
            BadInput: there is neither an audit nor a claims folder at this path.
        """
        return pa.Table.from_pylist(verdict_rows(self.audit))

    @cached_property
    def findings(self) -> Any:
        """One row a finding of a claim or of its control, as ``pyarrow.Table``.

        Raises:
            BadInput: as ``verdicts``.
        """
        return pa.Table.from_pylist(finding_rows(self.audit))

    @cached_property
    def audit(self) -> Audit:
        """All verdicts with their findings, as one value (``omnigrok.audit.document.Audit``).

        Raises:
            BadInput: as ``verdicts``.
        """
        if self.path.suffix == ".json":
            return load_audit(self.path)
        if not any(self.path.glob("*.yaml")):
            raise BadInput(
                f"{self.path}: verdicts come from a claims folder, where the recorded evidence is "
                "judged, or from the JSON of an audit"
            )
        return replay(self.path)

    def _files(self) -> Sequence[Path]:
        if self.path.is_file() and self.path.suffix == SUFFIX:
            return [self.path]
        found = [
            each for folder in (self.path, self.path / FOLDER) for each in folder.glob("*" + SUFFIX)
        ]
        if not found:
            raise BadInput(
                f"{self.path}: holds no evidence; give a file or a folder of *{SUFFIX}, or a "
                "claims folder with evidence"
            )
        return sorted(found)


def _curves(file: EvidenceFile) -> Any:
    entries = list(file.entries.values())
    constant = {key: str(file.meta.get(key, "")) for key in ("experiment", "protocol")}
    places = pa.array(np.repeat(np.arange(len(entries)), [entry.points for entry in entries]))
    columns: dict[str, list[Any]] = _of_runs(entries)
    results = [file[entry.run][0] for entry in entries]
    columns["stopped"] = [curves.stopped for curves in results]
    columns = {key: [text] * len(entries) for key, text in constant.items()} | columns
    found = {name: _column(values).take(places) for name, values in columns.items()}
    found["step"] = pa.chunked_array([curves.step for curves in results], pa.int64())
    for name in dict.fromkeys(name for curves in results for name in curves.columns):
        parts = [curves.columns.get(name) for curves in results]
        chunks = [
            pa.nulls(entry.points, pa.float64()) if part is None else pa.array(part)
            for part, entry in zip(parts, entries, strict=True)
        ]
        found[name] = pa.chunked_array(chunks, pa.float64())
    return pa.table(found).combine_chunks()


def _of_runs(entries: Iterable[Entry]) -> dict[str, list[Any]]:
    rows = [
        {
            "run": entry.run.digest,
            **flat(entry.run),
            "diverged": entry.diverged,
            "imported": IMPORTED in entry.provenance,
        }
        for entry in entries
    ]
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(_names(rows))}


def _names(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield from row


def _column(values: list[Any]) -> Any:
    """One value a Run, texts stored once each; values of several kinds become texts."""
    kinds = {type(value) for value in values} - {type(None)}
    huge = any(isinstance(value, int) and abs(value) >= 2**63 for value in values)
    if huge or (len(kinds) > 1 and kinds != {int, float}):
        values = [None if value is None else str(value) for value in values]
        kinds = {str}
    array = pa.array(values, pa.float64() if kinds == {int, float} else None)
    return array.dictionary_encode() if kinds == {str} else array


def verdict_rows(audit: Audit) -> list[dict[str, Any]]:
    """One row a claim and protocol."""
    return [_verdict(row) for row in audit.claims]


def finding_rows(audit: Audit) -> list[dict[str, Any]]:
    """One row a finding of a claim or of its control."""
    return [
        finding_record(row, role, finding)
        for row in audit.claims
        for role, found in (("claim", row.findings), ("control", row.control.findings))
        for finding in found
    ]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV: numbers as they are, lists joined by spaces, nothing for
    None.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0] if rows else [])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join("" if each is None else str(each) for each in value)
    # A spreadsheet takes a text that begins so for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _verdict(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "figure": row.figure,
        "protocol": row.protocol,
        "tier": row.tier,
        "verdict": row.verdict,
        "control": row.control.verdict,
        "reason": row.reason,
        "evidence": row.evidence,
        "agreement": row.agreement,
        "headline": row.headline,
        "scale": row.scale,
        "p": row.p,
        "q": row.q,
        "holm_p": row.holm_p,
        "stale": row.stale,
        "imported": row.imported,
        "runs": row.cost.runs,
        "steps": row.cost.steps,
        "seconds": row.cost.seconds,
        "place": row.place,
        "statement": row.statement,
        "reported": row.reported,
    }


def finding_record(row: Row, role: str, finding: FindingPart) -> dict[str, Any]:
    """The columns of one finding; ``role`` is "claim" or "control"."""
    low, high = finding.ci or (None, None)
    return {
        "id": row.id,
        "protocol": row.protocol,
        "role": role,
        "name": finding.name,
        "verdict": finding.verdict,
        "decides": finding.decides,
        "premise": finding.premise,
        "estimate": finding.estimate,
        "low": low,
        "high": high,
        "level": finding.level,
        "p": finding.p,
        "region": finding.region.text if finding.region else None,
        "n": finding.n,
        "censored": finding.censored,
        "values": list(finding.values),
        "method": finding.method,
        "note": finding.note,
    }
