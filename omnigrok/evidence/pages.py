"""What the pages of a Parquet file claim to hold, read from their headers alone.

The footer states sizes, but a decoder allocates what each page's header says. A small file whose
pages claim gigabytes is refused before anything is decompressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omnigrok.errors import EvidenceError
from omnigrok.evidence.footer import Chunk, Footer
from omnigrok.evidence.thrift import read_struct

LONGEST_HEADER = 1024
DATA, DICTIONARY = 0, 2
# Where the header of each kind of page is in that of all pages, and the fields it may have.
_PLACES = {DATA: 5, DICTIONARY: 7}
_PAGE, _INNER, _STATISTICS = {1, 2, 3, 5, 7}, {1, 2, 3, 4}, 5


@dataclass(frozen=True)
class ParquetPage:
    """One page's header.

    Args:
        kind: ``DICTIONARY`` or ``DATA``.
        compressed: bytes that follow the header.
        uncompressed: bytes that they become.
        values: that it claims to hold.
        length: bytes of the header itself.
    """

    kind: int
    compressed: int
    uncompressed: int
    values: int
    length: int


def check_pages(file: Any, footer: Footer) -> None:
    """Refuse a file whose pages hold something else than its footer says.

    Args:
        file: a binary file.
        footer: its footer.

    Raises:
        EvidenceError: pages overlap, lie outside the file, or differ from the footer in length,
            in decompressed length or in the number of values.
    """
    chunks = sorted((chunk for group in footer.groups for chunk in group.chunks), key=_start)
    ends = [4, *(chunk.end for chunk in chunks)]
    starts = [*map(_start, chunks), file.seek(0, 2)]
    if any(start < end for start, end in zip(starts, ends, strict=True)):
        raise EvidenceError("its columns overlap, or lie outside the file")
    for group in footer.groups:
        for chunk, column in zip(group.chunks, footer.columns, strict=True):
            if not _is_whole(file, chunk, group.rows):
                raise EvidenceError(
                    f"the pages of its column {column.name!r} are not what its footer says"
                )


def _start(chunk: Chunk) -> int:
    return chunk.start


def _is_whole(file: Any, chunk: Chunk, rows: int) -> bool:
    place, raw, values = chunk.start, 0, 0
    while place < chunk.end:
        page = _read_header(file, place)
        if page.kind == DICTIONARY and (place != chunk.start or page.values > rows):
            return False
        place += page.length + page.compressed
        raw += page.length + page.uncompressed
        values += page.values if page.kind == DATA else 0
        if raw > chunk.raw or values > rows:
            return False
    return (place, raw, values) == (chunk.end, chunk.raw, rows)


def _read_header(file: Any, place: int) -> ParquetPage:
    file.seek(place)
    fields, length = read_struct(file.read(LONGEST_HEADER))
    try:
        kind, raw, compressed = fields[1], fields[2], fields[3]
        inner = fields[_PLACES[kind]]
        values = inner[1]
        damaged = not set(fields) <= _PAGE or inner.pop(_STATISTICS, {}) or not set(inner) <= _INNER
        damaged = damaged or min(raw, compressed, values) < 0
    except (KeyError, TypeError) as error:
        raise EvidenceError("the header of one of its pages is damaged") from error
    if damaged:
        raise EvidenceError("the header of one of its pages is not one that omnigrok writes")
    return ParquetPage(kind, compressed, raw, values, length)
