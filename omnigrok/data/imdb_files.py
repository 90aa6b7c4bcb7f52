"""The IMDb reviews of Maas et al. (2011) as files: folder or archive in, token file out, and the
official download.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import lzma
import re
import sys
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import IO, cast

import numpy as np

from omnigrok.data.imdb_text import (
    Corpus,
    from_bytes,
    most_frequent,
    source_of,
    to_bytes,
    tokenise,
)
from omnigrok.errors import DataCorrupt, DataMissing
from omnigrok.files import read_whole, replacing

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
URL_BYTES = 84_125_825
URL_MD5 = "7c2ac02c03563afcf9b574c7e56c153a"

FOLDER = "aclImdb"
ARCHIVES = ("aclImdb.tar.xz", "aclImdb_v1.tar.gz")
TOKENS = "imdb_tokens.npz"
REVIEW = re.compile(r"aclImdb/(?:train|test)/(pos|neg)/\d+_\d+\.txt")

REVIEWS = 50_000
# Taken over the sorted names and contents of all reviews, so that folder, archive and any repacking
# are held to the same.
SHA256 = "2f7a3d1aad2cf5ce9dd4699e85e7bb337637c618d2315e0585921ae932728c56"
# The longest review has 13,704 bytes; the official archive unpacks to well under 1 GiB.
REVIEW_BYTES = 2**16
# The token file of all reviews has 40 MiB, unpacked.
TOKENS_BYTES = 2**28
ARCHIVE_BYTES = 2**30

BUNDLED = "imdb.npz.xz"
BUNDLED_SHA256 = "757cfb45b7c77973ec508608dda01c7c8df1885e35cec94c567405d984ac6ab9"


class _Limited:
    """An unpacked stream that ends in DataCorrupt after ``ARCHIVE_BYTES``, whatever the headers in
    it say.
    """

    def __init__(self, stream: lzma.LZMAFile | gzip.GzipFile, path: Path) -> None:
        self.stream, self.path, self.left = stream, path, ARCHIVE_BYTES

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DataCorrupt(
                f"{self.path}: unpacks to more than {ARCHIVE_BYTES:,} bytes; this is not the IMDb "
                "data set"
            )
        return data


def archive_reviews(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the reviews in an archive, read in memory: nothing is unpacked to disk,
    other members are passed over.

    Raises:
        DataCorrupt: the archive is damaged or larger than the data set.
    """
    found = 0
    if not path.is_file():  # a pipe would be waited for
        raise DataCorrupt(
            f"{path}: is not a file; delete it and fetch it again: omnigrok data fetch imdb"
        )
    opened = lzma.open if path.suffix == ".xz" else gzip.open
    try:
        with (
            opened(path, "rb") as packed,
            tarfile.open(fileobj=cast("IO[bytes]", _Limited(packed, path)), mode="r|") as archive,
        ):
            for member in archive:
                if not member.isreg() or not REVIEW.fullmatch(member.name):
                    continue
                found += 1
                if found > REVIEWS:
                    raise DataCorrupt(
                        f"{path}: holds more than {REVIEWS:,} reviews; this is not the IMDb data "
                        "set"
                    )
                if member.size > REVIEW_BYTES:
                    raise DataCorrupt(
                        f"{path}: {member.name} has {member.size:,} bytes; no review is that long"
                    )
                file = archive.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
    except (
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        ArithmeticError,
        LookupError,
    ) as error:
        # tarfile checks little of a header: a damaged one may end in any of these.
        raise DataCorrupt(
            f"{path}: damaged archive ({error}); delete it and fetch it again: omnigrok data fetch "
            "imdb"
        ) from error


def folder_reviews(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the reviews in an unpacked folder."""
    for path in sorted(folder.glob("t*/*/*.txt")):
        name = f"{FOLDER}/{path.relative_to(folder).as_posix()}"
        if REVIEW.fullmatch(name):
            try:
                yield name, read_whole(path, REVIEW_BYTES)
            except OSError as error:
                raise DataCorrupt(f"{path}: cannot be read ({error})") from error


def read_reviews(root: Path) -> Corpus:
    """The corpus from ``root/aclImdb``, ``root/aclImdb.tar.xz`` or ``root/aclImdb_v1.tar.gz``,
    reviews in the order of their names.

    Raises:
        DataMissing: none of the three is there.
        DataCorrupt: it is not the 50,000 reviews, whole and unaltered.
    """
    found = next((root / name for name in (FOLDER, *ARCHIVES) if (root / name).exists()), None)
    if found is None:
        raise DataMissing(
            f"IMDb: neither {FOLDER}/ nor {' nor '.join(ARCHIVES)} is in {root}; run 'omnigrok "
            "data fetch imdb', or name their folder "
            "with --data-root, or set the data option source: bundled for a small subset"
        )
    return tokenise((data.decode(), int("/pos/" in name)) for name, data in whole_reviews(found))


def whole_reviews(found: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of all reviews in a folder or archive, by name.

    Raises:
        DataCorrupt: it is not the 50,000 reviews, whole and unaltered.
    """
    reviews = sorted(folder_reviews(found) if found.is_dir() else archive_reviews(found))
    digest = hashlib.sha256()
    for name, data in reviews:
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    if len(reviews) != REVIEWS or digest.hexdigest() != SHA256:
        raise DataCorrupt(
            f"{found}: not the {REVIEWS:,} labelled reviews of the data set, whole and unaltered "
            f"({len(reviews):,} found); "
            "delete it and fetch it again: omnigrok data fetch imdb"
        )
    return reviews


def read_tokens(path: Path) -> tuple[Corpus, str]:
    """The corpus in a token file, which may have been damaged or come from elsewhere, and the
    SHA-256 of the reviews that it says it was made from.

    Raises:
        DataCorrupt: it is not a whole token file, or larger than the data set can make one.
    """
    remedy = "delete it to have it made again"
    try:
        data = read_whole(path, TOKENS_BYTES)
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
        if unpacked > TOKENS_BYTES:
            raise DataCorrupt(f"{path}: has more than {TOKENS_BYTES:,} bytes; {remedy}")
        return from_bytes(data, str(path)), source_of(data)
    except DataCorrupt:
        raise
    # of a damaged zip member, numpy and zipfile let anything through, from zlib's errors to
    # MemoryError
    except Exception as error:
        raise DataCorrupt(f"{path}: not a whole IMDb token file ({error}); {remedy}") from error


def read_all_tokens(path: Path) -> Corpus:
    """``read_tokens`` of all the reviews; raises DataCorrupt also where there are fewer, or where
    they are not those of the data set.
    """
    corpus, source = read_tokens(path)
    if len(corpus) != REVIEWS:
        raise DataCorrupt(
            f"{path}: has {len(corpus):,} reviews, not {REVIEWS:,}; delete it to have it made again"
        )
    if source != SHA256:
        raise DataCorrupt(
            f"{path}: does not say that it was made from the reviews of the data set; delete it to "
            "have it made again"
        )
    return corpus


@functools.lru_cache(maxsize=2)
def full(root: Path) -> Corpus:
    """All reviews: from ``root/imdb_tokens.npz``, which is written at the first call where the
    folder can be written to (about 15 s).

    Raises:
        DataMissing, DataCorrupt: as ``read_reviews``; DataCorrupt also for a damaged token file.
    """
    path = root / TOKENS
    if path.exists():
        return read_all_tokens(path)
    corpus = read_reviews(root)
    # A read-only data folder costs the tokenising again in the next process, nothing else.
    with contextlib.suppress(OSError), replacing(path) as file:
        file.write(to_bytes(corpus, source=SHA256))
    return corpus


@functools.lru_cache(maxsize=1)
def bundled() -> Corpus:
    """4,000 of the reviews, 2,000 of each label, with the 2,000 words most frequent in them
    (``bundled/imdb.md``).

    Raises:
        DataCorrupt: the file is not the one that this version of the package came with.
    """
    data = (resources.files("omnigrok.data") / "bundled" / BUNDLED).read_bytes()
    if hashlib.sha256(data).hexdigest() != BUNDLED_SHA256:
        raise DataCorrupt(
            f"bundled/{BUNDLED}: its checksum is not the one in the code; reinstall the package"
        )
    return from_bytes(lzma.decompress(data), f"bundled/{BUNDLED}")


def fetch(root: Path) -> Path:
    """Downloads the official archive (80 MiB) to ``root/aclImdb_v1.tar.gz``, with progress on
    standard error; called only when asked for.

    Raises:
        DataMissing: the host cannot be reached.
        DataCorrupt: size or checksum differ from the published ones; nothing is left behind.
    """
    path = root / ARCHIVES[1]
    if path.exists():
        return path
    root.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with urllib.request.urlopen(URL, timeout=60) as response, part.open("wb") as file:
            while (block := response.read(2**20)) and size <= URL_BYTES:
                size += len(block)
                digest.update(block)
                file.write(block)
                print(
                    f"\rIMDb: {size / 2**20:.0f} of {URL_BYTES / 2**20:.0f} MiB",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
        print(file=sys.stderr)
        if size != URL_BYTES or digest.hexdigest() != URL_MD5:
            raise DataCorrupt(
                f"{URL}: {size:,} bytes with md5 {digest.hexdigest()}, not {URL_BYTES:,} with "
                f"{URL_MD5}; try again"
            )
        part.replace(path)
    except OSError as error:
        raise DataMissing(
            f"IMDb: {URL} cannot be fetched ({error}); put the archive into {root} by hand"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def make_bundle(corpus: Corpus, per_label: int, words: int) -> bytes:
    """The bundled file again from the full corpus: reviews drawn at random by a fixed seed, with
    their most frequent words.
    """
    rng = np.random.RandomState(0)
    rows = np.sort(
        np.concatenate(
            [
                rng.choice(np.flatnonzero(corpus.labels == k), per_label, replace=False)
                for k in (0, 1)
            ]
        )
    )
    vocabulary, rank = most_frequent(corpus, rows, words, drop_stop_words=False, drop_digits=False)
    tokens, owner = corpus.reviews(rows)
    kept = rank[tokens] > 0
    ends = np.cumsum(np.bincount(owner[kept], minlength=len(rows)))
    subset = Corpus(
        tuple(vocabulary), (rank[tokens[kept]] - 1).astype(np.uint32), ends, corpus.labels[rows]
    )
    # Literals of two bytes, tuned: lc, lp and pb make the file 2 % smaller than the preset.
    filters = [
        {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 1, "pb": 1}
    ]
    return lzma.compress(to_bytes(subset, compress=False), filters=filters)
