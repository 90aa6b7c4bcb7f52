"""MNIST (Section 4, Figures 3, 10, 11 and 12): pixels in [0, 1], flattened, neither centred nor
normalised; in the smoke tier at 14 x 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from omnigrok.data import _mnist_bundle, _mnist_idx
from omnigrok.data._mnist_fetch import fetch
from omnigrok.data._mnist_idx import Stamp, status
from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.options import DataOptions, Size
from omnigrok.run import Run

# 1: pixels in [0, 1]; nested random subsets by numpy; score acc.
VERSION = 1

__all__ = ["accuracy", "fetch", "files", "split", "status"]

CLASSES = 10
SIDE = 28

# Subsets and shuffled labels have generators of their own: torch's global one is left to weights
# and batches.
SUBSET_STREAM, LABEL_STREAM = 1, 2


class Options(DataOptions):
    """Options of ``Run.data`` (Section 4).

    Args:
        source: "full", 60,000 + 10,000 images below the data root, or "bundled", 5,000 + 2,000 of
            them that come with the package.
        subset: which ``n_train`` training images: "random", drawn by the seed (protocol ``paper``),
            or "first", the first ones (``code``).
        n_test: only this many test images, the first ones; null for all (both protocols). Of the
            full set the first 5,000 are harder than the rest; the bundled ones are in an order that
            spreads them evenly.
        shuffle_labels: permutes the labels of the training images, as a control.
        pool: side of the squares whose mean is one input; 1 takes the pixels as they are, 2 makes
            images of 14 x 14. The network's first width is (28 / pool) squared.
    """

    source: Literal["full", "bundled"] = "full"
    subset: Literal["random", "first"] = "random"
    n_test: Size | None = None
    shuffle_labels: bool = False
    pool: Literal[1, 2, 4] = 1


def split(run: Run, root: Path) -> Split:
    """The pool of all images, training before test, and the indices of this Run.

    Inputs are (n, 784) float32, or (n, 196) and (n, 49) with ``pool``; targets are one-hot (n, 10)
    float32 under ``mse`` and (n,) int64 classes under ``cross_entropy``. Runs with the same source
    and ``pool`` share one tensor of inputs. Random subsets are nested: a seed's smaller one is the
    start of its larger one. Torch's generator is left at ``manual_seed(run.seed)``, so the weights
    depend on nothing else: seed 0 is the authors' own in Figure 3d. Their landscapes (Figures 3a to
    3c, 8) set none, and torch then starts differently every time.

    Raises:
        BadInput: an option or the loss is not accepted, or there are fewer images than asked for.
        DataMissing: source is full and a file is not below ``root``.
        DataCorrupt: a file is truncated or altered.
    """
    options = Options.of(run)
    if run.loss not in ("mse", "cross_entropy"):
        raise BadInput(
            f"mnist: loss = {run.loss!r} is not accepted; mse (one-hot targets) or cross_entropy "
            "(class targets)"
        )
    pool, n_train, n_test = _pool(
        _mnist_idx.find(root) if options.source == "full" else (), run.loss, options.pool
    )
    train = _train(run, options, n_train)
    wanted = n_test if options.n_test is None else options.n_test
    if wanted > n_test:
        raise BadInput(
            f"mnist: n_test = {wanted}, but the {options.source} source has {n_test} test images"
        )
    if options.shuffle_labels:
        targets = pool.targets.clone()
        targets[train] = targets[train[_permutation(LABEL_STREAM, run.seed, len(train))]]
        pool = Pool(pool.inputs, targets)
    torch.manual_seed(run.seed)
    return Split(pool, train, torch.arange(n_train, n_train + wanted))


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Whether the largest output is that of the true class: ``acc``, shape (..., n), from outputs
    (..., n, 10).
    """
    classes = targets.argmax(-1) if run.loss == "mse" else targets
    return {"acc": (outputs.argmax(-1) == classes).to(outputs.dtype)}


def files(run: Run) -> list[str]:
    """Files below the data root that the Run needs: none if it uses the bundled images."""
    return (
        [f"{_mnist_idx.FOLDER}/{name}" for name in _mnist_idx.FILES]
        if Options.of(run).source == "full"
        else []
    )


def _train(run: Run, options: Options, available: int) -> Tensor:
    if run.n_train > available:
        more = "; source: full has more" if options.source == "bundled" else ""
        raise BadInput(
            f"mnist: n_train = {run.n_train}, but the {options.source} source has {available} "
            f"training images{more}"
        )
    if options.subset == "first":
        return torch.arange(run.n_train)
    return _permutation(SUBSET_STREAM, run.seed, available)[: run.n_train].clone()


def _permutation(stream: int, seed: int, n: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng((stream, seed)).permutation(n))


@lru_cache(maxsize=2)
def _tensors(stamps: tuple[Stamp, ...]) -> tuple[Tensor, Tensor, int, int]:
    """Pixels (n, 784) float32, classes (n,) int64, and how many are for training and for testing;
    no stamps: the bundled images.
    """
    images = _mnist_idx.read(stamps) if stamps else _mnist_bundle.read()
    pixels = (
        torch.from_numpy(np.concatenate([images.train_pixels, images.test_pixels]))
        .to(torch.float32)
        .div_(255)
    )
    classes = torch.from_numpy(np.concatenate([images.train_labels, images.test_labels])).to(
        torch.int64
    )
    return pixels, classes, len(images.train_labels), len(images.test_labels)


@lru_cache(maxsize=4)
def _inputs(stamps: tuple[Stamp, ...], pool: int) -> Tensor:
    """(n, 784 / pool²) float32 means over squares of pixels."""
    pixels = _tensors(stamps)[0]
    if pool == 1:
        return pixels
    images = pixels.view(-1, 1, SIDE, SIDE)
    return functional.avg_pool2d(images, pool).flatten(1)


@lru_cache(maxsize=8)
def _pool(stamps: tuple[Stamp, ...], loss: str, pool: int) -> tuple[Pool, int, int]:
    _, classes, n_train, n_test = _tensors(stamps)
    targets = functional.one_hot(classes, CLASSES).to(torch.float32) if loss == "mse" else classes
    return Pool((_inputs(stamps, pool),), targets), n_train, n_test
