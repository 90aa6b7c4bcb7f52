"""Evidence files written, whole or not at all."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnigrok.errors import EvidenceError
from omnigrok.evidence import seal
from omnigrok.evidence.layout import (
    COLUMN_LIMIT,
    DESCRIPTION,
    FILE_LIMIT,
    FORMAT,
    GROUP_LIMIT,
    LISTING,
    SUFFIX,
    TOTAL_LIMIT,
    Result,
    repeated,
    setting_columns,
)
from omnigrok.evidence.listing import Entry, check_text, entry_of, pack
from omnigrok.files import replacing
from omnigrok.run import Run
from omnigrok.store.encode import dump_json

GROUP_WANTED = 1 << 20  # values
LEVEL = 15  # of zstd; beyond, files take longer and are no smaller


def write(
    path: Path, results: Mapping[Run, Result], *, meta: Mapping[str, Any] | None = None
) -> None:
    """Write results to an evidence file, whole or not at all.

    Args:
        path: ends in .parquet.
        results: read twice, one at a time, so that they need not fit into memory.
        meta: JSON to keep with them: experiment, protocol, criteria.

    Raises:
        EvidenceError: the path does not end in .parquet or cannot be written, a value is not
            accepted, or there is too much for one file.
    """
    if path.suffix != SUFFIX:
        raise EvidenceError(f"evidence {path}: not written: the name must end in {SUFFIX}")
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    description = {"format": FORMAT, "meta": {"date": date, **(meta or {})}}
    try:
        runs = sorted(results, key=_order)
        kinds, entries = _survey(results, runs)
        description["columns"] = list(kinds)
        listing = pack(entries)
        check_text(description)
        check_text(listing)
        texts = {DESCRIPTION: dump_json(description), LISTING: dump_json(listing)}
        if sum(map(len, texts.values())) > seal.FOOTER_LIMIT // 2:
            raise EvidenceError("not written: its metadata is too long; split the Runs")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            _write_rows(file, results, entries, kinds, texts)
            seal.seal(file)
            if file.seek(0, 2) > FILE_LIMIT:
                raise EvidenceError(f"not written: more than {FILE_LIMIT} bytes; split the Runs")
    except EvidenceError as error:
        raise EvidenceError(f"evidence {path}: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise EvidenceError(f"evidence {path} was not written: {error}") from error


def _order(run: Run) -> tuple[Any, ...]:
    return run.n_train, run.alpha, run.weight_decay, run.seed, run.digest


def _survey(
    results: Mapping[Run, Result], runs: Sequence[Run]
) -> tuple[dict[str, pa.DataType], list[Entry]]:
    """The type of each logged column, and what is listed of each Run."""
    kinds: dict[str, pa.DataType] = {}
    entries: list[Entry] = []
    for run in runs:
        curves, environment = results[run]
        if curves.run != run:
            raise EvidenceError(f"not written: run {run.digest} has the curves of another Run")
        if not len(curves.step):
            raise EvidenceError(f"not written: run {run.digest} has no logged step")
        entry = replace(entry_of(curves, environment), run=run)
        # There may be 100,000: equal parts are kept once.
        last = entries[-1] if entries else entry
        if last.environment == environment:
            entry = replace(entry, environment=last.environment)
        # As JSON: Python takes 0, 0.0 and False for equal.
        if dump_json(last.provenance) == dump_json(entry.provenance):
            entry = replace(entry, provenance=last.provenance)
        entries.append(entry)
        for name, values in curves.columns.items():
            narrow = kinds.get(name, pa.float32()) == pa.float32() and _is_narrow(values)
            kinds[name] = pa.float32() if narrow else pa.float64()
    if len(kinds) > COLUMN_LIMIT // 2:
        raise EvidenceError(f"not written: more than {COLUMN_LIMIT // 2} logged columns")
    cells = [entry.points * (len(kinds) + 2) for entry in entries]
    if max(cells, default=0) > GROUP_LIMIT or sum(cells) > TOTAL_LIMIT:
        raise EvidenceError("not written: too many logged steps for one file; split the Runs")
    return kinds, entries


def _is_narrow(values: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore", under="ignore"):
        return np.array_equal(values.astype(np.float32).astype(np.float64), values, equal_nan=True)


def _schema(kinds: Mapping[str, pa.DataType], settings: Mapping[str, list[Any]]) -> pa.Schema:
    fields = [pa.field("run", pa.string(), nullable=False)]
    # A setting with the name of a logged column gives way to it.
    fields += [pa.field(name, pa.array(values).type) for name, values in settings.items()]
    fields.append(pa.field("step", pa.int64(), nullable=False))
    return pa.schema([*fields, *(pa.field(name, kind) for name, kind in kinds.items())])


def _write_rows(
    file: BinaryIO,
    results: Mapping[Run, Result],
    entries: Sequence[Entry],
    kinds: Mapping[str, pa.DataType],
    texts: Mapping[str, bytes],
) -> None:
    settings = setting_columns(entries, list(kinds))
    schema = _schema(kinds, settings)
    encodings = dict.fromkeys(kinds, "BYTE_STREAM_SPLIT") | {"step": "DELTA_BINARY_PACKED"}
    writer = pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=["run", *settings],
        column_encoding=encodings,
        write_statistics=False,
        store_schema=False,
    )
    with writer:
        for group in _grouped(entries, len(schema)):
            batch = {name: values[group] for name, values in settings.items()}
            writer.write_table(_rows(schema, results, entries[group], batch))
        writer.add_key_value_metadata(
            {**{key: text.decode() for key, text in texts.items()}, seal.KEY: seal.BLANK}
        )


def _grouped(entries: Sequence[Entry], columns: int) -> Iterator[slice]:
    """Runs of one row group each: as many as give ``GROUP_WANTED`` values, or one."""
    start = cells = 0
    for place, entry in enumerate(entries):
        here = entry.points * columns
        if cells and cells + here > GROUP_WANTED:
            yield slice(start, place)
            start, cells = place, 0
        cells += here
    if cells:
        yield slice(start, len(entries))


def _rows(
    schema: pa.Schema,
    results: Mapping[Run, Result],
    entries: Sequence[Entry],
    settings: Mapping[str, list[Any]],
) -> pa.Table:
    curves = [results[entry.run][0] for entry in entries]
    points = [entry.points for entry in entries]
    arrays = {"run": repeated([entry.run.digest for entry in entries], points, pa.string())}
    for name, values in settings.items():
        arrays[name] = repeated(values, points, schema.field(name).type)
    arrays["step"] = pa.array(np.concatenate([each.step for each in curves]), pa.int64())
    for name in schema.names[len(arrays) :]:
        kind = schema.field(name).type
        parts = [
            pa.array(each[name].astype(kind.to_pandas_dtype()), kind)
            if name in each.columns
            else pa.nulls(len(each.step), kind)
            for each in curves
        ]
        arrays[name] = pa.chunked_array(parts, kind)
    return pa.table(arrays, schema=schema).combine_chunks()
