"""The audit document: one model for what is sent, written and read, with a published schema."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.document import Audit, FindingPart, ItemRow, load_audit, text_of, write_audit
from omnigrok.audit.outcome import Outcome
from omnigrok.stats.finding import Finding, Region, Verdict

SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"
numbers = st.floats(allow_nan=True, allow_infinity=True)


def outcome(estimate: float, ci: tuple[float, float] | None, tier: str = "paper") -> Outcome:
    finding = Finding("f", estimate, ci, Region(0.0, math.inf), (estimate, math.nan), p=0.01)
    words = ("a.b", "x", "paper", tier, "claim", Verdict.REPRODUCED, "because")
    return Outcome(*words, findings=(finding,))  # type: ignore[arg-type]


def audit_of(*rows: ItemRow) -> Audit:
    return Audit.model_validate({"tier": "paper", "claims": [row.model_dump() for row in rows]})


def test_the_published_schema_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text()) == Audit.model_json_schema(), (
        "write it again: omnigrok report --schema > docs/audit.schema.json"
    )


@given(numbers, st.tuples(numbers, numbers).map(sorted))
def test_any_number_goes_round(estimate: float, ends: list[float]) -> None:
    row = outcome(estimate, (ends[0], ends[1])).row()
    assert ItemRow.model_validate_json(row.model_dump_json()) == row
    document = json.loads(text_of(audit_of(row)))
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    (finding,) = document["claims"][0]["findings"]
    expected = None if math.isnan(estimate) else str(estimate) if math.isinf(estimate) else estimate
    assert finding["estimate"] == expected
    assert finding["values"] == [expected, None]
    assert finding["region"]["hi"] == "inf"


@pytest.mark.parametrize("half", ["\ud800", "\x1b"])
def test_text_that_json_cannot_hold_is_written_out(half: str) -> None:
    found = Finding(half, 1.0, (0.5, 1.5), None, method=half, note=half, extra={half: 1.0})
    row = replace(outcome(1.0, None), findings=(found,)).row()
    assert ItemRow.model_validate_json(row.model_dump_json()) == row
    (part,) = row.findings
    assert {part.name, part.method, part.note, *part.extra} == {ascii(half)[1:-1]}


def test_the_smoke_tier_has_neither_interval_nor_p() -> None:
    (finding,) = outcome(1.0, (0.5, 1.5), "smoke").row().findings
    assert (finding.ci, finding.p, finding.smallest_p) == (None, None, None)
    assert finding.estimate == 1.0


def test_an_interval_whose_ends_are_exchanged_is_refused() -> None:
    with pytest.raises(ValueError, match="lower end 2 is above its upper end 1"):
        FindingPart(ci=(2.0, 1.0))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    audit = audit_of(outcome(1.0, (0.5, math.inf)).row())
    write_audit(tmp_path / "a.json", audit)
    assert load_audit(tmp_path / "a.json") == audit
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == 1
