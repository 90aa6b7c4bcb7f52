"""The README's figure: it shows the verdicts of the audit that it was drawn from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.paper.main_claim import main

from .conftest import document, row

ROOT = Path(__file__).parents[2]


def decided(name: str, estimate: float, verdict: str = "REPRODUCED") -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "estimate": estimate,
            "ci": [estimate - 1, estimate + 1],
            "n": 10,
            "decides": True,
            "verdict": verdict,
        }
    ]


ROWS = {
    "fig02.train-L": row("fig02.train-L", findings=decided("break", 11)),
    "fig02.test-U": row("fig02.test-U", scale="reduced", findings=decided("bottom", 22)),
    "fig02.grok": row("fig02.grok", verdict="REFUTED", findings=decided("r", 33, "REFUTED")),
    "fig02.inverse": row("fig02.inverse", findings=decided("exponent: upper half", 44)),
}


def draw(folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> tuple[str, str]:
    """(what the command says, the drawing), from some rows and the recorded evidence."""
    monkeypatch.chdir(ROOT)
    tier = changed.pop("tier", "paper")
    rows = [each for name, each in ROWS.items() if changed.get(name, each)]
    rows = [changed.get(each["id"]) or each for each in rows]
    audit, target = folder / "a.json", folder / "figure.svg"
    audit.write_text(json.dumps(document(*rows, tier=tier)))
    done = CliRunner().invoke(main, [str(audit), str(target)])
    return done.output, target.read_text() if target.exists() else ""


def test_it_shows_each_verdict_and_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, svg = draw(tmp_path, monkeypatch)
    assert said == ""
    shown = " ".join(re.findall(r">([^<>]+)<", svg))
    for text in (
        "REPRODUCED, bend at α = 11 [10, 12]",
        "REPRODUCED ~, bottom at α = 22 [21, 23]",
        "REFUTED, t_test / t_train = 33 [32, 34]",
        "exponent 44 [43, 45]",
    ):
        assert text in shown
    assert svg.startswith("<svg")
    assert "prefers-color-scheme:dark" in svg
    assert "currentColor" in svg


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fig02.grok": {}}, "the audit has no claim fig02.grok under protocol paper"),
        (
            {"fig02.inverse": row("fig02.inverse", findings=decided("lower half", 1))},
            "fig02.inverse was not decided by 'upper half': rewrite its sentence",
        ),
        ({"tier": "smoke"}, "this audit is of the smoke tier"),
    ],
    ids=["absent", "decided by another finding", "smoke"],
)
def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], message: str
) -> None:
    said, svg = draw(tmp_path, monkeypatch, **changed)
    assert message in said
    assert svg == ""
