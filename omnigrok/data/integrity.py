"""Every data file held against what it must be: sizes, checksums, counts; the bundled ones too."""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from omnigrok.data import _mnist_bundle, _mnist_idx, imdb_files, qm9
from omnigrok.errors import DataCorrupt, DataMissing

MISSING = "missing"


@dataclass(frozen=True)
class Checked:
    """One file or folder of a data set.

    Args:
        data_set: which data set it is of.
        file: its name.
        found: how much of what was found ("60,000 images"), ``MISSING``, or what is wrong.
        sound: False where it is damaged; a file that has not been fetched is not.
    """

    data_set: str
    file: str
    found: str
    sound: bool = True


def _mnist(root: Path) -> Iterator[Checked]:
    yield _checked("mnist", "bundled/mnist.xz", _bundled_images)
    for name, state in _mnist_idx.status(root).items():
        known = _mnist_idx.FILES[name]
        found = f"{known.size:,} bytes, md5 {known.md5}" if state == "ok" else state
        yield Checked("mnist", f"{_mnist_idx.FOLDER}/{name}", found, state in ("ok", MISSING))


def _bundled_images() -> str:
    images = _mnist_bundle.read()
    return (
        f"{len(images.train_labels):,} + {len(images.test_labels):,} images, sha256 "
        f"{_mnist_bundle.SHA256[:16]}..."
    )


def _imdb(root: Path) -> Iterator[Checked]:
    yield _checked(
        "imdb", f"bundled/{imdb_files.BUNDLED}", lambda: f"{len(imdb_files.bundled()):,} reviews"
    )
    places = [name for name in (imdb_files.FOLDER, *imdb_files.ARCHIVES) if (root / name).exists()]
    if not places:
        yield Checked("imdb", " or ".join(imdb_files.ARCHIVES), MISSING)
    for name in places:
        yield _checked("imdb", name, partial(_reviews, root / name))
    tokens = root / imdb_files.TOKENS
    if tokens.exists():
        yield _checked(
            "imdb",
            imdb_files.TOKENS,
            lambda: f"{len(imdb_files.read_all_tokens(tokens)):,} reviews",
        )


def _reviews(path: Path) -> str:
    return f"{len(imdb_files.whole_reviews(path)):,} reviews"


def _qm9(root: Path) -> Iterator[Checked]:
    yield _checked("qm9", qm9.TABLE, _molecules)


def _molecules() -> str:
    packed = resources.files("omnigrok.data").joinpath(qm9.TABLE).read_bytes()
    if hashlib.sha256(packed).hexdigest() != qm9.TABLE_SHA256:
        raise DataCorrupt(
            f"qm9: omnigrok/data/{qm9.TABLE} is truncated or altered (its SHA-256 is wrong); "
            "install omnigrok again"
        )
    rows = lzma.decompress(packed).count(b"\n") - 1
    if rows != qm9.MOLECULES:
        raise DataCorrupt(
            f"qm9: omnigrok/data/{qm9.TABLE} has {rows:,} molecules, not {qm9.MOLECULES:,}; "
            "install omnigrok again"
        )
    return f"{rows:,} molecules, sha256 {qm9.TABLE_SHA256[:16]}..."


_CHECKS: dict[str, Callable[[Path], Iterator[Checked]]] = {
    "mnist": _mnist,
    "imdb": _imdb,
    "qm9": _qm9,
}
DATA_SETS = tuple(_CHECKS)


def verify(root: Path, name: str | None = None) -> Iterator[Checked]:
    """Read and check every file of a data set, or of all; files are yielded as they are done.

    Args:
        root: the folder of downloaded data.
        name: one of ``DATA_SETS``.
    """
    for each in (name,) if name else DATA_SETS:
        yield from _CHECKS[each](root)


def _checked(data_set: str, file: str, check: Callable[[], str]) -> Checked:
    try:
        return Checked(data_set, file, check())
    except (
        DataCorrupt,
        DataMissing,
        OSError,
    ) as error:  # a bundled file that is not there was not installed: that is damage
        return Checked(data_set, file, str(error), sound=False)
