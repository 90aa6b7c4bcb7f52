"""The project's own list of the paper's claims, and that each is a running check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnigrok.suite.suite import load_suite

ROOT = Path(__file__).parents[2]
CLAIMS = [
    "concl.LU",
    "concl.everywhere",
    "concl.most-dramatic",
    "concl.representation",
    "fig02.decay",
    "fig02.grok",
    "fig02.inverse",
    "fig02.large-reg",
    "fig02.no-reg",
    "fig02.norm-at-grok",
    "fig02.predict",
    "fig02.small-init",
    "fig02.test-U",
    "fig02.train-L",
    "fig02.train-flat",
    "fig03.LU-milder",
    "fig03.LU-small",
    "fig03.critical",
    "fig03.decay",
    "fig03.degrok-data",
    "fig03.degrok-dynamics",
    "fig03.grok",
    "fig03.larger-norm",
    "fig03.thumb",
    "fig03.time-vs-N",
    "fig03.zone-broadens",
    "fig04.grok",
    "fig04.mismatch-small",
    "fig04.no-grok-large",
    "fig04.rise-is-optimisation",
    "fig04.similar-large",
    "fig04.standard",
    "fig05.grok",
    "fig05.implicit",
    "fig05.mismatch-small",
    "fig05.no-grok-large",
    "fig05.similar-large",
    "fig05.standard",
    "fig06.data-size",
    "fig06.more-data-faster",
    "fig06.path",
    "fig06.regions",
    "fig06.test-depends-on-m",
    "fig06.time",
    "fig06.time-eta",
    "fig06.wc-order",
    "fig07.degrok-constraint",
    "fig07.norm-hump",
    "fig07.norm-tracks",
    "fig08.accuracy-range",
    "fig08.no-grok",
    "fig08.similar",
    "fig08.weak-m",
    "fig09.LU",
    "fig09.critical",
    "fig10.mnist-high",
    "fig10.mnist-inverse",
    "fig10.mnist-low",
    "fig10.seed-offset",
    "fig10.transformer-inverse",
    "fig11.ce-LU",
    "fig11.ce-broader",
    "fig11.ce-milder",
    "fig12.ce-plateau",
    "fig12.needs-alpha",
]

HEADLINE = (
    "fig02.train-L",
    "fig02.test-U",
    "fig02.inverse",
    "fig10.transformer-inverse",
    "fig07.degrok-constraint",
    "fig03.critical",
    "fig09.critical",
)


def test_every_claim_has_an_entry_and_no_other_is_there() -> None:
    assert sorted(
        claim.id for figure in load_suite(ROOT / "claims").figures for claim in figure.claims
    ) == sorted(CLAIMS)


def test_every_entry_has_a_check_and_every_check_an_entry() -> None:
    for figure in load_suite(ROOT / "claims").figures:
        source = (ROOT / "claims" / f"test_{figure.figure}.py").read_text()
        assert sorted(re.findall(r'^@claim\("([^"]+)"\)', source, re.MULTILINE)) == sorted(
            claim.id for claim in figure.claims
        )


def test_the_headline_family() -> None:
    """Fixed here as well: a claim that joins or leaves it changes the others' correction."""
    suite = load_suite(ROOT / "claims")
    assert {protocol: set(suite.headline(protocol)) for protocol in suite.protocols} == {
        "paper": set(HEADLINE),
        "code": {*HEADLINE} - {"fig10.transformer-inverse", "fig09.critical"},
        "corrected": {"fig02.train-L", "fig02.test-U", "fig03.critical"},
    }


def test_the_list_is_the_one_of_the_specification() -> None:
    path = ROOT.parent / "shared" / "CLAIMS.md"
    if not path.exists():
        pytest.skip(
            "the specification CLAIMS.md is not beside this clone; the project's own list is "
            "checked above"
        )
    listed = re.findall(r"^\| ((?:fig\d+|concl)\.[A-Za-z0-9-]+)", path.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(CLAIMS)
