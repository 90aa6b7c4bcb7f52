"""What a verdict is to a reader of JUnit files: properties of the test case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NAMES = ("verdict", "finding", "effect", "interval")
NONE = "none"


def properties(outcome: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The properties of one outcome (``Outcome.as_dict``), in the order of ``NAMES``; "none" for
    what it does not have.

    The smoke tier has no interval: there it is the range of the seeds' values, in words.
    """
    deciding = [finding for finding in outcome["findings"] if finding["decides"]]
    shown = next(
        (finding for finding in deciding if finding["verdict"] == outcome["verdict"]),
        deciding[0] if deciding else None,
    )
    yield "verdict", outcome["verdict"]
    yield "finding", shown["name"] if shown else NONE
    yield "effect", _number(shown["estimate"]) if shown else NONE
    yield "interval", _interval(shown) if shown else NONE


def _number(value: float | str | None) -> str:
    return NONE if value is None else f"{float(value):.6g}"


def _interval(finding: Mapping[str, Any]) -> str:
    if finding["ci"] is not None:
        return f"[{', '.join(_number(end) for end in finding['ci'])}]"
    values = [float(value) for value in finding["values"] if value is not None]
    return f"none; seeds {_number(min(values))} .. {_number(max(values))}" if values else NONE
