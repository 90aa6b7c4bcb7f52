"""A run that diverges: recorded as such, and ERROR for the claims that need it, not for the
others.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnigrok.store.store import Store

BODY = (
    'case.judge([mean_in_region("loss", case.grid().where(lr=case["lr"]).per_seed(lambda c: '
    'float(c["train_loss"][0])), '
    'case.region("mean"))])'
)


EXPECTED = """\
  expected:
    diverging: true
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e+30, steps: 12, data: {n_test: 8},
       network: {widths: [2, 4, 2], activation: tanh}}
    sweep: {seed: {count: 3}}
claims:
"""


@pytest.mark.fault("a run diverges (NaN)")
def test_a_diverged_run_is_the_error_of_the_claims_that_need_it(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded as diverged, with the step; claims that need it are ERROR, others have their
    verdict; no number is made of it.
    """
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    toy.yaml = toy.yaml.replace("alpha: [0.5, 2.0]", "lr: [1.0e-3, 1.0e+30]").replace(
        "claims:\n", EXPECTED
    )
    for name, lr, experiment in (
        ("tame", "1.0e-3", "tiny"),
        ("wild", "1.0e+30", "tiny"),
        ("expected", "1.0e+30", "expected"),
    ):
        toy.add(
            name,
            experiments=f"[{experiment}]",
            body=BODY,
            values=f"[1.0], lr: {lr}",
            control=f"[1.0], lr: {lr}",
        )
    toy.run("--runs", "store.sqlite", "--audit-json", "a.json", "-k", "not control")
    rows = {
        row["id"]: row for row in json.loads((toy.pytester.path / "a.json").read_text())["claims"]
    }
    assert rows["toy.tame"]["verdict"] == "REPRODUCED"
    assert rows["toy.wild"]["verdict"] == "ERROR"
    assert "diverged at step" in rows["toy.wild"]["reason"]
    assert rows["toy.wild"]["findings"] == []
    # Where the experiment says that its runs may diverge, they are data without a value.
    assert rows["toy.expected"]["verdict"] not in ("REPRODUCED", "REFUTED")
    assert [
        value
        for finding in rows["toy.expected"]["findings"]
        for value in finding["values"]
        if value is not None
    ] == []
    with Store(toy.pytester.path / "store.sqlite", readonly=True) as store:
        assert (
            sorted((curves.run.lr, curves.diverged) for _, _, curves in store.records())
            == [(1e-3, False)] * 3 + [(1e30, True)] * 3
        )
