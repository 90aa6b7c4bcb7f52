"""What a Run costs, from its settings alone: floating-point operations and memory; no data is read
and nothing is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import cast

import torch
from torch import nn

from omnigrok.data.qm9 import MOST_ATOMS
from omnigrok.models import find_model
from omnigrok.models.lstm_stacked import CHUNK
from omnigrok.models.nnconv import BOND_TYPES
from omnigrok.run import Run
from omnigrok.training.calendar import effective_batch
from omnigrok.training.shape import shape_key

# Copies of the parameters that a step holds: weights, two moments, the gradient whole and in parts,
# and the update's temporaries.
COPIES = 8
# Numbers held for an output of a layer: itself, its activation, and its gradient.
HELD = 3
# Share of the 500 tokens of an IMDb review that are words and not padding: the mean of a split,
# stop words kept.
WORDS = 0.34


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


def _transformer(run: Run, model: nn.Module) -> tuple[float, float]:
    """Keys and values come from a table of tokens, so only what follows the attention is a product
    for each sample.
    """
    named = dict(model.named_parameters())
    after = [named[name].shape for name in ("output", "mlp_in", "mlp_out", "unembedding")]
    d_mlp, d_model = named["mlp_in"].shape
    vocabulary = named["unembedding"].shape[1]
    # The loss is in float64 where the Run says so: two numbers of 32 bits each.
    return 6.0 * sum(map(math.prod, after)), 10 * d_model + HELD * d_mlp + 2 * HELD * vocabulary


def _lstm(run: Run, model: nn.Module) -> tuple[float, float]:
    """Every word goes through every layer; the embedding is looked up. Padding is skipped unless a
    state is carried over.
    """
    steps = int(run.option("length", 500))
    share = 1.0 if run.option("carry", False) else WORDS
    weights = [
        parameter for name, parameter in model.named_parameters() if name.startswith("lstm.weight")
    ]
    hidden = weights[-1].shape[1]
    embedding = weights[0].shape[1]
    return 6.0 * share * steps * sum(weight.numel() for weight in weights), steps * (
        2 * embedding + 8 * hidden * (len(weights) // 2)
    )


def _nnconv(run: Run, model: nn.Module) -> tuple[float, float]:
    """Root and message of every atom, and the sum over neighbours: a product with the adjacency of
    each bond type.
    """
    widths = run.option("widths", (11, 32, 16))
    operations = floats = 0.0
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        passes = 3 if layer else 2
        operations += (
            2
            * MOST_ATOMS
            * (
                passes * (1 + BOND_TYPES) * fan_in * fan_out
                + (passes - 1) * BOND_TYPES * MOST_ATOMS * fan_in
            )
        )
        floats += MOST_ATOMS * (2 * BOND_TYPES * fan_in + HELD * fan_out)
    return operations, floats + 2 * BOND_TYPES * MOST_ATOMS**2


def _graph_conv(run: Run, model: nn.Module) -> tuple[float, float]:
    """A linear map of every atom, and a product with the propagation matrix."""
    widths = run.option("widths", (11, 32, 16))
    operations = floats = 0.0
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        operations += (
            2 * MOST_ATOMS * ((3 if layer else 2) * fan_in * fan_out + 2 * MOST_ATOMS * fan_out)
        )
        floats += MOST_ATOMS * (fan_in + HELD * fan_out)
    return operations, floats + 6 * MOST_ATOMS**2


Count = Callable[[Run, nn.Module], tuple[float, float]]
# Where weights serve more than once a sample, or not at all; every other model is counted as layers
# of matrices.
COUNTS: dict[str, Count] = {
    "transformer": _transformer,
    "lstm": _lstm,
    "nnconv": _nnconv,
    "graph_conv": _graph_conv,
}


@lru_cache(maxsize=512)
def work_of(key: Run) -> Work:
    """The cost of one network with this ``shape_key``.

    A model module of somebody else may define ``work(run, model) -> (operations, floats)``, both
    for one sample.

    Raises:
        BadInput: the model does not accept the Run's options.
    """
    architecture = find_model(key.model)
    with torch.random.fork_rng(devices=[]):
        model = architecture.build(key)
    count = cast("Count", getattr(architecture, "work", COUNTS.get(key.model, _dense)))
    operations, floats = count(key, model)
    return Work(
        sum(parameter.numel() for parameter in model.parameters()), float(operations), float(floats)
    )


def step_operations(run: Run) -> float:
    """Floating-point operations of the matrix products of one optimiser step of one network."""
    return work_of(shape_key(run)).operations * effective_batch(run)


def evaluation_operations(run: Run, samples: int) -> float:
    """Those of one evaluation on so many samples: the forward pass alone, a third of a step."""
    return work_of(shape_key(run)).operations / 3 * samples


def evaluation_floats(run: Run) -> float:
    """Numbers held for one sample while it is evaluated on a card: no more than for training, and
    of an LSTM those of one chunk of tokens.
    """
    floats = work_of(shape_key(run)).floats
    if run.model == "lstm":
        return floats * min(1.0, CHUNK / int(run.option("length", 500)))
    return floats


def replica_bytes(run: Run) -> float:
    """Memory that one network needs while it trains, without the data that replicas share: an
    estimate.
    """
    work = work_of(shape_key(run))
    return (8 if run.precision == "float64" else 4) * (
        COPIES * work.parameters + work.floats * effective_batch(run)
    )
