"""Evidence from strangers: records forged with checksums that are right give Curves or an
EvidenceError, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import file as ev
from omnigrok.store.encode import _CURVES, _PREFIX, VERSION, _checksum, decode, encode
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]


def forged(record: bytes, changes: dict[str, str]) -> bytes:
    """A record with other JSON texts in its header or, as ``run.key``, in its Run."""
    *_, header_size, _, _ = _PREFIX.unpack_from(record)
    head = json.loads(record[_PREFIX.size : _PREFIX.size + header_size])
    payload = record[_PREFIX.size + header_size :]
    marks = {f"@{place}@": text for place, text in enumerate(changes.values())}
    for key, mark in zip(changes, marks, strict=True):
        owner, _, field = key.rpartition(".")
        (head[owner] if owner else head)[field] = mark
    text = json.dumps(head)
    for mark, value in marks.items():
        text = text.replace(f'"{mark}"', value)
    header = text.encode()
    return (
        _PREFIX.pack(
            _CURVES, VERSION, len(header), len(payload), _checksum(VERSION, header, payload)
        )
        + header
        + payload
    )


FIELDS = [
    "run.lr",
    "run.steps",
    "run.seed",
    "run.betas",
    "run.network",
    "run.data",
    "run.lr_drops",
    "run.task",
    "run.precision",
    "run.unknown",
]
NUMBERS = ["1e999", "-1e999", "1" + "0" * 400, "-1", "0.1", "null", "true"]
LISTS = ["[]", "[1e999, 1e999]", "[[1, 2]]", "[0.9]", "[1.0, 0.5]", "[" * 3000 + "]" * 3000]
OTHERS = [
    "{}",
    '{"a": 1e999}',
    '{"a": [1e999]}',
    '{"a": {"b": 1}}',
    '{"a": "\\ud800"}',
    '"\\u0000"',
    '"x"',
]
texts = st.sampled_from([*NUMBERS, *LISTS, *OTHERS])
HEAD = ["seconds", "diverged", "provenance", "arrays", "compression"]


@settings(max_examples=200, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from([*FIELDS, "seconds", "diverged", "provenance", "arrays", "compression"]),
        texts,
        min_size=1,
        max_size=2,
    )
)
def test_forged_records(make_curves: Make, changes: dict[str, str]) -> None:
    found: Any = None
    with contextlib.suppress(EvidenceError):
        found = decode(forged(encode(make_curves(1)), changes))
    if found is not None:
        assert len(found.run.digest) == 32
        encode(found)


@settings(max_examples=60, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), texts, min_size=1, max_size=2))
def test_forged_records_in_a_file(
    make_curves: Make, env: Environment, changes: dict[str, str]
) -> None:
    """Read, imported and asked for again."""
    record = forged(encode(make_curves(1), compress=False), changes)
    header = {
        "format": ev.FORMAT,
        "schema": ev.SCHEMA,
        "date": "2024-01-01",
        "meta": {},
        "parts": [],
        "total": 1,
    }
    content = ev._file(header, [("digest", env, record)], ev.lzma.compress(record))
    memory = Path("/dev/shm")  # noqa: S108 (a disk would be waited for at every commit)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "x.ogev"
        path.write_bytes(content)
        with contextlib.suppress(EvidenceError), Store(Path(folder) / "x.db") as store:
            assert ev.import_into(store, path) == 1
            assert store.problems() == []
            assert store.count() == 1


def signed(env: Environment, **changes: Any) -> bytes:
    header = {
        "format": ev.FORMAT,
        "schema": ev.SCHEMA,
        "date": "2024-01-01",
        "meta": {},
        "parts": [],
        "total": 0,
        **changes,
    }
    return ev._file(header, [], ev.lzma.compress(b""))


@pytest.mark.parametrize("date", ["\x1b[2J", "x" * 300, "a\nb", "\u202e"])
def test_dates_that_a_terminal_would_obey(tmp_path: Path, env: Environment, date: str) -> None:
    (tmp_path / "x.ogev").write_bytes(signed(env, date=date))
    with pytest.raises(EvidenceError, match="is not accepted as a name or date"):
        ev.read(tmp_path / "x.ogev")


@pytest.mark.parametrize("device", ["\x1b]0;owned\x07", "x" * 300])
def test_devices_that_a_terminal_would_obey(tmp_path: Path, make_curves: Make, device: str) -> None:
    ev.write(tmp_path / "x.ogev", [(make_curves(1), Environment("fingerprint", "2.5", device))])
    with pytest.raises(EvidenceError, match=r"x\.ogev: .*not accepted as a name or date"):
        ev.read(tmp_path / "x.ogev")


def test_a_pipe_is_not_waited_for(tmp_path: Path, env: Environment) -> None:
    os.mkfifo(tmp_path / "x.ogev")
    with pytest.raises(EvidenceError, match=r"x\.ogev: cannot be read: it is no file"):
        ev.read(tmp_path / "x.ogev")
    os.mkfifo(tmp_path / "part.ogev")
    listed = [{"file": "part.ogev", "sha256": hashlib.sha256(b"").hexdigest()}]
    (tmp_path / "y.ogev").write_bytes(signed(env, parts=listed))
    with pytest.raises(EvidenceError, match=r"part\.ogev: cannot be read: it is no file"):
        ev.read(tmp_path / "y.ogev")
