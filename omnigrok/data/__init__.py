"""Data sets: one module each, found by name.

A module here has a ``VERSION`` (``omnigrok.training.version`` says what for) and two functions, and
may have a third:

``split(run, root) -> Split``
    The samples of one Run. Called under a forked random state; whatever it leaves in torch's
    generator is where the model's initialization draws next, so the authors' order of draws can be
    kept. ``root`` is the folder of downloaded data.
``accuracy(run, outputs, targets) -> dict[str, Tensor]``
    Per-sample scores in [0, 1], logged as ``train_<name>`` and ``test_<name>``; the main one is
    called ``acc``.
``files(run) -> list[str]`` (optional)
    Files below ``root`` that the Run needs, for messages and ``omnigrok data``.

It may set ``REPEATED_INPUTS = True`` where different samples have the same inputs, as sums of
symbols do; otherwise inputs of the training set in the test set are an error.

Its class ``Options`` (``omnigrok.options``) says what it accepts in ``run.data``; a module from
outside may go without, and is then handed whatever the Run has.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.files import user_cache
from omnigrok.outside import not_found
from omnigrok.run import Run

__all__ = ["Pool", "Split", "Task", "default_root", "find_task"]


def _is_task(file: Path) -> bool:
    """Whether a module of this folder is a data set, by its source."""
    return file.stem != "__init__" and "def split(" in file.read_text(encoding="utf-8")


class Task(Protocol):
    """What a data module offers; one of this package has a ``VERSION`` as well."""

    VERSION: int

    def split(self, run: Run, root: Path) -> Split: ...

    def accuracy(self, run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]: ...


def find_task(name: str) -> Task:
    """The data module of that name: ``omnigrok.data.<name>``, or a dotted path of somebody else's
    module.

    Raises:
        BadInput: there is no such module.
    """
    path = name if "." in name else f"omnigrok.data.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        if "." in name:
            raise BadInput(f"task {name!r}: {not_found(error.name)}") from None
        here = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if _is_task(file))
        raise BadInput(
            f"unknown task {name!r}; accepted: {', '.join(here)}, or the dotted path of a module"
        ) from None
    if not hasattr(module, "split") or not hasattr(module, "accuracy"):
        raise BadInput(
            f"task {name!r}: module {path} must define split(run, root) and accuracy(run, outputs, "
            "targets)"
        )
    return cast("Task", module)


def default_root() -> Path:
    """Where downloaded data lies unless ``--data-root`` says otherwise: $OMNIGROK_DATA, else the
    user's cache folder.

    A user without a home folder has no cache folder, and most audits need no download:
    ``.omnigrok/data`` in the working folder.
    """
    if named := os.environ.get("OMNIGROK_DATA"):
        return Path(named)
    return user_cache() or Path(".omnigrok/data")
