"""The verdict table in the terminal: at most 100 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from omnigrok.audit.document import Row, Word

WIDTH = 100
LETTERS: dict[Word, str] = {
    "REPRODUCED": "+",
    "REFUTED": "x",
    "INCONCLUSIVE": "?",
    "ERROR": "E",
    "NOT RUN": "-",
}
EXPLAIN = {
    "+": "REPRODUCED: the effect's interval (smoke: every seed) lies in the criterion's region",
    "x": "REFUTED: it (smoke: every seed) lies outside",
    "?": "INCONCLUSIVE: neither",
    "E": "ERROR: no verdict possible; the reason says what to do",
    "-": "NOT RUN: no evidence",
}
SMOKE = "SMOKE TIER: small nets, few steps, 3 seeds, verdicts by rule; never evidence for the paper"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}"


def effect(row: Row) -> str:
    """Estimate with interval (paper tier) or the range of the seeds (smoke) of the finding that
    decided, and why it did not.
    """
    shown = row.deciding()
    if shown is None:
        return ""
    region = shown.region.text if shown.region else ""
    cause = row.cause()
    after = f" ({region})" + (f" {cause}" if cause else "")
    if shown.ci is not None:
        return f"{_number(shown.estimate)} [{_number(shown.ci[0])}, {_number(shown.ci[1])}]{after}"
    values = [value for value in shown.values if value is not None]
    return f"{min(values):.3g} .. {max(values):.3g}{after}" if values else f"no value{after}"


def _counted(row: Row) -> int:
    return max((finding.n for finding in row.findings), default=0)


def lines(rows: Sequence[Row], tier: str, verbose: int = 0, partial: str = "") -> Iterator[str]:
    """The table, a line a claim; with ``verbose`` every finding below its claim.

    Args:
        partial: what is missing of an audit that was stopped; "" for a whole one.
    """
    marks = {"control": "ctl"}
    if tier == "smoke":
        yield SMOKE
    yield (
        f"{'claim':28} {'protocol':9} {'':1} {'effect (criterion)':40} {'n':>3} "
        f"{marks['control']:>3} {'cost s':>7}"
    )
    for row in rows:
        letter = LETTERS[row.verdict]
        control = "=" if row.control.neutral else LETTERS[row.control.verdict]
        scale = "~" if row.scale == "reduced" and tier == "paper" else " "
        stale = "!" if row.stale else " "
        imported = "^" if row.imported else ""
        flags = f"{scale.strip()}{stale.strip()}{imported}"
        name = f"{row.id[: 28 - len(flags)]}{flags}"
        text = effect(row)[:40] if row.verdict not in ("ERROR", "NOT RUN") else row.reason[:40]
        yield (
            f"{name:28} {row.protocol:9} {letter} {text:40} {_counted(row):>3} {control:>3} "
            f"{row.cost.seconds:>7.1f}"
        )
        if verbose or row.verdict == "ERROR":
            yield from _details(row)
    yield ""
    yield from (f"{letter} {text}" for letter, text in EXPLAIN.items())
    yield (
        "n: seeds   ctl: control, x is right, = on the edge   cost: a run counts in each claim "
        "that reads it"
    )
    if any(row.scale == "reduced" for row in rows) and tier == "paper":
        yield "~ reduced scale: grid or steps coarser than the paper's"
    if any(row.stale for row in rows):
        yield "! stale: curves of another trainer, torch or device"
    if any(row.imported for row in rows):
        yield "^ imported: curves that came as files, and were not trained here"
    counts = Counter(row.verdict for row in rows)
    if partial:
        yield from textwrap.wrap(
            f"PARTIAL AUDIT: {partial}. The same command goes on where it stopped.", WIDTH
        )
    yield f"{tier} tier{', PARTIAL' if partial else ''}: " + ", ".join(
        f"{counts[verdict]} {verdict}" for verdict in LETTERS if counts[verdict]
    )


def _details(row: Row) -> Iterator[str]:
    if row.verdict == "ERROR":
        for start in range(0, len(row.reason), WIDTH - 4):
            yield f"    {row.reason[start : start + WIDTH - 4]}"
    for finding in row.findings:
        region = finding.region.text if finding.region else "shown only"
        ci = "" if finding.ci is None else f" [{_number(finding.ci[0])}, {_number(finding.ci[1])}]"
        p = (
            ""
            if finding.p is None
            else f" p = {_number(finding.p)} (smallest {_number(finding.smallest_p)})"
        )
        yield (f"    {finding.name}: {_number(finding.estimate)}{ci}{p} ({region}) {finding.note}")[
            :WIDTH
        ]
