"""What changed between two audits, as an HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.files import write_whole
from omnigrok.report.changes import LEVEL, Difference, Effect, moved_text
from omnigrok.report.forest import Line, lines
from omnigrok.report.page import environment, look

SIDES = ("A", "B")


@dataclass(frozen=True)
class Compared:
    """One deciding finding in both audits, or in one of them.

    Args:
        line: both on one axis, a lane an audit.
        said: whether it moved, and the test.
    """

    line: Line
    said: str
    moved: bool


@dataclass(frozen=True)
class Change:
    """One claim.

    Args:
        where: the protocol, or both.
    """

    difference: Difference
    where: str
    parts: tuple[Compared, ...]

    @property
    def statement(self) -> str:
        """Of the newer audit, if it has one."""
        rows = (self.difference.right, self.difference.left)
        return next((row.statement for row in rows if row is not None), "")

    @property
    def verdicts(self) -> tuple[str, str]:
        """In each audit; "" where it lacks the claim."""
        left, right = self.difference.left, self.difference.right
        return left.verdict if left else "", right.verdict if right else ""


def changes(found: Sequence[Difference]) -> list[Change]:
    """Every claim of a comparison, with its effects on common axes."""
    return [
        Change(
            each,
            " and ".join(dict.fromkeys(each.protocols)),
            tuple(_compared(each)),
        )
        for each in found
    ]


def _compared(each: Difference) -> Iterator[Compared]:
    for effect in each.effects:
        yield Compared(_both(effect), moved_text(effect), effect.moved)
    for side, findings in zip(SIDES, each.alone, strict=True):
        for finding in findings:
            (line,) = lines([_row(side, finding)])
            yield Compared(line, f"in {side} only", True)


def _both(effect: Effect) -> Line:
    """The two findings under one name: a criterion may begin at another size in each."""
    pair = (effect.left, effect.right)
    named = [finding.model_copy(update={"name": effect.name}) for finding in pair]
    (line,) = lines([_row(side, finding) for side, finding in zip(SIDES, named, strict=True)])
    return line


def _row(side: str, finding: FindingPart) -> Row:
    """A lane of the drawing, which has the name of its audit, not of a protocol."""
    shown = finding.model_copy(update={"decides": True})
    return Row.model_construct(id="", protocol=side, verdict="NOT RUN", findings=(shown,))


def render(found: Sequence[Difference], audits: tuple[Audit, Audit], names: tuple[str, str]) -> str:
    """The page as text.

    Args:
        found: what ``omnigrok.report.changes.compare`` says.
        names: of the two audits, such as their files.

    Raises:
        BadInput: jinja2 is missing.
    """
    templates = environment()
    every = changes(found)
    return templates.get_template("compare.html.j2").render(
        changed=[each for each in every if each.difference.changed],
        same=[each for each in every if not each.difference.changed],
        audits=list(zip(SIDES, names, audits, strict=True)),
        pairs=Counter(each.verdicts for each in every if each.difference.verdict_changed),
        moved=sum(len(each.moved) for each in found),
        tested=sum(effect.p is not None for each in found for effect in each.effects),
        level=LEVEL,
        protocols=list(SIDES),
        **look(templates, SIDES),
    )


def write(
    path: Path, found: Sequence[Difference], audits: tuple[Audit, Audit], names: tuple[str, str]
) -> None:
    """Write the page whole or not at all.

    Raises:
        BadInput: jinja2 is missing, or the path cannot be written.
    """
    write_whole(path, render(found, audits, names))
