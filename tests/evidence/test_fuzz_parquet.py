"""Evidence from accidents and from strangers: refused, or what it was, at a bounded cost."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import Result, equal, read, seal, write
from omnigrok.evidence.thrift import read_struct
from omnigrok.evidence.transfer import import_into
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store

Many = Callable[..., dict[Run, Result]]
Limited = Callable[[float, float], AbstractContextManager[None]]
# What a file of a few kilobytes may cost.
MEGABYTES, SECONDS = 400, 10
# A disk would be waited for at every commit.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, results_of: Many) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "x.parquet"
    write(path, results_of(3), meta={"claim": "c"})
    return path.read_bytes()


def decoded(content: bytes) -> dict[Run, Result] | None:
    """The results in these bytes; None where they are refused, with the file's name."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "x.parquet"
        path.write_bytes(content)
        try:
            return dict(read(path))
        except EvidenceError as error:
            if str(path) not in str(error) or not str(error).isprintable():
                raise AssertionError(f"a message without the path: {error!r}") from error
            return None


def resealed(content: bytes) -> bytes | None:
    """The bytes with a checksum that is right; None where there is no place for one."""
    blank = re.sub(rb"(omnigrok-sha256:)[0-9a-f]{64}", rb"\g<1>" + b"0" * 64, content)
    file = io.BytesIO(blank)
    try:
        seal.seal(file)
    except EvidenceError:
        return None
    return file.getvalue()


# Accidents


def test_every_changed_byte_is_found(whole: bytes) -> None:
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        assert decoded(bytes(damaged)) is None, place


@settings(max_examples=60)
@given(data=st.data(), tail=st.binary(max_size=30))
def test_every_cut_and_tail_is_found(whole: bytes, data: st.DataObject, tail: bytes) -> None:
    length = data.draw(st.integers(0, len(whole) - 1))
    assert decoded(whole[:length]) is None
    assert decoded(tail) is None
    assert decoded(whole + tail + b"\n") is None
    assert decoded(whole[:length] + whole) is None or length == 0


# Strangers


def mutated(whole: bytes, seed: int) -> bytes:
    """Some bytes changed, half of them in the footer."""
    draw = random.Random(seed)  # noqa: S311
    content = bytearray(whole)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(draw.choice([1, 1, 2, 4])):
        place = draw.randrange(draw.choice([0, footer]), len(content))
        content[place] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    return bytes(content)


def test_forged_bytes_are_refused_or_read(whole: bytes, limited: Limited) -> None:
    """Checksums are right, and anything else may be wrong."""
    kinds = {True: 0, False: 0}
    for seed in range(1500):
        forged = resealed(mutated(whole, seed))
        if forged is not None:
            with limited(MEGABYTES, SECONDS):
                kinds[decoded(forged) is None] += 1
    assert min(kinds.values()) > 100


FIELDS = [
    "run.lr", "run.steps", "run.seed", "run.betas", "run.network", "run.data", "run.lr_drops",
    "run.task", "run.precision", "run.unknown", "digest", "identity", "points", "diverged",
    "seconds", "provenance", "unknown",
]  # fmt: skip
VALUES = [
    10**400, -1, 0.1, None, True, [], [0.9], [[1, 2]], [1.0, 0.5], {}, {"a": {"b": 1}},
    {"a": "\ud800"}, "\0", "\x1b[2J", "x", 2**70, {"widths": [10**9] * 3},
]  # fmt: skip


@settings(max_examples=150)
@given(
    changes=st.dictionaries(
        st.sampled_from(FIELDS), st.sampled_from(VALUES), min_size=1, max_size=2
    )
)
def test_forged_lists_of_runs(whole: bytes, limited: Limited, changes: dict[str, object]) -> None:
    """What is read can be imported, and read back."""

    def alter(listing: dict[str, Any]) -> None:
        for key, value in changes.items():
            owner, _, field = key.rpartition(".")
            row = listing["common"][owner] if owner else listing["common"]
            row[field] = value

    content = with_texts(whole, "omnigrok.runs", alter)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, limited(MEGABYTES, SECONDS):
        path = Path(folder) / "x.parquet"
        path.write_bytes(content)
        with contextlib.suppress(EvidenceError), Store(Path(folder) / "x.db") as store:
            assert import_into(store, path) == store.count()
            assert store.problems() == []


def with_texts(whole: bytes, key: str, alter: Callable[[dict[str, Any]], None]) -> bytes:
    """The same rows under a forged text of the metadata, sealed."""
    source = pq.ParquetFile(io.BytesIO(whole))
    texts = {name.decode(): text.decode() for name, text in source.metadata.metadata.items()}
    value = json.loads(texts[key])
    alter(value)
    texts = {**texts, key: json.dumps(value), seal.KEY: seal.BLANK}
    return rewritten(source.read(), texts)


def rewritten(table: pa.Table, texts: dict[str, str], **options: Any) -> bytes:
    fields = [field.with_nullable(field.name not in ("run", "step")) for field in table.schema]
    table = table.cast(pa.schema(fields))
    file = io.BytesIO()
    settings = {"compression": "zstd", "write_statistics": False, "store_schema": False}
    with pq.ParquetWriter(file, table.schema, **{**settings, **options}) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(texts)
    seal.seal(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("evidence", {"format": 2}, r"newer omnigrok \(format 2, this one reads 1\): upgrade"),
        ("evidence", {"format": "1"}, "metadata is damaged"),
        ("evidence", {"meta": {}}, "metadata is damaged"),
        ("evidence", {"meta": {"date": "\x1b[2J"}}, "not accepted as text"),
        ("evidence", {"meta": {"date": "a", "\u202e": 1}}, "not accepted as text"),
        ("evidence", {"columns": ["test_loss"]}, "columns are not those"),
        ("runs", {"common": {}}, "list of runs is damaged"),
        ("runs", {"each": [{}] * 200_000}, "200000 runs; at most 100000"),
        ("runs", {"each": [{"run": {"seed": 1}}] * 3}, "list of runs is damaged"),
        ("runs", {"each": []}, "its columns are not those"),
    ],
)
def test_messages(
    whole: bytes, tmp_path: Path, limited: Limited, key: str, change: Any, message: str
) -> None:
    content = with_texts(whole, f"omnigrok.{key}", lambda value: value.update(change))
    (tmp_path / "x.parquet").write_bytes(content)
    with (
        limited(MEGABYTES, SECONDS),
        pytest.raises(EvidenceError, match=rf"evidence {tmp_path}/x.parquet: .*{message}"),
    ):
        read(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"store_schema": True}, {}),  # may name types that Python would load
        ({}, {"ARROW:schema": "x"}),
        ({"write_statistics": True}, {}),
        ({"compression": "gzip"}, {}),
        ({"data_page_version": "2.0"}, {}),
    ],
)
def test_other_writers_are_refused(
    whole: bytes, options: dict[str, Any], texts: dict[str, str]
) -> None:
    source = pq.ParquetFile(io.BytesIO(whole))
    own = {name.decode(): text.decode() for name, text in source.metadata.metadata.items()}
    own[seal.KEY] = seal.BLANK
    assert decoded(rewritten(source.read(), own)) is not None
    assert decoded(rewritten(source.read(), {**own, **texts}, **options)) is None


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("run", ["x"] * 36, "'run' is not what its list of runs says"),
        ("seed", [7] * 36, "'seed' is not what its list of runs says"),
        ("step", [5] * 36, "the steps of a Run do not rise"),
        ("step", list(range(-36, 0)), "the steps of a Run do not rise"),
        ("test_loss", [None] + [0.5] * 35, "'test_loss' has gaps within a Run"),
        ("test_loss", [True] * 36, "'test_loss' is bool, not"),
        ("test_loss", [[1.0]] * 36, "not one that omnigrok writes"),
    ],
)
def test_forged_rows(
    whole: bytes, tmp_path: Path, name: str, values: list[Any], message: str
) -> None:
    """A data-frame tool shows what the verdicts are made from, or the file is refused."""
    source = pq.ParquetFile(io.BytesIO(whole))
    table = source.read()
    place = table.schema.get_field_index(name)
    texts = {key.decode(): text.decode() for key, text in source.metadata.metadata.items()}
    texts[seal.KEY] = seal.BLANK
    path = tmp_path / "x.parquet"
    path.write_bytes(rewritten(table.set_column(place, name, pa.array(values)), texts))
    with pytest.raises(EvidenceError, match=rf"x\.parquet: .*{message}"):
        dict(read(path))


def test_rows_that_are_not_listed(whole: bytes, tmp_path: Path) -> None:
    def shorter(listing: dict[str, Any]) -> None:
        listing["each"].pop()

    def longer(listing: dict[str, Any]) -> None:
        listing["common"]["points"] = 13

    for alter in (shorter, longer):
        content = with_texts(whole, "omnigrok.runs", alter)
        path = tmp_path / "x.parquet"
        path.write_bytes(content)
        with pytest.raises(EvidenceError, match="row groups are not those of its list of runs"):
            read(path)


def test_many_equal_values_cost_little(tmp_path: Path, limited: Limited) -> None:
    """The largest row group: millions of values in a file of kilobytes."""
    points = 1_000_000
    run = Run(task="made_up", model="none", seed=0, n_train=5, steps=100, lr=1e-3)
    zeros = np.zeros(points)
    curves = Curves(run, np.arange(points), dict.fromkeys("abcde", zeros))
    path = tmp_path / "x.parquet"
    write(path, {run: (curves, Environment("i", "t", "d"))})
    assert path.stat().st_size < 100_000
    with limited(MEGABYTES, SECONDS):
        assert len(read(path)[run][0].step) == points
    more = Curves(run, np.arange(points), dict.fromkeys("abcdefghij", zeros))
    with pytest.raises(EvidenceError, match="too many logged steps"):
        write(path, {run: (more, Environment("i", "t", "d"))})


def test_a_page_that_claims_gigabytes(whole: bytes, limited: Limited) -> None:
    """Its header says so; the footer does not."""
    start = whole.index(b"\x15")  # the first page follows the magic
    _, length = read_struct(whole[start:])
    header = bytes([0x15, 4, 0x15, *varint(2 << 30), 0x15, *varint(85 << 1), 0x4C, 0x15, 6, 0, 0])
    with limited(MEGABYTES, SECONDS):
        assert decoded(resealed(whole[:start] + header + whole[start + length :]) or b"") is None


def varint(value: int) -> list[int]:
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return [*found, value]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\x1c" * 100,  # nested structs
        b"\x19\xfc" + bytes(varint(2**31)) + b"\x00" * 2**21,  # a list of empty structs
        b"\x18" + bytes(varint(2**62)),  # a text longer than all memory
        b"\x15" + b"\xff" * 20,  # a number without an end
        b"\x15\x02\x05\x02\x04",  # one field twice
        b"\x1b\x00",  # a map
    ],
)
def test_headers_that_are_refused(header: bytes, limited: Limited) -> None:
    with limited(MEGABYTES, SECONDS), pytest.raises(EvidenceError, match="one of its headers"):
        read_struct(header)


def test_reading_imports_nothing(whole: bytes) -> None:
    """The names of modules in a Run are only names."""
    assert decoded(whole) is not None
    before = set(sys.modules)

    def alter(listing: dict[str, Any]) -> None:
        listing["common"]["run"]["task"] = "antigravity"
        for row in listing["each"]:
            run = Run.from_dict({**listing["common"]["run"], **row["run"]})
            row["digest"] = run.digest

    found = decoded(with_texts(whole, "omnigrok.runs", alter))
    assert found is None or {run.task for run in found} == {"antigravity"}
    assert set(sys.modules) == before


def test_a_sound_file_is_read(whole: bytes, results_of: Many) -> None:
    found = decoded(whole)
    assert found is not None
    assert all(equal(found[run], result) for run, result in results_of(3).items())
