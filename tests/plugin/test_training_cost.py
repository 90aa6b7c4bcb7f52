"""The recorded cost of training each figure, in pytest-benchmark's own format, with and without
workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark")
pytest.importorskip("xdist")


def written(path: Path) -> list[dict[str, Any]]:
    benchmarks: list[dict[str, Any]] = json.loads(path.read_text())["benchmarks"]
    return benchmarks


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_cost_of_a_figure_is_written_and_compare_reads_it(toy: Any, workers: str) -> None:
    toy.add("good", experiments="[tiny]")
    toy.add("again", experiments="[tiny]")
    result = toy.run("-n", workers, "--benchmark-json", "b.json")
    assert result.ret == 0
    (cost,) = written(toy.pytester.path / "b.json")
    assert (cost["name"], cost["fullname"], cost["group"]) == (
        "training[toy]",
        "claims/toy.yaml::training",
        "training",
    )
    # Two claims read the same six runs of twelve steps.
    facts = cost["extra_info"]
    assert (facts["runs"], facts["network_steps"], facts["device"], facts["tier"]) == (
        6,
        72,
        "cpu",
        "smoke",
    )
    assert facts["protocols"] == ["paper"]
    assert cost["stats"]["rounds"] == 1
    assert 0 < cost["stats"]["max"] == cost["stats"]["data"][0] < 60
    command = [
        str(Path(sys.executable).with_name("pytest-benchmark")),
        "compare",
        "b.json",
        "--csv=costs.csv",
    ]
    compared = subprocess.run(
        command,
        cwd=toy.pytester.path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert compared.returncode == 0, compared.stderr
    assert "training[toy]" in compared.stdout
    assert "training" in (toy.pytester.path / "costs.csv").read_text()


def test_an_audit_that_is_there_costs_what_it_cost(toy: Any) -> None:
    toy.add("good", experiments="[tiny]")
    for name in ("first", "second"):
        toy.run("--benchmark-json", f"{name}.json")
    first, second = (
        written(toy.pytester.path / f"{name}.json")[0]["stats"]["max"]
        for name in ("first", "second")
    )
    assert first == second


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none/b.json", "cannot be written: there is no folder "),
        ("claims", "is a folder; name a file"),
    ],
)
def test_a_path_that_cannot_be_written_is_said_before_training(
    toy: Any, path: str, why: str
) -> None:
    toy.add("good", experiments="[tiny]")
    result = toy.run("-n", "2", "--benchmark-json", path)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--benchmark-json {path}: {why}*"])
    assert not (toy.pytester.path / ".omnigrok").exists()


def test_nothing_trained_is_said(toy: Any) -> None:
    toy.add("good")
    result = toy.run("-n", "2", "--benchmark-json", "b.json")
    result.stdout.fnmatch_lines(
        ["*nothing is written: no claim that was judged has a recorded training*"]
    )
    assert not (toy.pytester.path / "b.json").exists()
