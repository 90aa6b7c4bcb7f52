"""Evidence files read: checked as a whole when opened, decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence import seal
from omnigrok.evidence.footer import Footer, parse_footer
from omnigrok.evidence.layout import (
    COLUMN_LIMIT,
    DESCRIPTION,
    FILE_LIMIT,
    FORMAT,
    GROUP_LIMIT,
    LISTING,
    TOTAL_LIMIT,
    Result,
    repeated,
    setting_columns,
)
from omnigrok.evidence.listing import Entry, check_text, unpack
from omnigrok.evidence.pages import check_pages
from omnigrok.run import Run
from omnigrok.store.encode import parse_json

KEPT_GROUPS = 2
# Arrow's own errors, and Python's where the file is closed.
_UNREADABLE = (EvidenceError, pa.ArrowException, OSError, ValueError)


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


def read(path: Path) -> EvidenceFile:
    """Open an evidence file: its checksum, metadata and sizes are checked; rows are decoded later.

    Raises:
        EvidenceError: the file is missing, damaged, too large, of a newer omnigrok, or something
            else; the message names it.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            raise EvidenceError(f"evidence {path}: cannot be read: it is not a file")
        file = pa.OSFile(str(path))  # closes itself with the last reference
    except (OSError, ValueError) as error:
        raise EvidenceError(f"evidence {path} cannot be read: {error}") from error
    try:
        if file.seek(0, 2) > FILE_LIMIT:
            raise EvidenceError(f"it is larger than {FILE_LIMIT} bytes")
        digest, content = seal.check_seal(file)
        footer = parse_footer(content)
        description = _description(footer)
        entries = unpack(_parsed(footer, LISTING))
        groups = _Groups(file, footer, entries, description["columns"])
    except _UNREADABLE as error:
        raise EvidenceError(f"evidence {path}: {str(error).strip()}") from error
    return EvidenceFile(path, description["meta"], digest, entries, groups)


def _parsed(footer: Footer, key: str) -> Any:
    # Also keeps out a schema of Arrow's own, which may name types that Python would load.
    if set(footer.texts) != {DESCRIPTION, LISTING, seal.KEY}:
        raise EvidenceError("its metadata has other keys than omnigrok writes")
    value = parse_json(footer.texts[key])
    check_text(value)
    return value


def _description(footer: Footer) -> dict[str, Any]:
    found = _parsed(footer, DESCRIPTION)
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


class _Columns(Mapping[str, NDArray[np.float64]]):
    """The columns of one Run, cut from those of its row group when they are asked for: thousands of
    Runs are a few arrays, of the precision in which they were recorded.
    """

    __slots__ = ("_end", "_group", "_names", "_start")

    def __init__(
        self, group: Mapping[str, NDArray[Any]], names: tuple[str, ...], start: int, end: int
    ) -> None:
        self._group, self._names, self._start, self._end = group, names, start, end

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self._names:
            raise KeyError(name)
        with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
            return self._group[name][self._start : self._end].astype(np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


Logged = tuple[NDArray[np.int64], Mapping[str, NDArray[np.float64]]]


class _Groups:
    """The row groups of a checked file, the last ones kept decoded."""

    def __init__(
        self, file: Any, footer: Footer, entries: Sequence[Entry], logged: Sequence[str]
    ) -> None:
        self.file, self._entries, self._logged = file, entries, logged
        self._settings = setting_columns(entries, logged)
        _check_shape(footer, self._settings, logged)
        self._starts = _starts(
            [entry.points for entry in entries], [group.rows for group in footer.groups]
        )
        check_pages(file, footer)
        self._parquet = pq.ParquetFile(file)
        self._kept: dict[int, list[Logged]] = {}

    def columns_of(self, place: int) -> Logged:
        """Step axis and columns of the Run at this place of the list."""
        group = int(np.searchsorted(self._starts, place, side="right")) - 1
        if group not in self._kept:
            while len(self._kept) >= KEPT_GROUPS:
                del self._kept[next(iter(self._kept))]
            self._kept[group] = self._decoded(group)
        return self._kept[group][place - self._starts[group]]

    def _decoded(self, group: int) -> list[Logged]:
        table = self._parquet.read_row_group(group, use_threads=False)
        part = slice(self._starts[group], self._starts[group + 1])
        entries = self._entries[part]
        points = [entry.points for entry in entries]
        expected = {"run": [entry.run.digest for entry in entries]}
        expected |= {name: values[part] for name, values in self._settings.items()}
        for name, values in expected.items():
            column = table.column(name).combine_chunks()
            if not column.equals(repeated(values, points, column.type)):
                raise EvidenceError(f"its column {name!r} is not what its list of runs says")
        ends = np.cumsum(points)
        steps = np.split(table.column("step").to_numpy(), ends[:-1])
        if any(each[0] < 0 or np.any(np.diff(each) <= 0) for each in steps):
            raise EvidenceError("the steps of a Run do not rise")
        arrays: dict[str, NDArray[Any]] = {}
        names: list[list[str]] = [[] for _ in entries]
        for name in self._logged:
            column = table.column(name).combine_chunks()
            start = 0
            for found, end in zip(names, ends.tolist(), strict=True):
                values = column.slice(start, end - start)
                if values.null_count == 0:
                    found.append(name)
                elif values.null_count < len(values):
                    raise EvidenceError(f"its column {name!r} has gaps within a Run")
                start = end
            # A copy, as the table's memory holds the settings, too.
            arrays[name] = np.array(column.to_numpy(zero_copy_only=False))
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        return [
            (step, _Columns(arrays, shared.setdefault(tuple(each), tuple(each)), end - length, end))
            for step, each, end, length in zip(steps, names, ends.tolist(), points, strict=True)
        ]


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
