"""Claims trained once more from other seeds, next to what is recorded: the files
``retrained*.json`` next to the figures' YAML.

Each is the audit of a ``pytest claims/ --first-seed N --audit-json``. Two results of a different
set of seeds agree where the verdict is the same and the intervals of what decides overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnigrok.audit.document import Audit, ReplicatedPart, load_audit
from omnigrok.errors import BadInput
from omnigrok.report.changes import Difference, compare
from omnigrok.report.markdown import plain
from omnigrok.report.view import effect_text

PART = "retrained"
FILES = "retrained*.json"
HEADINGS = ("claim", "verdict", "again", "what decides", "recorded", "again", "intervals", "p")


def retrained_table(folder: Path, recorded: Audit) -> str:
    """For each of the files ``FILES`` in ``folder`` a table with one row for each deciding finding
    of each of its claims, in Markdown; p is for equal means.

    Raises:
        BadInput: there is no such file, or one cannot be read, is of the recorded seeds, or names
            no claim that is recorded.
    """
    audits = retrained_audits(folder)
    if not audits:
        raise BadInput(f"{folder / FILES}: there is no such file")
    return "\n".join(_table(path, again, recorded) for path, again in audits.items())


def retrained_audits(folder: Path) -> dict[Path, Audit]:
    """The audits in the files ``FILES`` of ``folder``, in the order of their names.

    Raises:
        BadInput: one cannot be read, or is of the smoke tier; the message names the file.
    """
    found = {path: load_audit(path) for path in sorted(folder.glob(FILES))}
    for path, again in found.items():
        if again.tier != "paper":
            raise BadInput(
                f"{path}: tier: is {again.tier!r}, and what is trained again is of 'paper'; write "
                "it with --tier paper, or take the file away"
            )
    return found


def _table(path: Path, again: Audit, recorded: Audit) -> str:
    asked = _trained(again)
    known = {(row.id, row.protocol): row for row in recorded.claims if row.verdict != "NOT RUN"}
    if not asked:
        raise BadInput(f"{path}: holds no claim that was trained")
    gone = sorted(claim for claim, _ in asked - known.keys())
    asked &= known.keys()
    if not asked:
        raise BadInput(
            f"{path}: none of its claims has recorded evidence to compare with: {', '.join(gone)}"
        )
    seeds = max(finding.n for key in asked for finding in known[key].findings)
    if again.first_seed < seeds:
        raise BadInput(
            f"{path}: its first seed is {again.first_seed}, and the evidence has seeds up to "
            f"{seeds - 1}; use other ones"
        )
    pairs = [
        each
        for each in compare(recorded, again, common=True)
        if (each.id, each.protocols[0]) in asked
    ]
    lines = [f"Audit `{path.name}`:", "", *_lines(pairs, again.first_seed, recorded.first)]
    if gone:
        lines += ["", f"Trained again, too, but without recorded evidence now: {', '.join(gone)}."]
    return "\n".join(lines) + "\n"


def _trained(again: Audit) -> set[tuple[str, str]]:
    return {(row.id, row.protocol) for row in again.claims if row.verdict != "NOT RUN"}


def replicated(folder: Path, recorded: Audit) -> dict[tuple[str, str], ReplicatedPart]:
    """What training again said, by claim and protocol; {} where ``folder`` has none of ``FILES``.
    Of several files the last in the order of their names counts.

    Claims that were judged by another criterion then are left out: a verdict that changed with it
    says nothing about the seeds.

    Raises:
        BadInput: as ``retrained_audits``.
    """
    found: dict[tuple[str, str], ReplicatedPart] = {}
    for again in retrained_audits(folder).values():
        found |= _replicated(again, recorded)
    return found


def _replicated(again: Audit, recorded: Audit) -> dict[tuple[str, str], ReplicatedPart]:
    asked = _trained(again)
    if not asked & {(row.id, row.protocol) for row in recorded.claims}:
        return {}  # an audit of other claims
    found: dict[tuple[str, str], ReplicatedPart] = {}
    for each in compare(recorded, again, common=True):
        key = each.id, each.protocols[0]
        if (
            key not in asked
            or each.left is None
            or each.right is None
            or each.left.verdict == "NOT RUN"
        ):
            continue
        if each.left.digests.get("criterion") == each.right.digests.get("criterion"):
            known = [effect.holm_p for effect in each.effects if effect.holm_p is not None]
            found[key] = ReplicatedPart(
                first_seed=again.first_seed,
                verdict=each.right.verdict,
                flipped=each.verdict_changed,
                smallest_p=min(known, default=None),
            )
    return found


def _lines(pairs: list[Difference], first_seed: int, usual: str) -> Iterator[str]:
    """Rows, and a sentence; a claim under another protocol than the ``usual`` one names it."""
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|" + "---|" * len(HEADINGS)
    for each in pairs:
        where = each.id if each.protocols[0] == usual else f"{each.id} ({each.protocols[0]})"
        first = [where, *(row.verdict if row else "absent" for row in (each.left, each.right))]
        for cells in _cells(each):
            yield "| " + " | ".join([*first, *cells]) + " |"
            first = ["", "", ""]
    effects = [effect for each in pairs for effect in each.effects]
    same, apart = (
        sum(not each.verdict_changed for each in pairs),
        sum(effect.apart is not False for effect in effects),
    )
    alone = sum(len(findings) for each in pairs for findings in each.alone)
    smallest = min((effect.holm_p for effect in effects if effect.holm_p is not None), default=None)
    yield ""
    holm = (
        ""
        if smallest is None
        else f" (smallest p after Holm's correction over all of them: {smallest:.2g})"
    )
    yield (
        f"{len(pairs)} claims from seed {first_seed} on: {same} with the same verdict; of "
        f"{len(effects)} intervals"
        f" {len(effects) - apart} overlap those of the recorded seeds{holm}; {alone} deciding "
        "findings are on one side only."
    )


def _cells(each: Difference) -> Iterator[tuple[str, ...]]:
    """What decides, recorded, again, intervals, p."""
    for effect in each.effects:
        overlap = {True: "**apart**", False: "overlap", None: "not both known"}[effect.apart]
        p = "" if effect.p is None else f"{effect.p:.2g}"
        yield plain(effect.name), effect_text(effect.left), effect_text(effect.right), overlap, p
    for finding in each.alone[0]:
        yield plain(finding.name), effect_text(finding), "", "**recorded only**", ""
    for finding in each.alone[1]:
        yield plain(finding.name), "", effect_text(finding), "**again only**", ""
