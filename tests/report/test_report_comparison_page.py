"""The comparison of two audits as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from omnigrok.audit.document import parse
from omnigrok.cli import main
from omnigrok.report.changes import compare
from omnigrok.report.changes_page import render

from .conftest import document, flat, row

HOSTILE = "<script>alert(1)</script>"


def audit(values: list[float], verdict: str = "REPRODUCED", **more: Any) -> dict[str, Any]:
    finding = {**row("a.b")["findings"][0], "values": values, "estimate": values[0]}
    return document(
        row("a.b", verdict=verdict, findings=[finding], **more), row("c.d", **more), row("e.f")
    )


LEFT = audit([1.0, 1.1, 1.2, 0.9, 1.05])
RIGHT = audit([5.0, 5.5, 6.0, 4.5, 5.2], "REFUTED")


def page(left: dict[str, Any], right: dict[str, Any], names: tuple[str, str] = ("l", "r")) -> str:
    audits = parse(left), parse(right)
    return flat(render(compare(*audits), audits, names))


def test_what_changed_comes_first_with_both_on_one_axis() -> None:
    text = page(LEFT, RIGHT)
    changed, same = text.split('<section aria-labelledby="same">')
    assert "3 claims compared: 1 verdicts changed, 1 effects moved" in text
    assert '<article class="card" aria-label="a.b, paper">' in changed
    assert '<article class="card" aria-label="c.d, paper">' in same
    assert "a ratio: A 1 [1, 3]; B 5 [1, 3]; the claim&#39;s region is &gt; 0.5" in changed
    assert "<b>moved (p = " in changed
    assert "not moved" in same


def test_a_claim_of_one_audit_only() -> None:
    text = page(LEFT, document(*RIGHT["claims"], row("g.h")))
    card = text[text.index('aria-label="g.h, paper"') :]
    assert "A: absent" in card[: card.index("</article>")]


def test_a_finding_of_one_audit_only() -> None:
    other = {**row("c.d")["findings"][0], "name": "another"}
    right = document(row("c.d", findings=[other]))
    text = page(document(row("c.d")), right)
    assert "in A only" in text
    assert "in B only" in text


def test_nothing_changed() -> None:
    text = page(LEFT, LEFT)
    assert "<p>Nothing.</p>" in text


def test_foreign_text_is_escaped() -> None:
    text = page(
        audit([1.0, 1.1], statement=HOSTILE), {**RIGHT, "device": HOSTILE}, (HOSTILE, HOSTILE)
    )
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_command(tmp_path: Path) -> None:
    paths = []
    for name, content in (("a.json", LEFT), ("b.json", RIGHT)):
        (tmp_path / name).write_text(json.dumps(content))
        paths.append(str(tmp_path / name))
    target = tmp_path / "c.html"
    done = CliRunner().invoke(main, ["compare", *paths, "--html", str(target)])
    assert done.exit_code == 1  # a verdict changed
    assert "3 claims compared: 1 verdicts changed" in done.stdout
    assert done.stderr == f"{target}: written\n"
    assert str(tmp_path / "b.json") in target.read_text()
    none = str(tmp_path / "none" / "c.html")
    done = CliRunner().invoke(main, ["compare", *paths, "--html", none])
    assert done.exit_code == 2
    assert "cannot be written" in done.output
