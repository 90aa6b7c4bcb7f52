"""The verdict table in the terminal, fitted to its width."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.color import ColorSystem
from rich.style import Style

from omnigrok.audit.document import Row, Word

WIDTH = 100  # where there is no terminal
NARROW = 72  # columns of the narrowest table
MOST_LINES = 4  # of one effect
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
STYLES: dict[Word, Style] = {
    "REPRODUCED": Style(color="green"),
    "REFUTED": Style(color="red"),
    "INCONCLUSIVE": Style(color="yellow"),
    "ERROR": Style(color="red", bold=True, reverse=True),
    "NOT RUN": Style(dim=True),
}
# The colour of a control's verdict: REFUTED is right.
RIGHT: dict[Word, Word] = {
    "REFUTED": "REPRODUCED",
    "REPRODUCED": "ERROR",
    "INCONCLUSIVE": "INCONCLUSIVE",
    "ERROR": "ERROR",
    "NOT RUN": "NOT RUN",
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


class Layout:
    """What a table of some rows looks like.

    Args:
        rows: of the table.
        tier: of the audit.
        width: columns of the terminal; ``NARROW`` at least.
        colour: whether to colour letters.
    """

    def __init__(self, rows: Sequence[Row], tier: str, width: int, colour: bool) -> None:
        self.tier, self.width, self.colour = tier, max(width, NARROW), colour
        self.name = min(max([len(self._name(row)) for row in rows] + [5]), self.width // 3)
        self.protocol = max([len(row.protocol) for row in rows] + [8])
        # Letter, n, control and cost, with a space in front of each.
        self.effect = self.width - self.name - self.protocol - 20

    def _name(self, row: Row) -> str:
        return row.id + self._flags(row)

    def _flags(self, row: Row) -> str:
        scale = "~" if row.scale == "reduced" and self.tier == "paper" else ""
        return scale + ("!" if row.stale else "") + ("^" if row.imported else "")

    def paint(self, word: Word, text: str) -> str:
        """A text in the colour of a verdict."""
        if not self.colour:
            return text
        return STYLES[word].render(text, color_system=ColorSystem.STANDARD)

    def head(self) -> str:
        """The line above the table."""
        effect = f"{'effect (criterion)':{self.effect}}"
        return (
            f"{'claim':{self.name}} {'protocol':{self.protocol}}   {effect} {'n':>3} {'ctl':>3} "
            f"{'cost s':>7}"
        )

    def lines(self, row: Row) -> Iterator[str]:
        """One claim: an effect that is too long for its column goes on below; a reason is cut."""
        flags = self._flags(row)
        name = f"{row.id[: self.name - len(flags)]}{flags}"
        control = "REFUTED" if row.control.neutral else row.control.verdict
        mark = "=" if row.control.neutral else LETTERS[row.control.verdict]
        if row.verdict in ("ERROR", "NOT RUN"):
            parts = [_cut(row.reason, self.effect)]
        else:
            parts = textwrap.wrap(effect(row), self.effect)[:MOST_LINES] or [""]
        verdict = self.paint(row.verdict, LETTERS[row.verdict])
        yield (
            f"{name:{self.name}} {row.protocol:{self.protocol}} {verdict} "
            f"{parts[0]:{self.effect}} {_counted(row):>3} "
            f"{self.paint(RIGHT[control], f'{mark:>3}')} {row.cost.seconds:>7.1f}"
        )
        yield from (" " * (self.name + self.protocol + 4) + part for part in parts[1:])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def lines(
    rows: Sequence[Row],
    tier: str,
    verbose: int = 0,
    partial: str = "",
    width: int = WIDTH,
    colour: bool = False,
) -> Iterator[str]:
    """The table, a claim a line or two; with ``verbose`` every finding below its claim. The counts
    come last.

    Args:
        partial: what is missing of an audit that was stopped; "" for a whole one.
        width: columns of the terminal.
        colour: whether it shows colours.
    """
    layout = Layout(rows, tier, width, colour)
    width = layout.width

    def fitted(text: str) -> list[str]:
        return textwrap.wrap(text, width, subsequent_indent="  ")

    if tier == "smoke":
        yield from fitted(SMOKE)
    yield layout.head()
    for row in rows:
        yield from layout.lines(row)
        if verbose or row.verdict == "ERROR":
            yield from _details(row, width)
    yield ""
    for word, letter in LETTERS.items():
        first, *more = fitted(f"{letter} {EXPLAIN[letter]}")
        yield layout.paint(word, letter) + first[1:]
        yield from more
    yield from fitted("n: seeds   ctl: control, x is right, = on the edge")
    yield from fitted("cost: a run counts in each claim that reads it")
    if any(row.scale == "reduced" for row in rows) and tier == "paper":
        yield from fitted("~ reduced scale: grid or steps coarser than the paper's")
    if any(row.stale for row in rows):
        yield from fitted("! stale: curves of another trainer, torch or device")
    if any(row.imported for row in rows):
        yield from fitted("^ imported: curves that came as files, and were not trained here")
    if partial:
        yield from textwrap.wrap(
            f"PARTIAL AUDIT: {partial}. The same command goes on where it stopped.", width
        )
    counts = Counter(row.verdict for row in rows)
    yield f"{tier} tier{', PARTIAL' if partial else ''}: " + ", ".join(
        layout.paint(verdict, f"{counts[verdict]} {verdict}")
        for verdict in LETTERS
        if counts[verdict]
    )


def _details(row: Row, width: int) -> Iterator[str]:
    if row.verdict == "ERROR":
        for start in range(0, len(row.reason), width - 4):
            yield f"    {row.reason[start : start + width - 4]}"
    for finding in row.findings:
        region = finding.region.text if finding.region else "shown only"
        ci = "" if finding.ci is None else f" [{_number(finding.ci[0])}, {_number(finding.ci[1])}]"
        p = (
            ""
            if finding.p is None
            else f" p = {_number(finding.p)} (smallest {_number(finding.smallest_p)})"
        )
        yield (f"    {finding.name}: {_number(finding.estimate)}{ci}{p} ({region}) {finding.note}")[
            :width
        ]
