"""The verdict table of a README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.report.document import load_audit, parse
from omnigrok.report.markdown import MARKERS, insert, table
from omnigrok.report.markers import markers


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
    return {"id": name, "protocol": protocol, "verdict": verdict, "findings": [finding], "reason": "", **more}


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
    assert "| a.b | REPRODUCED ~ | REFUTED ! |  | 2 [1, 3] (> 0.5) | 10 |" in text
    assert "NOT RUN (1): c.d." in text
    assert "torch 2.13" in text


def test_insert_and_check(tmp_path: Path) -> None:
    readme, (begin, end) = tmp_path / "README.md", markers(MARKERS)
    readme.write_text(f"top\n{begin}\nold\n{end}\nbottom\n")
    with pytest.raises(BadInput, match="not current"):
        insert(readme, "new\n", check=True)
    insert(readme, "new\n")
    assert readme.read_text() == f"top\n{begin}\nnew\n{end}\nbottom\n"
    insert(readme, "new\n", check=True)
    readme.write_text("no markers")
    with pytest.raises(BadInput, match="lacks the markers"):
        insert(readme, "new\n")


@pytest.mark.parametrize("content", ["", "[]", '{"claims": 3}', '{"schema": 99, "claims": []}', "\xff"])
def test_what_is_no_audit(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(BadInput, match=r"a\.json"):
        load_audit(path)


def test_command(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENT))
    done = CliRunner().invoke(main, ["report", str(path)])
    assert done.output == table(parse(DOCUMENT))
    assert CliRunner().invoke(main, ["report", str(tmp_path / "none.json")]).exit_code == 1
