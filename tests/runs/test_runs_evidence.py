"""Evidence files: whole or refused, compact, split where large, and read without pickle."""

from __future__ import annotations

import json
import lzma
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import file as ev
from omnigrok.store.encode import encode
from omnigrok.store.store import Environment, Store

Make = Callable[..., Curves]
Same = Callable[[Curves, Curves], bool]
OTHER = Environment("fingerprint", "2.6", "cuda")


def test_evidence_goes_round(
    store: Store, tmp_path: Path, env: Environment, make_curves: Make, same: Same
) -> None:
    batch = [make_curves(seed) for seed in range(5)]
    store.adopt([(curves, env) for curves in batch])
    runs = [curves.run for curves in batch[:4]]
    path = tmp_path / "new" / "fig02.ogev"
    assert ev.export(store, runs, path, env=env, meta={"claim": "fig02"}) == [path]
    evidence = ev.read(path)
    assert set(evidence.curves) == set(evidence.environments) == {run.digest for run in runs}
    assert all(same(evidence.curves[curves.run.digest], curves) for curves in batch[:4])
    assert set(evidence.environments.values()) == {env}
    assert evidence.meta["claim"] == "fig02"
    assert "date" in evidence.meta
    with Store(tmp_path / "other.db") as other:
        assert ev.import_into(other, path) == 4
        assert ev.import_into(other, path) == 0
        assert all(
            same(back, curves)
            for (_, _, back), curves in zip(
                other.records(), sorted(batch[:4], key=lambda c: c.run.digest), strict=True
            )
        )
    assert [file.name for file in path.parent.iterdir()] == ["fig02.ogev"]


def test_the_newest_environment_or_the_named_one(
    store: Store, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    run = make_curves(1).run
    store.adopt([(make_curves(1, points=3), env), (make_curves(1, points=4), OTHER)])
    for runs in ([run], None):
        for where, expected in ((None, OTHER), (env, env), (OTHER, OTHER)):
            ev.export(store, runs, tmp_path / "x.ogev", env=where)
            evidence = ev.read(tmp_path / "x.ogev")
            assert evidence.environments == {run.digest: expected}
            assert evidence.curves[run.digest].step.size == (3 if expected == env else 4)


def test_a_missing_run_is_named_and_nothing_written(
    store: Store, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    store.adopt([(make_curves(1), env)])
    runs = [make_curves(1).run, make_curves(2).run]
    with pytest.raises(
        EvidenceError, match=rf"1 of 2 runs have no result, the first {runs[1].digest}"
    ):
        ev.export(store, runs, tmp_path / "x.ogev")
    with pytest.raises(
        EvidenceError, match=f"2 of 2 runs have no result in environment {OTHER.key}"
    ):
        ev.export(store, runs, tmp_path / "x.ogev", env=OTHER)
    assert not (tmp_path / "x.ogev").exists()


def test_no_runs_are_evidence_too(store: Store, tmp_path: Path) -> None:
    ev.export(store, [], tmp_path / "x.ogev")
    assert ev.read(tmp_path / "x.ogev").curves == {}


def test_records_of_one_grid_are_compressed_together(
    tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    flat = {"train_loss": np.zeros(500)}
    batch = [
        Curves(make_curves(seed).run, np.unique(np.geomspace(1, 1e6, 500).astype(np.int64)), {})
        for seed in range(50)
    ]
    batch = [
        Curves(
            curves.run,
            curves.step,
            {name: values[: curves.step.size] for name, values in flat.items()},
        )
        for curves in batch
    ]
    ev.write(tmp_path / "x.ogev", [(curves, env) for curves in batch])
    assert (tmp_path / "x.ogev").stat().st_size < sum(len(encode(curves)) for curves in batch) / 2


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(ev, "FILE_LIMIT", 80_000)
    return 80_000


def test_large_evidence_is_split(
    small_files: int, tmp_path: Path, env: Environment, make_curves: Make, same: Same
) -> None:
    batch = [make_curves(seed, points=400) for seed in range(30)]
    path = tmp_path / "x.ogev"
    files = ev.write(path, [(curves, env) for curves in batch])
    assert len(files) > 2
    assert files[0] == path
    assert set(files) == set(tmp_path.iterdir())
    assert all(file.stat().st_size < small_files for file in files)
    evidence = ev.read(path)
    assert all(same(evidence.curves[curves.run.digest], curves) for curves in batch)
    with pytest.raises(EvidenceError, match=r"a further part of 'x.ogev': read that"):
        ev.read(files[1])
    assert (
        ev.write(path, [(batch[0], env)]) == [path] == list(tmp_path.iterdir())
    )  # the older version's parts are gone


def test_a_missing_or_changed_part_is_named(
    small_files: int, tmp_path: Path, env: Environment, make_curves: Make
) -> None:
    path = tmp_path / "x.ogev"
    files = ev.write(path, [(make_curves(seed, points=400), env) for seed in range(30)])
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1] + b"x")
    with pytest.raises(
        EvidenceError, match=rf"{files[1].name}: it is not the part that x.ogev was written with"
    ):
        ev.read(path)
    files[1].unlink()
    with pytest.raises(EvidenceError, match=rf"{files[1].name} cannot be read"):
        ev.read(path)


@pytest.mark.usefixtures("small_files")
def test_a_failure_leaves_the_older_version_whole(
    tmp_path: Path, env: Environment, make_curves: Make, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.ogev"
    old = [make_curves(seed, points=400) for seed in range(20)]
    before = set(ev.write(path, [(curves, env) for curves in old]))
    replace, calls = os.replace, []

    def full(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(ev.os, "replace", full)
    with pytest.raises(EvidenceError, match=r"was not written: .*No space left"):
        ev.write(path, [(make_curves(seed, points=400), env) for seed in range(50, 75)])
    assert all(same(ev.read(path).curves[curves.run.digest], curves) for curves in old)
    assert before <= set(tmp_path.iterdir())
    assert not list(tmp_path.glob("*.tmp"))


def test_what_cannot_be_written(
    tmp_path: Path, env: Environment, make_curves: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = (make_curves(1, points=400), env)
    with pytest.raises(EvidenceError, match=r"must end in .ogev"):
        ev.write(tmp_path / "x.json", [one])
    with pytest.raises(EvidenceError, match="there twice"):
        ev.write(tmp_path / "x.ogev", [one, (one[0], OTHER)])
    with pytest.raises(EvidenceError, match="was not written"):
        ev.write(Path("/proc/none/x.ogev"), [one])
    monkeypatch.setattr(ev, "RAW_LIMIT", 1000)
    with pytest.raises(EvidenceError, match="split the Runs"):
        ev.write(tmp_path / "x.ogev", [one])
    monkeypatch.undo()
    monkeypatch.setattr(ev, "FILE_LIMIT", 66_000)
    with pytest.raises(EvidenceError, match="one Run alone"):
        ev.write(tmp_path / "x.ogev", [one])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, env: Environment, make_curves: Make) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "x.ogev"
    ev.write(path, [(make_curves(seed), env) for seed in range(3)], meta={"claim": "c"})
    return path.read_bytes()


def reads(content: bytes) -> ev.EvidenceFile | None:
    """The evidence in these bytes; None where they are refused, with the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ogev"
        path.write_bytes(content)
        try:
            return ev.read(path)
        except EvidenceError as error:
            if str(path) not in str(error):
                raise AssertionError(f"the message does not name the file: {error}") from error
            return None


@settings(max_examples=120, deadline=None)
@given(data=st.data(), change=st.integers(1, 255))
def test_any_changed_byte_is_found(whole: bytes, data: st.DataObject, change: int) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= change
    assert reads(bytes(damaged)) is None


@settings(max_examples=60, deadline=None)
@given(data=st.data(), tail=st.binary(max_size=30))
def test_any_cut_or_tail_is_found(whole: bytes, data: st.DataObject, tail: bytes) -> None:
    length = data.draw(st.integers(0, len(whole) - 1))
    assert reads(whole[:length]) is None
    assert reads(tail) is None
    assert reads(whole + tail + b"\n") is None
    assert reads(whole[:length] + whole) is None or length == 0


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    st.lists,
    max_leaves=4,
)
keys = [
    "format",
    "schema",
    "count",
    "parts",
    "part_of",
    "total",
    "environments",
    "records",
    "raw",
    "meta",
    "date",
]


def opened(content: bytes) -> tuple[dict[str, object], bytes]:
    line, _, body = content.partition(b"\n")
    return json.loads(line), body


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(keys),
    value=plain | st.dictionaries(st.text(max_size=3), plain, max_size=2),
    deep=st.integers(0, 3),
)
def test_a_forged_header_raises_only_evidence_errors(
    whole: bytes, same: Same, key: str, value: object, deep: int
) -> None:
    header, body = opened(whole)
    place: object = header.get(key)
    if key == "records" and deep and isinstance(place, list):
        place[0][deep] = value
    elif key == "parts" and deep:
        header[key] = [{"file": value, "sha256": value}]
    elif key == "environments" and deep and isinstance(place, dict):
        place[next(iter(place))] = value
    else:
        header[key] = value
    try:
        forged = ev._signed(header, body)
    except EvidenceError:
        return  # infinity
    found, original = reads(forged), reads(whole)
    assert original is not None
    if found is not None:  # only what describes the results may be another: meta, date
        assert all(same(found.curves[digest], curves) for digest, curves in original.curves.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format is 'other'"),
        ({"schema": 2}, r"newer omnigrok \(schema 2, this one reads 1\): upgrade"),
        ({"raw": 2**40}, "would decompress to"),
        ({"raw": 10}, "not as long"),
        ({"count": 7}, "not as long"),
        ({"total": 7}, "3 results, not 7"),
        ({"environments": {}}, "header is damaged"),
        ({"environments": {"0" * 16: ["a", "b", "c"]}}, "environment 0000000000000000 is damaged"),
        ({"parts": [{"file": "../../etc/passwd", "sha256": ""}]}, "list of parts is damaged"),
    ],
)
def test_messages(whole: bytes, tmp_path: Path, change: dict[str, object], message: str) -> None:
    header, body = opened(whole)
    (tmp_path / "x.ogev").write_bytes(ev._signed({**header, **change}, body))
    with pytest.raises(EvidenceError, match=rf"evidence {tmp_path}/x.ogev: .*{message}"):
        ev.read(tmp_path / "x.ogev")


def test_bombs_and_other_files(
    whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, _ = opened(whole)
    bomb = lzma.compress(bytes(50 << 20), preset=1)
    assert reads(ev._signed(header, bomb)) is None
    assert reads(ev._signed(header, b"not xz")) is None
    assert reads(b"") is None
    assert reads(b"PK\x03\x04\n") is None
    for path in (tmp_path, tmp_path / "none.ogev", Path("bad\0name.ogev")):
        with pytest.raises(EvidenceError, match="cannot be read"):
            ev.read(path)
    monkeypatch.setattr(ev, "FILE_LIMIT", 100)
    assert reads(whole) is None
