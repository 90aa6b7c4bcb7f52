"""What a verdict is to a reader of JUnit files: properties of the test case."""

from __future__ import annotations

from collections.abc import Iterator

from omnigrok.audit.document import FindingPart, ItemRow

NAMES = ("verdict", "finding", "effect", "interval")
NONE = "none"


def properties(item: ItemRow) -> Iterator[tuple[str, str]]:
    """The properties of one item, in the order of ``NAMES``; "none" for
    what it does not have.

    The smoke tier has no interval: there it is the range of the seeds' values, in words.
    """
    deciding = [finding for finding in item.findings if finding.decides]
    shown = next(
        (finding for finding in deciding if finding.verdict == item.verdict),
        deciding[0] if deciding else None,
    )
    yield "verdict", item.verdict
    yield "finding", shown.name if shown else NONE
    yield "effect", _number(shown.estimate) if shown else NONE
    yield "interval", _interval(shown) if shown else NONE


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.6g}"


def _interval(finding: FindingPart) -> str:
    if finding.ci is not None:
        return f"[{', '.join(_number(end) for end in finding.ci)}]"
    values = [value for value in finding.values if value is not None]
    return f"none; seeds {_number(min(values))} .. {_number(max(values))}" if values else NONE
