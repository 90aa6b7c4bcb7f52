"""The documentation's page for each claim."""

from __future__ import annotations

import pytest

from omnigrok.audit.document import parse
from omnigrok.report.claim_pages import claim_pages
from omnigrok.suite.schema import Claim

from .conftest import SUITE, document, row

PAGES = claim_pages(
    parse(
        document(
            row("fig02.inverse", verdict="REFUTED", reduction="fewer steps", scale="reduced"),
            row("fig02.inverse", "code", "NOT RUN", findings=[]),
            row(
                "fig02.grok",
                universes={"n": 27, "reproduced": 15, "refuted": 12, "shares": {"hold": 0.25}},
            ),
        )
    ),
    SUITE,
)
CLAIMS = [claim for figure in SUITE.figures for claim in figure.claims]


def test_every_claim_has_a_page_and_a_link() -> None:
    assert set(PAGES) == {"index.md", *(f"{claim.id}.md" for claim in CLAIMS)}
    for claim in CLAIMS:
        assert f"[{claim.id}]({claim.id}.md)" in PAGES["index.md"]


def test_a_judged_claim() -> None:
    page = PAGES["fig02.inverse.md"]
    assert page.startswith("# fig02.inverse\n\n> From alpha = 2 the time to generalise")
    assert "It is a headline claim." in page
    assert "| paper | REFUTED ~ | 2 [1, 3] | > 0.5 |  |  | REFUTED | 3 |" in page
    assert "| code | NOT RUN |" in page
    assert "Reduced scale: fewer steps." in page
    assert "| a ratio | 2 [1, 3] | > 0.5 | REFUTED | 10 | 1 | 0.01 | 0.001 |" in page
    assert "### Under `code`" not in page
    assert "pytest claims/ --replay -k fig02.inverse-paper" in page


def test_readings() -> None:
    page = PAGES["fig02.grok.md"]
    assert "| 15 of 27 |" in page
    assert "Of 27 readings: 15 REPRODUCED, 12 REFUTED, 0 INCONCLUSIVE, 0 ERROR." in page
    assert "by choice: hold 25%." in page


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_what_the_yaml_says_of_it(claim: Claim) -> None:
    page = PAGES[f"{claim.id}.md"]
    for name in (*claim.criterion, *claim.universes):
        assert f"* `{name}`: " in page
    assert page.count("\n* ") >= len(claim.criterion) + len(claim.experiments) + len(claim.history)
    assert ("## History of the criterion" in page) == bool(claim.history)
    assert ("Premise: " in page) == bool(claim.premise)
