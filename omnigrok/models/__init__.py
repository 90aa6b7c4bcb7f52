"""Architectures: one module each, written once for one network, found by name.

A module here defines ``build(run) -> nn.Module``: the network with its default initialization,
drawn from torch's global generator. The trainer multiplies every parameter by ``run.alpha`` and
stacks the replicas; ``forward`` takes the pool's inputs in order. A model that carries state from
one batch to the next within an epoch names those buffers in ``carries``; its ``forward`` then
returns (outputs, new values by name). Evaluation starts from zeros. ``VERSION`` is raised when the
numbers of its Runs change (``omnigrok.training.version``). ``COMPILE = False`` in a module says
that torch.compile does not pay for it.

Its class ``Options`` (``omnigrok.options``) says what it accepts in ``run.network``; a module from
outside may go without. Where weights serve more than once a sample, or not at all, ``work(run,
model) -> (operations, floats)`` counts, both for one sample: the floating-point operations of its
matrix products, forward and backward, and the numbers held between the two. Every other model is
counted as layers of matrices (``omnigrok.training.work``). ``SMALLEST_STACK`` says by device how
few networks make a stack where one step of one network is long (``omnigrok.execution.plan``).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from torch import nn

from omnigrok.errors import BadInput
from omnigrok.outside import not_found
from omnigrok.run import Run

__all__ = ["HELD", "Architecture", "find_model"]

# Numbers held for an output of a layer: itself, its activation, and its gradient.
HELD = 3


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
        if "." in name:
            raise BadInput(f"model {name!r}: {not_found(error.name)}") from None
        here = sorted(
            file.stem
            for file in Path(__file__).parent.glob("*.py")
            if file.stem != "__init__" and "def build(" in file.read_text(encoding="utf-8")
        )
        raise BadInput(
            f"unknown model {name!r}; accepted: {', '.join(here)}, or the dotted path of a module"
        ) from None
    if not hasattr(module, "build"):
        raise BadInput(f"model {name!r}: module {path} must define build(run)")
    return cast("Architecture", module)
