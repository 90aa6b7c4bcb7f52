"""Recorded Runs against their first steps, trained again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from click.testing import Result as Done
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.cli import main
from omnigrok.curves import Curves
from omnigrok.errors import BadInput, EvidenceError
from omnigrok.evidence import find
from omnigrok.evidence.adopt import FIRST, adopt, is_first
from omnigrok.evidence.layout import Result, equal
from omnigrok.evidence.reading import read
from omnigrok.evidence.signature import sign, signature_of, signer_of
from omnigrok.evidence.verify import DRIFT, SHARE, TOLERANCE, Comparison, compare, retrain, sample
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.store.store import Environment
from omnigrok.training import train
from omnigrok.training.identity import identity

CPU = torch.device("cpu")
RUN = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=8,
    steps=40,
    lr=1e-3,
    alpha=1.5,
    weight_decay=0.1,
    network={"widths": [3, 6, 3], "activation": "tanh"},
    data={"n_test": 8},  # type: ignore[arg-type]
)


@pytest.fixture(scope="module")
def recorded() -> list[Curves]:
    return train([RUN.replace(seed=seed) for seed in range(3)])


def scaled(curves: Curves, name: str, factor: float) -> Curves:
    return replace(curves, columns={**curves.columns, name: curves[name] * factor})


def test_the_same_trainer_agrees(recorded: list[Curves], tmp_path: Path) -> None:
    found = retrain(recorded, 10, CPU, tmp_path)
    assert [each.run for each in found] == [curves.run for curves in recorded]
    assert all(each.agrees and each.points == 11 and each.worst.share < 0.1 for each in found)
    assert {column.name for column in found[0].columns} == set(recorded[0].columns)


@pytest.mark.parametrize("name", ["train_loss", "test_loss", "weight_norm", "weight_norm_double"])
def test_another_trainer_does_not(recorded: list[Curves], name: str, tmp_path: Path) -> None:
    (found,) = retrain([scaled(recorded[0], name, 1 + 3 * TOLERANCE["float32"])], 10, CPU, tmp_path)
    assert found.worst.name == name
    assert found.worst.difference == pytest.approx(3 * TOLERANCE["float32"], rel=0.02)
    assert not found.agrees


@pytest.mark.parametrize("change", ["replaced", "smoothed"])
def test_curves_that_were_altered_after_step_100_differ(change: str, tmp_path: Path) -> None:
    (curves, other) = train([RUN.replace(steps=400, seed=seed) for seed in (0, 1)])
    late = curves.step > 100

    def altered(name: str) -> np.ndarray:
        values = curves[name].copy()
        values[late] = (
            other[name][late]
            if change == "replaced"
            else np.linspace(values[late][0], values[late][-1], late.sum())
        )
        return values

    wrong = replace(curves, columns={name: altered(name) for name in curves.columns})
    assert retrain([wrong], 100, CPU, tmp_path)[0].agrees
    assert not retrain([wrong], 2000, CPU, tmp_path)[0].agrees


def test_a_fault_that_shows_after_the_first_step_is_seen(
    recorded: list[Curves], tmp_path: Path
) -> None:
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
    assert compare(recorded[0], short, 8, short).points == 8
    start = train([RUN.replace(steps=1)])[0]
    only = replace(
        start,
        step=start.step[:1],
        columns={name: values[:1] for name, values in start.columns.items()},
    )
    assert not compare(recorded[0], only, 8, only).agrees
    assert not Comparison(RUN, ()).agrees


def made(loss: list[float], acc: list[float], **more: list[float]) -> Curves:
    columns = {
        "train_loss": np.array(loss),
        "train_acc": np.array(acc),
        **{name: np.array(values) for name, values in more.items()},
    }
    return Curves(RUN.replace(n_train=1000), np.arange(len(loss)), columns)


LEVEL = [0.5, 0.5, 0.5]


@given(st.floats(1e-12, 1e3), st.floats(-0.5, 0.5))
def test_the_difference_is_relative(scale: float, change: float) -> None:
    today = made([scale, scale, scale * (1 + change)], LEVEL)
    found = compare(made([scale] * 3, LEVEL), today, 8, today)
    assert found.worst.difference == pytest.approx(abs(change), rel=1e-6, abs=1e-12)
    assert found.agrees == (found.worst.difference <= TOLERANCE["float32"])


def test_where_rounding_moves_the_trainer_of_today_more_is_accepted() -> None:
    old, new = made([1.0, 1.0, 1.0], LEVEL), made([1.0, 1.05, 1.05], LEVEL)
    assert not compare(old, new, 8, new).agrees
    drifting = made(
        [1.0, 1.05 * (1 + 0.06 / DRIFT), 1.05], LEVEL
    )  # what has drifted once is not trusted to have come back
    found = compare(old, new, 8, drifting)
    assert found.agrees
    assert found.columns[1].drifts == 1
    assert not compare(made([1.01, 1.0, 1.0], LEVEL), new, 8, drifting).agrees  # before it drifts


def test_accuracies_differ_by_a_hundredth_or_by_samples_where_the_loss_drifts() -> None:
    old = made([1.0] * 3, LEVEL)
    assert compare(old, (new := made([1.0] * 3, [0.5, 0.5, 0.5 + 0.9 * SHARE])), 8, new).agrees
    assert not compare(old, (new := made([1.0] * 3, [0.5, 0.5, 0.5 + 1.1 * SHARE])), 8, new).agrees
    few = replace(old, run=RUN.replace(n_train=4))
    assert compare(few, (new := made([1.0] * 3, [0.5, 0.75, 0.5])), 8, new).agrees
    assert not compare(few, (new := made([1.0] * 3, [0.5, 1.0, 0.5])), 8, new).agrees
    assert compare(few, new, 8, made([1.0, 1.001, 1.0], [0.5, 1.0, 0.5])).agrees


def test_a_column_that_only_one_has_differs() -> None:
    one, other = made([1.0] * 3, LEVEL, test_loss=LEVEL), made([1.0] * 3, LEVEL)
    assert not compare(one, other, 8, other).agrees
    assert not compare(other, one, 8, one).agrees


def test_values_that_are_not_finite_agree_with_their_like() -> None:
    broken = made([1.0, np.inf, np.nan], LEVEL)
    assert compare(broken, broken, 8, broken).agrees
    assert not compare(broken, (new := made([1.0, 1.0, np.nan], LEVEL)), 8, new).agrees
    assert not compare(made([1.0] * 3, LEVEL), broken, 8, broken).agrees


def test_a_loss_of_zero_that_is_zero_again_agrees() -> None:
    zero = made([0.0] * 3, LEVEL)
    assert compare(zero, zero, 8, zero).worst.difference == 0


@given(st.permutations(range(6)), st.integers(1, 8), st.integers(0, 99))
def test_the_sample_depends_on_the_seed_and_not_on_the_order(
    order: list[int], count: int, seed: int
) -> None:
    runs = [RUN.replace(seed=seed) for seed in range(6)]
    chosen = sample([runs[place] for place in order], count, seed)
    assert chosen == sample(runs, count, seed)
    assert len({run.digest for run in chosen}) == min(count, 6)


def test_other_seeds_draw_other_runs() -> None:
    runs = [RUN.replace(seed=seed) for seed in range(6)]
    assert {run for seed in range(40) for run in sample(runs, 1, seed)} == set(runs)


# The commands

OLD = Environment("0" * 16, torch.__version__, "cpu")


def by_run(recorded: Sequence[Curves], environment: Environment = OLD) -> dict[Run, Result]:
    return {curves.run: (curves, environment) for curves in recorded}


YAML = """\
figure: toy
title: Toy
place: nowhere
experiments:
  one:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 40, alpha: 1.5,
       weight_decay: 0.1, data: {n_test: 8}, network: {widths: [3, 6, 3], activation: tanh}}
    sweep: {seed: {count: 3}}
  many:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 2, alpha: 1.5,
       weight_decay: 0.1, data: {n_test: 8}, network: {widths: [3, 6, 3], activation: tanh}}
    sweep: {seed: {count: 12}}
claims:
  - id: toy.loss
    statement: the last training loss is small
    place: nowhere
    criterion: {mean: {below: 1000}}
    experiments: [one]
    control: {why: it is}
    "null": sign flips
"""
CHECKS = """\
from omnigrok.audit import Case, claim
from omnigrok.stats import mean_in_region


@claim("toy.loss")
def test_loss(case: Case) -> None:
    values = case.grid().per_seed(lambda curves: float(curves.whole("train_loss")[-1]))
    case.judge([mean_in_region("last loss", values, case.region("mean"))])
"""


def meta(experiment: str = "one") -> dict[str, str]:
    return {"experiment": f"toy:{experiment}", "protocol": "paper", "note": "kept"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The claims folder that the files are evidence of."""
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "toy.yaml").write_text(YAML)
    (folder / "test_toy.py").write_text(CHECKS)
    return folder


@pytest.fixture
def files(
    recorded: list[Curves], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Evidence of an older trainer: a file that agrees, and one that does not."""
    monkeypatch.chdir(folder.parent)
    good, bad = folder.parent / "good.parquet", folder.parent / "bad.parquet"
    write(good, by_run(recorded[:2]), meta=meta())
    write(bad, by_run([scaled(recorded[2], "weight_norm", 1.1)]), meta=meta())
    return good, bad


def invoke(*arguments: object) -> Done:
    return CliRunner().invoke(
        main, ["evidence", *map(str, arguments), "--steps", "5", "--data-root", "."]
    )


def test_verify_says_what_agrees(files: tuple[Path, Path]) -> None:
    good, bad = files
    done = invoke("verify", good)
    assert done.exit_code == 0, done.output
    assert done.output.count("agrees, 6 points, 10 columns") == 2
    assert "test_acc_euclid" in done.output
    assert "training 1 of 1: 2 x teacher_student mlp, 5 steps, float32" in done.stderr
    done = invoke("verify", good, bad)
    assert done.exit_code == 1
    assert "bad.parquet: seed 2, alpha 1.5, weight decay 0.1: DIFFERS" in done.output


def test_verify_draws_other_runs_each_time_unless_the_seed_is_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    path = folder.parent / "many.parquet"
    many = train([RUN.replace(seed=seed, steps=2) for seed in range(12)])
    write(path, by_run(many), meta=meta("many"))
    outputs = [invoke("verify", path, "--runs", 1).output for _ in range(4)]
    assert len(set(outputs)) > 1
    seed = re.search(r"--seed (\d+)", outputs[0])
    assert seed
    assert invoke("verify", path, "--runs", 1, "--seed", seed[1]).output == outputs[0]


def test_verify_whole_compares_what_decides(
    files: tuple[Path, Path], folder: Path, recorded: list[Curves]
) -> None:
    """Curves that are right at first and forged at the end: only the numbers that decide differ."""
    (folder / "evidence").mkdir()
    target = folder / "evidence" / "toy.one.paper.parquet"
    write(target, by_run(recorded), meta=meta())
    done = invoke("verify", target, "--whole", 1)
    assert done.exit_code == 0, done.output
    assert "toy.loss: last loss: " in done.output
    assert "1 whole runs" in done.output
    forged = []
    for curves in recorded:
        values = curves["train_loss"].copy()
        values[-1] = 1e-3 * (1 + curves.run.seed / 100)
        forged.append(replace(curves, columns={**curves.columns, "train_loss": values}))
    write(target, by_run(forged), meta=meta())
    find._read.cache_clear()
    assert invoke("verify", target).exit_code == 0
    done = invoke("verify", target, "--whole", 1)
    assert done.exit_code == 1
    assert re.search(r"last loss: 0.001\S* -> .*: DIFFERS", done.output)


def test_verify_whole_does_not_pass_where_nothing_can_be_judged(files: tuple[Path, Path]) -> None:
    """The claims folder has no evidence that its claim could be judged from."""
    done = invoke("verify", files[0], "--whole", 1)
    assert "toy.loss: cannot be judged: " in done.output
    assert done.exit_code == 1
    assert "--whole 1: no claim could be judged, so no number was compared" in done.output


@pytest.mark.parametrize("command", ["verify", "adopt"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "venv.__main__"}, "asks for none of its runs"),
        ({"network": {"widths": [10**9] * 3}}, "asks for none of its runs"),
        ({}, "has no such experiment"),
    ],
    ids=["module", "size", "experiment"],
)
def test_nothing_is_trained_that_the_claims_do_not_ask_for(
    files: tuple[Path, Path], recorded: list[Curves], command: str, change: Any, said: str
) -> None:
    """A file of a stranger would choose what is imported, or how much memory it takes."""
    path = files[0].with_name("strange.parquet")
    run = recorded[0].run.replace(**change)
    about = meta() if change else {"experiment": "../x:one", "protocol": "paper"}
    write(path, by_run([replace(recorded[0], run=run)]), meta=about)
    before = set(sys.modules)
    done = invoke(command, path)
    assert done.exit_code == 1
    assert said in done.output
    assert "venv.__main__" not in set(sys.modules) - before


def test_signatures(files: tuple[Path, Path], tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen")
    good, bad = files
    for name in ("mine", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"me@example.org {(tmp_path / 'mine.pub').read_text()}")
    done = CliRunner().invoke(
        main, ["evidence", "sign", "--key", str(tmp_path / "mine"), str(good)]
    )
    assert done.exit_code == 0, done.output
    assert signer_of(good, signers) == "me@example.org"
    check = ["evidence", "check", "--allowed-signers", str(signers)]
    assert "signed by me@example.org" in CliRunner().invoke(main, [*check, str(good)]).output
    with pytest.raises(EvidenceError, match=r"bad\.parquet: it is not signed"):
        signer_of(bad, signers)
    sign(bad, tmp_path / "other")
    with pytest.raises(EvidenceError, match="does not allow its signer"):
        signer_of(bad, signers)
    write(good, dict(read(bad)))
    with pytest.raises(EvidenceError, match="its signature does not hold"):
        signer_of(good, signers)
    with pytest.raises(BadInput, match="was not signed"):
        sign(good, tmp_path / "none")
    signature = signature_of(good).read_bytes()
    sleepy = tmp_path / "bin" / "ssh-keygen"
    sleepy.parent.mkdir()
    for program, message in (
        ("#!/bin/sh\nsleep 1; exit 1\n", "was not signed"),  # a passphrase that takes long
        ("no program", "ssh-keygen: cannot be started"),
    ):
        sleepy.write_text(program)
        sleepy.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(sleepy.parent), prepend=os.pathsep)
            patch.setattr("omnigrok.evidence.signature.SECONDS", 0.1)
            with pytest.raises(BadInput, match=message):
                sign(good, tmp_path / "mine")
    assert signature_of(good).read_bytes() == signature
    with pytest.raises(BadInput, match="no such file of allowed signers"):
        signer_of(good, tmp_path / "none")


def test_without_openssh(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BadInput, match="signatures need ssh-keygen of OpenSSH"):
        sign(files[0], Path("key"))


def test_adopt_names_todays_versions_and_keeps_who_recorded_it(
    files: tuple[Path, Path], recorded: list[Curves]
) -> None:
    good, bad = files
    before, unchanged = read(good), bad.read_bytes()
    done = invoke("adopt", good, bad, "--seed", 7)
    assert done.exit_code == 1
    assert "bad.parquet: left as it is" in done.output
    assert bad.read_bytes() == unchanged
    after = read(good)
    now = identity(RUN)
    taken = Environment(now, OLD.torch, OLD.device)
    assert set(after) == set(before)
    assert all(equal(after[run], (before[run][0], taken)) for run in before)
    assert after.meta["note"] == "kept"
    (entry,) = after.meta["adopted"]
    assert entry["identities"] == {OLD.identity: now}
    assert (entry["recorded"], entry["steps"], entry["seed"]) == (before.meta["date"], 5, 7)
    assert set(entry["runs"]) == {run.digest for run in before}
    assert entry["columns"]["test_loss"]["points"] == 12
    assert set(entry["columns"]) == set(recorded[0].columns)


def test_adopt_leaves_alone_what_is_up_to_date(files: tuple[Path, Path]) -> None:
    good, _ = files
    invoke("adopt", good)
    content = good.read_bytes()
    done = invoke("adopt", good)
    assert done.exit_code == 0
    assert "up to date" in done.output
    assert good.read_bytes() == content


def test_nothing_is_adopted_that_was_not_verified(files: tuple[Path, Path]) -> None:
    with pytest.raises(EvidenceError, match="no Run was trained again"):
        adopt(files[0], [], 5, 0)


def test_what_the_code_of_version_1_recorded_itself_needs_no_training(
    recorded: list[Curves], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    path = tmp_path / "first.parquet"
    old = replace(OLD, identity=FIRST["teacher_student", "mlp"])
    write(path, by_run([scaled(recorded[0], "train_loss", 2.0)], old))
    done = invoke("adopt", path)
    assert done.exit_code == 0, done.output
    (entry,) = read(path).entries.values()
    assert entry.environment == replace(OLD, identity=identity(RUN))
    assert "the table of version 1" in read(path).meta["adopted"][0]["why"]
    write(path, {**by_run(recorded[:1], old), **by_run(recorded[1:2])})
    assert not is_first(read(path))


def test_the_code_of_version_1_is_not_that_of_another_version(
    recorded: list[Curves], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(OLD, identity=FIRST["teacher_student", "mlp"])
    write(tmp_path / "first.parquet", by_run(recorded[:1], first))
    monkeypatch.setattr(
        "omnigrok.evidence.adopt.identity", lambda _: "trainer 2, teacher_student 1, mlp 1"
    )
    assert not is_first(read(tmp_path / "first.parquet"))
