"""Data files from strangers: only DataCorrupt and DataMissing come out of the readers, and no bomb
unpacks.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.data import _mnist_idx, imdb_files
from omnigrok.data.imdb_files import (
    ARCHIVES,
    TOKENS,
    archive_reviews,
    full,
    read_reviews,
    read_tokens,
)
from omnigrok.data.imdb_text import Corpus, to_bytes, tokenise
from omnigrok.errors import DataCorrupt, DataMissing

REVIEWS = {
    f"aclImdb/{part}/{label}/{k}_7.txt": f"{label} film {k} of {part}".encode()
    for part in ("test", "train")
    for label in ("neg", "pos")
    for k in range(3)
}
kinds = st.sampled_from(["flip", "cut", "insert", "splice"])
edits = st.lists(
    st.tuples(kinds, st.integers(0, 2**20), st.binary(min_size=1, max_size=30)),
    min_size=1,
    max_size=3,
)
Edits = list[tuple[str, int, bytes]]


def edited(sound: bytes, edits: Edits) -> bytes:
    content = bytearray(sound)
    for kind, number, new in edits:
        place = number % max(len(content), 1)
        if kind == "flip" and content:
            content[place] ^= new[0] or 1
        elif kind == "cut":
            del content[place:]
        elif kind == "insert":
            content[place:place] = new
        else:
            other = int.from_bytes(new, "big") % max(len(content), 1)
            content[place : place + 100] = content[other : other + 100]
    return bytes(content)


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    """Twelve reviews stand for the 50,000, a hundred images for MNIST."""
    digest = hashlib.sha256()
    for name, data in sorted(REVIEWS.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imdb_files, "REVIEWS", len(REVIEWS))
        patch.setattr(imdb_files, "SHA256", digest.hexdigest())
        patch.setattr(imdb_files, "ARCHIVE_BYTES", 200_000)
        patch.setattr(imdb_files, "TOKENS_BYTES", 200_000)
        for name, data in IDX.items():
            patch.setitem(
                _mnist_idx.FILES,
                name,
                _mnist_idx.Known(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()),
            )
        yield


def idx(*shape: int) -> bytes:
    values = np.random.default_rng(sum(shape)).integers(0, 10, shape, dtype=np.uint8)
    return (
        bytes([0, 0, 8, len(shape)])
        + b"".join(length.to_bytes(4, "big") for length in shape)
        + values.tobytes()
    )


IDX = dict(zip(_mnist_idx.FILES, (idx(60, 28, 28), idx(60), idx(40, 28, 28), idx(40)), strict=True))


def packed(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, data in REVIEWS.items():
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(data), {"comment": "x"}
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


PLAIN = packed("w:")
SOUND = {ARCHIVES[0]: lzma.compress(PLAIN), ARCHIVES[1]: gzip.compress(PLAIN)}
CORPUS = tokenise((data.decode(), int("/pos/" in name)) for name, data in sorted(REVIEWS.items()))


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(ARCHIVES), inside=st.booleans(), edits=edits)
def test_archives(name: str, inside: bool, edits: Edits) -> None:
    """Changed before or after compression: it is the data set, or it is refused."""
    if inside:
        changed = edited(PLAIN, edits)
        content = (
            lzma.compress(changed, preset=0) if name.endswith("xz") else gzip.compress(changed, 1)
        )
    else:
        content = edited(SOUND[name], edits)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        with contextlib.suppress(DataCorrupt):
            corpus = read_reviews(Path(folder))
            assert (corpus.words, corpus.tokens.tolist()) == (CORPUS.words, CORPUS.tokens.tolist())
        assert [file.name for file in Path(folder).iterdir()] == [name]


def bomb(folder: Path, name: str, member: tarfile.TarInfo, size: int) -> Path:
    """An archive whose first member, or header, has so many zeros."""
    raw = member.tobuf(tarfile.PAX_FORMAT) + bytes(size)
    path = folder / name
    path.write_bytes(lzma.compress(raw, preset=0) if name.endswith("xz") else gzip.compress(raw, 1))
    return path


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.SOLARIS_XHDTYPE]
)
def test_bombs_in_members_and_in_headers(tmp_path: Path, name: str, kind: bytes) -> None:
    """A header of gigabytes would be read whole by tarfile: the stream itself has an end."""
    member = tarfile.TarInfo("aclImdb/README")
    member.type, member.size = kind, 50 << 20
    with pytest.raises(DataCorrupt, match="unpacks to more than 200,000 bytes"):
        list(archive_reviews(bomb(tmp_path, name, member, 50 << 20)))


def test_more_reviews_than_there_are(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / ARCHIVES[1], "w:gz") as archive:
        for k in range(13):
            archive.addfile(tarfile.TarInfo(f"aclImdb/test/pos/{k}_7.txt"))
    with pytest.raises(DataCorrupt, match="holds more than 12 reviews"):
        read_reviews(tmp_path)


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "aclImdb" / "test" / "pos" / "0_7.txt").mkdir(parents=True)
    with pytest.raises(DataCorrupt, match=r"0_7\.txt: cannot be read"):
        read_reviews(tmp_path)


@settings(max_examples=200, deadline=None)
@given(compress=st.booleans(), edits=edits)
def test_token_files(compress: bool, edits: Edits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TOKENS
        path.write_bytes(edited(to_bytes(CORPUS, compress=compress), edits))
        with contextlib.suppress(DataCorrupt):
            corpus, _ = read_tokens(path)
            assert isinstance(corpus, Corpus)
            assert len(corpus.labels) == len(corpus)


def npz(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "parts",
    [
        {"format.npy": bytes(300_000)},
        {"format.npy": npy("{'descr': '<u8', 'fortran_order': False, 'shape': (99999999999999,)}")},
        {
            "format.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}")
            + b"\x80\x04."
        },
        {"format.npy": npy("__import__('os').system('true')")},
        {"format.npy": b"no array"},
        {"format": b"1"},
        {},
    ],
    ids=["a bomb", "a shape of petabytes", "a pickle", "code", "no array", "no npy", "empty"],
)
def test_token_files_that_are_something_else(tmp_path: Path, parts: dict[str, bytes]) -> None:
    (tmp_path / TOKENS).write_bytes(npz(parts))
    full.cache_clear()
    with pytest.raises(DataCorrupt, match=rf"{TOKENS}: .*delete it to have it made again"):
        full(tmp_path)


def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / TOKENS).mkdir()
    full.cache_clear()
    with pytest.raises(DataCorrupt, match=TOKENS):
        full(tmp_path)


def images(folder: Path, zipped: bool) -> dict[str, Path]:
    raw = folder / _mnist_idx.FOLDER
    raw.mkdir(parents=True)
    paths = {name: raw / (name + ".gz" * zipped) for name in IDX}
    for name, path in paths.items():
        path.write_bytes(gzip.compress(IDX[name], 1) if zipped else IDX[name])
    return paths


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(list(IDX)), zipped=st.booleans(), inside=st.booleans(), edits=edits)
def test_idx_files(name: str, zipped: bool, inside: bool, edits: Edits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = images(Path(folder), zipped)[name]
        path.write_bytes(
            gzip.compress(edited(IDX[name], edits), 1)
            if zipped and inside
            else edited(path.read_bytes(), edits)
        )
        with contextlib.suppress(DataCorrupt, DataMissing):
            found = _mnist_idx.read(_mnist_idx.find(Path(folder)))
            assert found.train_pixels.tobytes() == IDX[next(iter(IDX))][16:]
            assert found.test_labels.tobytes() == IDX[list(IDX)[3]][8:]


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    paths = images(tmp_path, zipped=True)
    name = list(IDX)[1]
    with gzip.open(paths[name], "wb", compresslevel=9) as file:
        for _ in range(400):
            file.write(bytes(1 << 20))
    began = time.process_time()
    with pytest.raises(DataCorrupt, match=r"it is larger than 1160 bytes"):
        _mnist_idx.read(_mnist_idx.find(tmp_path))
    assert time.process_time() - began < 0.5


def test_an_image_file_that_cannot_be_read(tmp_path: Path) -> None:
    paths = images(tmp_path, zipped=False)
    stamps = _mnist_idx.find(tmp_path)
    paths[next(iter(IDX))].unlink()
    with pytest.raises(DataCorrupt, match="cannot be read"):
        _mnist_idx.read(stamps)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """In the place of a review, an archive, a token file or an image file."""
    for name in REVIEWS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(tmp_path / next(iter(REVIEWS)))
    with pytest.raises(DataCorrupt, match=r"\.txt: cannot be read"):
        read_reviews(tmp_path)
    os.mkfifo(tmp_path / ARCHIVES[1])
    with pytest.raises(DataCorrupt, match="is not a file"):
        list(archive_reviews(tmp_path / ARCHIVES[1]))
    os.mkfifo(tmp_path / TOKENS)
    with pytest.raises(DataCorrupt, match="not a regular file"):
        read_tokens(tmp_path / TOKENS)
    paths = images(tmp_path, zipped=True)
    stamps = _mnist_idx.find(tmp_path)
    first = paths[next(iter(IDX))]
    first.unlink()
    os.mkfifo(first)
    with pytest.raises(DataCorrupt, match="cannot be read"):
        _mnist_idx.read(stamps)
