"""Merging controls, Holm, Benjamini-Hochberg, the JSON file and the table."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import Audit, ItemRow, write_audit
from omnigrok.audit.summary import is_neutral, merge
from omnigrok.errors import BadInput
from omnigrok.report.terminal import WIDTH, lines

# Headline claims by protocol, as a suite gives them.
HEADLINE = {
    "paper": ["toy.a", "toy.b", "toy.c", "toy.d", "toy.e", "toy.f", "toy.g"],
    "corrected": ["toy.a", "toy.b", "toy.c"],
}


def outcome(
    name: str,
    verdict: str,
    role: str = "claim",
    p: float | None = None,
    tier: str = "paper",
    protocol: str = "paper",
) -> ItemRow:
    region = {"lo": 0.0, "hi": "inf", "closed": False, "text": "> 0"}
    finding = {
        "name": "f",
        "estimate": 1.0,
        "ci": [0.5, 1.5],
        "p": p,
        "n": 10,
        "censored": 0,
        "smallest_p": 0.001,
        "level": 0.95,
        "values": [1.0],
        "region": region,
        "verdict": verdict,
        "decides": True,
        "method": "",
        "note": "",
        "extra": {},
    }
    fields = {
        "id": name,
        "figure": "x",
        "protocol": protocol,
        "tier": tier,
        "role": role,
        "verdict": verdict,
        "reason": "r",
        "findings": [finding],
        "cost": {"runs": 1, "steps": 10, "seconds": 2.0},
        "scale": "full",
        "stale": 0,
    }
    return ItemRow.model_validate(fields)


def at(lo: float, estimate: float, ci: tuple[float, float], control: bool = False) -> ItemRow:
    """An item whose finding has this region, from ``lo`` on."""
    found = outcome("toy.a", "INCONCLUSIVE", role="control" if control else "claim")
    part = found.findings[0]
    assert part.region is not None
    region = part.region.model_copy(update={"lo": lo})
    part = part.model_copy(
        update={"region": region, "estimate": estimate, "ci": ci, "verdict": "INCONCLUSIVE"}
    )
    return found.model_copy(update={"findings": [part], "edge": ["f"] if control else []})


@pytest.mark.parametrize(
    ("lo", "claim", "ci", "neutral"),
    [
        (1.0, 3.1, (0.5, 1.5), True),
        # Nearer than the control's width in logarithms, not in numbers.
        (1.0, 2.9, (0.5, 1.5), False),
        (1.0, 9.0, (1.1, 1.5), False),
        (0.0, 1.1, (-0.5, 0.5), True),
        (0.0, 0.9, (-0.5, 0.5), False),
        (-1.0, 0.2, (-1.5, -0.5), True),
        (1.0, math.inf, (0.5, 1.5), False),
    ],
)
def test_a_control_on_the_edge_is_neutral_where_it_is_narrower_than_the_claim_is_far(
    lo: float, claim: float, ci: tuple[float, float], neutral: bool
) -> None:
    control = at(lo, sum(ci) / 2, ci, control=True)
    assert is_neutral(at(lo, claim, ci), control) == neutral
    elsewhere = control.model_copy(update={"edge": []})
    assert not is_neutral(at(lo, claim, ci), elsewhere)


def pair(name: str, verdict: str, control: str = "REFUTED", **more: Any) -> list[ItemRow]:
    return [outcome(name, verdict, **more), outcome(name, control, role="control")]


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("REFUTED", "REPRODUCED"),
        ("INCONCLUSIVE", "REPRODUCED"),
        ("REPRODUCED", "ERROR"),
        ("ERROR", "ERROR"),
    ],
)
def test_control_decides_over_its_claim(control: str, expected: str) -> None:
    (row,) = merge(pair("a.b", "REPRODUCED", control))
    assert row.verdict == expected
    assert row.control.verdict == control


def test_holm_among_headline_claims_decides() -> None:
    rows = {
        row.id: row
        for row in merge(
            pair("toy.a", "REPRODUCED", p=0.02) + pair("a.b", "REPRODUCED", p=0.04),
            headline=HEADLINE,
        )
    }
    assert rows["toy.a"].holm_p == pytest.approx(0.02 * 7)
    assert rows["toy.a"].verdict == "INCONCLUSIVE"
    assert rows["a.b"].verdict == "REPRODUCED"
    assert rows["a.b"].q == pytest.approx(0.04)


def test_holm_lets_small_p_stand() -> None:
    (row,) = merge(pair("toy.b", "REPRODUCED", p=0.001), headline=HEADLINE)
    assert row.verdict == "REPRODUCED"


@pytest.mark.parametrize(
    ("protocol", "size", "verdict"),
    [("paper", 7, "INCONCLUSIVE"), ("code", 5, "INCONCLUSIVE"), ("corrected", 3, "REPRODUCED")],
)
def test_the_family_is_what_has_a_form_under_the_protocol(
    protocol: str, size: int, verdict: str
) -> None:
    family = {protocol: [f"toy.{k}" for k in range(size)]}
    (row,) = merge([outcome("toy.0", "REPRODUCED", p=0.0125, protocol=protocol)], headline=family)
    assert row.holm_p == pytest.approx(0.0125 * size)
    assert row.verdict == verdict


@pytest.mark.parametrize("fate", ["left out", "NOT RUN", "ERROR", "control REPRODUCED"])
def test_a_claim_left_out_or_broken_helps_no_other(fate: str) -> None:
    others = {
        "left out": [],
        "NOT RUN": [outcome("toy.b", "NOT RUN", protocol="corrected")],
        "ERROR": [outcome("toy.b", "ERROR", p=1e-9, protocol="corrected")],
        "control REPRODUCED": [
            outcome("toy.b", "REPRODUCED", p=1e-9, protocol="corrected"),
            outcome("toy.b", "REPRODUCED", "control", protocol="corrected"),
        ],
    }[fate]
    rows = {
        row.id: row
        for row in merge(
            [outcome("toy.a", "REPRODUCED", p=0.02, protocol="corrected"), *others],
            headline=HEADLINE,
        )
    }
    assert rows["toy.a"].holm_p == pytest.approx(0.06)
    assert rows["toy.a"].verdict == "INCONCLUSIVE"


def test_a_member_with_a_small_p_relieves_the_next() -> None:
    both = [
        outcome("toy.a", "REPRODUCED", p=0.02, protocol="corrected"),
        outcome("toy.b", "REFUTED", p=1e-9, protocol="corrected"),
    ]
    rows = {row.id: row for row in merge(both, headline=HEADLINE)}
    assert rows["toy.a"].holm_p == pytest.approx(0.04)
    assert rows["toy.a"].verdict == "REPRODUCED"


def test_smoke_has_no_multiplicity() -> None:
    (row,) = merge(pair("toy.a", "REPRODUCED", p=0.5, tier="smoke"), headline=HEADLINE)
    assert row.verdict == "REPRODUCED"
    assert row.holm_p is None


def test_json_whole_or_not_at_all(tmp_path: Path) -> None:
    rows = merge(pair("a.b", "REPRODUCED"))
    document = Audit(tier="paper", device="cpu", versions={"torch": "2"}, claims=tuple(rows))
    write_audit(tmp_path / "a.json", document)
    loaded = json.loads((tmp_path / "a.json").read_text())
    assert loaded["schema"] == 1
    claim = loaded["claims"][0]
    assert {
        "id",
        "figure",
        "tier",
        "protocol",
        "verdict",
        "reason",
        "findings",
        "control",
        "cost",
    } <= claim.keys()
    assert {"name", "estimate", "ci", "p", "n", "censored"} <= claim["findings"][0].keys()
    with pytest.raises(BadInput, match="cannot be written"):
        write_audit(tmp_path / "none" / "a.json", document)
    assert loaded["claims"][0]["findings"][0]["region"]["hi"] == "inf"
    assert json.loads((tmp_path / "a.json").read_text()) == loaded
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_table_fits_and_explains(tier: str) -> None:
    rows = merge(
        [
            *pair("fig10.transformer-inverse-long", "REFUTED"),
            *pair("a.b", "REPRODUCED"),
            *pair("c.d", "ERROR"),
        ]
    )
    table = list(lines(rows, tier, verbose=1))
    assert max(map(len, table)) <= WIDTH
    assert ("SMOKE TIER" in table[0]) == (tier == "smoke")
    assert table[-1] == f"{tier} tier: 1 REPRODUCED, 1 REFUTED, 1 ERROR"
    for word in ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN"):
        assert any(word in line for line in table)
