"""A claims folder with one toy claim a verdict, in a pytest of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.decided import Entry, write_decided
from omnigrok.cli import main
from omnigrok.suite.digests import check_digest
from omnigrok.suite.schema import load_figure
from omnigrok.suite.suite import forget

TOY_YAML = """\
figure: toy
title: Toy
place: nowhere
experiments:
  tiny:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 12, data: {n_test: 8},
       network: {widths: [2, 4, 2], activation: tanh}}
    sweep: {seed: {count: 3}, alpha: [0.5, 2.0]}
claims:
"""
CLAIM = """\
  - id: {id}
    statement: the mean of three numbers is above zero
    place: nowhere
    criterion: {{mean: {{above: 0}}}}
    quantity: {{values: {values}}}
    experiments: {experiments}
    control: {{why: these numbers are below zero, quantity: {{values: {control}}}}}
    "null": sign flips
"""
CHECKS = '''\
"""Toy checks."""

from omnigrok.audit import Case, claim
from omnigrok.stats import mean_in_region


def judge(case: Case) -> None:
    case.judge([mean_in_region("mean", case["values"], case.region("mean"))])
'''
CHECK = """

@claim("{id}")
def test_{name}(case: Case) -> None:
    {body}
"""
GOOD, BAD = "[1.0, 1.1, 1.2]", "[-1.0, -1.1, -1.2]"


def _workers(args: Sequence[str]) -> bool:
    """Whether the options ask for other processes."""
    return any(
        option.startswith("-n") and (option[2:] or following).lstrip("= ") != "0"
        for option, following in itertools.pairwise([*args, ""])
    )


def forget_all() -> None:
    """Forget what was read of claims folders and evidence, as a new process has."""
    rooms = ("omnigrok.audit.", "omnigrok.suite.", "omnigrok.evidence.", "omnigrok.plugin.")
    for name, module in list(sys.modules.items()):
        if name.startswith(rooms):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


class Toy:
    """Builds the folder and runs pytest in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.yaml, self.checks = TOY_YAML, CHECKS
        pytester.makeini("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = error\n")
        pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n')

    @property
    def folder(self) -> Path:
        return self.pytester.path / "claims"

    def add(
        self,
        name: str,
        values: str = GOOD,
        control: str = BAD,
        body: str = "judge(case)",
        experiments: str = "[]",
    ) -> None:
        """One claim ``toy.<name>`` with its check."""
        self.yaml += CLAIM.format(
            id=f"toy.{name}", values=values, control=control, experiments=experiments
        )
        self.checks += CHECK.format(id=f"toy.{name}", name=name.replace("-", "_"), body=body)

    def write(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "toy.yaml").write_text(self.yaml)
        (self.folder / "test_toy.py").write_text(self.checks)

    def decide(self, **verdicts: str) -> None:
        """Write what recorded evidence decided of claims; the files are written before."""
        forget()
        figure = load_figure(self.folder / "toy.yaml")
        entries = []
        for name, verdict in verdicts.items():
            claim = figure.claim(f"toy.{name}")
            digests = {
                "criterion": claim.digest,
                "check": check_digest(self.folder / "test_toy.py", claim.id),
                "evidence": "",
            }
            known = {"claim": claim.id, "version": 1, "protocol": "paper", "scale": "full"}
            entries.append(Entry.model_validate({**known, **digests, "verdict": verdict}))
        write_decided(self.folder, entries)

    def run(self, *args: str) -> pytest.RunResult:
        """pytest in this process, which knows nothing of files that it has read before; ten times
        as fast as ``start``. With workers it is ``start``.
        """
        if _workers(args):
            return self.start(*args)
        self.write()
        forget_all()
        return self.pytester.runpytest_inprocess("claims", "-p", "no:cacheprovider", *args)

    def start(self, *args: str) -> pytest.RunResult:
        """pytest in a process of its own, as a user starts it."""
        self.write()
        return self.pytester.runpytest_subprocess("claims", "-p", "no:cacheprovider", *args)


@pytest.fixture
def toy(pytester: pytest.Pytester) -> Toy:
    return Toy(pytester)


BODY = (
    'losses = case.grid().where(alpha=case["alpha"]).per_seed(lambda curves: '
    'float(curves["train_loss"][0])); '
    'case.judge([mean_in_region("loss", losses, case.region("mean"))])'
)


def export(store: str) -> str:
    """``omnigrok evidence export``, after the YAML has changed."""
    forget()
    done = CliRunner().invoke(main, ["evidence", "export", "--runs", store])
    assert done.exit_code == 0, done.output
    return done.output


def record(toy: Any, monkeypatch: pytest.MonkeyPatch, experiments: str = "[tiny]") -> Any:
    """Train a toy claim in the paper tier and export its evidence; the store stays."""
    toy.add("good", experiments=experiments, body=BODY)
    toy.yaml = toy.yaml.replace(
        "quantity: {values: [1.0, 1.1, 1.2]}", "quantity: {alpha: 2.0}"
    ).replace("quantity: {values: [-1.0, -1.1, -1.2]}", "quantity: {alpha: 0.5}")
    toy.write()
    monkeypatch.chdir(toy.pytester.path)
    first = toy.run("--tier", "paper", "--runs", "store.sqlite", "--audit-json", "trained.json")
    assert "1 ERROR" in first.stdout.str() or "toy.good" in first.stdout.str()
    assert "written, 6 runs" in export("store.sqlite")
    return toy


@pytest.fixture
def recorded(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A toy claim with its evidence recorded; the store is gone afterwards."""
    record(toy, monkeypatch)
    Path("store.sqlite").unlink()
    return toy
