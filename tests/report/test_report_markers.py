"""Generated parts of a file, between markers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from omnigrok.audit.document import SCHEMA
from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.report.markers import GeneratedPart, has_part, insert, insert_all, markers

BEGIN, END = markers("verdicts")
OTHER = "\n".join(markers("other"))


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"top\n{BEGIN}\nold\n{END}\nbottom\n{OTHER}\n")
    return path


def test_only_the_part_changes(readme: Path) -> None:
    insert(readme, "verdicts", "new\n")
    assert readme.read_text() == f"top\n{BEGIN}\nnew\n{END}\nbottom\n{OTHER}\n"


def test_check_changes_nothing_and_says_what_is_old(readme: Path) -> None:
    before = readme.read_text()
    with pytest.raises(BadInput, match=r"README\.md: the part 'verdicts' is not current"):
        insert(readme, "verdicts", "new\n", check=True)
    assert readme.read_text() == before
    insert(readme, "verdicts", "old\n", check=True)


def test_what_may_differ_is_the_callers_choice(readme: Path) -> None:
    insert(readme, "verdicts", "OLD\n", check=True, same=str.lower)
    with pytest.raises(BadInput, match="not current"):
        insert(readme, "verdicts", "NEW\n", check=True, same=str.lower)


def test_a_part_that_is_not_there(readme: Path) -> None:
    assert has_part(readme, "verdicts")
    assert not has_part(readme, "findings")
    with pytest.raises(BadInput, match="lacks the markers <!-- findings: begin -->"):
        insert(readme, "findings", "x\n")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none", "binary"):
        with pytest.raises(BadInput, match=f"{name}: cannot be read"):
            has_part(tmp_path / name, "verdicts")


def test_all_parts_or_none(readme: Path) -> None:
    before = readme.read_text()
    for parts in (["verdicts", "missing"], ["missing", "verdicts"]):
        with pytest.raises(BadInput, match="lacks the markers <!-- missing: begin -->"):
            insert_all(readme, [GeneratedPart(name, "new\n") for name in parts])
        assert readme.read_text() == before
    insert_all(readme, [GeneratedPart("verdicts", "new\n"), GeneratedPart("other", "more\n")])
    begin, end = markers("other")
    assert readme.read_text() == f"top\n{BEGIN}\nnew\n{END}\nbottom\n{begin}\nmore\n{end}\n"


def test_an_audit_without_what_the_findings_name(
    readme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is written only if the sentences below it can be: both are of one audit."""
    row = {"id": "fig02.grok", "protocol": "paper", "verdict": "REPRODUCED"}
    audit = readme.with_name("a.json")
    audit.write_text(json.dumps({"schema": SCHEMA, "tier": "paper", "claims": [row]}))
    readme.write_text(readme.read_text() + "\n".join(markers("findings")) + "\n")
    before = readme.read_text()
    monkeypatch.chdir(Path(__file__).parents[2])
    done = CliRunner().invoke(main, ["report", str(audit), "--into", str(readme)])
    assert done.exit_code == 1
    assert "the audit has no claim" in done.output
    assert readme.read_text() == before
