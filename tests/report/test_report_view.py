"""How an effect reads in tables, pages and sentences."""

from __future__ import annotations

import math
from typing import Any

import pytest

from omnigrok.audit.document import FindingPart
from omnigrok.report.view import effect_text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"estimate": 1.23456, "ci": (1.0, 2.0)}, "1.23 [1, 2]"),
        ({"estimate": math.inf, "ci": (3.5, math.inf)}, "inf [3.5, inf]"),
        ({"estimate": 0.0, "ci": (0.0, 0.459)}, "0 [0, 0.459]"),
        # No seed has one: not a number that is called none.
        ({"estimate": None, "ci": (None, None)}, "no value"),
        # A smoke run has no interval: the range of its seeds.
        ({"values": (0.5, 2.0, 1.0)}, "0.5 to 2"),
        ({"values": (1.0, 1.0)}, "1"),
        ({"values": (None, 2.0)}, "2"),
        ({"values": (None, None)}, "no value"),
        ({"values": ()}, "no value"),
        # A finding without an interval keeps its number.
        ({"estimate": 117.04}, "117"),
    ],
)
def test_effect_text(given: dict[str, Any], text: str) -> None:
    assert effect_text(FindingPart(**given)) == text


def test_without_a_finding_there_is_no_text() -> None:
    assert effect_text(None) == ""


def test_digits() -> None:
    assert effect_text(FindingPart(estimate=1.23456, ci=(1.0, 2.0)), digits=5) == "1.2346 [1, 2]"
