"""The specification curve: where readings, regions and choices lie."""

from __future__ import annotations

import re
from typing import Any

import pytest

from omnigrok.audit.document import Row
from omnigrok.report.specification import HEIGHT, LABELS, WIDTH, specification
from omnigrok.suite.schema import Claim

ENTRY = Claim.model_validate(
    {
        "id": "a.b",
        "statement": "so",
        "place": "here",
        "criterion": {"x": {"inside": [1.0, 2.0]}},
        "quantity": {"threshold": 0.8, "range": [0.1, 1.0]},
        "universes": {"threshold": [0.8, 0.95], "range": [[0.1, 1.0], [0.1, 0.5]]},
        "control": {"why": "not so"},
        "null": "sign flips",
    }
)
CURVE = [
    [0.5, 0.4, 0.6, "REFUTED", "threshold 0.8, range 0.1 to 1"],
    [1.5, 1.4, 1.6, "REPRODUCED", "threshold 0.95, range 0.1 to 1"],
    [1.7, None, None, "REPRODUCED", "threshold 0.95, range 0.1 to 0.5"],
    [None, None, None, "ERROR", "threshold 0.8, range 0.1 to 0.5"],
]


def row(curve: list[Any] = CURVE, region: dict[str, Any] | None = None) -> Row:
    region = region or {"lo": 1.0, "hi": 2.0, "text": "inside [1, 2]"}
    counts = {"n": 4, "reproduced": 2, "refuted": 1, "error": 1}
    return Row.model_validate(
        {
            "id": "a.b",
            "protocol": "paper",
            "verdict": "REPRODUCED",
            "findings": [{"name": "x", "decides": True, "region": region}],
            "universes": {**counts, "shares": {"range": 0.1, "threshold": 0.9}, "curve": curve},
        }
    )


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)", path)]


def test_readings_lie_by_estimate_from_left_to_right() -> None:
    found = specification(row(), ENTRY)
    assert found is not None
    assert found.said == "4 readings: 2 REPRODUCED, 1 REFUTED, 1 ERROR"
    ((left, low),) = points(found.dots["REFUTED"])
    (middle, high), (right, highest) = points(found.dots["REPRODUCED"])
    third = WIDTH / 3
    assert [left, middle, right] == pytest.approx(
        [LABELS + third * share for share in (0.5, 1.5, 2.5)], abs=0.1
    )
    assert low > high > highest  # y runs down
    assert len(points(found.intervals["REPRODUCED"])) == 1
    assert "ERROR" not in found.dots


def test_the_region_is_that_of_the_finding_that_leads() -> None:
    found = specification(row(), ENTRY)
    assert found is not None
    assert found.region is not None
    top, bottom = found.region
    assert 0 <= top < bottom < HEIGHT
    assert [tick.text for tick in found.ticks] == ["1", "2"]
    (inside, _) = points(found.dots["REPRODUCED"])
    assert top < inside[1] < bottom
    half = specification(row(region={"lo": 1.0, "hi": "inf", "text": "> 1"}), ENTRY)
    assert half is not None
    assert half.region is not None
    assert half.region[0] == 0


def test_choices_stand_below_that_which_explains_most_first() -> None:
    found = specification(row(), ENTRY)
    assert found is not None
    assert [choice.name for choice in found.choices] == ["threshold", "range"]
    levels = {
        level.name: len(points(level.path)) for each in found.choices for level in each.levels
    }
    assert levels == {"0.8": 1, "0.95": 2, "0.1 to 1": 2, "0.1 to 0.5": 1}
    rows = [level.y for choice in found.choices for level in choice.levels]
    assert rows == sorted(rows)
    assert HEIGHT < rows[0] < rows[-1] < found.height


def test_without_its_entry_there_is_the_curve_alone() -> None:
    found = specification(row(), None)
    assert found is not None
    assert found.choices == ()


def test_without_estimates_there_is_none() -> None:
    assert specification(row([CURVE[3]]), ENTRY) is None
    assert specification(row([["inf", 0.0, "inf", "REPRODUCED", "x"]]), ENTRY) is None
    assert specification(row().model_copy(update={"universes": None}), ENTRY) is None
