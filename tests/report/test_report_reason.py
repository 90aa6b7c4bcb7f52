"""Why a claim has its verdict, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from omnigrok.audit.document import Row
from omnigrok.report.reason import reason

REGION = {"lo": 0.9, "hi": 1.1, "text": "inside [0.9, 1.1]"}


def finding(**more: Any) -> dict[str, Any]:
    return {
        "name": "a ratio",
        "estimate": 1.0,
        "ci": (0.95, 1.05),
        "region": REGION,
        "decides": True,
        "verdict": "REPRODUCED",
        **more,
    }


def row(verdict: str, *findings: dict[str, Any], **more: Any) -> Row:
    content = {"id": "a.b", "protocol": "paper", "reason": "because", **more}
    return Row.model_validate({**content, "verdict": verdict, "findings": findings})


SHOWN = "a ratio: 1 [0.95, 1.05], where the claim needs a value inside [0.9, 1.1]"


@pytest.mark.parametrize(
    ("verdict", "ending"),
    [
        ("REPRODUCED", "the 95% interval lies inside."),
        ("REFUTED", "the 95% interval lies outside."),
        ("INCONCLUSIVE", "the 95% interval lies neither inside nor outside."),
    ],
)
def test_the_interval_and_the_region(verdict: str, ending: str) -> None:
    assert reason(row(verdict, finding(verdict=verdict))) == f"{SHOWN}: {ending}"


def test_claims_of_equality_have_a_narrower_interval() -> None:
    assert "the 90% interval" in reason(row("REPRODUCED", finding(level=0.9)))


@pytest.mark.parametrize(
    ("verdict", "ending"),
    [
        ("REPRODUCED", "every seed lies inside."),
        ("REFUTED", "every seed lies outside."),
        ("INCONCLUSIVE", "the seeds do not agree."),
    ],
)
def test_smoke_speaks_of_seeds(verdict: str, ending: str) -> None:
    part = finding(verdict=verdict, ci=None, values=(0.9, 1.2))
    text = reason(row(verdict, part, tier="smoke"))
    assert text.startswith("a ratio: 0.9 to 1.2, where")
    assert text.endswith(ending)


@pytest.mark.parametrize(
    ("others", "ending"),
    [
        (["REPRODUCED"], "inside; so does the other part."),
        (["REPRODUCED"] * 2, "inside; so do the other 2 parts."),
        (["REPRODUCED", "INCONCLUSIVE"], "inside; other parts: 1 INCONCLUSIVE, 1 REPRODUCED."),
    ],
)
def test_other_parts_are_counted(others: list[str], ending: str) -> None:
    parts = [finding(), *(finding(name="other", verdict=each) for each in others)]
    shown_only = finding(name="sensitivity", verdict="REFUTED", decides=False)
    assert reason(row("REPRODUCED", *parts, shown_only)).endswith(ending)


def test_what_holds_a_verdict_back() -> None:
    text = reason(row("INCONCLUSIVE", finding(), holm_p=0.3))
    assert text == f"{SHOWN}; points to REPRODUCED; Holm p = 0.3."


def test_a_premise_that_is_not_met() -> None:
    premise = finding(name="overfits", premise=True, decides=False, verdict="REFUTED")
    text = reason(row("INCONCLUSIVE", finding(), premise))
    assert text.startswith("overfits: 1 [0.95, 1.05]")
    assert text.endswith("as its premise, which is not met.")


def test_no_value() -> None:
    text = reason(row("INCONCLUSIVE", finding(estimate=None, ci=(None, None), verdict=None)))
    assert text == (
        "a ratio has no value in these runs, where the claim needs a value inside [0.9, 1.1]."
    )


@pytest.mark.parametrize("verdict", ["ERROR", "NOT RUN"])
def test_without_a_verdict_the_audits_own_reason(verdict: str) -> None:
    assert reason(row(verdict, finding())) == "because."
    assert reason(row("REFUTED", finding(region=None))) == "because."
    assert reason(row(verdict, reason="")) == ""
