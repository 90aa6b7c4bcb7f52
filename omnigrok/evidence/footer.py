"""The footer of a Parquet file that this package wrote: strictly that, or refused.

Columns are flat, chunks are compressed with zstd, and there are no statistics, indexes, filters,
other files or keys: what is not there cannot be forged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omnigrok.errors import EvidenceError
from omnigrok.evidence.thrift import read_struct

TYPES = {0: "bool", 2: "int64", 4: "float", 5: "double", 6: "string"}
_ZSTD = 6
# Fields by number, as in parquet.thrift; those of a column's metadata leave out its statistics.
_FILE = {1, 2, 3, 4, 5, 6, 7}
_ELEMENT = {1, 3, 4, 5, 6, 10}
_GROUP = {1, 2, 3, 5, 6, 7}
_CHUNK = {2, 3}
_COLUMN = {1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16}


@dataclass(frozen=True)
class ParquetColumn:
    """A flat column: its name, one of the values of ``TYPES``, and whether it may hold nulls."""

    name: str
    kind: str
    optional: bool


@dataclass(frozen=True)
class Chunk:
    """One column of a row group: where its pages begin and end, and the length of their headers
    with what they decompress to.
    """

    start: int
    end: int
    raw: int


@dataclass(frozen=True)
class Group:
    """A row group: its rows, and a chunk a column."""

    rows: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True)
class Footer:
    """What a footer says; ``texts`` are its keys and values."""

    columns: tuple[ParquetColumn, ...]
    groups: tuple[Group, ...]
    texts: dict[str, bytes]


def parse_footer(content: bytes) -> Footer:
    """A footer from its bytes.

    Raises:
        EvidenceError: it is not one that this package writes.
    """
    fields, length = read_struct(content)
    try:
        if length != len(content) or not set(fields) <= _FILE:
            raise ValueError("length")
        root, *elements = fields[2]
        columns = tuple(map(_column, elements))
        groups = tuple(_group(group, columns) for group in fields[4])
        texts = {pair[1].decode(): pair[2] for pair in fields[5]}
        if (
            root[5] != len(columns)
            or len(texts) != len(fields[5])
            or fields[3] != sum(group.rows for group in groups)
        ):
            raise ValueError("count")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvidenceError("its footer is not one that omnigrok writes") from error
    return Footer(columns, groups, texts)


def _column(element: dict[int, Any]) -> ParquetColumn:
    if not set(element) <= _ELEMENT or element.get(5, 0) or element[3] not in (0, 1):
        raise ValueError("column")
    return ParquetColumn(element[4].decode(), TYPES[element[1]], element[3] == 1)


def _group(fields: dict[int, Any], columns: tuple[ParquetColumn, ...]) -> Group:
    rows = fields[3]
    if not set(fields) <= _GROUP or not rows > 0 or len(fields[1]) != len(columns):
        raise ValueError("row group")
    chunks = []
    for chunk, column in zip(fields[1], columns, strict=True):
        found = chunk[3]
        if (
            not set(chunk) <= _CHUNK
            or not set(found) <= _COLUMN
            or TYPES[found[1]] != column.kind
            or found[3] != [column.name.encode()]
            or found[4] != _ZSTD
            or found[5] != rows
            or not _are_sizes(found.get(16, {}), optional=column.optional)
        ):
            raise ValueError(column.name)
        start = min(found[9], found.get(11, found[9]))
        chunks.append(Chunk(start, start + found[7], found[6]))
    return Group(rows, tuple(chunks))


def _are_sizes(sizes: dict[int, Any], *, optional: bool) -> bool:
    """Whether the statistics of sizes fit a flat column: Arrow ends the process where they do
    not.
    """
    levels = sizes.get(3, [])
    return not sizes.get(2) and (levels == [] or (optional and len(levels) == 2))
