"""Benchmark files from strangers (``omnigrok bench --from``): BadInput, or tables that can be
shown; nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.bench.speeds import LARGEST_FILE, Speed, load, summary, table
from omnigrok.errors import BadInput

PLAIN = Speed("mnist", "plain", "cpu", 1, 10, (1.0, 2.0), 1e6, 4e7, 8e7, 0.1, 2.0**19)
STACK = Speed("mnist", "stack 8", "cpu", 8, 5, (1.0, 0.5), 1e6, 4e7, 8e7, 6.0, 2.0**23)
ENTRIES = [
    {"extra_info": {**dataclasses.asdict(speed), "where": {"torch": "2.13"}}}
    for speed in (PLAIN, STACK)
]
DOCUMENT = {
    "machine_info": {"cpu": {"brand_raw": "A Processor"}},
    "datetime": "2026-11-23",
    "benchmarks": ENTRIES,
}
SOUND = json.dumps(DOCUMENT).encode()
PIECES = [
    b"1e999",
    b"NaN",
    b"-1",
    b"0",
    b"[" * 2000,
    b'"\\ud800"',
    b"null",
    b"{}",
    b"[]",
    b"1" * 5000,
    b",",
    b"}",
    b"\xff",
    b"\x1b[31m",
]
edit = st.tuples(
    st.integers(0, len(SOUND)), st.integers(0, 20), st.sampled_from(PIECES) | st.binary(max_size=9)
)


def shown(path: Path) -> None:
    """What ``--from`` does with a file."""
    speeds, where = load(path)
    for text in (*table(speeds), *table(speeds, markdown=True), summary(speeds, where)):
        assert "\x1b" not in text
        assert "\x00" not in text


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(edit, min_size=1, max_size=3))
def test_changed_bytes(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, bytes]]
) -> None:
    content = bytearray(SOUND)
    for place, removed, new in edits:
        content[place : place + removed] = new
    path = tmp_path_factory.mktemp("fuzz") / "b.json"
    path.write_bytes(content)
    with contextlib.suppress(BadInput):
        shown(path)


values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["plain", "a|b", "\x1b[31m", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(where=st.sampled_from(["top", "entry", "machine"]), number=st.integers(0, 20), value=values)
def test_changed_values(
    tmp_path_factory: pytest.TempPathFactory, where: str, number: int, value: Any
) -> None:
    document = json.loads(SOUND)
    target = {
        "top": document,
        "entry": document["benchmarks"][0]["extra_info"],
        "machine": document["machine_info"]["cpu"],
    }[where]
    target[list(target)[number % len(target)]] = value
    path = tmp_path_factory.mktemp("fuzz") / "b.json"
    path.write_text(json.dumps(document))
    with contextlib.suppress(BadInput):
        shown(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seconds", [1.0], "different numbers of rounds"),
        ("seconds", [], "seconds"),
        ("seconds", [0.0, 1.0], "greater than 0"),
        ("layer_rate", 0, "layer_rate"),
        ("replicas", "many", "replicas"),
        ("family", "mn|ist", "family"),
        ("variant", "\x1b[31mplain", "variant"),
        ("peak_bytes", float("nan"), "peak_bytes"),
    ],
)
def test_the_message_names_file_and_key(tmp_path: Path, key: str, value: Any, message: str) -> None:
    document = json.loads(SOUND)
    document["benchmarks"][0]["extra_info"][key] = value
    path = tmp_path / "b.json"
    path.write_text(json.dumps(document))
    with pytest.raises(BadInput, match=rf"b\.json.*{message}"):
        load(path)


def test_the_sound_one_is_shown_and_a_huge_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(SOUND)
    shown(path)
    with path.open("r+b") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(BadInput, match=r"b\.json: is larger than 16 MB"):
        load(path)
