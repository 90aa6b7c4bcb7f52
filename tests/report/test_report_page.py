"""The page: self-contained, escaped, honest about its tier, written whole or not at all."""

from __future__ import annotations

import base64
import builtins
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from omnigrok.audit.document import parse
from omnigrok.errors import BadInput
from omnigrok.report.page import draw_all, render, render_site, write_page
from omnigrok.suite.suite import load_suite

from .conftest import CLAIMS, document, flat, row

SUITE = load_suite(CLAIMS)
LINK = SUITE.about.link  # of the paper
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Links(HTMLParser):
    """Ids, targets within the page, and anything that would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "xlink:href", "src"):
                assert value is not None
                (self.targets if value.startswith("#") else self.fetched).append(value)


def toy_page(*rows: dict[str, Any], **more: Any) -> str:
    return render(parse(document(*rows, **more)), SUITE, [], {})


def test_nothing_is_fetched_and_every_link_arrives(page: Path) -> None:
    found = Links(page.read_text())
    wanted = ("data:image/png;base64,", "data:text/csv;charset=utf-8,")
    assert [each for each in found.fetched if not each.startswith(wanted)] == [LINK]
    assert {target.removeprefix("#") for target in found.targets} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert found.tags.count("script") == 1
    assert "url(http" not in page.read_text()


def test_the_policy_allows_the_page_its_own_script_and_nothing_else(page: Path, site: Path) -> None:
    for path in (page, *site.parent.glob("*.html")):
        text = path.read_text()
        (policy,) = re.findall(r'Content-Security-Policy"\s+content="([^"]*)"', text)
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert flat(policy) == (
            f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )


def test_a_site_has_a_page_for_each_figure_and_an_index_of_all_claims(site: Path) -> None:
    names = {path.stem for path in site.parent.iterdir()}
    assert names == {"index", *SUITE.names}
    index = site.read_text()
    for figure in SUITE.figures:
        text = (site.parent / f"{figure.figure}.html").read_text()
        for claim in figure.claims:
            assert f'data-claim="{claim.id}"' in index
            assert f'href="{figure.figure}.html#{claim.id}"' in index
            assert f'id="{claim.id}"' in text
            assert f'id="{claim.id}"' not in index


def test_every_panel_and_every_claim_is_there(page: Path) -> None:
    text = page.read_text()
    # Those of Figure 2 are there under two protocols.
    assert len(re.findall(r'<figure id="', text)) == text.count("<symbol ") == 35 + 3
    for figure in SUITE.figures:
        for claim in figure.claims:
            assert re.search(rf'<article class="card[a-z ]*" id="{re.escape(claim.id)}"', text)
            assert f"<pre>pytest claims/test_{figure.figure}.py -k {claim.id}-paper</pre>" in text


def test_smoke_is_unmistakable(page: Path) -> None:
    text = flat(page.read_text())
    assert "<title>SMOKE TIER:" in text
    assert "this is no evidence for or against the paper" in text
    claims, drawings = text.count('<article class="card'), text.count("<figure")
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
    text = render(parse({**content, "versions": {HOSTILE: HOSTILE}}), SUITE, [], {})
    found = Links(text)
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert "onerror" not in found.names
    assert all(each.startswith("data:text/csv") for each in found.fetched if each != LINK)
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
    (said,) = re.findall(r"<p>(\d+) seeds, (\d+) <abbr", text)
    assert said == ("10", "1")


def test_replay_says_so() -> None:
    text = toy_page(row("fig02.inverse", figure="fig02_teacher_student"), device="replay")
    assert "judged again from recorded curves" in text
    assert "pytest claims/test_fig02_teacher_student.py -k fig02.inverse-paper --replay" in text
    assert "exponent: inside [-1.15, -0.85]" in text
    assert "the time to fit does not depend on weight decay" in text


def test_the_summary_counts_full_and_reduced_scale_apart() -> None:
    text = toy_page(
        row("a.a"),
        row("a.b", scale="reduced", reduction="fewer steps"),
        row("a.c", scale="reduced", reduction="fewer steps", verdict="REFUTED"),
        row("a.d", verdict="NOT RUN", findings=[]),
    )
    assert (
        "3 of 4 claims have evidence. Full scale: 1 REPRODUCED. "
        "Reduced scale: 1 REPRODUCED, 1 REFUTED."
    ) in text


def test_the_header_says_of_what_when_and_from_which_commit() -> None:
    content = {**document(row("a.b")), "date": "2026-01-02", "commit": "abc123-dirty"}
    text = render(parse(content), SUITE, [], {})
    head = text[text.index("<header>") : text.index("</header>")]
    assert f'<a href="{LINK}" rel="noreferrer">{SUITE.about.title}</a>' in head
    assert '<time datetime="2026-01-02">2026-01-02</time>' in head
    assert "<code>abc123-dirty</code>" in head
    assert "paper tier" in head


def test_headline_claims_stand_in_the_summary() -> None:
    headline = {"headline": True, "holm_p": 0.04}
    text = toy_page(row("fig02.inverse", verdict="REFUTED", **headline), row("a.b"))
    assert re.search(r'REFUTED</span></span> <a href="#fig02.inverse">fig02.inverse</a>', text)
    assert "fig03.critical: not in this audit under this protocol" in text
    assert "fig02.inverse: not in this audit under this protocol" in toy_page(
        row("fig02.inverse", "code", **headline)
    )


def test_without_the_sentences_of_the_suite_the_headline_claims_are_told() -> None:
    text = toy_page(row("fig02.inverse", verdict="REFUTED", headline=True, statement="inverse"))
    told = text[text.index('class="told"') :]
    assert '<strong>REFUTED:</strong> inverse <a href="#fig02.inverse">a ratio: 2 [1, 3]' in told
    assert "do not fit this audit" in text
    smoke = toy_page(row("fig02.inverse", tier="smoke"), tier="smoke")
    assert "do not fit this audit" not in smoke


def test_sentences_of_the_suite_link_to_their_cards_and_hold_no_markup_but_their_own(
    tmp_path: Path,
) -> None:
    for path in (CLAIMS / "audit.yaml", *CLAIMS.glob("*fig02*.*")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "findings.md.j2").write_text(
        '* **It holds** <b>at</b> {{ effect("a.b", "paper") }}, ![x](http://x/y.png)\n'
        "  on `two` lines.\n* Second.\n"
    )
    text = render(parse(document(row("a.b"))), load_suite(tmp_path), [], {})
    assert '<li><strong>It holds</strong> &lt;b&gt;at&lt;/b&gt; <a href="#a.b">2 [1, 3]</a>' in text
    assert "on <code>two</code> lines.</li>" in text
    assert "<li>Second.</li>" in text
    assert "<img" not in text


def test_one_finding_a_row_and_one_protocol_a_column() -> None:
    one, other = (
        {**row("a.b")["findings"][0], "name": name, "estimate": estimate}
        for name, estimate in (("first", 1.0), ("second", 0.6))
    )
    text = toy_page(
        row("a.b", findings=[one, other]),
        row("a.b", "code", findings=[{**other, "estimate": 7.0, "name": "second"}]),
    )
    table = text[text.index('class="parts"') :]
    table = table[: table.index("</table>")]
    first, second = table.split("<tr>")[2:]
    assert "first" in first
    assert "1 [1, 3]" in first
    assert '<td class="cell" data-label="code"></td>' in first
    assert "0.6 [1, 3]" in second
    assert "7 [1, 3]" in second


def test_the_papers_value_stands_next_to_ours() -> None:
    text = toy_page(row("a.b", reported="about < 7"))
    assert text.count("the paper: about &lt; 7") == 1  # in the list of claims
    assert text.count("The paper: about &lt; 7") == 1  # in the card


def test_a_smoke_audit_says_how_far_it_agrees_with_the_evidence() -> None:
    compared = row("a.b", tier="smoke", evidence="REPRODUCED", agreement="agrees")
    said = "Agreement with the recorded evidence: 1 of the 1 claims that it decided agree"
    assert said in toy_page(compared, tier="smoke")
    assert "Agreement with" not in toy_page(row("a.b"))


def test_only_errors_have_an_exclamation_mark() -> None:
    text = toy_page(row("a.b", stale=3))
    assert ">*</abbr>" in text
    assert ">!<" not in text.split('id="reading"')[0].split("</header>")[1]


def test_the_specification_curve_is_there_with_its_choices() -> None:
    universes = {
        "n": 2,
        "reproduced": 1,
        "refuted": 1,
        "shares": {"threshold": 0.9},
        "curve": [
            [-1.0, -1.1, -0.9, "REPRODUCED", "threshold 0.95, score own"],
            [-0.5, -0.6, -0.4, "REFUTED", "threshold 0.8, score own"],
        ],
    }
    text = toy_page(row("fig02.inverse", figure="fig02_teacher_student", universes=universes))
    assert "2 readings: 1 REPRODUCED, 1 REFUTED" in text
    assert '<path class="REFUTED thin"' in text
    assert "threshold 90 %" in text


def test_a_formula_in_a_table_is_text() -> None:
    finding = {**row("a.b")["findings"][0], "name": "=HYPERLINK(1)", "note": "-1"}
    found = Links(toy_page(row("a.b", findings=[finding])))
    (link,) = [each for each in found.fetched if each.startswith("data:text/csv")]
    head, line = csv.reader(io.StringIO(unquote(link.partition(",")[2])))
    cells = dict(zip(head, line, strict=True))
    assert cells["name"] == "'=HYPERLINK(1)"
    assert cells["note"] == "'-1"
    assert cells["estimate"] == "2.0"
    assert cells["values"] == "1.5 2.0 2.5"


def test_names_of_figures_are_safe_in_addresses() -> None:
    rows = [row("a.a", figure="../x"), row("a.b", figure="x"), row("a.c", figure="index")]
    site = render_site(parse(document(*rows)), SUITE, [], {})
    assert set(site) == {"index.html", "x.html", "x-2.html", "index-2.html"}


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
    assert f'<span class="verdict control {verdict.replace(" ", "")}">{word}</span>' in text


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
    assert "why it was not run, and how to run it" in card


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
    drawn, seconds = draw_all(audit, SUITE, tmp_path / "none.sqlite")
    assert {each.protocol for each in drawn} == {"paper", "code"}
    text = render(audit, SUITE, drawn, seconds)
    assert (
        "Record it with <code>pytest claims/test_fig03_mnist.py --tier paper --protocol code</code>"
        in flat(text)
    )


def test_a_damaged_store_leaves_the_verdicts(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_bytes(b"no store" * 1000)
    write_page(
        tmp_path / "r.html",
        parse(document(row("fig02.grok", figure="fig02_teacher_student"))),
        CLAIMS,
        tmp_path / "runs.sqlite",
    )
    text = flat((tmp_path / "r.html").read_text())
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
