"""The subset of MNIST that comes with the package: ``bundled/mnist.xz``, real images for machines
without the full set.
"""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import numpy as np

from omnigrok.data._mnist_idx import Images
from omnigrok.errors import DataCorrupt, DataMissing

PATH = Path(__file__).parent / "bundled" / "mnist.xz"
SHA256 = "b7ff2b948b562b299ed2ba14ba590cfb66883f05b0c0fa4536ec4728db81e940"
MAGIC = b"omnigrok-mnist-1"
PIXELS = 28 * 28

N_TRAIN = 5_000


def select(full: Images) -> Images:
    """The bundled images among the full set: the first 5,000 for training, every fifth for testing.

    The first half of the official test images and the second half come from different writers, so
    the test images are taken from all of it: every tenth from the first on, then every tenth from
    the sixth on. The first 1,000 of them alone are spread just as evenly.
    """
    test = np.r_[0 : len(full.test_labels) : 10, 5 : len(full.test_labels) : 10]
    return Images(
        full.train_pixels[:N_TRAIN],
        full.train_labels[:N_TRAIN],
        full.test_pixels[test],
        full.test_labels[test],
    )


def pack(images: Images) -> bytes:
    """The file's bytes: xz of magic, two little-endian uint32 counts (train, test), labels, pixels,
    training before test.
    """
    counts = np.array([len(images.train_labels), len(images.test_labels)], dtype="<u4")
    parts = (images.train_labels, images.test_labels, images.train_pixels, images.test_pixels)
    raw = MAGIC + counts.tobytes() + b"".join(part.tobytes() for part in parts)
    return lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)


def unpack(packed: bytes) -> Images:
    """The inverse of ``pack``."""
    raw = lzma.decompress(packed)
    start = len(MAGIC) + 8
    n_train, n_test = np.frombuffer(raw, dtype="<u4", count=2, offset=len(MAGIC)).tolist()
    n = n_train + n_test
    labels = np.frombuffer(raw, dtype=np.uint8, count=n, offset=start)
    pixels = np.frombuffer(raw, dtype=np.uint8, offset=start + n).reshape(n, PIXELS)
    return Images(pixels[:n_train], labels[:n_train], pixels[n_train:], labels[n_train:])


def read(path: Path = PATH) -> Images:
    """The bundled images, verified.

    Raises:
        DataMissing: the package was installed without its data files.
        DataCorrupt: the file is truncated or altered.
    """
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise DataMissing(
            f"MNIST: the bundled {path.name} is not in {path.parent}; install the package with its "
            "data files"
        ) from None
    digest = hashlib.sha256(packed).hexdigest()
    if digest != SHA256:
        raise DataCorrupt(
            f"MNIST: {path} ({len(packed)} bytes) is truncated or altered: expected sha256 "
            f"{SHA256}, found {digest}"
        )
    return unpack(packed)
