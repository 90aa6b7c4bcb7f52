"""Cheap arithmetic beside float64: what is found the same, what is not, and what was recorded for
every family.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omnigrok.bench import precision
from omnigrok.bench.precision import (
    QUANTITIES,
    PrecisionRow,
    Quantity,
    arithmetics,
    compare,
    measure,
)
from omnigrok.bench.precision_table import HEADINGS, cells, line, markdown
from omnigrok.bench.sweeps import SWEEPS, Sweep
from omnigrok.cli import main
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.stats import Verdict
from omnigrok.suite.experiment import expand
from omnigrok.suite.suite import load_suite

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "omnigrok" / "bench" / "PRECISION.md"
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
RUN = SWEEPS["teacher-student, free"].run
STEP = np.array([0, 50, 100, 101, 200, 400])


def curves(seed: int, **changes: Any) -> Curves:
    """Losses fall from 10 to 1; accuracies are 1 from step 100 on."""
    rising = np.where(STEP >= 100, 1.0, 0.0)
    fall = np.linspace(10.0, 1.0, len(STEP))
    columns = {
        "train_loss": fall,
        "test_loss": fall,
        "train_acc": rising,
        "test_acc": rising,
        "weight_norm": np.full(len(STEP), 5.0),
    }
    return Curves(RUN.replace(seed=seed), STEP, {**columns, **changes})


def pairs(
    change: Callable[[int, Curves], dict[str, Any]], seeds: int = 12
) -> list[tuple[Curves, Curves]]:
    """Cheap curves that differ from the exact ones by what ``change`` gives of each seed."""
    exact = [curves(seed) for seed in range(seeds)]
    return [(curves(seed, **change(seed, each)), each) for seed, each in enumerate(exact)]


def verdict(name: str, change: Callable[[int, Curves], dict[str, Any]]) -> Verdict:
    row = compare("sweep", "float32", BY_NAME[name], pairs(change))
    assert row is not None
    return row.verdict


def noise(seed: int, size: float) -> float:
    return size * (-1) ** seed


@pytest.mark.parametrize("name", BY_NAME)
def test_equal_curves_are_the_same(name: str) -> None:
    assert verdict(name, lambda seed, exact: {}) is Verdict.REPRODUCED


SHIFTS: dict[str, Callable[[float], Callable[[int, Curves], dict[str, Any]]]] = {
    "train loss / range": lambda size: (
        lambda seed, exact: {"train_loss": exact["train_loss"] + 9 * size}
    ),
    "test loss / range": lambda size: (
        lambda seed, exact: {"test_loss": exact["test_loss"] + 9 * size}
    ),
    "train accuracy": lambda size: lambda seed, exact: {"train_acc": exact["train_acc"] - size},
    "test accuracy": lambda size: lambda seed, exact: {"test_acc": exact["test_acc"] - size},
    "ln weight norm": lambda size: (
        lambda seed, exact: {"weight_norm": exact["weight_norm"] * math.exp(size)}
    ),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_beyond_the_margin_is_found_and_one_within_it_is_none(name: str) -> None:
    margin = BY_NAME[name].margin
    assert verdict(name, SHIFTS[name](0.8 * margin)) is Verdict.REPRODUCED
    assert verdict(name, SHIFTS[name](1.2 * margin)) is Verdict.REFUTED


@pytest.mark.parametrize("side", ["train", "test"])
def test_later_times_are_found(side: str) -> None:
    def later(step: int) -> Callable[[int, Curves], dict[str, Any]]:
        return lambda seed, exact: {f"{side}_acc": np.where(exact.step >= step, 1.0, 0.0)}

    assert verdict(f"ln t_{side}", later(101)) is Verdict.REPRODUCED
    assert verdict(f"ln t_{side}", later(200)) is Verdict.REFUTED


def test_scatter_without_a_shift_is_the_same_where_it_is_small() -> None:
    def scattered(size: float) -> Callable[[int, Curves], dict[str, Any]]:
        return lambda seed, exact: {"train_loss": exact["train_loss"] + 9 * noise(seed, size)}

    assert verdict("train loss / range", scattered(0.01)) is Verdict.REPRODUCED
    assert verdict("train loss / range", scattered(0.1)) is Verdict.INCONCLUSIVE


def test_a_threshold_that_only_one_of_two_reaches_is_counted_and_never_a_time() -> None:
    """One pair in 12 is more than 1 in 20."""

    def never(seed: int, exact: Curves) -> dict[str, Any]:
        return {"test_acc": np.zeros(len(exact.step))} if seed == 3 else {}

    row = compare("sweep", "float32", BY_NAME["ln t_test"], pairs(never))
    assert row is not None
    assert (row.pairs, row.alone, row.largest) == (11, 1, 0.0)
    assert row.verdict is Verdict.INCONCLUSIVE
    assert not row.same
    assert (
        compare(
            "sweep",
            "float32",
            BY_NAME["ln t_test"],
            pairs(lambda seed, exact: {"test_acc": np.zeros(len(exact.step))}),
        ).alone
        == 12
    )  # type: ignore[union-attr]


def test_a_run_that_diverges_in_one_arithmetic_alone_is_counted() -> None:
    broken = [
        (dataclasses.replace(cheap, diverged=cheap.run.seed == 3), exact)
        for cheap, exact in pairs(lambda seed, exact: {})
    ]
    for quantity in QUANTITIES:
        row = compare("sweep", "float32", quantity, broken)
        assert row is not None
        assert (row.pairs, row.alone, row.verdict) == (11, 1, Verdict.INCONCLUSIVE)


def test_what_no_pair_has_is_no_row() -> None:
    low = {"test_acc": np.zeros(len(STEP))}
    nowhere = [(curves(seed, **low), curves(seed, **low)) for seed in range(4)]
    assert compare("sweep", "float32", BY_NAME["ln t_test"], nowhere) is None


def test_a_seed_counts_once_however_many_pairs_it_has() -> None:
    both = [
        pair
        for pair in pairs(lambda seed, exact: {"train_loss": exact["train_loss"] + 0.09 * seed}, 3)
        for _ in range(4)
    ]
    row = compare("sweep", "float32", BY_NAME["train loss / range"], both)
    assert row is not None
    assert (row.finding.n, row.pairs) == (3, 12)
    assert row.finding.values == pytest.approx((0.0, 0.01, 0.02))
    assert row.largest == pytest.approx(0.02)


# What is trained


def test_every_kind_of_training_in_the_claims_has_a_sweep() -> None:
    def kind(run: Run) -> tuple[str, str, str, bool]:
        return run.task, run.model, run.loss, run.constraint == "free"

    wanted = {
        kind(run)
        for figure in load_suite(ROOT / "claims").figures
        for each in figure.experiments.values()
        for run in expand(each, "smoke", "paper")
    }
    assert wanted <= {kind(sweep.run) for sweep in SWEEPS.values()}


def test_the_cheap_arithmetics() -> None:
    assert arithmetics(RUN, CPU) == [("float32", "float32")]
    assert arithmetics(RUN.replace(loss="cross_entropy"), CPU) == [
        ("float32", "float32"),
        ("float32", "float64"),
    ]
    assert ("tf32", "float32") in arithmetics(RUN, torch.device("cuda"))


def test_a_few_seeds_of_a_family_are_trained_and_are_the_same() -> None:
    sweep = SWEEPS["teacher-student, held"]
    short = dataclasses.replace(sweep, run=sweep.run.replace(steps=100))
    rows = list(measure(short, CPU, seeds=4))
    assert [row.quantity for row in rows if not row.same] == []
    assert {row.pairs for row in rows if "loss" in row.quantity} == {12}
    assert (
        0 < max(row.largest for row in rows) < 1e-3
    )  # another arithmetic, and hardly another result


def test_the_loss_in_float64_is_an_arithmetic_of_its_own() -> None:
    sweep = SWEEPS["transformer, held"]
    short = dataclasses.replace(sweep, run=sweep.run.replace(steps=10, n_train=60, data={"p": 11}))
    largest = {
        row.arithmetic: row.largest
        for row in measure(short, CPU, seeds=3)
        if row.quantity == "train loss / range"
    }
    assert list(largest) == ["float32", "float32, loss float64"]
    assert 0 < largest["float32"] != largest["float32, loss float64"] > 0


def test_another_result_is_not_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheap arithmetic with a fault: weights that start a tenth too large."""
    real = precision.train

    def faulty(runs: list[Run], *more: Any) -> list[Curves]:
        cheap = runs[0].precision == "float32"
        found = real([run.replace(alpha=1.1 * run.alpha) for run in runs] if cheap else runs, *more)
        return [
            dataclasses.replace(curves, run=run) for curves, run in zip(found, runs, strict=True)
        ]

    monkeypatch.setattr(precision, "train", faulty)
    sweep = SWEEPS["teacher-student, held"]
    rows = {
        row.quantity: row
        for row in measure(
            dataclasses.replace(sweep, run=sweep.run.replace(steps=100)), CPU, seeds=4
        )
    }
    assert rows["ln weight norm"].verdict is Verdict.REFUTED
    assert not rows["test loss / range"].same


# The table and the command


def made() -> PrecisionRow:
    row = compare(
        "sweep",
        "float32",
        BY_NAME["train loss / range"],
        pairs(lambda seed, exact: {"train_loss": exact["train_loss"] + 0.009}),
    )
    assert row is not None
    return row


def test_a_line_of_the_table() -> None:
    assert cells(made()) == (
        "sweep",
        "float32",
        "train loss / range",
        "0.001 [0.001, 0.001]",
        "0.01",
        "0.001",
        "12",
        "0",
        "12",
        "yes",
    )
    lines = list(markdown([line(made())], CPU))
    assert "| " + " | ".join(cells(made())) + " |" == lines[-1]
    assert f"on cpu with torch {torch.__version__}." in lines[2]


def test_the_command_shows_and_writes_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def quick(
        sweep: Sweep, device: torch.device, root: Path | None, seeds: int
    ) -> list[PrecisionRow]:
        asked.append(seeds)
        return [dataclasses.replace(made(), sweep=sweep.name)]

    monkeypatch.setattr(
        importlib.import_module("omnigrok.cli.precision"), "measure", quick
    )  # the package has a command of that name
    target = tmp_path / "p.md"
    result = CliRunner().invoke(
        main, ["precision", "--family", "QM9, free", "--seeds", "5", "--markdown", str(target)]
    )
    assert result.exit_code == 0
    assert asked == [5]
    assert "QM9, free | float32 | train loss / range | " in result.output
    assert result.output.endswith("1 of 1 rows: the same\n")
    assert target.read_text().endswith("| yes |\n")
    CliRunner().invoke(main, ["precision", "--family", "MNIST, held", "--markdown", str(target)])
    families = [
        row.split(" | ")[0] for row in target.read_text().splitlines() if row.startswith("| ")
    ]
    assert families == ["| family", "| MNIST, held", "| QM9, free"]
    target.write_text(target.read_text().replace(torch.__version__, "0.1"))
    CliRunner().invoke(main, ["precision", "--family", "MNIST, held", "--markdown", str(target)])
    assert "QM9, free" not in target.read_text()  # of another torch


def recorded_lines() -> list[list[str]]:
    return [
        each.strip("| ").split(" | ")
        for each in RECORDED.read_text(encoding="utf-8").splitlines()
        if each.startswith("| ")
    ]


def test_what_is_recorded_is_whole_and_by_these_margins() -> None:
    head, *lines = recorded_lines()
    assert tuple(head) == HEADINGS
    found: dict[str, set[str]] = {}
    for each in lines:
        found.setdefault(each[0], set()).add(each[1])
        assert each[4] == f"{BY_NAME[each[2]].margin:g}"
        assert int(each[8]) <= precision.SEEDS
        assert each[9] in ("yes", "no", "cannot be said")
    for name, arithmetic in found.items():
        assert arithmetic == (
            {"float32"} if SWEEPS[name].run.loss == "mse" else {"float32", "float32, loss float64"}
        )


# Families to record; one that is recorded leaves the set.
UNRECORDED = {
    "IMDb, free",
    "IMDb, held",
    "MNIST cross-entropy, free",
    "MNIST cross-entropy, held",
    "MNIST representation, held",
    "MNIST, held",
    "transformer, free",
    "transformer, held",
}


def test_every_other_family_is_recorded() -> None:
    missing = {name for name in SWEEPS if name not in {each[0] for each in recorded_lines()}}
    options = " ".join(f'--family "{name}"' for name in sorted(missing - UNRECORDED))
    assert missing == UNRECORDED, (
        f"record it: omnigrok precision {options} --markdown omnigrok/bench/PRECISION.md"
    )


def test_margins_are_positive() -> None:
    assert all(isinstance(quantity, Quantity) and quantity.margin > 0 for quantity in QUANTITIES)
