"""A file's SHA-256 inside the file itself: any accident to it is found before a byte is decoded.

The sum is kept as 64 hex digits behind ``MARK`` in the Parquet footer's metadata. It is that of the
whole file with these digits as zeros. It guards against accidents, not against people.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, BinaryIO

from omnigrok.errors import EvidenceError

KEY = "omnigrok.sha256"
MARK = "omnigrok-sha256:"
BLANK = MARK + "0" * 64
MAGIC = b"PAR1"
FOOTER_LIMIT = 16 << 20  # bytes: 100 a Run, for more Runs than any experiment of the paper has
_SEAL = re.compile(MARK.encode() + rb"([0-9a-f]{64})")
_CHUNK = 1 << 20


def seal(file: BinaryIO) -> None:
    """Replace the zeros of ``BLANK`` in a finished Parquet file by its sum.

    Raises:
        EvidenceError: the mark does not stand there exactly once.
    """
    start, _ = _place(file, _footer(file))
    digest = _sum(file, start)
    file.seek(start)
    file.write(digest.encode())


def check_seal(file: Any) -> tuple[str, bytes]:
    """The sum of a sealed file, checked, and the bytes of its footer.

    Raises:
        EvidenceError: it is no sealed Parquet file, or damaged.
    """
    footer = _footer(file)
    start, stated = _place(file, footer)
    if _sum(file, start) != stated:
        raise EvidenceError("its checksum does not match: it is truncated or damaged")
    return stated, footer


def _footer(file: Any) -> bytes:
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(4)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if size < 16 or head != MAGIC or tail[4:] != MAGIC or not 0 < length <= size - 12:
        raise EvidenceError("it is not a Parquet file, or it is truncated")
    if length > FOOTER_LIMIT:
        raise EvidenceError(f"its footer has {length} bytes; at most {FOOTER_LIMIT} are accepted")
    file.seek(size - 8 - length)
    footer: bytes = file.read(length)
    return footer


def _place(file: Any, footer: bytes) -> tuple[int, str]:
    """Where the digits are in the file, and what they say."""
    found = list(_SEAL.finditer(footer))
    if len(found) != 1:
        raise EvidenceError("it was not written by omnigrok: its footer has no checksum")
    return file.seek(0, 2) - 8 - len(footer) + found[0].start(1), found[0][1].decode()


def _sum(file: Any, start: int) -> str:
    summed = hashlib.sha256()
    file.seek(0)
    left = start
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise EvidenceError("it became shorter while it was read")
        summed.update(chunk)
        left -= len(chunk)
    summed.update(b"0" * 64)
    file.seek(start + 64)
    while chunk := file.read(_CHUNK):
        summed.update(chunk)
    return summed.hexdigest()
