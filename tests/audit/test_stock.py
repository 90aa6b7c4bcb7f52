"""What is recorded of an experiment, and what the rest would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.audit.stock import kind, measured_rates, stocks
from omnigrok.curves import Curves
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.suite import Setting, Suite, load_suite
from omnigrok.training.calendar import log_steps
from omnigrok.training.identity import identity
from omnigrok.training.work import step_operations


def curves(run: Run, seconds: float = 0.0, level: float = 1.0) -> Curves:
    step = np.array(log_steps(run))
    return Curves(run, step, {"train_loss": np.full(len(step), level)}, seconds=seconds)


def here(run: Run) -> Environment:
    return Environment(identity(run), torch.__version__, "cpu")


@pytest.fixture
def suite(toy: Any) -> Suite:
    toy.add("good", experiments="[tiny]")
    toy.write()
    return load_suite(toy.folder)


def runs_of(suite: Suite) -> tuple[Run, ...]:
    return suite.runs("toy:tiny", Setting("paper", "paper"))


def test_nothing_is_recorded_and_no_speed_is_known(suite: Suite) -> None:
    (stock,) = stocks(suite)
    runs = runs_of(suite)
    assert (stock.experiment, stock.protocol, stock.runs) == ("toy:tiny", "paper", len(runs))
    assert (stock.recorded, stock.settled, stock.held, stock.complete) == (0, 0, 0, False)
    assert stock.network_steps == sum(run.steps for run in runs)
    assert stock.seconds is None
    assert list(stocks(suite, wanted="toy:other")) == []


def test_a_scale_is_counted_by_itself_if_it_is_asked_for(toy: Any) -> None:
    toy.add("good", experiments="[tiny]")
    toy.yaml = toy.yaml.replace(
        "claims:\n", "    reduced: {how: one seed, sweep: {seed: {count: 1}}}\nclaims:\n", 1
    )
    toy.write()
    suite = load_suite(toy.folder)
    full = suite.runs("toy:tiny", Setting("paper", "paper"))
    runs = suite.runs("toy:tiny", Setting("paper", "paper", "reduced"))
    assert len(runs) < len(full)
    folder = Path(suite.folder) / "evidence"
    folder.mkdir()
    path = folder / "toy.tiny.paper.parquet"
    write(path, {run: (curves(run), here(run)) for run in runs}, meta={})
    (largest,) = stocks(suite)
    assert (largest.scale, largest.recorded, largest.complete) == ("reduced", len(runs), True)
    (asked,) = stocks(suite, only="full")
    assert (asked.scale, asked.recorded, asked.runs) == ("full", len(runs), len(full))


def test_the_rest_costs_what_the_recorded_runs_cost(suite: Suite, tmp_path: Path) -> None:
    runs = runs_of(suite)
    with Store(tmp_path / "s.sqlite") as store:
        store.adopt([(curves(run, seconds=3.0), here(run)) for run in runs[:2]])
        (stock,) = stocks(suite, store)
    assert (stock.recorded, stock.complete) == (2, False)
    assert stock.network_steps == sum(run.steps for run in runs[2:])
    # All runs of the toy are alike, and each took three seconds.
    assert {(run.steps, step_operations(run)) for run in runs} == {
        (runs[0].steps, step_operations(runs[0]))
    }
    assert stock.seconds == pytest.approx(3.0 * (len(runs) - 2))


def test_evidence_and_store_are_counted_together(suite: Suite, tmp_path: Path) -> None:
    runs = runs_of(suite)
    (Path(suite.folder) / "evidence").mkdir()
    path = Path(suite.folder) / "evidence" / "toy.tiny.paper.parquet"
    write(path, {run: (curves(run), here(run)) for run in runs[:4]}, meta={})
    (stock,) = stocks(suite)
    assert stock.recorded == 4
    with Store(tmp_path / "s.sqlite") as store:
        store.adopt([(curves(run), here(run)) for run in runs[3:]])
        (stock,) = stocks(suite, store)
    assert (stock.recorded, stock.complete, stock.network_steps) == (len(runs), True, 0)
    assert stock.seconds == 0.0 or stock.seconds is None


def test_what_has_settled_is_not_asked_of_published_code(toy: Any) -> None:
    toy.add("good", experiments="[tiny]\n    protocols: [paper, code]")
    toy.yaml = toy.yaml.replace("tanh}}\n", "tanh}, constraint: rescale}\n", 1)
    toy.write()
    suite = load_suite(toy.folder)
    folder = Path(suite.folder) / "evidence"
    folder.mkdir()
    for protocol in ("paper", "code"):
        runs = suite.runs("toy:tiny", Setting("paper", protocol))
        path = folder / f"toy.tiny.{protocol}.parquet"
        write(path, {run: (curves(run), here(run)) for run in runs}, meta={})
    paper, code = stocks(suite)
    assert (paper.protocol, paper.recorded, paper.settled, paper.held) == ("paper", 6, 6, 6)
    assert (code.protocol, code.recorded, code.settled, code.held) == ("code", 6, 0, 0)


def test_a_speed_is_all_seconds_over_all_operations(suite: Suite) -> None:
    run = runs_of(suite)[0]
    one, other = curves(run, 1.0), curves(run.replace(seed=9), 3.0)
    (rate,) = measured_rates([one, other, curves(run, 0.0)]).values()
    assert rate == pytest.approx(4.0 / (2 * run.steps * step_operations(run)))
    assert set(measured_rates([one])) == {kind(run)} == {(run.task, run.model, run.precision)}
    assert measured_rates([curves(run, 0.0)]) == {}
