"""Evidence files: bit by bit, whole or refused, and open to any data-frame tool."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import EvidenceFile, Result, equal, read, reading, write, writing
from omnigrok.evidence.transfer import import_into
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store

One = Callable[..., Result]
Many = Callable[..., dict[Run, Result]]
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Cn", "Co", "Z"]), max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def results(draw: st.DrawFn) -> Result:
    options = st.dictionaries(names, st.integers(-3, 3) | st.floats(-3, 3) | texts, max_size=2)
    run = Run(
        task=draw(st.sampled_from(["mnist", "somebody.task"])),
        model="mlp",
        seed=draw(st.integers(0, 3)),
        n_train=draw(st.integers(1, 3)),
        steps=1000,
        lr=draw(st.floats(1e-6, 1)),
        alpha=draw(st.sampled_from([0.0, 0.5, 1.0])),
        precision=draw(st.sampled_from(["float32", "float64"])),
        data=draw(options),
        network=draw(options),
    )
    points = draw(st.integers(1, 5))
    step = sorted(draw(st.sets(st.integers(0, 2**50), min_size=points, max_size=points)))
    width = draw(st.sampled_from([32, 64]))
    values = arrays.arrays(np.float64, points, elements=st.floats(width=width))
    logged = draw(st.dictionaries(names.map("c_".__add__), values, max_size=3))
    curves = Curves(
        run,
        np.array(step, dtype=np.int64),
        logged,
        diverged=draw(st.booleans()),
        seconds=draw(st.floats(0, 1e9)),
        provenance=draw(st.dictionaries(texts, json_values, max_size=3)),
    )
    return curves, Environment(draw(texts), draw(texts), draw(texts))


@settings(max_examples=60)
@given(batch=st.lists(results(), max_size=6), meta=st.dictionaries(texts, json_values, max_size=3))
def test_evidence_goes_round_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Result], meta: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("round") / "x.parquet"
    by_run = {curves.run: (curves, environment) for curves, environment in batch}
    write(path, by_run, meta=meta)
    found = read(path)
    assert set(found) == set(by_run)
    for run, (curves, environment) in by_run.items():
        back, where = found[run]
        assert where == environment
        assert back.run.as_dict() == run.as_dict()
        assert back.step.dtype == np.int64
        np.testing.assert_array_equal(back.step, curves.step)
        assert set(back.columns) == set(curves.columns)
        for name in curves.columns:
            numbers = ~np.isnan(curves[name])
            assert back[name].dtype == np.float64
            assert back[name][numbers].tobytes() == curves[name][numbers].tobytes()
            assert np.isnan(back[name][~numbers]).all()
        assert (back.diverged, back.seconds) == (curves.diverged, curves.seconds)
        assert back.provenance == curves.provenance
        assert equal(found[run], by_run[run])
    assert {key: found.meta[key] for key in meta if key != "date"} == {
        key: value for key, value in meta.items() if key != "date"
    }


def test_provenance_keeps_the_kind_of_its_numbers(tmp_path: Path, one_result: One) -> None:
    batch = {}
    for seed, value in enumerate((0, False, 0.0, -0.0)):
        curves, environment = one_result(seed=seed)
        batch[curves.run] = dataclasses.replace(curves, provenance={"x": value}), environment
    write(tmp_path / "x.parquet", batch)
    found = read(tmp_path / "x.parquet")
    assert [str(found[run][0].provenance["x"]) for run in batch] == ["0", "False", "0.0", "-0.0"]


def changed(result: Result, name: str, value: object) -> Result:
    curves, environment = result
    if name in ("identity", "torch", "device"):
        return curves, dataclasses.replace(environment, **{name: value})
    if name in curves.columns:
        values = curves[name].copy()
        values[3] = value
        columns = {**curves.columns, name: values}
        return dataclasses.replace(curves, columns=columns), environment
    return dataclasses.replace(curves, **{name: value}), environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("torch", "2.6"),
        ("train_loss", np.nan),
        ("train_loss", 0.1),
        ("seconds", 1.5),
        ("diverged", True),
        ("provenance", {}),
        ("step", np.arange(12, dtype=np.int64) * 8),
        ("columns", {}),
    ],
)
def test_results_that_differ_are_not_equal(one_result: One, name: str, value: object) -> None:
    one = one_result()
    assert equal(one, one_result())
    assert not equal(one, changed(one, name, value))


def test_the_sign_of_zero_counts(one_result: One) -> None:
    zero, minus = (changed(one_result(), "train_loss", value) for value in (0.0, -0.0))
    assert not equal(zero, minus)


def test_columns_are_as_narrow_as_their_values(tmp_path: Path, one_result: One) -> None:
    """One value that is no float32 makes its column float64; the others stay narrow."""
    curves, environment = changed(one_result(), "test_loss", 0.1)
    write(tmp_path / "x.parquet", {curves.run: (curves, environment)})
    kinds = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "x.parquet")}
    assert (kinds["train_loss"], kinds["test_loss"]) == ("float", "double")


def test_pandas_opens_it(tmp_path: Path, results_of: Many) -> None:
    """Without this package: one row a logged step, with the settings in which the Runs differ."""
    pandas = pytest.importorskip("pandas")
    many = results_of(3)
    other = next(iter(many)).replace(alpha=2.0)
    many[other] = dataclasses.replace(many[next(iter(many))][0], run=other), ENVIRONMENT
    write(tmp_path / "x.parquet", many)
    frame = pandas.read_parquet(tmp_path / "x.parquet")
    assert list(frame.columns) == [
        "run", "seed", "alpha", "step", "train_loss", "test_loss", "weight_norm",
    ]  # fmt: skip
    assert len(frame) == 48
    for run, (curves, _) in many.items():
        part = frame[frame.run == run.digest]
        assert set(part.seed) == {run.seed}
        assert set(part.alpha) == {run.alpha}
        np.testing.assert_array_equal(part.step, curves.step)
        np.testing.assert_array_equal(part.test_loss, curves["test_loss"])


ENVIRONMENT = Environment("trainer 1", "2.5", "cpu")


def test_what_any_tool_reads_in_the_metadata(tmp_path: Path, results_of: Many) -> None:
    write(tmp_path / "x.parquet", results_of(2), meta={"experiment": "fig02:small"})
    found = pq.read_metadata(tmp_path / "x.parquet").metadata
    description = json.loads(found[b"omnigrok.evidence"])
    assert description["meta"]["experiment"] == "fig02:small"
    listing = json.loads(found[b"omnigrok.runs"])
    assert listing["common"]["run"]["task"] == "made_up"
    assert [each["run"] for each in listing["each"]] == [{"seed": 0}, {"seed": 1}]


def test_a_column_that_some_runs_do_not_log(tmp_path: Path, one_result: One) -> None:
    full, (part, environment) = one_result(0), one_result(1)
    columns = {"train_loss": part["train_loss"]}
    by_run = {
        full[0].run: full,
        part.run: (dataclasses.replace(part, columns=columns), environment),
    }
    write(tmp_path / "x.parquet", by_run)
    assert set(read(tmp_path / "x.parquet")[part.run][0].columns) == {"train_loss"}


def test_a_setting_with_the_name_of_a_column_gives_way(tmp_path: Path, one_result: One) -> None:
    curves, environment = one_result()
    columns = {"seed": curves["train_loss"]}
    write(
        tmp_path / "x.parquet",
        {curves.run: (dataclasses.replace(curves, columns=columns), environment)},
    )
    np.testing.assert_array_equal(
        read(tmp_path / "x.parquet")[curves.run][0]["seed"], curves["train_loss"]
    )


def test_many_parts_are_decoded_in_any_order(
    tmp_path: Path, results_of: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "GROUP_WANTED", 200)
    many = results_of(20)
    write(tmp_path / "x.parquet", many)
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == 10
    found = read(tmp_path / "x.parquet")
    for run in [*many, *reversed(many)]:
        assert equal(found[run], many[run])
    with pytest.raises(KeyError):
        found[next(iter(many)).replace(seed=99)]


class Lazy(Mapping[Run, Result]):
    """Results that are made when asked for; says how many live at once."""

    def __init__(self, runs: list[Run], make: One) -> None:
        self.runs, self.make = runs, make

    def __getitem__(self, run: Run) -> Result:
        return self.make(run.seed)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)


def test_results_need_not_fit_into_memory(tmp_path: Path, one_result: One) -> None:
    runs = [one_result(seed)[0].run for seed in range(5)]
    write(tmp_path / "x.parquet", Lazy(runs, one_result))
    assert all(equal(found, one_result(run.seed)) for run, found in read_all(tmp_path).items())


def read_all(folder: Path) -> dict[Run, Result]:
    return dict(read(folder / "x.parquet"))


def test_no_runs_are_evidence_too(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", {})
    assert read_all(tmp_path) == {}


def test_results_in_a_store_stay_marked_as_imported(
    store: Store, tmp_path: Path, results_of: Many
) -> None:
    many = results_of(4)
    write(tmp_path / "x.parquet", many)
    assert import_into(store, tmp_path / "x.parquet") == 4
    assert import_into(store, tmp_path / "x.parquet") == 0
    origin = {"file": "x.parquet", "sha256": read(tmp_path / "x.parquet").sha256}
    for run, environment, curves in store.records():
        unmarked = {**curves.provenance}
        assert unmarked.pop("imported") == origin
        plain = dataclasses.replace(curves, provenance=unmarked)
        assert equal((plain, environment), many[run])
    again = {run: (curves, environment) for run, environment, curves in store.records()}
    write(tmp_path / "y.parquet", again)
    with Store(tmp_path / "other.db") as other:
        import_into(other, tmp_path / "y.parquet")
        assert {str(curves.provenance["imported"]) for _, _, curves in other.records()} == {
            str(origin)
        }


def test_what_cannot_be_written(
    tmp_path: Path, results_of: Many, one_result: One, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = results_of(2)
    run, other = many
    path = tmp_path / "x.parquet"
    with pytest.raises(EvidenceError, match=r"must end in .parquet"):
        write(tmp_path / "x.json", many)
    with pytest.raises(EvidenceError, match="was not written"):
        write(Path("/proc/none/x.parquet"), many)
    with pytest.raises(EvidenceError, match="the curves of another Run"):
        write(path, {run: many[other]})
    with pytest.raises(EvidenceError, match="no logged step"):
        write(path, {run: one_result(0, points=0)})
    for text in ("\x1b[2J", "x" * 5000, "a\nb", "\u202e"):
        with pytest.raises(EvidenceError, match="not accepted as text"):
            write(path, many, meta={"note": text})
    with pytest.raises(EvidenceError, match="only JSON"):
        write(path, {run: changed(many[run], "provenance", {"x": float("nan")})})
    with pytest.raises(EvidenceError, match="no checksum"):
        write(path, many, meta={"note": "omnigrok-sha256:" + "0" * 64})
    monkeypatch.setattr(writing, "FILE_LIMIT", 100)
    with pytest.raises(EvidenceError, match="split the Runs"):
        write(path, many)
    monkeypatch.setattr(writing, "TOTAL_LIMIT", 100)
    with pytest.raises(EvidenceError, match="split the Runs"):
        write(path, many)
    monkeypatch.setattr(writing, "COLUMN_LIMIT", 4)
    with pytest.raises(EvidenceError, match="logged columns"):
        write(path, many)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_older_version_whole(
    tmp_path: Path, results_of: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.parquet"
    write(path, results_of(2))
    before = path.read_bytes()

    def full(descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match=r"was not written: .*No space left"):
        write(path, results_of(3))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_opened(
    tmp_path: Path, results_of: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path, tmp_path / "none.parquet", Path("bad\0name.parquet")):
        with pytest.raises(EvidenceError, match="cannot be read"):
            read(path)
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(EvidenceError, match=r"pipe.parquet: cannot be read: it is not a file"):
        read(tmp_path / "pipe.parquet")
    write(tmp_path / "x.parquet", results_of(1))
    monkeypatch.setattr(reading, "FILE_LIMIT", 100)
    with pytest.raises(EvidenceError, match="larger than 100 bytes"):
        read(tmp_path / "x.parquet")


def test_a_closed_file_says_so(tmp_path: Path, results_of: Many) -> None:
    write(tmp_path / "x.parquet", results_of(1))
    file: EvidenceFile = read(tmp_path / "x.parquet")
    file.close()
    with pytest.raises(EvidenceError, match=r"x\.parquet: .*closed"):
        file[next(iter(file))]
