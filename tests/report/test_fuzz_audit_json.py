"""Audit files from strangers: BadInput, or an audit that can be shown; nothing else."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.audit.document import Audit, load_audit
from omnigrok.errors import BadInput
from omnigrok.report.changes import compare
from omnigrok.report.page import render
from omnigrok.suite.suite import load_suite

from .conftest import CLAIMS

FINDING = {
    "name": "mean",
    "estimate": 2.0,
    "ci": [1.0, "inf"],
    "p": 0.01,
    "n": 10,
    "censored": 0,
    "decides": True,
    "verdict": "REPRODUCED",
    "region": {"lo": 0.5, "hi": "inf", "closed": False, "text": "> 0.5"},
    "values": [2.0, None, "inf"],
}
ROW = {
    "id": "fig02.grok",
    "figure": "fig02_teacher_student",
    "protocol": "paper",
    "tier": "paper",
    "verdict": "REPRODUCED",
    "reason": "r",
    "findings": [FINDING],
    "control": {"verdict": "REFUTED", "reason": "x"},
    "cost": {"runs": 1, "steps": 2, "seconds": 0.5},
}
SOUND = json.dumps(
    {"schema": 1, "tier": "paper", "device": "cpu", "versions": {"torch": "2"}, "claims": [ROW]}
).encode()
PIECES = [
    b"1e999",
    b"NaN",
    b"[" * 2000,
    b'"\\ud800"',
    b"null",
    b"{}",
    b"[]",
    b"1" * 5000,
    b",",
    b"}",
    b"\xff",
    b"<script>",
]
edit = st.tuples(
    st.integers(0, len(SOUND)), st.integers(0, 20), st.sampled_from(PIECES) | st.binary(max_size=9)
)
edits = st.lists(edit, min_size=1, max_size=3)


def shown(path: Path) -> None:
    """What the page and ``omnigrok compare`` do with a file; the latter compares it with itself, in
    which nothing changed.
    """
    audit = load_audit(path)
    page = render(audit, load_suite(CLAIMS), [], {})
    assert page.count("<script") == 1  # the page's own
    assert all(row.id in page for row in audit.claims)
    with contextlib.suppress(BadInput):
        assert not any(each.changed for each in compare(audit, audit))


@settings(max_examples=150, deadline=None)
@given(edits=edits)
def test_changed_bytes(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, bytes]]
) -> None:
    content = bytearray(SOUND)
    for place, removed, new in edits:
        content[place : place + removed] = new
    path = tmp_path_factory.mktemp("fuzz") / "a.json"
    path.write_bytes(content)
    with contextlib.suppress(BadInput):
        shown(path)


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["inf", "<b>", "REPRODUCED", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(where=st.sampled_from(["top", "row", "finding"]), number=st.integers(0, 20), value=values)
def test_changed_values(
    tmp_path_factory: pytest.TempPathFactory, where: str, number: int, value: Any
) -> None:
    document = json.loads(SOUND)
    target = {
        "top": document,
        "row": document["claims"][0],
        "finding": document["claims"][0]["findings"][0],
    }[where]
    target[list(target)[number % len(target)]] = value
    path = tmp_path_factory.mktemp("fuzz") / "a.json"
    path.write_text(json.dumps(document))
    with contextlib.suppress(BadInput):
        shown(path)


def test_the_sound_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(SOUND)
    shown(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(SOUND[:-1])
    with pytest.raises(BadInput, match=r"a\.json"):
        load_audit(tmp_path / "a.json")


Limited = Callable[[float, float], AbstractContextManager[None]]


def with_values(path: Path, values: list[float]) -> Audit:
    document = json.loads(SOUND)
    document["claims"][0]["findings"][0]["values"] = values
    path.write_text(json.dumps(document))
    return load_audit(path)


def test_findings_of_many_values_are_refused_or_cost_little(
    tmp_path: Path, limited: Limited
) -> None:
    """Two findings of 200,000 values took 6 GB to compare."""
    path = tmp_path / "a.json"
    with limited(200, 10), pytest.raises(BadInput, match="at most 5000 items"):
        with_values(path, [1.0] * 200_000)
    with limited(300, 60):
        one, other = (with_values(path, [value] * 5_000) for value in (1.0, 2.0))
        assert compare(one, other)[0].moved


DEEP = [b"[" * 900_000, b'{"a":' * 300_000, b"[" + b"1," * 900_000 + b"1]", b'"' + b"a" * 10**6]


@pytest.mark.parametrize("content", DEEP)
def test_a_megabyte_of_json_costs_at_most_200_mb(
    tmp_path: Path, limited: Limited, content: bytes
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with limited(200, 10), pytest.raises(BadInput):
        load_audit(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(BadInput, match="not a regular file"):
        load_audit(tmp_path / "a.json")


def test_texts_that_a_terminal_would_obey_are_written_out(tmp_path: Path) -> None:
    document = json.loads(SOUND)
    document["claims"][0]["reason"] = "\x1b[2J\u202e"
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert load_audit(tmp_path / "a.json").claims[0].reason == "\\x1b[2J\\u202e"
