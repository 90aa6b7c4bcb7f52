"""The page: self-contained, escaped, honest about its tier, written whole or not at all."""

from __future__ import annotations

import builtins
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import parse
from omnigrok.errors import BadInput
from omnigrok.report.page import draw_all, render, write_page
from omnigrok.suite.suite import load_suite

from .conftest import CLAIMS, document, row

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Links(HTMLParser):
    """Ids, targets within the page, and anything that would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "xlink:href", "src"):
                assert value is not None
                (self.targets if value.startswith("#") else self.fetched).append(value)


def toy_page(*rows: dict[str, Any], **more: Any) -> str:
    return render(parse(document(*rows, **more)), load_suite(CLAIMS), [], {})


def test_nothing_is_fetched_and_every_link_arrives(page: Path) -> None:
    found = Links(page.read_text())
    assert all(each.startswith("data:image/png;base64,") for each in found.fetched)
    assert {target.removeprefix("#") for target in found.targets} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert "script" not in found.tags
    assert "url(http" not in page.read_text()


def test_every_panel_and_every_claim_is_there(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall(r"<figure ", text)) == 35
    for figure in load_suite(CLAIMS).figures:
        for claim in figure.claims:
            assert f'<article class="card" id="{claim.id}"' in text
            assert f"<pre>pytest claims/test_{figure.figure}.py -k {claim.id}-paper</pre>" in text
    assert text.count('role="img"') >= 35


def test_smoke_is_unmistakable(page: Path) -> None:
    text = page.read_text()
    assert "<title>SMOKE TIER:" in text
    assert "this is no evidence for or against the paper" in text
    claims, drawings = text.count('<article class="card"'), text.count("<figure ")
    assert text.count("smoke tier, no evidence</span>") == claims + drawings
    assert "moke tier" not in toy_page(row("a.b"))


def test_hostile_text_is_escaped() -> None:
    bad = {
        "statement": HOSTILE,
        "place": HOSTILE,
        "reason": HOSTILE,
        "reduction": HOSTILE,
        "scale": "reduced",
    }
    finding = {
        **row("a.b")["findings"][0],
        "name": HOSTILE,
        "note": HOSTILE,
        "region": {"lo": 0, "hi": 1, "text": HOSTILE},
    }
    control = {"verdict": "REFUTED", "reason": HOSTILE, "findings": []}
    content = document(
        row("a.b", figure=HOSTILE, findings=[finding], control=control, **bad), device=HOSTILE
    )
    text = render(parse({**content, "versions": {HOSTILE: HOSTILE}}), load_suite(CLAIMS), [], {})
    found = Links(text)
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert found.fetched == []
    assert "onerror=alert(2)&gt;" in text


def test_protocols_side_by_side_and_marks() -> None:
    text = toy_page(
        row("a.b", verdict="REFUTED", scale="reduced", reduction="fewer steps"),
        row("a.b", "code", verdict="NOT RUN", findings=[], reason="no recorded evidence of it"),
    )
    assert text.count('<article class="card"') == 1
    assert "fewer steps" in text
    assert "no recorded evidence of it" in text
    assert "2 [1, 3]" in text
    assert "3 runs, 90.0 seconds (1 shared)" in text
    assert "--tier paper" in text


def test_a_recorded_deviation_is_explained(tmp_path: Path) -> None:
    for path in (CLAIMS / "audit.yaml", *CLAIMS.glob("*fig02*.*")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    entry = (
        "claim: fig02.inverse, tier: paper, protocol: paper, version: 2, finding: the exponent, "
        "interval: [-0.9, -0.8]"
    )
    (tmp_path / "deviations.yaml").write_text(
        f"- {{{entry}, evidence: abc, why: the law bends at large decay}}\n"
    )
    audit = parse(
        document(
            row("fig02.inverse", verdict="REFUTED", figure="fig02_teacher_student"),
            row("fig02.inverse", "code"),
        )
    )
    text = render(audit, load_suite(tmp_path), [], {})
    assert text.count("Recorded deviation") == 1
    assert "the law bends at large decay" in text
    assert "[-0.9, -0.8]" in text


def test_only_deciding_findings_count_seeds_and_censored() -> None:
    decides = row("a.b")["findings"][0]
    text = toy_page(
        row("a.b", findings=[decides, {**decides, "decides": False, "censored": 70, "n": 99}])
    )
    table = text[text.index('class="lines short"') :]
    table = table[: table.index("</table>")]
    assert '<td class="n">10</td><td class="n">1</td>' in table
    assert "70" not in table


def test_replay_says_so() -> None:
    text = toy_page(row("fig02.inverse", figure="fig02_teacher_student"), device="replay")
    assert "judged again from recorded curves" in text
    assert "pytest claims/test_fig02_teacher_student.py -k fig02.inverse-paper --replay" in text
    assert "exponent: inside [-1.15, -0.85]" in text
    assert "the time to fit does not depend on weight decay" in text


def test_the_summary_is_one_sentence_and_the_sentences_of_the_headline_claims() -> None:
    headline = {"statement": "time is inverse", "headline": True, "holm_p": 0.04}
    text = toy_page(
        row("fig02.inverse", verdict="REFUTED", **headline),
        row("a.b"),
        row("c.d", verdict="NOT RUN", findings=[]),
    )
    assert (
        "3 claims, settings as the paper&#39;s text describes them: 1 REPRODUCED, 1 REFUTED. "
        "There is no evidence on the other 1."
    ) in text
    assert re.search(
        (
            r'<a href="#fig02.inverse">fig02.inverse</a>: time is inverse\s+<span class="place">a '
            r"ratio: 2 \[1, 3\], should be"
        ),
        text,
    )
    assert "fig03.critical: not in this audit under this protocol" in text
    assert "fig02.inverse: not in this audit under this protocol" in toy_page(
        row("fig02.inverse", "code", **headline)
    )


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        ("REFUTED", "holds"),
        ("INCONCLUSIVE", "weak"),
        ("REPRODUCED", "broken"),
        ("ERROR", "error"),
        ("NOT RUN", "not run"),
    ],
)
def test_a_control_is_shown_by_what_it_means(verdict: str, word: str) -> None:
    text = toy_page(row("a.b", control={"verdict": verdict, "reason": "", "findings": []}))
    assert (
        f'<td><span class="verdict control {verdict.replace(" ", "")}">{word}</span></td>' in text
    )


def test_a_claim_without_evidence_has_a_short_card_with_the_command_that_trains_it() -> None:
    there = row("fig02.grok", figure="fig02_teacher_student")
    absent = row(
        "fig02.inverse",
        verdict="NOT RUN",
        findings=[],
        reason="no evidence of it",
        figure="fig02_teacher_student",
    )
    text = toy_page(there, absent, device="replay")
    card = text[text.index('id="fig02.inverse"') :]
    card = card[: card.index("</article>")]
    assert "<table" not in card
    assert "no evidence of it" in card
    assert (
        "<pre>pytest claims/test_fig02_teacher_student.py -k fig02.inverse-paper --tier paper</pre>"
        in card
    )
    assert "Train and judge" in card


def test_conclusions_come_after_what_they_are_drawn_from() -> None:
    text = toy_page(
        row("concl.LU", figure="conclusions"), row("fig12.ce-plateau", figure="fig11_cross_entropy")
    )
    assert text.index('id="section-fig11_cross_entropy"') < text.index('id="section-conclusions"')


def test_left_out_figures_name_the_command(tmp_path: Path) -> None:
    audit = parse(
        document(
            row("fig03.grok", figure="fig03_mnist"), row("fig03.grok", "code", figure="fig03_mnist")
        )
    )
    drawn, seconds = draw_all(audit, load_suite(CLAIMS), tmp_path / "none.sqlite")
    assert {each.protocol for each in drawn} == {"paper", "code"}
    text = render(audit, load_suite(CLAIMS), drawn, seconds)
    assert (
        "Record it with <code>pytest claims/test_fig03_mnist.py --tier paper --protocol code</code>"
        in text
    )


def test_a_damaged_store_leaves_the_verdicts(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_bytes(b"no store" * 1000)
    write_page(
        tmp_path / "r.html",
        parse(document(row("fig02.grok", figure="fig02_teacher_student"))),
        CLAIMS,
        tmp_path / "runs.sqlite",
    )
    text = (tmp_path / "r.html").read_text()
    assert "Figure 2a, paper: store" in text
    assert 'id="fig02.grok"' in text


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    audit = parse(document(row("a.b")))
    with pytest.raises(BadInput, match="name another path"):
        write_page(tmp_path / "no" / "r.html", audit, CLAIMS, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_what_to_install(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == missing:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no)
    with pytest.raises(BadInput, match=r'pip install "omnigrok\[report\]"'):
        write_page(
            tmp_path / "r.html",
            parse(document(row("fig02.grok", figure="fig02_teacher_student"))),
            CLAIMS,
            None,
        )
    assert not (tmp_path / "r.html").exists()
