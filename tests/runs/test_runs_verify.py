"""Recorded Runs against their first steps, trained again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.cli import main
from omnigrok.runs import Curves, Run
from omnigrok.runs.evidence import write
from omnigrok.runs.store import Environment
from omnigrok.runs.verify import TOLERANCE, Comparison, compare, retrain, sample
from omnigrok.training import train

CPU = torch.device("cpu")
RUN = Run(
    task="teacher_student", model="mlp", seed=0, n_train=8, steps=40, lr=1e-3, alpha=1.5, weight_decay=0.1,
    network={"widths": [3, 6, 3], "activation": "tanh"}, data={"n_test": 8},  # type: ignore[arg-type]
)  # fmt: skip


@pytest.fixture(scope="module")
def recorded() -> list[Curves]:
    return train([RUN.replace(seed=seed) for seed in range(3)])


def scaled(curves: Curves, name: str, factor: float) -> Curves:
    return replace(curves, columns={**curves.columns, name: curves[name] * factor})


def test_the_same_trainer_agrees(recorded: list[Curves], tmp_path: Path) -> None:
    found = retrain(recorded, 10, CPU, tmp_path)
    assert [each.run for each in found] == [curves.run for curves in recorded]
    assert all(each.agrees and each.points == 11 and each.difference < 1e-5 for each in found)


@pytest.mark.parametrize("name", ["train_loss", "test_loss", "weight_norm"])
def test_another_trainer_does_not(recorded: list[Curves], name: str, tmp_path: Path) -> None:
    (found,) = retrain([scaled(recorded[0], name, 1 + 3 * TOLERANCE)], 10, CPU, tmp_path)
    assert found.difference == pytest.approx(3 * TOLERANCE, rel=0.02)
    assert not found.agrees


def test_a_fault_that_shows_after_the_first_step_is_seen(recorded: list[Curves], tmp_path: Path) -> None:
    """The recorded Run claims a weight decay that it was not trained with."""
    wrong = replace(recorded[0], run=recorded[0].run.replace(weight_decay=30.0))
    (found,) = retrain([wrong], 40, CPU, tmp_path)
    assert not found.agrees


def test_runs_of_several_shapes(recorded: list[Curves], tmp_path: Path) -> None:
    (other,) = train([RUN.replace(n_train=9)])
    found = retrain([recorded[0], other, recorded[1]], 5, CPU, tmp_path)
    assert {each.run for each in found} == {recorded[0].run, recorded[1].run, other.run}
    assert all(each.agrees for each in found)


def test_only_common_steps_count(recorded: list[Curves]) -> None:
    short = train([RUN.replace(steps=7)])[0]
    assert compare(recorded[0], short).points == 8
    assert not Comparison(RUN, 1, 0.0).agrees
    assert not Comparison(RUN, 9, math.inf).agrees


@given(st.floats(1e-12, 1e3), st.floats(-0.5, 0.5))
def test_the_difference_is_relative(scale: float, change: float) -> None:
    def curves(values: list[float]) -> Curves:
        return Curves(RUN, np.arange(3), {"train_loss": np.array(values), "train_acc": np.array([0.0, 0.5, 1.0])}, False, 0.0)

    found = compare(curves([scale] * 3), curves([scale, scale, scale * (1 + change)]))
    assert found.difference == pytest.approx(abs(change), rel=1e-6, abs=1e-12)


def test_a_loss_of_zero_that_is_zero_again_agrees() -> None:
    curves = Curves(RUN, np.arange(2), {"train_loss": np.zeros(2)}, False, 0.0)
    assert compare(curves, curves).difference == 0


@given(st.permutations(range(6)), st.integers(1, 8))
def test_the_sample_depends_on_the_runs_alone(order: list[int], count: int) -> None:
    runs = [RUN.replace(seed=seed) for seed in range(6)]
    chosen = sample([runs[place] for place in order], count)
    assert chosen == sample(runs, count)
    assert len(chosen) == min(count, 6)


def test_the_command(recorded: list[Curves], tmp_path: Path) -> None:
    env = Environment("0" * 16, torch.__version__, "cpu")
    good, bad = tmp_path / "good.ogev", tmp_path / "bad.ogev"
    write(good, [(recorded[0], env), (recorded[1], env)])
    write(bad, [(scaled(recorded[2], "weight_norm", 1.1), env)])
    done = CliRunner().invoke(main, ["evidence", "verify", str(good), "--steps", "5", "--data-root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.count("agrees, 6 points") == 2
    done = CliRunner().invoke(main, ["evidence", "verify", str(good), str(bad), "--steps", "5", "--data-root", str(tmp_path)])
    assert done.exit_code == 1
    assert "bad.ogev: seed 2, alpha 1.5, weight decay 0.1: DIFFERS" in done.output
