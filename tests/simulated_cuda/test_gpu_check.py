"""``omnigrok gpu-check`` runs to its end on the simulated card, and says so where something is not
as expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from omnigrok.bench import gpu_check
from omnigrok.bench.gpu_check import CHECKS, CheckRow, run_checks
from omnigrok.cli import main
from omnigrok.forecast import measure
from omnigrok.training import Stack
from omnigrok.training.step import TorchStep
from simcuda import SimulatedCard
from simcuda.card import NAME

GPU = torch.device("cuda")


@pytest.fixture
def small_card(
    make_card: Callable[..., SimulatedCard], monkeypatch: pytest.MonkeyPatch
) -> SimulatedCard:
    """A card of 256 MiB; matrices and stacks are small. Triton does not compile for it."""
    monkeypatch.setitem(measure.MATRICES, "cuda", 2)
    monkeypatch.setattr(gpu_check, "compiler_works", lambda device: True)
    return make_card(total=256 << 20)


def run(tmp_path: Path, *options: str) -> tuple[Result, dict[str, Any]]:
    target = tmp_path / "check.json"
    result = CliRunner().invoke(main, ["gpu-check", "--out", str(target), *options])
    return result, json.loads(target.read_text())


@pytest.mark.usefixtures("small_card")
def test_it_runs_to_its_end_and_leaves_a_file(tmp_path: Path) -> None:
    """All that is not as expected is the memory: this card has 256 MiB, not 8 GiB."""
    result, document = run(tmp_path)
    assert result.exit_code == 1, result.output
    assert [row["check"] for row in document["rows"] if row["ok"] is False] == ["memory"]
    assert document["card"] == NAME
    curves = [row for row in document["rows"] if row["check"].startswith("curves of")]
    assert len(curves) == len(gpu_check.FAMILIES)
    assert all(row["ok"] for row in curves)
    last = document["rows"][-1]
    assert last["expected"] == "trained in parts"
    assert last["ok"]
    assert "NOT AS EXPECTED memory: expected 8 GiB or more; found 0 GiB" in result.output


def only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(gpu_check, "CHECKS", {name: CHECKS[name]})


@pytest.mark.usefixtures("small_card")
def test_memory_that_stays_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Stack] = []
    make = Stack.__init__

    def kept_for_ever(self: Stack, *arguments: Any) -> None:
        kept.append(self)
        make(self, *arguments)

    monkeypatch.setattr(Stack, "__init__", kept_for_ever)
    only(monkeypatch, "memory")
    rows = list(run_checks(GPU, 60))
    assert rows[0].ok is False, rows


@pytest.mark.usefixtures("small_card")
def test_other_curves_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    take = TorchStep.take_one

    def off(self: TorchStep) -> None:
        take(self)
        if self.replicas.device.type == "cuda":
            self.replicas.weights.mul_(1.001)

    monkeypatch.setattr(TorchStep, "take_one", off)
    monkeypatch.setattr(gpu_check, "FAMILIES", gpu_check.FAMILIES[:1])
    only(monkeypatch, "curves")
    (row,) = run_checks(GPU, 60)
    assert row.ok is False
    assert "captured" in row.found


@pytest.mark.usefixtures("small_card")
def test_an_error_is_a_row_and_the_other_checks_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> Iterator[CheckRow]:
        yield CheckRow("first", "", "", True)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def sound(device: torch.device) -> Iterator[CheckRow]:
        yield CheckRow("second", "", "", True)

    monkeypatch.setattr(gpu_check, "CHECKS", {"broken": broken, "sound": sound})
    rows = list(run_checks(GPU, 60))
    assert [(row.check, row.ok) for row in rows] == [
        ("first", True),
        ("broken", False),
        ("second", True),
    ]
    assert "illegal memory access" in rows[1].found


@pytest.mark.usefixtures("small_card")
def test_what_the_time_does_not_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check.time, "monotonic", iter(range(0, 100_000, 100)).__next__)
    assert {row.found for row in run_checks(GPU, 1)} == {"not reached"}


def test_without_a_card_it_says_what_is_missing(tmp_path: Path) -> None:
    target = tmp_path / "check.json"
    result = CliRunner().invoke(main, ["gpu-check", "--out", str(target)])
    assert result.exit_code == 1
    assert "sees no CUDA device" in result.output
    assert not target.exists()
