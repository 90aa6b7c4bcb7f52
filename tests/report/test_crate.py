"""The RO-Crate next to the evidence lists every file with its SHA-256."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from omnigrok.errors import BadInput
from omnigrok.report.crate import FILE, describe, differences, write_description
from omnigrok.suite.suite import load_suite

CLAIMS = Path(__file__).parents[2] / "claims"


def test_the_committed_one_is_current() -> None:
    assert differences(CLAIMS / "evidence") == [], "run: omnigrok evidence describe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(CLAIMS / "audit.yaml", tmp_path)
    (tmp_path / "evidence").mkdir()
    for name in ("fig03_mnist.no_decay.paper", "fig05_qm9.large.paper"):
        shutil.copy(CLAIMS / "evidence" / f"{name}.parquet", tmp_path / "evidence")
    return tmp_path


def test_it_says_what_it_is(folder: Path) -> None:
    suite = load_suite(folder)
    text = describe(suite)
    assert text == describe(suite)
    graph = {each["@id"]: each for each in json.loads(text)["@graph"]}
    root = graph["./"]
    assert suite.about.title in root["name"]
    assert graph[root["about"]["@id"]]["author"] == list(suite.about.authors)
    file = graph["fig05_qm9.large.paper.parquet"]
    assert file["name"] == "fig05_qm9:large, paper"
    path = folder / "evidence" / "fig05_qm9.large.paper.parquet"
    assert file["contentSize"] == str(path.stat().st_size)
    assert root["datePublished"] == max(
        each["dateCreated"] for each in graph.values() if "dateCreated" in each
    )


def test_what_is_outdated_is_said(folder: Path) -> None:
    evidence = folder / "evidence"
    with pytest.raises(BadInput, match=f"{FILE}: cannot be read"):
        differences(evidence)
    write_description(load_suite(folder))
    assert differences(evidence) == []
    first, second = sorted(evidence.glob("*.parquet"))
    first.rename(evidence / "other.parquet")
    second.write_bytes(second.read_bytes() + b"0")
    assert differences(evidence) == [
        "other.parquet is not listed",
        f"{first.name} is listed, and not there",
        f"{second.name} has another SHA-256",
    ]


def test_without_evidence(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    with pytest.raises(BadInput, match="holds no evidence"):
        describe(load_suite(tmp_path))
