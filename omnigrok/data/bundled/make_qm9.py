"""Makes qm9.csv.xz from a wheel of the Python package qm9pack: python make_qm9.py WHEEL
qm9.csv.xz
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import sys
import zipfile
from pathlib import Path

PARTS = [f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3)]
COLUMNS = ("Index", "SMILES", "Polarizability_bohr3")


def table(wheel: str) -> bytes:
    """The three columns of all parts as CSV, in file order, numbers spelt as they are there."""
    csv.field_size_limit(2**31 - 1)
    lines = ["index,smiles,polarizability_bohr3"]
    with zipfile.ZipFile(wheel) as archive:
        for part in PARTS:
            with archive.open(part) as raw:
                lines += [
                    ",".join(row[name] for name in COLUMNS)
                    for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))
                ]
    return ("\n".join(lines) + "\n").encode()


if __name__ == "__main__":
    packed = lzma.compress(table(sys.argv[1]), preset=9 | lzma.PRESET_EXTREME)
    Path(sys.argv[2]).write_bytes(packed)
    print(len(packed), "bytes, sha256", hashlib.sha256(packed).hexdigest())
