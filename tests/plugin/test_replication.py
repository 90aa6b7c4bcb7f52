"""The column "replicated": files that cannot be read cost no training."""

from __future__ import annotations

import json
from typing import Any

import pytest

TIER = ("--tier", "paper", "--audit-json", "a.json")
EMPTY = {"schema": 1, "tier": "paper", "claims": []}
REFUSED = {
    "{": "cannot be read as JSON",
    json.dumps({**EMPTY, "schema": 2}): "has schema 2, this omnigrok reads 1",
    json.dumps({**EMPTY, "tier": "smoke"}): "tier: is 'smoke', and what is trained again is of "
    "'paper'",
}


@pytest.fixture
def good(toy: Any) -> Any:
    toy.add("good", experiments="[tiny]")
    toy.write()
    return toy


@pytest.mark.parametrize("text", REFUSED)
def test_a_file_that_is_refused_is_said_before_anything_is_trained(good: Any, text: str) -> None:
    (good.folder / "retrained-1.json").write_text(text)
    done = good.run(*TIER)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: *retrained-1.json: {REFUSED[text]}*"])
    assert not (good.pytester.path / ".omnigrok").exists()
    assert not (good.pytester.path / "a.json").exists()


def test_an_audit_that_does_not_show_the_column_does_not_need_the_files(good: Any) -> None:
    (good.folder / "retrained-1.json").write_text("{")
    assert good.run("--audit-json", "a.json").ret == pytest.ExitCode.OK
    assert good.run("--tier", "paper").ret == pytest.ExitCode.OK
    assert good.run(*TIER, "--first-seed", "5").ret == pytest.ExitCode.OK


def test_the_second_training_is_shown(good: Any) -> None:
    assert good.run(*TIER, "--first-seed", "5").ret == pytest.ExitCode.OK
    (good.pytester.path / "a.json").rename(good.folder / "retrained-1.json")
    assert good.run(*TIER).ret == pytest.ExitCode.OK
    (row,) = json.loads((good.pytester.path / "a.json").read_text())["claims"]
    assert (row["replicated"]["first_seed"], row["replicated"]["flipped"]) == (5, False)


def test_a_file_that_is_damaged_later_costs_the_column_alone(toy: Any) -> None:
    path = "__import__('pathlib').Path(__file__).with_name('retrained-1.json')"
    toy.add("good", body=f"{path}.write_text('{{'); judge(case)")
    done = toy.run(*TIER)
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(
        ['WARNING: *retrained-1.json: cannot be read * the column "replicated" is left out']
    )
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert (row["verdict"], row["replicated"]) == ("REPRODUCED", None)
