"""The table in the terminal: it fits, every letter is explained, the counts come last."""

from __future__ import annotations

import re
from typing import Any

import pytest

from omnigrok.audit.document import Row
from omnigrok.report.terminal import EXPLAIN, LETTERS, lines


def row(verdict: str, control: str = "REFUTED", **more: Any) -> Row:
    finding = {
        "name": "a very long name of a finding " * 5,
        "estimate": 123456.789,
        "ci": [1234.5678, 1e12],
        "p": 1e-7,
        "smallest_p": 0.001,
        "n": 10,
        "decides": True,
        "verdict": verdict,
        "region": {"text": "inside [0.123456, 9876.5]"},
        "values": [1.0, None],
        "note": "n" * 200,
    }
    fields = {
        "id": "fig10.a-claim-with-an-exceptionally-long-name",
        "protocol": "corrected",
        "verdict": verdict,
        "reason": "why " * 80,
        "findings": [finding],
        "control": {"verdict": control},
        "cost": {"seconds": 98765.4},
        **more,
    }
    return Row.model_validate(fields)


@pytest.mark.parametrize("tier", ["smoke", "paper"])
@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("width", [72, 80, 100, 120])
def test_it_fits(tier: str, verbose: int, width: int) -> None:
    rows = [row(verdict, scale="reduced", stale=3) for verdict in LETTERS]
    text = list(lines(rows, tier, verbose, width=width))
    assert max(map(len, text)) <= width
    coloured = list(lines(rows, tier, verbose, width=width, colour=True))
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == text
    assert coloured != text
    flags = "~!" if tier == "paper" else "!"
    assert sum(f"{flags} corrected" in line for line in text) == len(rows)
    assert len(text) > len(rows)


@pytest.mark.parametrize("width", [80, 120])
def test_the_criterion_is_never_cut(width: int) -> None:
    text = "\n".join(lines([row("REFUTED")], "paper", width=width))
    for part in ("1.23e+05", "[1.23e+03,", "1e+12]", "(inside", "[0.123456,", "9876.5])"):
        assert part in text


def test_a_reason_is_cut_with_a_sign() -> None:
    (found,) = [line for line in lines([row("NOT RUN")], "paper") if "why" in line]
    assert found.count("…") == 1


def test_every_letter_is_explained() -> None:
    text = list(lines([row("REPRODUCED", "INCONCLUSIVE")], "paper"))
    explained = {line[0] for line in text if line[:2] in {f"{letter} " for letter in EXPLAIN}}
    assert explained == set(LETTERS.values())
    assert not any(line.startswith(("~ ", "! ")) for line in text)
    marked = list(lines([row("REFUTED", scale="reduced", stale=1)], "paper"))
    assert any(line.startswith("~ reduced scale") for line in marked)
    assert any(line.startswith("! stale") for line in marked)


def test_v_shows_findings() -> None:
    quiet, loud = (list(lines([row("REFUTED")], "paper", verbose)) for verbose in (0, 1))
    assert next(line for line in loud if line not in quiet).startswith(
        "    a very long name of a finding"
    )


def test_the_last_line_is_the_sum() -> None:
    text = list(lines([row("REFUTED"), row("REFUTED"), row("ERROR")], "smoke"))
    assert text[-1] == "smoke tier: 2 REFUTED, 1 ERROR"
    assert text[0].startswith("SMOKE TIER")
