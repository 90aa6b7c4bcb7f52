"""Evidence files: recorded Curves as Parquet, one row a logged step.

The columns are ``run`` (digest of the Run), the settings in which the Runs differ, ``step``, and
what was logged. Runs, versions and provenance are JSON in the file's metadata. Floats are kept bit
by bit: as float32 where every value of a column is one, else as float64. Null means that a Run does
not log the column. Nothing that a file names is imported or run.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import seal
from omnigrok.evidence.footer import Footer, parse_footer
from omnigrok.evidence.listing import Entry, check_text, entry_of, pack, settings_of, unpack
from omnigrok.evidence.pages import check_pages
from omnigrok.files import replacing
from omnigrok.run import Run
from omnigrok.store.encode import dump_json, parse_json
from omnigrok.store.store import Environment

FORMAT = 1
SUFFIX = ".parquet"
FILE_LIMIT = 96 << 20  # bytes; code hosts refuse files of 100 MB
# Values of one row group: decoding it takes at most 16 bytes each.
GROUP_LIMIT = 1 << 23
TOTAL_LIMIT = 1 << 28
COLUMN_LIMIT = 100
_GROUP_WANTED = 1 << 20
_KEPT_GROUPS = 2
_LEVEL = 15  # of zstd; beyond, files take longer and are no smaller
_DESCRIPTION, _LISTING = "omnigrok.evidence", "omnigrok.runs"

# Arrow's own errors, and Python's where the file is closed.
_UNREADABLE = (EvidenceError, pa.ArrowException, OSError, ValueError)

Result = tuple[Curves, Environment]


class EvidenceFile(Mapping[Run, Result]):
    """An evidence file: (Curves, Environment) by Run, decoded when asked for.

    Iterating in its own order decodes each part of the file once.

    Args:
        path: the file.
        meta: what the exporter added (experiment, protocol, criteria, ...), and "date".
        sha256: of the file; what a signature of it signs.
        entries: all that is listed of each Run.
    """

    def __init__(
        self,
        path: Path,
        meta: Mapping[str, Any],
        sha256: str,
        entries: Sequence[Entry],
        groups: _Groups,
    ) -> None:
        self.path, self.meta, self.sha256 = path, meta, sha256
        self.entries = {entry.run: entry for entry in entries}
        self._places = {entry.run: place for place, entry in enumerate(entries)}
        self._groups = groups

    def __getitem__(self, run: Run) -> Result:
        """The result of a Run.

        Raises:
            KeyError: the Run is not in the file.
            EvidenceError: its rows are not what the file's metadata says.
        """
        entry = self.entries[run]
        try:
            step, columns = self._groups.columns_of(self._places[run])
        except _UNREADABLE as error:
            raise EvidenceError(f"evidence {self.path}: {str(error).strip()}") from error
        curves = Curves(run, step, columns, entry.diverged, entry.seconds, entry.provenance)
        return curves, entry.environment

    def __contains__(self, run: object) -> bool:
        return run in self.entries

    def __iter__(self) -> Iterator[Run]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def close(self) -> None:
        """Close the file; what was not decoded can no longer be."""
        self._groups.file.close()


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
        _fail(path, f"not written: the name must end in {SUFFIX}")
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    description = {"format": FORMAT, "meta": {"date": date, **(meta or {})}}
    try:
        runs = sorted(results, key=_order)
        kinds, entries = _survey(results, runs)
        description["columns"] = list(kinds)
        listing = pack(entries)
        check_text(description)
        check_text(listing)
        texts = {_DESCRIPTION: dump_json(description), _LISTING: dump_json(listing)}
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


def read(path: Path) -> EvidenceFile:
    """Open an evidence file: its checksum, metadata and sizes are checked; rows are decoded later.

    Raises:
        EvidenceError: the file is missing, damaged, too large, of a newer omnigrok, or something
            else; the message names it.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            _fail(path, "cannot be read: it is no file")
        file = pa.OSFile(str(path))  # closes itself with the last reference
    except (OSError, ValueError) as error:
        raise EvidenceError(f"evidence {path} cannot be read: {error}") from error
    try:
        if file.seek(0, 2) > FILE_LIMIT:
            raise EvidenceError(f"it is larger than {FILE_LIMIT} bytes")
        digest, content = seal.check_seal(file)
        footer = parse_footer(content)
        description = _description(footer)
        entries = unpack(_parsed(footer, _LISTING))
        groups = _Groups(file, footer, entries, description["columns"])
    except _UNREADABLE as error:
        raise EvidenceError(f"evidence {path}: {str(error).strip()}") from error
    return EvidenceFile(path, description["meta"], digest, entries, groups)


def equal(one: Result, other: Result) -> bool:
    """Whether two results are the same: curves bit by bit (any NaN equals any other), and all
    that is listed of them.
    """
    (left, here), (right, there) = one, other
    return (
        dump_json(pack([entry_of(left, here)])) == dump_json(pack([entry_of(right, there)]))
        and set(left.columns) == set(right.columns)
        and np.array_equal(left.step, right.step)
        and all(_same_bits(left[name], right[name]) for name in left.columns)
    )


def _same_bits(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    numbers = ~np.isnan(left)
    return np.array_equal(left, right, equal_nan=True) and np.array_equal(
        np.signbit(left[numbers]), np.signbit(right[numbers])
    )


def _fail(path: Path, what: str) -> NoReturn:
    raise EvidenceError(f"evidence {path}: {what}")


def _order(run: Run) -> tuple[Any, ...]:
    return run.n_train, run.alpha, run.weight_decay, run.seed, run.digest


# Writing


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


def _settings(entries: Sequence[Entry], logged: Sequence[str]) -> dict[str, list[Any]]:
    found = settings_of(entry.run for entry in entries)
    return {name: found[name] for name in found if name not in ("run", "step", *logged)}


def _write_rows(
    file: BinaryIO,
    results: Mapping[Run, Result],
    entries: Sequence[Entry],
    kinds: Mapping[str, pa.DataType],
    texts: Mapping[str, bytes],
) -> None:
    settings = _settings(entries, list(kinds))
    schema = _schema(kinds, settings)
    encodings = dict.fromkeys(kinds, "BYTE_STREAM_SPLIT") | {"step": "DELTA_BINARY_PACKED"}
    writer = pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=_LEVEL,
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
    """Runs of one row group each: as many as give ``_GROUP_WANTED`` values, or one."""
    start = cells = 0
    for place, entry in enumerate(entries):
        here = entry.points * columns
        if cells and cells + here > _GROUP_WANTED:
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
    arrays = {"run": _repeated([entry.run.digest for entry in entries], points, pa.string())}
    for name, values in settings.items():
        arrays[name] = _repeated(values, points, schema.field(name).type)
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


def _repeated(values: Sequence[Any], points: Sequence[int], kind: pa.DataType) -> pa.Array:
    places = np.repeat(np.arange(len(values)), points)
    return pa.array(values, kind).take(pa.array(places))


# Reading


def _parsed(footer: Footer, key: str) -> Any:
    # Also keeps out a schema of Arrow's own, which may name types that Python would load.
    if set(footer.texts) != {_DESCRIPTION, _LISTING, seal.KEY}:
        raise EvidenceError("its metadata has other keys than omnigrok writes")
    value = parse_json(footer.texts[key])
    check_text(value)
    return value


def _description(footer: Footer) -> dict[str, Any]:
    found = _parsed(footer, _DESCRIPTION)
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise EvidenceError("its metadata is damaged")
    if found["format"] > FORMAT:
        raise EvidenceError(
            f"it was written by a newer omnigrok (format {found['format']}, this one reads "
            f"{FORMAT}): upgrade"
        )
    meta, columns = found.get("meta"), found.get("columns")
    if (
        set(found) != {"format", "meta", "columns"}
        or not isinstance(meta, dict)
        or not isinstance(meta.get("date"), str)
        or not isinstance(columns, list)
        or not all(isinstance(name, str) for name in columns)
    ):
        raise EvidenceError("its metadata is damaged")
    return found


class _Groups:
    """The row groups of a checked file, the last ones kept decoded."""

    def __init__(
        self, file: Any, footer: Footer, entries: Sequence[Entry], logged: Sequence[str]
    ) -> None:
        self.file, self._entries, self._logged = file, entries, logged
        self._settings = _settings(entries, logged)
        _check_shape(footer, self._settings, logged)
        self._starts = _starts(
            [entry.points for entry in entries], [group.rows for group in footer.groups]
        )
        check_pages(file, footer)
        self._parquet = pq.ParquetFile(file)
        self._kept: dict[int, list[tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]]] = {}

    def columns_of(self, place: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
        """Step axis and columns of the Run at this place of the list."""
        group = int(np.searchsorted(self._starts, place, side="right")) - 1
        if group not in self._kept:
            while len(self._kept) >= _KEPT_GROUPS:
                del self._kept[next(iter(self._kept))]
            self._kept[group] = self._decoded(group)
        return self._kept[group][place - self._starts[group]]

    def _decoded(
        self, group: int
    ) -> list[tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]]:
        table = self._parquet.read_row_group(group, use_threads=False)
        part = slice(self._starts[group], self._starts[group + 1])
        entries = self._entries[part]
        points = [entry.points for entry in entries]
        expected = {"run": [entry.run.digest for entry in entries]}
        expected |= {name: values[part] for name, values in self._settings.items()}
        for name, values in expected.items():
            column = table.column(name).combine_chunks()
            if not column.equals(_repeated(values, points, column.type)):
                raise EvidenceError(f"its column {name!r} is not what its list of runs says")
        ends = np.cumsum(points)
        steps = np.split(table.column("step").to_numpy(), ends[:-1])
        if any(each[0] < 0 or np.any(np.diff(each) <= 0) for each in steps):
            raise EvidenceError("the steps of a Run do not rise")
        columns: list[dict[str, NDArray[np.float64]]] = [{} for _ in entries]
        for name in self._logged:
            column = table.column(name)
            start = 0
            for found, end in zip(columns, ends.tolist(), strict=True):
                values = column.slice(start, end - start)
                if values.null_count == 0:
                    with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
                        found[name] = values.to_numpy().astype(np.float64)
                elif values.null_count < len(values):
                    raise EvidenceError(f"its column {name!r} has gaps within a Run")
                start = end
        return list(zip(steps, columns, strict=True))


def _starts(points: Sequence[int], rows: Sequence[int]) -> list[int]:
    """The first Run of each row group, and the number of all Runs.

    Raises:
        EvidenceError: a row group does not end with a Run.
    """
    starts, run = [0], 0
    for size in rows:
        left = size
        while left > 0 and run < len(points):
            left -= points[run]
            run += 1
        if left or not size:
            raise EvidenceError("its row groups are not those of its list of runs")
        starts.append(run)
    if run != len(points):
        raise EvidenceError("it has fewer rows than its list of runs says")
    return starts


def _check_shape(footer: Footer, settings: Mapping[str, list[Any]], logged: Sequence[str]) -> None:
    """Refuse other columns than this module writes, and more values than it decodes."""
    expected = {"run": {"string"}}
    expected |= {name: {str(pa.array(values).type)} for name, values in settings.items()}
    expected |= {"step": {"int64"}} | {name: {"float", "double"} for name in logged}
    columns = {column.name: column for column in footer.columns}
    if list(columns) != list(expected) or not len(columns) == len(footer.columns) <= COLUMN_LIMIT:
        raise EvidenceError("its columns are not those that its metadata names")
    for name, column in columns.items():
        if column.kind not in expected[name] or column.optional == (name in ("run", "step")):
            raise EvidenceError(f"its column {name!r} is {column.kind}, not {expected[name]}")
    cells = [group.rows * len(columns) for group in footer.groups]
    if max(cells, default=0) > GROUP_LIMIT or sum(cells) > TOTAL_LIMIT:
        raise EvidenceError(f"it claims {sum(cells)} values; at most {TOTAL_LIMIT} are accepted")
    raw = [sum(chunk.raw for chunk in group.chunks) for group in footer.groups]
    if max(raw, default=0) > 8 * GROUP_LIMIT:
        raise EvidenceError(f"a part of it would decompress to {max(raw)} bytes")
