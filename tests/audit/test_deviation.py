"""Recorded deviations: keyed by claim, tier, protocol and version, valid while the effect overlaps;
tables still say REFUTED.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.deviation import load_deviations
from omnigrok.errors import BadInput

ENTRY = """\
- claim: toy.bad
  tier: paper
  protocol: paper
  version: 1
  finding: mean
  interval: [{low}, {high}]
  evidence: none
  why: known
"""


def run(toy: Any, low: float, high: float, values: str) -> tuple[int, str, str]:
    toy.add("bad", values=values)
    toy.write()
    (toy.folder / "deviations.yaml").write_text(ENTRY.format(low=low, high=high))
    result = toy.run("--tier", "paper", "--audit-json", "a.json")
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    return result.ret, row["verdict"], result.stdout.str()


def test_expected_refuted_passes_and_still_says_refuted(toy: Any) -> None:
    status, verdict, text = run(toy, -1.5, -0.5, "[-1.0, -1.1, -1.2]")
    assert (status, verdict) == (pytest.ExitCode.OK, "REFUTED")
    assert "1 refuted as recorded" in text


def test_an_effect_that_moved_fails(toy: Any) -> None:
    status, verdict, text = run(toy, -9.0, -8.0, "[-1.0, -1.1, -1.2]")
    assert (status, verdict) == (pytest.ExitCode.TESTS_FAILED, "REFUTED")
    assert "no longer covers what was found" in text


def test_reproduced_trips_the_strict_mark(toy: Any) -> None:
    status, verdict, _ = run(toy, -1.5, -0.5, "[1.0, 1.1, 1.2]")
    assert (status, verdict) == (pytest.ExitCode.TESTS_FAILED, "REPRODUCED")


def test_a_finding_without_numbers_names_the_deviation(toy: Any) -> None:
    """The claim is refuted by another finding than the one that the deviation names."""
    other = "replace(mean_in_region('mean', case['values'], case.region('mean')), {})"
    found = ", ".join(map(other.format, ("name='other'", "ci=None, values=()")))
    toy.add("bad", values="[-1.0, -1.1, -1.2]", body=f"case.judge([{found}])")
    toy.checks = "from dataclasses import replace\n" + toy.checks
    toy.write()
    (toy.folder / "deviations.yaml").write_text(ENTRY.format(low=-2, high=0))
    result = toy.run("--tier", "paper", "--audit-json", "a.json", "-k", "not control")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert row["verdict"] == "ERROR"
    assert row["reason"] == (
        "deviations.yaml: the deviation of toy.bad (tier paper, protocol paper, version 1): its "
        "finding 'mean' has neither an interval nor values; name one that has"
    )


def test_a_bad_file_is_said_in_one_line(toy: Any) -> None:
    toy.add("good")
    toy.write()
    (toy.folder / "deviations.yaml").write_text("- {claim: a, teir: smoke}")
    result = toy.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*deviations.yaml: 0.teir: Extra inputs are not permitted; accepted keys: claim, tier, *"]
    )
    assert "Traceback" not in result.stdout.str()
    assert "find_deviation" not in result.stdout.str()


@pytest.mark.parametrize("text", ["- {claim: a}", "{a: 1}", "a: [", "- 3"])
def test_bad_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "deviations.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"deviations\.yaml"):
        load_deviations(tmp_path)


def test_no_file_means_none(tmp_path: Path) -> None:
    assert load_deviations(tmp_path) == ()


def test_the_example_of_the_documentation_is_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-status.md").read_text(encoding="utf-8")
    (tmp_path / "deviations.yaml").write_text(page.partition("```yaml\n")[2].partition("```")[0])
    (deviation,) = load_deviations(tmp_path)
    assert (deviation.claim, deviation.verdict) == ("sums.learned", "REFUTED")
