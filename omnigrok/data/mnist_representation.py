"""MNIST with a representation that shows the label (Section 5.2, Figure 8): the samples of
``mnist``, each image with its true class.

The options are those of ``omnigrok.data.mnist`` except ``shuffle_labels``; what the class does to
the image is the model's business (``omnigrok.models.messy_mlp``). Test images come with their true
class too, as in the text and in the published code.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from omnigrok.data import mnist
from omnigrok.data.mnist import accuracy, files
from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.run import Run

# 1: the samples of mnist, version 1, with their classes.
VERSION = 1

__all__ = ["accuracy", "files", "split"]


def split(run: Run, root: Path) -> Split:
    """As ``mnist.split``, with inputs (n, 784) float32 pixels in [0, 1] and (n,) int64 classes.

    Raises:
        BadInput: as ``mnist.split``, or ``shuffle_labels`` is set: a template of the true class
            would undo it.
        DataMissing: as ``mnist.split``.
        DataCorrupt: as ``mnist.split``.
    """
    if run.option("shuffle_labels"):
        raise BadInput(
            "mnist_representation: shuffle_labels is not accepted here; the inputs show the true "
            "labels"
        )
    images = mnist.split(run, root)
    return Split(_with_classes(images.pool), images.train, images.test)


@lru_cache(maxsize=4)
def _with_classes(pool: Pool) -> Pool:
    """The same pool for the same pool of images, so that replicas go on sharing it."""
    classes = pool.targets.argmax(-1) if pool.targets.ndim == 2 else pool.targets
    return Pool((*pool.inputs, classes), pool.targets)
