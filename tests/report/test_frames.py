"""``omnigrok.load``: curves, findings and verdicts as tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import omnigrok
from omnigrok.audit.document import Audit
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.evidence import Result, write
from omnigrok.report import frames
from omnigrok.run import Run
from omnigrok.store.store import Environment

CLAIMS = Path(__file__).parents[2] / "claims"
RUN = Run(
    task="mnist",
    model="mlp",
    seed=0,
    n_train=5,
    steps=100,
    lr=1e-3,
    network={"widths": [3, 4], "gain": 2},  # type: ignore[arg-type]
)


def result(run: Run, **columns: float) -> Result:
    step = np.arange(3)
    logged = {name: np.full(3, value) for name, value in columns.items()}
    return Curves(run, step, logged), Environment("trainer 1", "2.5", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Evidence of two experiments that do not log the same, nor set the same."""
    one = result(RUN, train_loss=1.5)
    other = result(RUN.replace(seed=1, network={"gain": 0.5}, n_train=6), test_loss=0.1)
    imported = dataclasses.replace(other[0], provenance={"imported": {"file": "x"}}, diverged=True)
    one_path, other_path = (tmp_path / "evidence" / f"{name}.parquet" for name in "ab")
    write(one_path, {one[0].run: one}, meta={"experiment": "fig:a", "protocol": "paper"})
    write(
        other_path,
        {other[0].run: (imported, other[1])},
        meta={"experiment": "fig:b", "protocol": "code"},
    )
    return tmp_path


@pytest.mark.parametrize("inside", ["", "evidence"])
def test_curves_of_all_files(folder: Path, inside: str) -> None:
    pytest.importorskip("pandas")
    frame = omnigrok.load(folder / inside).curves.to_pandas()
    assert list(frame.step) == [0, 1, 2] * 2
    assert list(frame.experiment) == ["fig:a"] * 3 + ["fig:b"] * 3
    assert list(frame.protocol) == ["paper"] * 3 + ["code"] * 3
    assert list(frame.train_loss.dropna()) == [1.5] * 3
    assert list(frame.test_loss.dropna()) == [0.1] * 3
    assert list(frame["network.gain"]) == [2.0] * 3 + [0.5] * 3
    assert list(frame.imported) == list(frame.diverged) == [False] * 3 + [True] * 3
    assert not frame.stopped.any()
    assert list(frame.n_train) == [5] * 3 + [6] * 3
    assert set(frame.task) == {"mnist"}
    assert frame.run[0] == RUN.digest


def test_curves_of_one_file(folder: Path) -> None:
    table = omnigrok.load(str(folder / "evidence" / "a.parquet")).curves
    assert table.num_rows == 3
    assert str(table.schema.field("train_loss").type) == "double"


def test_a_setting_of_two_kinds_is_text(tmp_path: Path) -> None:
    runs = [RUN.replace(data={"p": value}) for value in (1, "x", 2**70, None)]
    write(tmp_path / "x.parquet", {run: result(run, loss=1.0) for run in runs})
    found = omnigrok.load(tmp_path / "x.parquet").curves.column("data.p").to_pylist()
    assert set(found) == {"1", "x", str(2**70), None}


def test_recorded_evidence_opens(limited: Any) -> None:
    path = next(iter(sorted((CLAIMS / "evidence").glob("fig03*.parquet"))))
    table = omnigrok.load(path).curves
    assert table.num_rows > 1000
    assert {"train_acc", "test_acc", "alpha", "seed"} <= set(table.column_names)


def audit() -> dict[str, Any]:
    finding = {
        "name": "slope", "estimate": "inf", "ci": [0.5, "inf"], "p": 0.01, "n": 7, "decides": True,
        "region": {"lo": 0, "hi": "inf", "text": "> 0"}, "values": [1.0, None],
        "verdict": "REPRODUCED",
    }  # fmt: skip
    row = {
        "id": "fig02.good", "protocol": "paper", "verdict": "REPRODUCED", "findings": [finding],
        "cost": {"runs": 7, "steps": 70, "seconds": 1.5},
        "control": {"verdict": "REFUTED", "findings": [{**finding, "verdict": "REFUTED"}]},
    }  # fmt: skip
    return {"schema": 1, "tier": "paper", "claims": [row]}


def test_verdicts_and_findings_of_an_audit(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(audit()))
    check(omnigrok.load(path))
    with pytest.raises(BadInput, match="holds no evidence"):
        omnigrok.load(path).curves  # noqa: B018


def test_verdicts_of_a_claims_folder_are_derived(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "fig.yaml").write_text("")
    monkeypatch.setattr(frames, "replay", lambda path: Audit.model_validate(audit()))
    check(omnigrok.load(folder))


def check(tables: frames.Tables) -> None:
    (verdict,) = tables.verdicts.to_pylist()
    assert (verdict["id"], verdict["verdict"], verdict["control"]) == (
        "fig02.good",
        "REPRODUCED",
        "REFUTED",
    )
    assert (verdict["runs"], verdict["steps"], verdict["seconds"]) == (7, 70, 1.5)
    claim, control = tables.findings.to_pylist()
    assert (claim["role"], control["role"]) == ("claim", "control")
    assert (claim["low"], claim["high"], claim["estimate"]) == (0.5, np.inf, np.inf)
    assert claim["values"] == [1.0, None]
    assert (claim["region"], control["verdict"]) == ("> 0", "REFUTED")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        omnigrok.load(tmp_path / "none")
    with pytest.raises(BadInput, match="holds no evidence"):
        omnigrok.load(tmp_path).curves  # noqa: B018
    with pytest.raises(BadInput, match="verdicts come from a claims folder"):
        omnigrok.load(tmp_path).verdicts  # noqa: B018
