"""A data set that is missing or damaged is the ERROR of the claims that need it, with what to do;
the other claims are judged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

MNIST = """\
  images:
    base:
      {task: mnist, model: mlp, n_train: 8, lr: 1.0e-3, steps: 4,
       network: {widths: [784, 4, 10], activation: relu}, data: {source: full}}
    sweep: {seed: {count: 3}}
  reviews:
    base:
      {task: imdb, model: lstm, n_train: 8, lr: 1.0e-3, steps: 4,
       batch_size: 4, loss: binary_cross_entropy,
       network: {hidden: 4, embedding: 4}, data: {source: full}}
    sweep: {seed: {count: 3}}
claims:
"""
READ = "case.grid().per_seed(lambda curves: 1.0); judge(case)"


@pytest.fixture
def verdicts(toy: Any, tmp_path: Path) -> Any:
    toy.yaml = toy.yaml.replace("claims:\n", MNIST)
    toy.add("images", experiments="[images]", body=READ)
    toy.add("reviews", experiments="[reviews]", body=READ)
    toy.add(
        "students",
        experiments="[tiny]",
        body="case.grid().where(alpha=2.0).per_seed(lambda curves: 1.0); judge(case)",
    )

    def run() -> dict[str, tuple[str, str]]:
        result = toy.run("--data-root", str(tmp_path / "data"), "--audit-json", "a.json")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        rows = json.loads((toy.pytester.path / "a.json").read_text())["claims"]
        return {row["id"]: (row["verdict"], row["reason"]) for row in rows}

    return run


def test_missing_data(verdicts: Any, tmp_path: Path) -> None:
    found = verdicts()
    assert found["toy.students"][0] == "REPRODUCED"
    for claim, command in (
        ("toy.images", "omnigrok data fetch mnist"),
        ("toy.reviews", "omnigrok data fetch imdb"),
    ):
        verdict, reason = found[claim]
        assert verdict == "ERROR"
        assert command in reason
        assert str(tmp_path / "data") in reason


def test_a_truncated_file_is_named(verdicts: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 60000), ("t10k", 10000)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            b"\0\0\x08\x03" + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            b"\0\0\x08\x01" + count.to_bytes(4, "big")
        )
    found = verdicts()
    assert found["toy.students"][0] == "REPRODUCED"
    verdict, reason = found["toy.images"]
    assert verdict == "ERROR"
    assert "idx3-ubyte" in reason or "idx1-ubyte" in reason
