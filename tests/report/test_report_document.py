"""Reading an audit back: anything but an audit is refused with the file and the key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit import document as module
from omnigrok.audit.document import load_audit, parse
from omnigrok.errors import BadInput

from .conftest import document, row


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_infinities_and_gaps(tmp_path: Path) -> None:
    finding = {
        **row("a.b")["findings"][0],
        "values": [1.0, None, "inf"],
        "ci": [None, "inf"],
        "estimate": None,
    }
    audit = load_audit(write(tmp_path / "a.json", document(row("a.b", findings=[finding]))))
    found = audit.claims[0].findings[0]
    assert found.values == (1.0, None, math.inf)
    assert found.ci == (None, math.inf)
    assert found.region is not None
    assert found.region.hi == math.inf


def test_the_deciding_finding_is_the_one_with_the_verdict() -> None:
    base = row("a.b")["findings"][0]
    first, second = {**base, "name": "x"}, {**base, "name": "y", "verdict": "REFUTED"}
    shown = {**first, "name": "z", "decides": False, "verdict": "REFUTED"}
    (refuted,) = parse(
        document(row("a.b", verdict="REFUTED", findings=[shown, first, second]))
    ).claims
    assert refuted.deciding() is not None
    assert refuted.deciding().name == "y"  # type: ignore[union-attr]
    (error,) = parse(document(row("a.b", verdict="ERROR", findings=[shown, first]))).claims
    assert error.deciding().name == "x"  # type: ignore[union-attr]
    (empty,) = parse(document(row("a.b", verdict="ERROR", findings=[]))).claims
    assert empty.deciding() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "MAYBE"}, "claims.0.verdict"),
        ({"id": "<script>"}, "claims.0.id"),
        ({"id": "a b"}, "claims.0.id"),
        ({"protocol": "Mine!"}, "claims.0.protocol"),
        ({"findings": [{"values": ["many"]}]}, "claims.0.findings.0.values"),
        (
            {"findings": [{"ci": [2.0, 1.0]}]},
            r"claims.0.findings.0.ci.* lower end 2 is above its upper end 1",
        ),
        ({"findings": 3}, "claims.0.findings"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write(
        tmp_path / "a.json",
        document(row("a.b", **{key: value for key, value in change.items() if key != "id"})),
    )
    content = json.loads(path.read_text())
    content["claims"][0].update(change)
    with pytest.raises(BadInput, match=said) as caught:
        load_audit(write(path, content))
    assert str(path) in str(caught.value)


def test_a_claim_twice(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.b is listed twice under protocol paper"):
        load_audit(write(tmp_path / "a.json", document(row("a.b"), row("a.b"))))


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 10)
    with pytest.raises(BadInput, match="larger than 10 bytes"):
        load_audit(write(tmp_path / "a.json", document()))


def test_nested_too_deeply(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" * 200_000)
    with pytest.raises(BadInput, match=r"a\.json"):
        load_audit(path)
