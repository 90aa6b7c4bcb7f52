"""Following the README: a data set, a model, a YAML entry and a check, together under 60 lines, make a working claim."""

from __future__ import annotations

import json

import pytest

DATA = """\
import torch
from omnigrok.data import Pool, Split

def split(run, root):
    torch.manual_seed(run.seed)
    x = torch.randn(2 * run.n_train, 3)
    order = torch.arange(len(x))
    return Split(Pool((x,), x.sum(1, keepdim=True)), order[: run.n_train], order[run.n_train :])

def accuracy(run, outputs, targets):
    return {"acc": ((outputs - targets).abs() < 0.1).to(outputs.dtype).squeeze(-1)}
"""
MODEL = """\
from torch import nn

def build(run):
    return nn.Linear(3, 1)
"""
YAML = """\
figure: sums
title: Learning a sum
place: nowhere
experiments:
  line:
    base: {task: mydata, model: mymodel, n_train: 20, lr: 0.05, steps: 200}
    sweep: {seed: {count: 3}}
claims:
  - id: sums.learned
    statement: a linear network learns the sum of its inputs
    place: nowhere
    experiments: [line]
    quantity: {column: test_loss, when: -1}
    criterion: {loss: {below: 0.01}}
    control: {why: at the first step it knows nothing, quantity: {when: 0}}
    "null": control arm
"""
CHECK = """\
from omnigrok.audit import claim
from omnigrok.stats import mean_in_region

@claim("sums.learned")
def test_learned(case):
    losses = case.grid().per_seed(lambda curves: float(curves[case["column"]][case["when"]]))
    case.judge([mean_in_region("final test loss", losses, case.region("loss"))])
"""


def test_under_sixty_lines() -> None:
    assert sum(part.count("\n") for part in (DATA, MODEL, YAML, CHECK)) < 60


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_works(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    package = pytester.mkpydir("mypkg")
    (package / "mydata.py").write_text(DATA)
    (package / "mymodel.py").write_text(MODEL)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=":")
    folder = pytester.mkdir("claims")
    (folder / "sums.yaml").write_text(YAML.replace("mydata", "mypkg.mydata").replace("mymodel", "mypkg.mymodel"))
    (folder / "test_sums.py").write_text(CHECK)
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = error\n")
    pytester.makeconftest('pytest_plugins = ["omnigrok.audit.plugin"]\n')
    result = pytester.runpytest_subprocess("claims", "-n", workers, "-p", "no:cacheprovider", "--audit-json", "a.json")
    (row,) = json.loads((pytester.path / "a.json").read_text())["claims"]
    assert (row["verdict"], row["control"]["verdict"]) == ("REPRODUCED", "REFUTED"), result.stdout.str()
    assert row["cost"]["runs"] == 3
    assert result.ret == pytest.ExitCode.OK
