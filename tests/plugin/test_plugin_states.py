"""Every state of a claim comes out right, however pytest is started."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

import pytest
import torch

MODES = (["-n", "0"], ["-n", "2"], ["--junitxml=out.xml"], ["-W", "error"])
GOOD, BAD, MIXED = "[1.0, 1.1, 1.2]", "[-1.0, -1.1, -1.2]", "[-1.0, 2.0, 3.0]"


def fill(toy: Any) -> None:
    toy.add("good")
    toy.add("bad", values=BAD)
    toy.add("open", values=MIXED)
    toy.add("broken", body='raise KeyError("no such column")')


def verdicts(path: Path) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in json.loads(path.read_text())["claims"]}


@pytest.mark.parametrize("mode", MODES, ids=[" ".join(mode) for mode in MODES])
def test_states(toy: Any, mode: list[str]) -> None:
    fill(toy)
    result = toy.run(*mode, "--audit-json", "a.json")
    assert verdicts(toy.pytester.path / "a.json") == {
        "toy.good": "REPRODUCED",
        "toy.bad": "REFUTED",
        "toy.open": "INCONCLUSIVE",
        "toy.broken": "ERROR",
    }
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*smoke tier: 1 REPRODUCED, 1 REFUTED, 1 INCONCLUSIVE, 1 ERROR*"])


@pytest.mark.parametrize("mode", MODES, ids=[" ".join(mode) for mode in MODES])
def test_smoke_verdicts_are_no_failures(toy: Any, mode: list[str]) -> None:
    toy.add("good")
    toy.add("bad", values=BAD)
    toy.add("open", values=MIXED)
    assert toy.run(*mode).ret == pytest.ExitCode.OK


def test_paper_tier_refuted_fails(toy: Any) -> None:
    toy.add("bad", values=BAD)
    result = toy.run("--tier", "paper")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*paper tier: 1 REFUTED*"])


@pytest.mark.parametrize("mode", MODES, ids=[" ".join(mode) for mode in MODES])
def test_not_run(toy: Any, mode: list[str]) -> None:
    toy.add("good", experiments="[tiny]")
    result = toy.run("--replay", "--audit-json", "a.json", *mode)
    assert verdicts(toy.pytester.path / "a.json") == {"toy.good": "NOT RUN"}
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*paper tier: 1 NOT RUN*"])


def test_control_that_reproduces_makes_error(toy: Any) -> None:
    toy.add("good", control=GOOD)
    result = toy.run("--audit-json", "a.json")
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert row["verdict"] == "ERROR"
    assert "its control came out REPRODUCED" in row["reason"]
    assert row["control"]["verdict"] == "REPRODUCED"
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_weak_control_is_said(toy: Any) -> None:
    toy.add("good", control=MIXED)
    result = toy.run("-v")
    result.stdout.fnmatch_lines(["*toy.good-paper-control* WEAK CONTROL*"])
    assert result.ret == pytest.ExitCode.OK


def test_strict_verdicts(toy: Any) -> None:
    toy.add("open", values=MIXED)
    assert toy.run().ret == pytest.ExitCode.OK
    assert toy.run("--strict-verdicts").ret == pytest.ExitCode.TESTS_FAILED


def test_a_check_without_judgement_is_an_error(toy: Any) -> None:
    toy.add("silent", body="pass")
    result = toy.run("--audit-json", "a.json")
    assert verdicts(toy.pytester.path / "a.json") == {"toy.silent": "ERROR"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_finding_without_region_is_an_error(toy: Any) -> None:
    body = "case.judge([mean_in_region('m', case['values'], case.region('mean')).as_sensitivity()])"
    toy.add("toothless", body=body)
    result = toy.run("--audit-json", "a.json")
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert row["verdict"] == "ERROR"
    assert "cannot fail" in row["reason"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("tier", ["smoke", "paper"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("values=(1.0,) * 5001", "finding 'mean': values: *at most 5000 items*"),
        ("extra={'slope': 'steep'}", "finding 'mean': extra.slope: *valid number*"),
        ("extra={1: 1.0}", "finding 'mean': 'int' object is not iterable"),
        ("extra=3", "finding 'mean': 'int' object has no attribute 'items'"),
        ("level=float('nan')", "finding 'mean': level: *finite number"),
        ("note=None", "finding 'mean': *"),
    ],
)
def test_a_finding_that_the_document_refuses_is_an_error_of_its_claim(
    toy: Any, tier: str, change: str, reason: str
) -> None:
    found = f"replace(mean_in_region('mean', case['values'], case.region('mean')), {change})"
    toy.add("good")
    toy.add("strange", body=f"case.judge([{found}])")
    toy.checks = "from dataclasses import replace\n" + toy.checks
    result = toy.run("--tier", tier, "--audit-json", "a.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    good, strange = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert (good["verdict"], strange["verdict"]) == ("REPRODUCED", "ERROR")
    assert fnmatch.fnmatch(strange["reason"], reason)


def test_an_interval_whose_ends_are_exchanged_is_an_error_of_its_claim(toy: Any) -> None:
    found = "mean_in_region('mean', case['values'], case.region('mean'))"
    body = f"f = {found}; case.judge([f, replace(f, ci=(2.0, 1.0)).as_sensitivity()])"
    toy.add("strange", body=body)
    toy.checks = "from dataclasses import replace\n" + toy.checks
    result = toy.run("--tier", "paper", "--audit-json", "a.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (row,) = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    assert row["verdict"] == "ERROR"
    assert "finding 'mean': an interval needs low <= high, got [2.0, 1.0]" in row["reason"]


def test_protocol_without_form_is_deselected(toy: Any) -> None:
    toy.add("good")
    result = toy.run("--protocol", "code")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "2 deselected" in result.stdout.str() or "1 deselected" in result.stdout.str()


def test_unknown_option_value(toy: Any) -> None:
    toy.add("good")
    assert toy.run("--protocol", "quantum").ret == pytest.ExitCode.USAGE_ERROR


def test_gpu_without_cuda_is_a_usage_error(toy: Any) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA; the refusal shows only without")
    toy.add("good")
    result = toy.run("--gpu")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gpu: torch * sees no CUDA device*"])


def test_replay_is_paper_tier_only(toy: Any) -> None:
    toy.add("good")
    result = toy.run("--replay", "--tier", "smoke")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("statement:", "statment:", "*claim toy.*: statment: *accepted keys: id, statement*"),
        (
            "task: teacher_student",
            "tusk: teacher_student",
            "*experiments.tiny: Run: unknown key 'tusk'; accepted: task, *",
        ),
        ("above: 0", "abvoe: 0", "*toy.yaml: claim toy.*: criterion.*abvoe*"),
        (
            "task: teacher_student",
            "task: teacher_studnet",
            "*unknown task 'teacher_studnet'; accepted: *",
        ),
    ],
)
def test_bad_yaml(toy: Any, old: str, new: str, message: str) -> None:
    toy.add("good", experiments="[tiny]")
    toy.yaml = toy.yaml.replace(old, new)
    result = toy.run()
    assert result.ret != pytest.ExitCode.OK
    assert fnmatch.fnmatch(" ".join(result.stdout.lines + result.stderr.lines), message)


@pytest.mark.parametrize(
    ("one", "other"),
    [("--audit-json", "--report"), ("--audit-json", "--runs"), ("--report", "--runs")],
)
def test_two_outputs_of_one_path(toy: Any, one: str, other: str) -> None:
    toy.add("good")
    result = toy.run(one, "out", other, "claims/../out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*{one} and {other} both name claims/../out: give each a file of its own"]
    )
    assert not (toy.pytester.path / "out").exists()


def test_json_path_that_cannot_be_written(toy: Any) -> None:
    toy.add("good")
    result = toy.run("--audit-json", "missing/folder/a.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--audit-json missing/folder/a.json: cannot be written: there is no folder*"]
    )
    assert "collected" not in result.stdout.str()
