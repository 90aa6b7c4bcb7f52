"""Sentences whose numbers come from an audit, and that fail when the audit no longer says what they
say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import Audit, parse
from omnigrok.errors import BadInput
from omnigrok.report.findings import TEMPLATE, findings_text


def finding(name: str, estimate: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "estimate": estimate,
        "ci": [estimate - 1, estimate + 1],
        "n": 5,
        "decides": False,
        **more,
    }


AUDIT = parse(
    {
        "tier": "paper",
        "claims": [
            {
                "id": "a.b",
                "protocol": "paper",
                "verdict": "REFUTED",
                "findings": [
                    finding("exponent, lower half", -1.0),
                    finding("exponent, upper half", -3.0, decides=True, verdict="REFUTED"),
                ],
            },
            {"id": "c.d", "protocol": "code", "verdict": "NOT RUN"},
        ],
    }
)


def told(folder: Path, text: str, audit: Audit = AUDIT) -> str:
    (folder / TEMPLATE).write_text(text)
    return findings_text(folder, audit)


def test_numbers_are_filled_in(tmp_path: Path) -> None:
    text = (
        'It is {{ effect("a.b", "paper", "upper") }}, below {{ effect("a.b", "paper", '
        '"lower|exponent") }} <i>.\n'
    )
    assert told(tmp_path, text) == "It is -3 [-4, -2], below -1 [-2, 0] <i>.\n"


def test_without_words_the_deciding_finding(tmp_path: Path) -> None:
    assert told(tmp_path, '{{ effect("a.b", "paper") }}') == "-3 [-4, -2]"


def test_a_name_in_full_means_that_finding_among_longer_ones(tmp_path: Path) -> None:
    findings = [finding("slope", 1.0), finding("slope, map smoothed", 2.0)]
    audit = parse(
        {
            "tier": "paper",
            "claims": [
                {"id": "a.b", "protocol": "paper", "verdict": "REFUTED", "findings": findings}
            ],
        }
    )
    assert told(tmp_path, '{{ effect("a.b", "paper", "slope") }}', audit) == "1 [0, 2]"
    assert told(tmp_path, '{{ effect("a.b", "paper", "slope|smoothed") }}', audit) == "2 [1, 3]"
    with pytest.raises(BadInput, match="has 2 findings named 'slop'"):
        told(tmp_path, '{{ effect("a.b", "paper", "slop") }}', audit)


def test_digits(tmp_path: Path) -> None:
    assert told(tmp_path, '{{ effect("a.b", "paper", "lower", digits=1) }}') == "-1 [-2, 0]"
    audit = parse(
        {
            "tier": "paper",
            "claims": [
                {
                    "id": "a.b",
                    "protocol": "paper",
                    "verdict": "REFUTED",
                    "findings": [finding("x", 1.23456)],
                }
            ],
        }
    )
    assert (
        told(tmp_path, '{{ effect("a.b", "paper", "x", digits=5) }}', audit)
        == "1.2346 [0.23456, 2.2346]"
    )


def test_a_sentence_for_another_verdict_fails(tmp_path: Path) -> None:
    assert told(tmp_path, '{{ stands("a.b", "paper", "REFUTED") }}x') == "x"
    with pytest.raises(
        BadInput, match=r"written for a\.b under paper being REPRODUCED; it is REFUTED"
    ):
        told(tmp_path, '{{ stands("a.b", "paper", "REPRODUCED") }}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{{ effect("x.y", "paper") }}', "no claim 'x.y' under protocol 'paper'"),
        ('{{ effect("a.b", "code") }}', "no claim 'a.b' under protocol 'code'"),
        ('{{ effect("a.b", "paper", "exponent") }}', "has 2 findings named 'exponent'"),
        (
            '{{ effect("a.b", "paper", "middle") }}',
            "has 0 findings named 'middle'; it has: exponent, lower half",
        ),
        ('{{ effect("c.d", "code") }}', "is NOT RUN and has no finding"),
        ("{{ effect(", "unexpected"),
        ("{{ unknown }}", "'unknown' is undefined"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("(", r"\(")):
        told(tmp_path, text)


def test_no_template(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"findings\.md\.j2: cannot be read"):
        findings_text(tmp_path, AUDIT)


def test_list_items_are_filled_to_100_columns(tmp_path: Path) -> None:
    words = "word " * 30
    text = told(tmp_path, f"# Title\n\n* {words}\n  {{{{ effect('a.b', 'paper') }}}}\n* short\n")
    lines = text.splitlines()
    assert lines[:2] == ["# Title", ""]
    assert [len(line) <= 100 for line in lines] == [True] * len(lines)
    assert [line[:2] for line in lines[2:]] == ["* ", "  ", "* "]
    assert " ".join(text.split()).endswith("word -3 [-4, -2] * short")
