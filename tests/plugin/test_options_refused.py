"""A misspelt option is the ERROR of the claim that reads the experiment, and nothing of it is
trained.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from omnigrok.audit.session import AuditSession, Options, Request
from omnigrok.errors import BadInput
from omnigrok.suite.suite import load_suite

YAML = """\
figure: toy
title: Toy
place: nowhere
experiments:
  plain:
    base: &base
      {task: modular, model: transformer, n_train: 12, lr: 1.0e-3, steps: 2, loss: cross_entropy,
       data: {p: 5}, network: {d_model: 4, n_heads: 1, d_mlp: 4}}
    sweep: {seed: {count: 2}}
  shuffled:
    base: *base
    points: [{data: {shufle_labels: true}}]
    sweep: {seed: {count: 2}}
claims:
"""
CLAIM = """\
  - id: toy.{id}
    statement: the mean of three numbers is above zero
    place: nowhere
    criterion: {{mean: {{above: 0}}}}
    experiments: {experiments}
    control: {{why: these numbers are below zero}}
    "null": sign flips
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    claims = {"good": "[plain]", "bad": "[plain, shuffled]"}
    text = "".join(CLAIM.format(id=id, experiments=names) for id, names in claims.items())
    (tmp_path / "toy.yaml").write_text(YAML + text)
    (tmp_path / "test_toy.py").write_text("")
    return tmp_path


def request_of(folder: Path, claim: str) -> Request:
    suite = load_suite(folder)
    return Request(suite, *suite.claim(claim), "paper", "claim", request_of)


@pytest.mark.parametrize("replay", [False, True])
def test_it_is_refused_before_anything_is_trained(folder: Path, replay: bool) -> None:
    bad = request_of(folder, "toy.bad")
    session = AuditSession(Options(runs=folder / "runs.sqlite", replay=replay), [bad])
    with pytest.raises(
        BadInput,
        match=r"modular: unknown option 'shufle_labels' in data "
        r"\(did you mean 'shuffle_labels'\?\); accepted: p, shuffle_labels",
    ):
        session.case(bad)
    session.close()
    assert not (folder / "runs.sqlite").exists()


def test_the_other_claims_are_trained(folder: Path) -> None:
    good, bad = request_of(folder, "toy.good"), request_of(folder, "toy.bad")
    session = AuditSession(Options(runs=folder / "runs.sqlite"), [bad, good])
    with pytest.raises(BadInput):
        session.case(bad)
    assert len(session.case(good).grids["plain"].curves) == 2
    assert not any(dict(run.data).get("shufle_labels") for run in session.executor.planned)
    session.close()
