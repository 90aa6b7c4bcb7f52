"""MNIST with a representation that shows the label (Section 5.2, Figure 8): the samples of
``mnist``, each image with its true class.

What the class does to the image is the model's business (``omnigrok.models.messy_mlp``). Test
images come with their true class too, as in the text and in the published code.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import field_validator

from omnigrok.data import mnist
from omnigrok.data.mnist import accuracy, files
from omnigrok.data.split import Pool, Split
from omnigrok.run import Run

# 1: the samples of mnist, version 1, with their classes.
VERSION = 1

__all__ = ["accuracy", "files", "split"]


class Options(mnist.Options):
    """Options of ``Run.data`` (Section 5.2): those of ``omnigrok.data.mnist`` without its control.

    Args:
        shuffle_labels: not possible; the inputs show the true labels.
    """

    shuffle_labels: Literal[False] = False

    @field_validator("shuffle_labels", mode="before")
    @classmethod
    def _not_possible(cls, value: object) -> object:
        if value is not False:
            raise ValueError("the inputs show the true labels")
        return value


def split(run: Run, root: Path) -> Split:
    """As ``mnist.split``, with inputs (n, 784) float32 pixels in [0, 1] and (n,) int64 classes.

    Raises:
        BadInput: as ``mnist.split``, or ``shuffle_labels`` is set.
        DataMissing: as ``mnist.split``.
        DataCorrupt: as ``mnist.split``.
    """
    Options.of(run)
    images = mnist.split(run, root)
    return Split(_with_classes(images.pool), images.train, images.test)


@lru_cache(maxsize=4)
def _with_classes(pool: Pool) -> Pool:
    """The same pool for the same pool of images, so that replicas go on sharing it."""
    classes = pool.targets.argmax(-1) if pool.targets.ndim == 2 else pool.targets
    return Pool((*pool.inputs, classes), pool.targets)
