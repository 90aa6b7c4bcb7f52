"""``omnigrok data verify``: sound, missing and damaged files told apart, with the exit status that
scripts read.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omnigrok.cli import main
from omnigrok.data import _mnist_bundle, _mnist_idx, imdb_files, qm9
from omnigrok.data.imdb_text import to_bytes
from omnigrok.data.integrity import DATA_SETS, MISSING, Checked, verify

REVIEWS = {
    f"aclImdb/test/{label}/{k}_7.txt": f"{label} film {k}".encode()
    for label in ("neg", "pos")
    for k in range(2)
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four reviews stand for the 50,000, a few bytes for MNIST; the bundled files are the real
    ones.
    """
    digest = hashlib.sha256()
    for name, data in sorted(REVIEWS.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    monkeypatch.setattr(imdb_files, "REVIEWS", len(REVIEWS))
    monkeypatch.setattr(imdb_files, "SHA256", digest.hexdigest())
    for name in _mnist_idx.FILES:
        known = _mnist_idx.Known(
            len(name), hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        )
        monkeypatch.setitem(_mnist_idx.FILES, name, known)
    imdb_files.bundled.cache_clear()
    yield
    imdb_files.bundled.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with every file, sound."""
    raw = tmp_path / _mnist_idx.FOLDER
    raw.mkdir(parents=True)
    for k, name in enumerate(_mnist_idx.FILES):
        path = raw / (f"{name}.gz" if k % 2 else name)
        path.write_bytes(gzip.compress(name.encode()) if k % 2 else name.encode())
    for name, data in REVIEWS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with tarfile.open(tmp_path / imdb_files.ARCHIVES[1], "w:gz") as archive:
        archive.add(tmp_path / "aclImdb", "aclImdb")
    corpus = imdb_files.read_reviews(tmp_path)
    (tmp_path / imdb_files.TOKENS).write_bytes(to_bytes(corpus, source=imdb_files.SHA256))
    return tmp_path


def call(root: Path, *name: str) -> Result:
    return CliRunner().invoke(main, ["data", "verify", *name, "--data-root", str(root)])


def damaged(root: Path, name: str | None = None) -> dict[str, str]:
    return {each.file: each.found for each in verify(root, name) if not each.sound}


def test_all_sound(root: Path) -> None:
    found = list(verify(root))
    assert {each.data_set for each in found} == set(DATA_SETS)
    assert all(each.sound and each.found != MISSING for each in found)
    names = [each.file for each in found]
    assert names == [
        "bundled/mnist.xz",
        *(f"MNIST/raw/{name}" for name in _mnist_idx.FILES),
        "bundled/imdb.npz.xz",
        "aclImdb",
        "aclImdb_v1.tar.gz",
        "imdb_tokens.npz",
        "bundled/qm9.csv.xz",
    ]
    done = call(root)
    assert done.exit_code == 0, done.output
    for part in (
        "5,000 + 2,000 images",
        "4,000 reviews",
        "4 reviews",
        "130,831 molecules",
        "md5",
        "sound",
    ):
        assert part in done.output
    assert "DAMAGED" not in done.output


def test_what_was_not_fetched_is_missing_and_no_failure(tmp_path: Path) -> None:
    done = call(tmp_path)
    assert done.exit_code == 0
    assert done.output.count(MISSING) == 5
    assert "aclImdb.tar.xz or aclImdb_v1.tar.gz: missing" in done.output
    assert damaged(tmp_path) == {}


def test_one_data_set_only(root: Path) -> None:
    assert {each.data_set for each in verify(root, "mnist")} == {"mnist"}
    assert "imdb" not in call(root, "mnist").output
    assert call(root, "cifar").exit_code == 2


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("MNIST/raw/train-images-idx3-ubyte", "is altered: expected md5"),
        ("MNIST/raw/train-labels-idx1-ubyte.gz", "cannot be decompressed"),
        ("aclImdb/test/pos/1_7.txt", "not the 4 labelled reviews"),
        ("aclImdb_v1.tar.gz", "omnigrok data fetch imdb"),
        ("imdb_tokens.npz", "delete it to have it made again"),
    ],
)
def test_a_changed_byte_is_found(root: Path, file: str, message: str) -> None:
    path = root / file
    content = bytearray(path.read_bytes())
    content[5 if file.endswith("gz") else 9] ^= 0x20
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    ((_, found),) = damaged(root).items()
    assert message in found
    done = call(root)
    assert done.exit_code == 1
    assert done.output.count("DAMAGED: ") == 1
    assert "1 damaged" in done.output


def test_a_token_file_of_fewer_reviews(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imdb_files, "REVIEWS", 5)
    assert "has 4 reviews, not 5" in damaged(root)["imdb_tokens.npz"]


@pytest.mark.parametrize(
    ("module", "name", "file"),
    [
        (_mnist_bundle, "SHA256", "bundled/mnist.xz"),
        (imdb_files, "BUNDLED_SHA256", "bundled/imdb.npz.xz"),
        (qm9, "TABLE_SHA256", "bundled/qm9.csv.xz"),
        (qm9, "MOLECULES", "bundled/qm9.csv.xz"),
    ],
)
def test_bundled_files_are_held_to_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, file: str
) -> None:
    monkeypatch.setattr(module, name, 7 if name == "MOLECULES" else "0" * 64)
    assert list(damaged(tmp_path)) == [file]
    assert call(tmp_path).exit_code == 1


def test_a_bundled_file_that_was_not_installed_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qm9, "TABLE", "bundled/none.xz")
    assert "No such file" in damaged(tmp_path, "qm9")["bundled/none.xz"]
    monkeypatch.setattr(imdb_files, "BUNDLED", "none.xz")
    assert "none.xz" in damaged(tmp_path, "imdb")["bundled/none.xz"]


def test_checked_is_sound_by_default() -> None:
    assert Checked("mnist", "x", "y").sound
