"""The four IDX files, the bundled file and the download, on small files made here."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.data import _mnist_bundle, _mnist_fetch, _mnist_idx, mnist
from omnigrok.errors import DataCorrupt, DataMissing
from omnigrok.run import Run

NAMES = list(_mnist_idx.FILES)
RUN = Run(task="mnist", model="mlp", seed=0, n_train=30, steps=1, lr=1e-3)


def idx_bytes(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(
        length.to_bytes(4, "big") for length in array.shape
    )
    return header + array.tobytes()


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A data set of 40 + 20 images of 28 x 28, and its sizes and checksums in place of the real
    ones.
    """
    rng = np.random.default_rng(0)
    arrays = (
        rng.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 40, dtype=np.uint8),
        rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 20, dtype=np.uint8),
    )
    made = {name: idx_bytes(array) for name, array in zip(NAMES, arrays, strict=True)}
    for name, data in made.items():
        monkeypatch.setitem(
            _mnist_idx.FILES,
            name,
            _mnist_idx.Known(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()),
        )
    return made


@pytest.fixture
def root(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    write(tmp_path, contents)
    return tmp_path


def write(root: Path, contents: dict[str, bytes]) -> None:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)


def raw(root: Path, name: str) -> Path:
    return root / "MNIST" / "raw" / name


def zip_up(root: Path, name: str) -> Path:
    path = raw(root, f"{name}.gz")
    path.write_bytes(gzip.compress(raw(root, name).read_bytes()))
    raw(root, name).unlink()
    return path


def test_real_sizes_are_those_of_28_by_28_images() -> None:
    sizes = [known.size for known in _mnist_idx.FILES.values()]
    assert sizes == [16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000]


def test_reads_what_was_written(root: Path, contents: dict[str, bytes]) -> None:
    split = mnist.split(RUN, root)
    (pixels,) = split.pool.inputs
    assert pixels.shape == (60, 784)
    assert len(split.train) == 30
    assert split.test.tolist() == list(range(40, 60))
    stored = np.frombuffer(contents[NAMES[0]][16:], dtype=np.uint8).reshape(40, 784)
    assert torch.equal(pixels[:40], torch.tensor(stored).float() / 255)
    assert split.pool.targets.argmax(-1)[40:].tolist() == list(contents[NAMES[3]][8:])


@pytest.mark.parametrize("zipped", [NAMES, NAMES[:1], NAMES[3:]])
def test_gz_files_give_the_same(root: Path, zipped: list[str]) -> None:
    plain = mnist.split(RUN, root).pool
    for name in zipped:
        zip_up(root, name)
    packed = mnist.split(RUN, root).pool
    assert torch.equal(plain.inputs[0], packed.inputs[0])
    assert torch.equal(plain.targets, packed.targets)
    assert set(mnist.status(root).values()) == {"ok"}


def test_a_plain_file_goes_before_a_gz_file(root: Path) -> None:
    raw(root, f"{NAMES[1]}.gz").write_bytes(b"not read")
    assert mnist.status(root)[NAMES[1]] == "ok"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_all_four_and_their_folder(root: Path, name: str) -> None:
    raw(root, name).unlink()
    with pytest.raises(DataMissing) as caught:
        mnist.split(RUN, root)
    message = str(caught.value)
    assert message.startswith(f"MNIST: {name} not found in {root / 'MNIST' / 'raw'}")
    assert all(other in message for other in NAMES)
    assert "omnigrok data fetch mnist" in message
    assert "--data-root" in message
    assert "bundled" in message


def test_an_empty_root_and_no_root_miss_all_four(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataMissing, match=f"^MNIST: {', '.join(NAMES)} not found"):
            mnist.split(RUN, root)
        assert mnist.status(root) == dict.fromkeys(NAMES, "missing")


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_file_is_named_with_expected_and_found_bytes(
    root: Path, contents: dict[str, bytes], name: str
) -> None:
    raw(root, name).write_bytes(contents[name][:-5])
    size = len(contents[name])
    with pytest.raises(
        DataCorrupt,
        match=f"{name} is damaged: expected {size} bytes, found {size - 5}; delete it and run",
    ):
        mnist.split(RUN, root)


def test_an_empty_and_a_longer_file_are_damaged(root: Path, contents: dict[str, bytes]) -> None:
    for data in (b"", contents[NAMES[1]] + b"\n"):
        raw(root, NAMES[1]).write_bytes(data)
        with pytest.raises(DataCorrupt, match=f"expected 48 bytes, found {len(data)}"):
            mnist.split(RUN, root)


def test_a_truncated_gz_file_is_named_with_decompressed_bytes(
    root: Path, contents: dict[str, bytes]
) -> None:
    path = zip_up(root, NAMES[0])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(
        DataCorrupt,
        match=(
            rf"{NAMES[0]}\.gz is damaged: expected {len(contents[NAMES[0]])} decompressed bytes, "
            r"found \d+;"
        ),
    ):
        mnist.split(RUN, root)


def test_a_gz_file_that_is_not_gzip(root: Path) -> None:
    zip_up(root, NAMES[3]).write_bytes(b"<html>moved</html>")
    with pytest.raises(DataCorrupt, match=rf"{NAMES[3]}\.gz cannot be decompressed"):
        mnist.split(RUN, root)


def test_one_changed_byte_is_noticed(root: Path, contents: dict[str, bytes]) -> None:
    data = bytearray(contents[NAMES[2]])
    data[1000] ^= 1
    raw(root, NAMES[2]).write_bytes(data)
    with pytest.raises(
        DataCorrupt,
        match=f"{NAMES[2]} is altered: expected md5 [0-9a-f]{{32}}, found [0-9a-f]{{32}}",
    ):
        mnist.split(RUN, root)


def test_files_are_verified_once_and_again_when_they_change(
    root: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = _mnist_idx.content

    def counting(stamp: _mnist_idx.Stamp, known: _mnist_idx.Known) -> bytes:
        read.append(stamp.path.name)
        return original(stamp, known)

    monkeypatch.setattr(_mnist_idx, "content", counting)
    first = mnist.split(RUN, root).pool
    assert mnist.split(RUN.replace(seed=1), root).pool is first
    assert read == NAMES
    raw(root, NAMES[1]).write_bytes(bytes(48))
    with pytest.raises(DataCorrupt, match="altered"):
        mnist.split(RUN, root)
    raw(root, NAMES[1]).unlink()
    with pytest.raises(DataMissing):
        mnist.split(RUN, root)


def test_status_tells_each_file(root: Path, contents: dict[str, bytes]) -> None:
    raw(root, NAMES[0]).unlink()
    raw(root, NAMES[3]).write_bytes(b"short")
    status = mnist.status(root)
    assert list(status) == NAMES
    assert status[NAMES[0]] == "missing"
    assert status[NAMES[1]] == status[NAMES[2]] == "ok"
    assert "expected 28 bytes, found 5" in status[NAMES[3]]


def test_the_bundled_file_is_verified_and_has_every_digit() -> None:
    images = _mnist_bundle.read()
    assert images.train_pixels.shape == (5000, 784)
    assert images.test_pixels.shape == (2000, 784)
    train, test = (
        np.bincount(images.train_labels, minlength=10),
        np.bincount(images.test_labels, minlength=10),
    )
    assert train.min() > 400
    assert train.max() < 600
    assert test.min() > 150
    assert test.max() < 250
    assert _mnist_bundle.PATH.stat().st_size < 2**20


def test_the_attribution_beside_it_has_its_counts() -> None:
    text = _mnist_bundle.PATH.with_suffix(".txt").read_text()
    assert "LeCun" in text
    assert "Attribution-Share Alike" in text
    assert "the first 5,000" in text
    images = _mnist_bundle.read()
    for labels in (images.train_labels, images.test_labels):
        assert " ".join(map(str, np.bincount(labels).tolist())) in text


def test_pack_and_unpack_are_inverse() -> None:
    rng = np.random.default_rng(1)
    made = _mnist_idx.Images(
        rng.integers(0, 256, (7, 784), dtype=np.uint8),
        rng.integers(0, 10, 7, dtype=np.uint8),
        rng.integers(0, 256, (3, 784), dtype=np.uint8),
        rng.integers(0, 10, 3, dtype=np.uint8),
    )
    back = _mnist_bundle.unpack(_mnist_bundle.pack(made))
    for name in ("train_pixels", "train_labels", "test_pixels", "test_labels"):
        assert np.array_equal(getattr(back, name), getattr(made, name))


def test_select_spreads_the_test_images_over_all_of_them() -> None:
    labels = np.arange(100, dtype=np.uint8)
    pixels = np.repeat(labels[:, None], 784, axis=1)
    chosen = _mnist_bundle.select(_mnist_idx.Images(pixels, labels, pixels, labels))
    assert chosen.test_labels.tolist() == [*range(0, 100, 10), *range(5, 100, 10)]
    assert np.array_equal(chosen.test_pixels[:, 0], chosen.test_labels)
    assert np.array_equal(chosen.train_labels, labels)


def test_a_damaged_or_absent_bundled_file(tmp_path: Path) -> None:
    packed = _mnist_bundle.PATH.read_bytes()
    path = tmp_path / "mnist.xz"
    path.write_bytes(packed[:-1])
    with pytest.raises(
        DataCorrupt, match=r"mnist\.xz \(\d+ bytes\) is truncated or altered: expected sha256"
    ):
        _mnist_bundle.read(path)
    path.unlink()
    with pytest.raises(DataMissing, match=r"the bundled mnist\.xz is not in"):
        _mnist_bundle.read(path)


class FakeTorchvision:
    """Stands in for torchvision: ``MNIST(root, download=True)`` writes the given files."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents, self.calls, self.failures = (
            contents,
            0,
            [] if contents else [RuntimeError("Error downloading:\nTried x")],
        )

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        package, datasets = ModuleType("torchvision"), ModuleType("torchvision.datasets")
        datasets.MNIST = self.download  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torchvision", package)
        monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)

    def download(self, root: str, download: bool) -> None:
        assert download
        self.calls += 1
        if self.failures:
            raise self.failures.pop()
        write(Path(root), self.contents)


@pytest.fixture
def import_error(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Errors that importing torchvision.datasets raises, in turn."""
    errors: list[Exception] = []
    original = importlib.import_module

    def failing(name: str) -> ModuleType:
        if errors:
            raise errors.pop(0)
        return original(name)

    monkeypatch.setattr(_mnist_fetch, "import_module", failing)
    return errors


def test_fetch_downloads_and_verifies(
    tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTorchvision(contents)
    fake.install(monkeypatch)
    mnist.fetch(tmp_path)
    assert fake.calls == 1
    assert set(mnist.status(tmp_path).values()) == {"ok"}
    mnist.fetch(tmp_path)
    assert fake.calls == 1


def test_fetch_of_what_is_there_does_not_import_torchvision(
    root: Path, import_error: list[Exception]
) -> None:
    import_error.append(AssertionError("imported"))
    mnist.fetch(root)
    assert import_error


def test_fetch_of_damaged_files_says_so(
    tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeTorchvision({**contents, NAMES[1]: b"short"}).install(monkeypatch)
    with pytest.raises(DataCorrupt, match="expected 48 bytes, found 5"):
        mnist.fetch(tmp_path)


def test_fetch_without_a_network(
    tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeTorchvision({}).install(monkeypatch)
    with pytest.raises(
        DataMissing,
        match=r"^MNIST: the download failed \(Error downloading: Tried x\); or copy train-images",
    ) as caught:
        mnist.fetch(tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(caught.value)


def test_fetch_without_torchvision(
    tmp_path: Path, contents: dict[str, bytes], import_error: list[Exception]
) -> None:
    import_error.append(ModuleNotFoundError("No module named 'torchvision'", name="torchvision"))
    with pytest.raises(
        DataMissing,
        match=(
            r"fetching needs torchvision \(No module named 'torchvision'\): `pip install "
            r"torchvision`, or copy"
        ),
    ):
        mnist.fetch(tmp_path)


def test_fetch_with_a_torchvision_for_another_torch_declares_its_operators(
    tmp_path: Path,
    contents: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    import_error: list[Exception],
) -> None:
    fake = FakeTorchvision(contents)
    monkeypatch.setattr(_mnist_fetch, "_declare_operators", lambda: fake.install(monkeypatch))
    import_error.append(RuntimeError("operator torchvision::nms does not exist"))
    mnist.fetch(tmp_path)
    assert fake.calls == 1
    assert not import_error


@pytest.mark.parametrize(
    "errors",
    [
        [
            RuntimeError("operator torchvision::nms does not exist"),
            RuntimeError("operator torchvision::other does not exist"),
        ],
        [RuntimeError("undefined symbol")],
    ],
)
def test_fetch_with_a_torchvision_that_cannot_be_imported(
    tmp_path: Path,
    contents: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    import_error: list[Exception],
    errors: list[Exception],
) -> None:
    monkeypatch.setattr(_mnist_fetch, "_declare_operators", lambda: None)
    import_error.extend(errors)
    last = str(errors[-1])
    with pytest.raises(
        DataMissing, match=rf"the installed torchvision does not fit this torch \({last}\)"
    ):
        mnist.fetch(tmp_path)


def test_declared_operators_exist_and_can_be_described() -> None:
    if not hasattr(torch.ops.torchvision, "qnms"):
        _mnist_fetch._declare_operators()
    for name in ("nms", "qnms"):
        schema = getattr(torch.ops.torchvision, name).default._schema
        assert [argument.name for argument in schema.arguments] == [
            "dets",
            "scores",
            "iou_threshold",
        ]


def test_nothing_imports_torchvision_before_it_is_needed() -> None:
    for module in (mnist, _mnist_fetch, _mnist_idx, _mnist_bundle):
        assert module.__file__ is not None
        lines = Path(module.__file__).read_text().splitlines()
        assert not [
            line for line in lines if line.startswith(("import torchvision", "from torchvision"))
        ]
