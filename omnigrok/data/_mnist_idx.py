"""The four IDX files of MNIST below a data root: found, verified and read (plain or .gz, in
torchvision's layout).
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from omnigrok.errors import DataCorrupt, DataMissing
from omnigrok.files import read_whole

FOLDER = "MNIST/raw"


@dataclass(frozen=True)
class Known:
    """What a file must be once it is decompressed: bytes and md5."""

    size: int
    md5: str


# In the order train images, train labels, test images, test labels.
FILES = {
    "train-images-idx3-ubyte": Known(47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": Known(60_008, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": Known(7_840_016, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": Known(10_008, "27ae3e4e09519cfbb04c329615203637"),
}


@dataclass(frozen=True, eq=False)
class Images:
    """Raw images: pixels (n, 784) uint8 and labels (n,) uint8, for training and for testing."""

    train_pixels: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_pixels: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


class Stamp(NamedTuple):
    """A file as it lies on the disk; the same stamp means that it need not be verified again."""

    path: Path
    mtime_ns: int
    size: int


def find(root: Path) -> tuple[Stamp, ...]:
    """The four files, each plain or with ``.gz`` (plain first), by name, time and size only.

    Raises:
        DataMissing: at least one of them is not there.
    """
    folder = root / FOLDER
    found = {name: _stamp(folder, name) for name in FILES}
    missing = [name for name, stamp in found.items() if stamp is None]
    if missing:
        raise DataMissing(
            f"MNIST: {', '.join(missing)} not found in {folder}; it must hold {', '.join(FILES)} "
            "(plain or .gz). "
            "Fetch them with `omnigrok data fetch mnist`, name another folder with --data-root, or "
            "use the option source: bundled"
        )
    return tuple(stamp for stamp in found.values() if stamp is not None)


def _stamp(folder: Path, name: str) -> Stamp | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            facts = path.stat()
            return Stamp(path, facts.st_mtime_ns, facts.st_size)
    return None


def content(stamp: Stamp, known: Known) -> bytes:
    """The decompressed bytes of a file, of the size and md5 that they must have; the size of a
    plain file is compared before it is read.

    Raises:
        DataCorrupt: it is truncated, too long, altered, cannot be read, or is not a gzip file
            although its name says so.
    """
    zipped = stamp.path.suffix == ".gz"
    if not zipped:
        _compare_size(stamp, known, stamp.size)
    try:
        data = read_whole(stamp.path, 2 * known.size + 1024)  # no gzip file of it is longer
    except OSError as error:
        raise DataCorrupt(f"MNIST: {stamp.path} cannot be read ({error}); {_REMEDY}") from error
    if zipped:
        data = _unzip(stamp, data, known.size + 1)
        _compare_size(stamp, known, len(data))
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if md5 != known.md5:
        raise DataCorrupt(
            f"MNIST: {stamp.path} is altered: expected md5 {known.md5}, found {md5}; {_REMEDY}"
        )
    return data


_REMEDY = "delete it and run `omnigrok data fetch mnist`"


def _compare_size(stamp: Stamp, known: Known, size: int) -> None:
    if size != known.size:
        unit = "decompressed bytes" if stamp.path.suffix == ".gz" else "bytes"
        raise DataCorrupt(
            f"MNIST: {stamp.path} is damaged: expected {known.size} {unit}, found {size}; {_REMEDY}"
        )


def _unzip(stamp: Stamp, data: bytes, limit: int) -> bytes:
    # gzip.decompress would raise on a truncated file without saying how much of it could be read,
    # and has no limit.
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, limit)
    except zlib.error as error:
        raise DataCorrupt(
            f"MNIST: {stamp.path} cannot be decompressed ({error}); {_REMEDY}"
        ) from None


def parse(data: bytes) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes as an array: two zeros, type 8, the number of axes, their
    big-endian lengths, the values.
    """
    axes = data[3]
    shape = np.frombuffer(data, dtype=">i4", count=axes, offset=4)
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def read(stamps: tuple[Stamp, ...]) -> Images:
    """The images in these files (``find``), verified.

    Raises:
        DataCorrupt: see ``content``.
    """
    arrays = [
        parse(content(stamp, known)) for stamp, known in zip(stamps, FILES.values(), strict=True)
    ]
    train_pixels, train_labels, test_pixels, test_labels = arrays
    return Images(
        train_pixels.reshape(len(train_pixels), -1),
        train_labels,
        test_pixels.reshape(len(test_pixels), -1),
        test_labels,
    )


def status(root: Path) -> dict[str, str]:
    """Each of the four files: "ok", "missing", or what is wrong with it; reads and verifies them
    all.
    """
    report = {}
    for name, known in FILES.items():
        stamp = _stamp(root / FOLDER, name)
        if stamp is None:
            report[name] = "missing"
            continue
        try:
            content(stamp, known)
        except DataCorrupt as error:
            report[name] = str(error)
        else:
            report[name] = "ok"
    return report
