"""Downloading MNIST through torchvision, which need not be installed for anything else."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from omnigrok.data import _mnist_idx as idx
from omnigrok.errors import DataMissing

# A Library takes its operators with it when it is garbage collected.
_declared: list[torch.library.Library] = []


def fetch(root: Path) -> None:
    """Download the four files into ``root``/MNIST/raw, unless they are there, and verify them.

    Raises:
        DataMissing: torchvision is not installed or cannot be imported, or nothing could be
            downloaded.
        DataCorrupt: a file is damaged, a new one or one that was there.
    """
    if "missing" in idx.status(root).values():
        datasets = _torchvision_datasets(root)
        try:
            datasets.MNIST(str(root), download=True)
        except (OSError, RuntimeError) as error:
            # torchvision puts one line a mirror into its message.
            raise DataMissing(
                f"MNIST: the download failed ({' '.join(str(error).split())}); {_by_hand(root)}"
            ) from error
    idx.read(idx.find(root))


def _by_hand(root: Path) -> str:
    return f"or copy {', '.join(idx.FILES)} (plain or .gz) into {root / idx.FOLDER}"


def _torchvision_datasets(root: Path) -> Any:
    try:
        try:
            return import_module("torchvision.datasets")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
        # A torchvision built for another torch (CUDA's next to the CPU's) cannot load its operators
        # and then fails to describe them. Its data sets need none of them, so declared names are
        # enough.
        _declare_operators()
        return import_module("torchvision.datasets")
    except ImportError as error:
        raise DataMissing(
            f"MNIST: fetching needs torchvision ({error}): `pip install torchvision`, "
            f"{_by_hand(root)}"
        ) from error
    except RuntimeError as error:
        raise DataMissing(
            f"MNIST: the installed torchvision does not fit this torch ({error}); install one that "
            f"does, {_by_hand(root)}"
        ) from error


def _declare_operators() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    make: Any = torch.library.Library  # its methods have no annotations
    library = make("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
