"""The trainer gives the numbers of the table; other numbers need a new version, and a new version a
new table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import trajectory_table as table
from omnigrok.run import CONSTRAINTS
from omnigrok.suite.experiment import expand
from omnigrok.suite.suite import load_suite
from omnigrok.training import Stack, feed, optimizer, sphere, train
from omnigrok.training.identity import versions
from omnigrok.training.native_library import library

CLAIMS = Path(__file__).parents[3] / "claims"


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    return table.load()


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")


def differences(
    family: str, recorded: Mapping[str, Mapping[str, Any]], only: str = ""
) -> list[str]:
    """Where a family parts from the table; ``only`` entries whose name holds this."""
    found = []
    for name, runs in table.entries(family):
        if only in name:
            apart = table.difference(train(runs), recorded[name])
            found += [f"{name}: {apart}"] if apart else []
    return found


# The guard


@pytest.mark.parametrize("family", table.FAMILIES)
def test_the_trainer_gives_the_numbers_of_the_table(
    family: str, recorded: dict[str, dict[str, Any]]
) -> None:
    if family.startswith("qm9"):
        pytest.importorskip("rdkit")
    found = differences(family, recorded)
    assert not found, "\n".join([*found, table.REMEDY])


@pytest.mark.parametrize(
    "family",
    [family for family in table.FAMILIES if family.split()[1] in ("mlp", "decoder", "messy_mlp")],
)
def test_the_native_step_gives_the_numbers_of_the_table(
    family: str, recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMNIGROK_NATIVE")
    if library() is None:
        pytest.skip("the native step cannot be built here")
    assert all(Stack(runs).native for _, runs in table.entries(family))
    found = differences(family, recorded)
    assert not found, "\n".join([*found, table.REMEDY])


def test_the_table_was_made_with_todays_versions(recorded: dict[str, dict[str, Any]]) -> None:
    for family in table.FAMILIES:
        for name, runs in table.entries(family):
            now = ", ".join(f"{part} {number}" for part, number in versions(runs[0]).items())
            assert recorded[name]["versions"] == now, f"{name}: {table.REGENERATE}"


def test_the_table_holds_every_family_under_every_constraint(
    recorded: dict[str, dict[str, Any]],
) -> None:
    names = {name for family in table.FAMILIES for name, _ in table.entries(family)}
    assert set(recorded) == names
    assert len(names) == len(table.FAMILIES) * len(CONSTRAINTS) * 2
    there = {
        (runs[0].task, runs[0].model, runs[0].loss)
        for family in table.FAMILIES
        for _, runs in table.entries(family)
    }
    used = {
        (run.task, run.model, run.loss)
        for figure in load_suite(CLAIMS).figures
        for experiment in figure.experiments.values()
        for run in expand(experiment, "smoke", "paper")
    }
    assert used <= there


def test_the_table_is_small() -> None:
    assert table.TABLE.stat().st_size < 300_000


# What the guard notices, and what not


@pytest.mark.parametrize("family", table.FAMILIES)
def test_a_step_larger_by_a_ten_thousandth_is_noticed(
    family: str, recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = optimizer.schedule

    def larger(*arguments: Any) -> optimizer.Schedule:
        plan = real(*arguments)
        return optimizer.Schedule(plan.decay, plan.step_size * 1.0001, plan.second)

    monkeypatch.setattr(optimizer, "schedule", larger)
    monkeypatch.setattr(feed, "schedule", larger)
    name, runs = next(
        entry for entry in table.entries(family) if entry[0].endswith("rescale, float64")
    )
    trained = train(runs)
    if table.starts_rounded(trained, recorded[name]):
        pytest.skip(
            "this processor rounds the draws in float32 otherwise; the guard is coarser here"
        )
    assert table.difference(trained, recorded[name])


def squared(left: Tensor, right: Tensor) -> Tensor:
    return (
        torch.linalg.vector_norm(left, dim=1).square() if left is right else (left * right).sum(1)
    )


def summed(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(1)


@pytest.mark.parametrize("dot", [squared, summed])
def test_another_way_to_take_an_inner_product_changes_nothing(
    dot: object, recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sphere, "dot", dot)
    for family in (
        "teacher_student mlp",
        "mnist mlp mse",
        "addition decoder",
        "modular transformer",
    ):
        for constraint in ("rescale,", "tangent"):
            assert differences(family, recorded, only=constraint) == []


def test_a_raised_version_needs_a_new_table(
    recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omnigrok.training.identity.VERSION", 2)
    with pytest.raises(AssertionError, match="write the table again"):
        test_the_table_was_made_with_todays_versions(recorded)


def test_a_start_rounded_by_another_processor_is_held_to_the_tolerance_of_float32(
    recorded: dict[str, dict[str, Any]],
) -> None:
    name, runs = next(table.entries("teacher_student mlp"))
    trained = train(runs)

    def shifted(by: float) -> str | None:
        others = [
            replace(each, columns={key: each[key] * (1 + by) for key in each.columns})
            for each in trained
        ]
        return table.difference(others, recorded[name])

    assert "float64" in name
    assert shifted(1e-7) is None
    assert shifted(1e-5) is not None


# Writing it again


def only(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "FAMILIES", {family: table.FAMILIES[family]})


def test_entries_of_unchanged_versions_are_kept_as_they_are(
    recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("addition decoder", monkeypatch)
    kept = table.renewed(recorded)
    assert kept == {name: recorded[name] for name in kept}
    assert table.dump(recorded) == table.TABLE.read_text()


def test_other_numbers_without_a_new_version_are_not_written(
    recorded: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    only("addition decoder", monkeypatch)
    monkeypatch.setattr("omnigrok.training.step.adamw_", lambda weights, *_: weights.mul_(1.001))
    with pytest.raises(SystemExit, match="raise VERSION"):
        table.renewed(recorded)
    monkeypatch.setattr("omnigrok.training.identity.VERSION", 2)
    name = "addition decoder, free, float64"
    new = table.renewed(recorded)[name]
    assert new["versions"].startswith("trainer 2")
    assert new["train_loss"] != recorded[name]["train_loss"]
