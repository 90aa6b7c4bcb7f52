"""Architectures: one module each, written once for one network, found by name.

A module here defines ``build(run) -> nn.Module``: the network with its default initialization,
drawn from torch's global generator. The trainer multiplies every parameter by ``run.alpha`` and
stacks the replicas; ``forward`` takes the pool's inputs in order. A model that carries state from
one batch to the next within an epoch names those buffers in ``carries``; its ``forward`` then
returns (outputs, new values by name). Evaluation starts from zeros. ``VERSION`` is raised when the
numbers of its Runs change (``omnigrok.training.version``). ``COMPILE = False`` in a module says
that torch.compile does not pay for it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from torch import nn

from omnigrok.errors import BadInput
from omnigrok.run import Run

__all__ = ["Architecture", "find_model"]


class Architecture(Protocol):
    """What a model module offers; one of this package has a ``VERSION`` as well."""

    VERSION: int

    def build(self, run: Run) -> nn.Module: ...


def find_model(name: str) -> Architecture:
    """The model module of that name: ``omnigrok.models.<name>``, or a dotted path of somebody
    else's module.

    Raises:
        BadInput: there is no such module.
    """
    path = name if "." in name else f"omnigrok.models.{name}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        here = sorted(
            file.stem
            for file in Path(__file__).parent.glob("*.py")
            if "def build(" in file.read_text(encoding="utf-8")
        )
        raise BadInput(
            f"unknown model {name!r}; accepted: {', '.join(here)}, or the dotted path of a module"
        ) from None
    if not hasattr(module, "build"):
        raise BadInput(f"model {name!r}: module {path} must define build(run)")
    return cast("Architecture", module)
