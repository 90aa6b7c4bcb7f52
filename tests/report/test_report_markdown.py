"""The verdict table of a README."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.document import load_audit, parse
from omnigrok.calibration.registry import power_by_claim
from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.report.markdown import (
    experiments_of,
    headline_table,
    plain,
    table,
    without_versions,
)
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"


def row(name: str, protocol: str, verdict: str, **more: Any) -> dict[str, Any]:
    finding = {
        "estimate": 2.0,
        "ci": [1.0, 3.0],
        "n": 10,
        "decides": True,
        "verdict": verdict,
        "region": {"text": "> 0.5"},
        "values": [2.0],
    }
    return {
        "id": name,
        "protocol": protocol,
        "verdict": verdict,
        "findings": [finding],
        "reason": "",
        **more,
    }


DOCUMENT = {
    "schema": 1,
    "tier": "paper",
    "device": "replay",
    "versions": {"torch": "2.13"},
    "claims": [
        row("a.b", "paper", "REPRODUCED", scale="reduced"),
        row("a.b", "code", "REFUTED", stale=3),
        row("c.d", "paper", "NOT RUN"),
    ],
}


def test_table() -> None:
    text = table(parse(DOCUMENT))
    assert "| a.b | REPRODUCED ~ | REFUTED ! | 2 [1, 3] (> 0.5) |  | 10 |  |" in text
    assert "NOT RUN (1): c.d." in text
    assert "torch 2.13" in text


def test_the_effect_has_the_name_of_its_finding() -> None:
    found = row("a.b", "paper", "REPRODUCED")
    found["findings"][0]["name"] = "t_test / t_train"
    text = table(parse({**DOCUMENT, "claims": [found]}))
    assert "| a.b | REPRODUCED | t_test / t_train: 2 [1, 3] (> 0.5) |" in text


def test_a_weak_control_marks_the_verdict_and_a_neutral_one_does_not() -> None:
    weak = row("a.b", "paper", "REPRODUCED", scale="reduced", control={"verdict": "INCONCLUSIVE"})
    neutral = row("c.d", "paper", "REFUTED", control={"verdict": "INCONCLUSIVE", "neutral": True})
    text = table(parse({**DOCUMENT, "claims": [weak, neutral]}))
    assert "| a.b | REPRODUCED ~ ° |" in text
    assert "| c.d | REFUTED |" in text


def test_readings_without_a_value_are_counted_apart() -> None:
    curve = [[1.0, 0.5, 2.0, "REPRODUCED", "a 1"], [None, None, None, "INCONCLUSIVE", "a 2"]]
    part = {"n": 2, "reproduced": 1, "inconclusive": 1, "curve": curve}
    one, other = (
        row(name, "paper", "REPRODUCED", universes=found)
        for name, found in (("a.b", part), ("c.d", {**part, "curve": curve[:1]}))
    )
    text = table(parse({**DOCUMENT, "claims": [one, other]}))
    assert "| 10 | 1 of 1, 1 without a value |" in text
    assert "| 10 | 1 of 2 |" in text


def test_headline_claims_in_the_order_of_the_suite_and_scales_apart() -> None:
    document = {
        **DOCUMENT,
        "claims": [
            row(
                "a.b",
                "paper",
                "REPRODUCED",
                scale="reduced",
                statement="Sums | are learned.",
                reported="about 2",
            ),
            row("a.b", "code", "REFUTED"),
            row("c.d", "paper", "NOT RUN", findings=[], statement="Later."),
            row("e.f", "paper", "INCONCLUSIVE"),
        ],
        "suite": {"headline": {"paper": ["c.d", "a.b"], "code": ["a.b"]}},
    }
    assert headline_table(parse(document)).splitlines() == [
        "Under `paper`, 2 of 3 claims have evidence.",
        "At full scale: 1 INCONCLUSIVE.",
        "At reduced scale: 1 REPRODUCED.",
        "",
        "| headline claim | paper | code | what decides | reported | robust |",
        "|---|---|---|---|---|---|",
        "| **c.d** Later. | NOT RUN |  |  |  |  |",
        "| **a.b** Sums / are learned. | REPRODUCED ~ | REFUTED | 2 [1, 3] (> 0.5) | about 2 |  |",
    ]


def test_experiments_and_costs_come_from_the_figures() -> None:
    document = {
        **DOCUMENT,
        "claims": [row("fig02.grok", "paper", "REPRODUCED"), row("fig03.grok", "paper", "NOT RUN")],
    }
    text = table(parse(document), load_suite(CLAIMS))
    assert "| 10 |  |  | large, small |" in text
    assert "Claims without evidence: 1." in text
    assert re.search(r"^\| fig03.grok \| [\d,]+ \| [\d,]+ \| \d\.\de\+\d+ \|$", text, re.MULTILINE)
    assert "NOT RUN (1)" not in text


def test_what_is_undecided_has_its_power_beside_it() -> None:
    document = {
        **DOCUMENT,
        "claims": [
            row("fig02.inverse", "code", "INCONCLUSIVE"),
            row("x.y", "paper", "INCONCLUSIVE"),
        ],
    }
    text = table(parse(document), None, {"fig02.inverse": "95 %"})
    assert re.search(
        r"^Power of those that are INCONCLUSIVE.*: fig02.inverse 95 %\. Not simulated: x\.y\. "
        r"Verdicts marked `~` .* was not simulated\.$",
        text,
        re.MULTILINE,
    )
    assert "Power" not in table(parse({**document, "tier": "smoke"}), None, {})
    assert "Power" not in table(parse(DOCUMENT), None, {})


def test_an_experiment_of_another_figure_is_named_with_it() -> None:
    assert "fig08:landscape" in experiments_of(load_suite(CLAIMS))["fig06.path"]
    assert "fine" in experiments_of(load_suite(CLAIMS))["fig06.path"]


def test_versions_do_not_make_a_table_old() -> None:
    one, other = (f"x judged with torch {version}, numpy 2.\ny" for version in ("2.13", "2.14"))
    assert without_versions(one) == without_versions(other)
    assert without_versions(one) != without_versions(other.replace("y", "z"))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"claims": 3}', '{"schema": 99, "claims": []}', "\xff"]
)
def test_what_is_no_audit(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(BadInput, match=r"a\.json"):
        load_audit(path)


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENT))
    done = CliRunner().invoke(main, ["report", str(path), "--claims", str(CLAIMS)])
    suite = load_suite(CLAIMS)
    assert done.output == table(parse(DOCUMENT), suite, power_by_claim(suite))
    assert CliRunner().invoke(main, ["report", str(tmp_path / "none.json")]).exit_code == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("[x](javascript:alert(1))", "[x&#93;(javascript:alert(1))"),
        ("![x](https://a.b/c.png)", "&#33;[x&#93;(https&#58;//a.b/c.png)"),
        ("www.evil.example a@b.example", "www&#46;evil.example a&#64;b.example"),
        ("**bold** _it_ ~~gone~~ `code`", "&#42;&#42;bold&#42;&#42; &#95;it&#95; "
         "&#126;~gone&#126;~ &#96;code&#96;"),
        ("&lt;b&gt; a | b \\| c", "&amp;lt;b&amp;gt; a / b &#92;/ c"),
        ("one\ntwo", "one two"),
        ("test_acc 2 [1, 3] (> 0.5); p < 5, a * b, R&D", "test_acc 2 [1, 3] (> 0.5); p < 5, a * b, "
         "R&D"),
    ],
)  # fmt: skip
def test_foreign_text_does_nothing(text: str, shown: str) -> None:
    assert plain(text) == shown
