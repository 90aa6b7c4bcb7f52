"""Claims trained again from other seeds: the table of both, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.document import Audit, parse
from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.report.retraining import FILES, HEADINGS, replicated, retrained_table

from .conftest import document, row

CLAIMS = Path(__file__).parents[2] / "claims"


def finding(
    values: list[float], ci: list[float] | None, name: str = "a ratio", **more: Any
) -> dict[str, Any]:
    middle = sum(values) / len(values)
    return {
        **row("a.b")["findings"][0],
        "name": name,
        "values": values,
        "estimate": middle,
        "ci": ci,
        "n": len(values),
        **more,
    }


RECORDED = [1.0, 1.1, 1.2, 0.9, 1.05]
LIKE, UNLIKE = (
    finding([1.02, 1.08, 1.21, 0.92, 1.0], [0.95, 1.15]),
    finding([5.0, 5.5, 6.0, 4.5, 5.2], [4.6, 5.9]),
)


def recorded(*rows: dict[str, Any]) -> Audit:
    return parse(
        document(*(rows or (row("a.b", findings=[finding(RECORDED, [0.94, 1.16])]), row("a.c"))))
    )


def table(
    folder: Path, *rows: dict[str, Any], first_seed: int = 100, beside: Audit | None = None
) -> list[str]:
    (folder / "retrained.json").write_text(
        json.dumps({**document(*rows), "first_seed": first_seed})
    )
    return retrained_table(folder, beside or recorded()).splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_agrees(tmp_path: Path) -> None:
    title, _, heading, _, line, blank, words = table(tmp_path, row("a.b", findings=[LIKE]))
    assert title == "Audit `retrained.json`:"
    assert tuple(cells(heading)) == HEADINGS
    assert cells(line)[:7] == [
        "a.b",
        "REPRODUCED",
        "REPRODUCED",
        "a ratio",
        "1.05 [0.94, 1.16]",
        "1.05 [0.95, 1.15]",
        "overlap",
    ]
    assert float(cells(line)[7]) > 0.5
    assert blank == ""
    assert words.startswith(
        "1 claims from seed 100 on: 1 with the same verdict; of 1 intervals 1 overlap those of the "
        "recorded seeds (smallest p"
    )


def test_what_does_not(tmp_path: Path) -> None:
    *_, line, _, words = table(tmp_path, row("a.b", verdict="INCONCLUSIVE", findings=[UNLIKE]))
    assert cells(line)[1:3] == ["REPRODUCED", "INCONCLUSIVE"]
    assert cells(line)[6] == "**apart**"
    assert float(cells(line)[7]) < 1e-4
    assert "0 with the same verdict; of 1 intervals 0 overlap" in words


def test_an_interval_that_is_missing_does_not_overlap(tmp_path: Path) -> None:
    *_, line, _, words = table(tmp_path, row("a.b", findings=[finding([1.0, 1.1], None)]))
    assert cells(line)[6] == "not both known"
    assert "of 1 intervals 0 overlap" in words


def test_only_what_decides_is_shown_and_only_what_was_trained(tmp_path: Path) -> None:
    both = [LIKE, finding([9.0, 9.5], [8.0, 10.0], "sensitivity", decides=False)]
    found = table(tmp_path, row("a.b", findings=both), row("a.d", verdict="NOT RUN", findings=[]))
    assert [cells(line)[3] for line in found[4:-2]] == ["a ratio"]
    # Several findings: the claim and its verdicts stand once.
    beside = recorded(
        row(
            "a.b",
            findings=[finding(RECORDED, [0.9, 1.2]), finding(RECORDED, [0.9, 1.2], "a slope")],
        )
    )
    found = table(tmp_path, row("a.b", findings=[LIKE, {**LIKE, "name": "a slope"}]), beside=beside)
    assert [cells(line)[0] for line in found[4:-2]] == ["a.b", ""]
    assert "of 2 intervals 2 overlap" in found[-1]


def test_each_file_has_its_table_and_the_last_one_counts(tmp_path: Path) -> None:
    table(tmp_path, row("a.b", verdict="INCONCLUSIVE", findings=[LIKE]))
    again = {**document(row("a.b", findings=[LIKE])), "first_seed": 200}
    (tmp_path / "retrained-2.json").write_text(json.dumps(again))
    found = retrained_table(tmp_path, recorded())
    assert found.count("| claim |") == 2
    assert [part in found for part in ("from seed 100 on", "from seed 200 on")] == [True, True]
    (part,) = replicated(tmp_path, recorded()).values()
    assert (part.first_seed, part.verdict) == (100, "INCONCLUSIVE")
    (tmp_path / "retrained.json").rename(tmp_path / "retrained-1.json")
    (part,) = replicated(tmp_path, recorded()).values()
    assert (part.first_seed, part.verdict) == (200, "REPRODUCED")


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"retrained\*\.json: there is no such file"):
        retrained_table(tmp_path, recorded())
    with pytest.raises(
        BadInput, match=r"its first seed is 3, and the evidence has seeds up to 4; use other ones"
    ):
        table(tmp_path, row("a.b", findings=[LIKE]), first_seed=3)
    assert table(tmp_path, row("a.b", findings=[LIKE]), first_seed=5)
    with pytest.raises(
        BadInput, match=r"none of its claims has recorded evidence to compare with: a\.x"
    ):
        table(tmp_path, row("a.x", findings=[LIKE]))
    with pytest.raises(BadInput, match="holds no claim that was trained"):
        table(tmp_path, row("a.b", verdict="NOT RUN", findings=[]))


def test_it_stands_between_the_markers_of_a_page(tmp_path: Path) -> None:
    """``report --into``; where the folder has no such file the page cannot be made current."""
    claims = tmp_path / "claims"
    shutil.copytree(CLAIMS, claims, ignore=shutil.ignore_patterns("evidence", FILES))
    audit = tmp_path / "audit.json"
    audit.write_text(json.dumps(document(row("a.b", findings=[finding(RECORDED, [0.94, 1.16])]))))
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- verdicts: begin -->\n<!-- verdicts: end -->\nbetween\n<!-- retrained: begin "
        "-->\n<!-- retrained: end -->\n"
    )
    command = ["report", str(audit), "--into", str(page), "--claims", str(claims)]
    missing = CliRunner().invoke(main, command)
    assert missing.exit_code == 1
    assert f"{FILES}: there is no such file" in missing.output
    table(claims, row("a.b", findings=[LIKE]))
    assert CliRunner().invoke(main, command).exit_code == 0
    assert "| 1.05 [0.94, 1.16] | 1.05 [0.95, 1.15] | overlap |" in page.read_text()
    assert CliRunner().invoke(main, [*command, "--check"]).exit_code == 0
    table(claims, row("a.b", findings=[UNLIKE]))
    assert CliRunner().invoke(main, [*command, "--check"]).exit_code == 1


def test_a_finding_on_one_side_only_is_shown(tmp_path: Path) -> None:
    beside = recorded(
        row(
            "a.b",
            findings=[finding(RECORDED, [0.9, 1.2]), finding([3.0, 3.1], [2.9, 3.2], "a slope")],
        )
    )
    found = table(tmp_path, row("a.b", findings=[LIKE, {**LIKE, "name": "a share"}]), beside=beside)
    assert [cells(line)[3:7] for line in found[5:-2]] == [
        ["a slope", "3.05 [2.9, 3.2]", "", "**recorded only**"],
        ["a share", "", "1.05 [0.95, 1.15]", "**again only**"],
    ]
    assert found[-1].endswith("2 deciding findings are on one side only.")


def test_a_width_from_another_size_is_the_same_question(tmp_path: Path) -> None:
    beside = recorded(
        row("a.b", findings=[finding(RECORDED, [0.9, 1.2], "error < 0.4: width, from N = 100")])
    )
    found = table(
        tmp_path,
        row("a.b", findings=[{**LIKE, "name": "error < 0.4: width, from N = 51"}]),
        beside=beside,
    )
    assert cells(found[4])[3] == "error < 0.4: width, from N = 100; error < 0.4: width, from N = 51"
    assert cells(found[4])[6] == "overlap"
    assert found[-1].endswith("0 deciding findings are on one side only.")


def test_the_suites_first_protocol_is_not_named(tmp_path: Path) -> None:
    rows = [row("a.b", protocol=each, findings=[LIKE]) for each in ("code", "paper")]
    suite = {"protocols": {"code": "as published", "paper": "as written"}}
    beside = parse({**document(*rows), "suite": suite})
    found = table(tmp_path, *rows, beside=beside)
    assert [cells(line)[0] for line in found[4:6]] == ["a.b", "a.b (paper)"]
