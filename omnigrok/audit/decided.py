"""What the recorded evidence decided, as ``decided.json`` next to the figure files keeps it, and
whether a smoke audit agrees with it.

``omnigrok evidence decide`` writes the file. An entry holds for the claim, the check and the
evidence files that it was made from: where one of them has changed since, the claim is "outdated",
and nothing is concluded from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from omnigrok.audit.document import Agreement, AgreementPart, Audit, Row
from omnigrok.errors import BadInput
from omnigrok.evidence.find import files_digest
from omnigrok.files import read_whole, write_whole
from omnigrok.problems import first_problem
from omnigrok.suite.digests import check_digest, check_file
from omnigrok.suite.schema import Claim, Figure, Protocol, Strict, item_name
from omnigrok.suite.suite import Suite

FILE = "decided.json"
WHOLE = "a whole replay: omnigrok report --replay --json"
COMMAND = "omnigrok evidence decide"
LARGEST_FILE = 4_000_000  # bytes; that of this paper has 10,000
DECIDED = ("REPRODUCED", "REFUTED")


class Entry(Strict):
    """The verdict of the evidence on one claim under one protocol.

    Args:
        claim, version, protocol: what was judged.
        verdict: what the evidence said; REPRODUCED and REFUTED are decided.
        scale: of that evidence.
        criterion, check: digests of the claim's YAML entry and of its check.
        evidence: digest of the files that hold its experiments.
    """

    claim: str
    version: int
    protocol: Protocol
    verdict: Literal["REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR"]
    scale: str
    criterion: str
    check: str
    evidence: str


def entries_of(suite: Suite, replayed: Audit) -> tuple[Entry, ...]:
    """What a replay of a suite's evidence says, in the order of the audit; claims without evidence
    have no entry.

    Raises:
        BadInput: the audit is no replay of the paper tier and of the suite's own seeds, is partial,
            lacks a claim that has evidence, or judged by another criterion or check than the folder
            has now.
    """
    of_evidence = replayed.device == "replay" and replayed.tier == "paper"
    if not of_evidence or replayed.first_seed or replayed.partial:
        raise BadInput(f"what the evidence decided comes from {WHOLE}")
    judged = {(row.id, row.protocol) for row in replayed.claims}
    missing = [
        item_name(claim.id, protocol)
        for figure in suite.figures
        for claim in figure.claims
        for protocol in claim.protocols
        if (claim.id, protocol) not in judged and _is_recorded(suite, figure, claim, protocol)
    ]
    if missing:
        raise BadInput(f"the audit lacks {', '.join(missing)}, which have evidence: give {WHOLE}")
    found = []
    for row in replayed.claims:
        if row.verdict == "NOT RUN":
            continue
        figure, claim = suite.claim(row.id)
        criterion, check, evidence = _fixed_by(suite, figure, claim, row.protocol)
        if (row.digests.get("criterion"), row.digests.get("check")) != (criterion, check):
            raise BadInput(
                f"the audit judged {row.id} by another criterion or check than {suite.folder} has "
                "now: replay it again"
            )
        found.append(
            Entry(
                claim=row.id,
                version=claim.version,
                protocol=row.protocol,
                verdict=row.verdict,
                scale=row.scale,
                criterion=criterion,
                check=check,
                evidence=evidence,
            )
        )
    return tuple(found)


def _is_recorded(suite: Suite, figure: Figure, claim: Claim, protocol: Protocol) -> bool:
    """Whether there is evidence of all experiments of a claim, and it has any."""
    read = suite.experiments(figure, claim).values() if claim.experiments else ()
    return bool(read) and all(files_digest(suite.folder, [each], protocol) for each in read)


def _fixed_by(
    suite: Suite, figure: Figure, claim: Claim, protocol: Protocol
) -> tuple[str, str, str]:
    """Digests of criterion, check and evidence."""
    experiments = suite.experiments(figure, claim).values()
    return (
        claim.digest,
        check_digest(check_file(suite.folder, figure.figure), claim.id),
        files_digest(suite.folder, experiments, protocol),
    )


def text_of(entries: Iterable[Entry]) -> str:
    """The file's content: JSON, one line an entry."""
    lines = (json.dumps(entry.model_dump(mode="json")) for entry in entries)
    return "[\n " + ",\n ".join(lines) + "\n]\n"


def write_decided(folder: Path, entries: Iterable[Entry]) -> Path:
    """Write the file of a claims folder; returns its path.

    Raises:
        BadInput: it cannot be written.
    """
    write_whole(folder / FILE, text_of(entries))
    return folder / FILE


def load_decided(folder: Path) -> tuple[Entry, ...]:
    """The entries of a claims folder; none where there is no file.

    Raises:
        BadInput: the file is not a list of entries with exactly the accepted keys.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        raw = json.loads(read_whole(path, LARGEST_FILE))
        return tuple(TypeAdapter(list[Entry]).validate_python(raw))
    except ValidationError as error:
        where, first = first_problem(error)
        raise BadInput(f"{path}: {where}: {first['msg']}; write it with {COMMAND}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read as JSON: {error}; write it with {COMMAND}") from (
            error
        )


def marked(suite: Suite, rows: Sequence[Row]) -> list[Row]:
    """The rows of a smoke audit with ``evidence``, the verdict that the evidence decided, and
    ``agreement``; rows of which it decided nothing are as they were.

    Raises:
        BadInput: ``decided.json``, or a file of the claims folder, is not valid.
    """
    entries = {(entry.claim, entry.protocol): entry for entry in load_decided(suite.folder)}
    if not entries:
        return list(rows)
    known = {claim.id: (figure, claim) for figure in suite.figures for claim in figure.claims}
    return [
        row.model_copy(
            update=_compared(suite, *known[row.id], row, entries.get((row.id, row.protocol)))
        )
        if row.id in known
        else row
        for row in rows
    ]


def _compared(
    suite: Suite, figure: Figure, claim: Claim, row: Row, entry: Entry | None
) -> dict[str, Any]:
    now = _fixed_by(suite, figure, claim, row.protocol)
    if entry is None:
        # Recorded, but not judged yet.
        recorded = _is_recorded(suite, figure, claim, row.protocol)
        return {"agreement": "outdated"} if recorded else {}
    if (entry.criterion, entry.check, entry.evidence) != now:
        return {"agreement": "outdated"}
    if entry.verdict not in DECIDED:
        return {}
    return {"evidence": entry.verdict, "agreement": _agreement(row, entry.verdict)}


def _agreement(row: Row, decided: str) -> Agreement:
    if row.verdict == decided:
        return "agrees"
    if row.verdict not in DECIDED:
        return "undecided"
    return "excused" if row.deviation else "opposite"


def names(rows: Iterable[Row], which: Agreement) -> list[str]:
    """The claims of which the agreement is such, as pytest calls them."""
    return [item_name(row.id, row.protocol) for row in rows if row.agreement == which]


def counts(rows: Sequence[Row]) -> AgreementPart | None:
    """How many claims have which agreement; None where nothing was compared."""
    count = Counter(row.agreement for row in rows if row.agreement)
    if not count:
        return None
    return AgreementPart(
        decided=count.total() - count["outdated"],
        agrees=count["agrees"],
        undecided=count["undecided"],
        opposite=count["opposite"],
        excused=count["excused"],
        outdated=count["outdated"],
    )


def sentence(rows: Sequence[Row]) -> str:
    """The agreement in one line; "" where nothing was compared."""
    count = counts(rows)
    if count is None:
        return ""
    parts = [
        f"{count.agrees} of the {count.decided} claims that it decided agree",
        f"{count.undecided} undecided",
        _with_names(rows, "opposite"),
    ]
    if count.excused:
        parts.append(f"{_with_names(rows, 'excused')} by a recorded deviation")
    if count.outdated:
        parts.append(f"{_with_names(rows, 'outdated')}: run {COMMAND}")
    return f"evidence: {', '.join(parts)}"


def _with_names(rows: Sequence[Row], which: Agreement) -> str:
    found = names(rows, which)
    return f"{len(found)} {which}" + (f" ({', '.join(found)})" if found else "")
