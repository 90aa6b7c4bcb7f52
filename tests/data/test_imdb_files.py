"""Reviews from folder and archive, the token file beside them, the bundled subset, and the
download.
"""

import hashlib
import io
import lzma
import tarfile
from pathlib import Path

import numpy as np
import pytest

from omnigrok.data import imdb_files
from omnigrok.data.imdb_files import (
    ARCHIVES,
    TOKENS,
    bundled,
    fetch,
    full,
    make_bundle,
    read_reviews,
)
from omnigrok.data.imdb_text import from_bytes, to_bytes, tokenise
from omnigrok.errors import DataCorrupt, DataMissing

REVIEWS = {
    f"aclImdb/{part}/{label}/{k}_{7 if label == 'pos' else 2}.txt": (
        f"{word} film number {k} of {part} \u00e9t\u00e9".encode()
    )
    for part in ("test", "train")
    for label, word in (("neg", "bad"), ("pos", "good"))
    for k in range(3)
}


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve reviews stand for the 50,000."""
    digest = hashlib.sha256()
    for name, data in sorted(REVIEWS.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    monkeypatch.setattr(imdb_files, "REVIEWS", len(REVIEWS))
    monkeypatch.setattr(imdb_files, "SHA256", digest.hexdigest())
    full.cache_clear()


def add(archive: tarfile.TarFile, name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, "elsewhere"
    archive.addfile(member, io.BytesIO(data))


def pack(path: Path, reviews: dict[str, bytes] = REVIEWS) -> None:
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
        add(archive, "aclImdb/README", b"read me")
        add(archive, "aclImdb/train/unsup/0_0.txt", b"no label")
        add(archive, "../outside.txt", b"no")
        add(archive, "aclImdb/train/pos/9_9.txt", b"", tarfile.SYMTYPE)
        for name, data in reviews.items():
            add(archive, name, data)


def unpack(root: Path, reviews: dict[str, bytes] = REVIEWS) -> None:
    for name, data in reviews.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


@pytest.mark.parametrize("form", ["folder", *ARCHIVES])
def test_every_form_gives_the_same_corpus(tmp_path: Path, form: str) -> None:
    unpack(tmp_path) if form == "folder" else pack(tmp_path / form)
    before = sorted(tmp_path.rglob("*"))
    corpus = read_reviews(tmp_path)
    assert corpus.labels.tolist() == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    assert [corpus.words[k] for k in corpus.reviews(np.array([1]))[0]] == [
        "bad",
        "film",
        "number",
        "1",
        "of",
        "test",
        "\u00e9t\u00e9",
    ]
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent / "outside.txt").exists()


def test_missing_data_names_files_folder_and_command(tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as error:
        full(tmp_path)
    for part in (
        "aclImdb.tar.xz",
        "aclImdb_v1.tar.gz",
        str(tmp_path),
        "omnigrok data fetch imdb",
        "--data-root",
        "bundled",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("fault", ["missing", "altered", "renamed"])
def test_altered_reviews_are_refused(tmp_path: Path, fault: str) -> None:
    reviews = dict(REVIEWS)
    name, data = reviews.popitem()
    if fault != "missing":
        reviews[name if fault == "altered" else name.replace("2_", "5_")] = (
            data.replace(b"good", b"poor") if fault == "altered" else data
        )
    pack(tmp_path / ARCHIVES[0], reviews)
    with pytest.raises(DataCorrupt, match="not the 12 labelled reviews"):
        full(tmp_path)
    assert not (tmp_path / TOKENS).exists()


@pytest.mark.parametrize("name", ARCHIVES)
def test_truncated_archive(tmp_path: Path, name: str) -> None:
    pack(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataCorrupt, match=f"{name}: .*omnigrok data fetch imdb"):
        read_reviews(tmp_path)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("REVIEW_BYTES", "no review is that long"),
        ("ARCHIVE_BYTES", "unpacks to more than 16 bytes"),
    ],
)
def test_size_limits_of_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, message: str
) -> None:
    monkeypatch.setattr(imdb_files, limit, 16)
    pack(tmp_path / ARCHIVES[0])
    with pytest.raises(DataCorrupt, match=message):
        read_reviews(tmp_path)


def test_size_limit_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imdb_files, "REVIEW_BYTES", 16)
    unpack(tmp_path)
    with pytest.raises(DataCorrupt, match="it is larger than 16 bytes"):
        read_reviews(tmp_path)


def test_token_file_is_written_once_and_then_used(tmp_path: Path) -> None:
    pack(tmp_path / ARCHIVES[1])
    first = full(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([ARCHIVES[1], TOKENS])
    (tmp_path / ARCHIVES[1]).unlink()
    full.cache_clear()
    assert np.array_equal(full(tmp_path).tokens, first.tokens)


def test_tokens_of_other_reviews_are_refused(tmp_path: Path) -> None:
    """A cache of another data set, or of an older version of the package."""
    pack(tmp_path / ARCHIVES[1])
    for source in ("", "0" * 64):
        content = to_bytes(read_reviews(tmp_path), source=source)
        (tmp_path / TOKENS).write_bytes(content)
        full.cache_clear()
        with pytest.raises(DataCorrupt, match=r"imdb_tokens\.npz: does not say .* delete it"):
            full(tmp_path)


def test_damaged_token_file(tmp_path: Path) -> None:
    (tmp_path / TOKENS).write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(DataCorrupt, match=f"{TOKENS}.*delete it"):
        full(tmp_path)


def test_token_file_of_another_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / ARCHIVES[0])
    full(tmp_path)
    full.cache_clear()
    monkeypatch.setattr(imdb_files, "REVIEWS", 13)
    with pytest.raises(DataCorrupt, match="has 12 reviews, not 13"):
        full(tmp_path)


def test_read_only_root_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(imdb_files, "replacing", refuse)
    pack(tmp_path / ARCHIVES[0])
    assert len(full(tmp_path)) == 12
    assert not (tmp_path / TOKENS).exists()


def test_bundled_subset() -> None:
    corpus = bundled()
    assert len(corpus) == 4000
    assert corpus.labels.sum() == 2000
    assert len(corpus.words) == 2000
    assert corpus.words[:4] == ("the", "a", "and", "of")
    lengths = np.diff(corpus.ends, prepend=0)
    assert 150 < lengths.mean() < 250
    assert (lengths > 0).sum() >= 3999
    assert bundled() is corpus


def test_bundled_file_is_small_and_has_its_attribution() -> None:
    folder = Path(imdb_files.__file__).parent / "bundled"
    assert (folder / imdb_files.BUNDLED).stat().st_size < 1_000_000
    text = (folder / "imdb.md").read_text()
    assert "Maas" in text
    assert "Learning Word Vectors for Sentiment" in text


def test_altered_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled.cache_clear()
    monkeypatch.setattr(imdb_files, "BUNDLED_SHA256", "0" * 64)
    with pytest.raises(DataCorrupt, match="reinstall"):
        bundled()
    bundled.cache_clear()


def test_make_bundle_keeps_frequent_words_of_a_balanced_draw() -> None:
    corpus = tokenise(
        (f"good good film {k}" if k % 2 else f"bad bad film {k}", k % 2) for k in range(10)
    )
    made = from_bytes(lzma.decompress(make_bundle(corpus, 2, 3)), "x")
    assert len(made) == 4
    assert made.labels.sum() == 2
    assert sorted(made.words) == ["bad", "film", "good"]
    assert make_bundle(corpus, 2, 3) == make_bundle(corpus, 2, 3)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The download comes from a file."""
    path = tmp_path / "served.tar.gz"
    pack(path)
    data = path.read_bytes()
    monkeypatch.setattr(imdb_files, "URL", path.as_uri())
    monkeypatch.setattr(imdb_files, "URL_BYTES", len(data))
    monkeypatch.setattr(imdb_files, "URL_MD5", hashlib.md5(data, usedforsecurity=False).hexdigest())
    return path


def test_fetch_then_read(tmp_path: Path, served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    assert fetch(root) == root / ARCHIVES[1]
    assert "MiB" in capsys.readouterr().err
    assert len(full(root)) == 12
    served.unlink()
    assert fetch(root).exists()  # what is there is not fetched again


@pytest.mark.parametrize("fault", ["short", "long", "altered"])
def test_fetch_leaves_nothing_of_a_wrong_file(tmp_path: Path, served: Path, fault: str) -> None:
    data = served.read_bytes()
    served.write_bytes(
        {"short": data[:-1], "long": data + b"x", "altered": data[:-1] + bytes([data[-1] ^ 1])}[
            fault
        ]
    )
    with pytest.raises(DataCorrupt, match="md5"):
        fetch(tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_fetch_without_a_network(tmp_path: Path, served: Path) -> None:
    served.unlink()
    with pytest.raises(DataMissing, match=r"cannot be fetched.*by hand"):
        fetch(tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []
