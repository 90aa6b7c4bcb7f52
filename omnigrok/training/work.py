"""What a Run costs, from its settings alone: floating-point operations and memory; no data is read
and nothing is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import nn

from omnigrok.models import HELD, find_model
from omnigrok.run import Run
from omnigrok.training.accepted import check_options
from omnigrok.training.calendar import effective_batch
from omnigrok.training.stackable import shape_key

# Copies of the parameters that a step holds: weights, two moments, the gradient whole and in parts,
# and the update's temporaries.
COPIES = 8


@dataclass(frozen=True)
class Work:
    """What one network needs.

    Args:
        parameters: numbers in its weights.
        operations: floating-point operations of the matrix products of one sample, forward and
            backward.
        floats: numbers held for one sample between forward and backward.
    """

    parameters: int
    operations: float
    floats: float


def _dense(run: Run, model: nn.Module) -> tuple[float, float]:
    """2 operations a weight for each of forward, weight gradient and input gradient, which the
    first layer does without.
    """
    matrices = [parameter.shape for parameter in model.parameters() if parameter.ndim > 1]
    if not matrices:
        total = sum(parameter.numel() for parameter in model.parameters())
        return 6.0 * total, HELD * total
    operations = 6 * sum(map(math.prod, matrices)) - 2 * math.prod(matrices[0])
    return operations, matrices[0][1] + HELD * sum(shape[0] for shape in matrices)


Count = Callable[[Run, nn.Module], tuple[float, float]]


@lru_cache(maxsize=512)
def work_of(key: Run, kind: str = "cpu") -> Work:
    """The cost of one network with this ``shape_key``: as its module counts it
    (``omnigrok.models``), or that of layers of matrices.

    Args:
        kind: "cpu" or "cuda"; of the operations, what the model's module names in
            ``work_share(run, kind)`` is done there.

    Raises:
        BadInput: the data set or the model does not accept the Run's options.
    """
    check_options([key])
    architecture = find_model(key.model)
    with torch.random.fork_rng(devices=[]):
        model = architecture.build(key)
    count = cast("Count", getattr(architecture, "work", _dense))
    operations, floats = count(key, model)
    operations *= getattr(architecture, "work_share", lambda run, kind: 1.0)(key, kind)
    return Work(
        sum(parameter.numel() for parameter in model.parameters()), float(operations), float(floats)
    )


def step_operations(run: Run, kind: str = "cpu") -> float:
    """Floating-point operations of the matrix products of one optimiser step of one network."""
    return work_of(shape_key(run), kind).operations * effective_batch(run)


def evaluation_operations(run: Run, samples: int, kind: str = "cpu") -> float:
    """Those of one evaluation on this many samples: the forward pass alone, a third of a step."""
    return work_of(shape_key(run), kind).operations / 3 * samples


def evaluation_floats(run: Run) -> float:
    """Numbers held for one sample while it is evaluated on a card: those of training, or the share
    of them that the model's module names in ``evaluation_share(run)``.
    """
    share = getattr(find_model(run.model), "evaluation_share", lambda run: 1.0)
    return work_of(shape_key(run)).floats * float(share(run))


def replica_bytes(run: Run) -> float:
    """Memory that one network needs while it trains, without the data that replicas share: an
    estimate.
    """
    work = work_of(shape_key(run))
    return (8 if run.precision == "float64" else 4) * (
        COPIES * work.parameters + work.floats * effective_batch(run)
    )
