"""Toy addition (Section 5.1, Figure 6, Appendix D): a decoder maps E_i + E_j to the random vector
that stands for i + j.

The paper draws p (p + 1) / 2 unordered pairs of numbers below p.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.models.mlp import MLP
from omnigrok.options import DataOptions, NetworkOptions, Size
from omnigrok.run import Run

# 1: numpy and torch seeds 58 + s in the authors' order of draws; scores acc, acc_close.
VERSION = 1

# Two pairs may have one sum.
REPEATED_INPUTS = True

FIRST_SEED = 58  # the authors' seed, of numpy and of torch
ENCODER_WIDTH = 200
LINE_NOISE = 0.3
Representation = Literal["scalar", "planar"]
DIMENSION: dict[Representation, int] = {"scalar": 1, "planar": 2}
TARGET_DIM = 30

# Per-sample mean squared errors. Two targets are sqrt(2 d) apart in d dimensions, so an error
# within half of that is below 1/2.
HALFWAY = 0.5
CLOSE = 0.05


class Options(DataOptions):
    """Options of ``Run.data`` (Section 5.1, Appendix D); the defaults are the protocol ``paper``.

    Args:
        representation: "scalar": E_k = k in R_linear, N(0, 1) in R_random. "planar" (protocol
            ``code``): the first coordinate runs from -1 to 1, the second is 0.3 U(-1, 1), in
            R_linear; U(-1, 1)^2 in R_random.
        labels: "sum", or "modular" (``code``) for the sum modulo p.
        unseen: whether an output may be missing from the training split (``code``: true); the text
            is silent, and true under ``paper`` is a sensitivity row.
        standardise: "linear" gives R_linear mean 0 and variance 1 before Eq. 4 mixes it, "input"
            the sums E_i + E_j after it, a sensitivity row; "none" in both protocols.
        base: p of the paper.
        target_dim: coordinates of the vector that stands for an output.
    """

    representation: Representation = "scalar"
    labels: Literal["sum", "modular"] = "sum"
    unseen: bool = False
    standardise: Literal["none", "linear", "input"] = "none"
    base: Annotated[int, Field(ge=2)] = 10
    target_dim: Size = TARGET_DIM

    @property
    def dimension(self) -> int:
        """Coordinates of one E_i."""
        return DIMENSION[self.representation]

    @property
    def outputs(self) -> int:
        """Distinct labels: 2 p - 1 sums, or p residues."""
        return self.base if self.labels == "modular" else 2 * self.base - 1


class FromNetwork(NetworkOptions, extra="ignore"):
    """What is read of the network's options.

    Args:
        widths: units of each layer, if the network has them; its ends must fit.
    """

    widths: Annotated[tuple[Size, ...], Field(min_length=1)] | None = None


def _check_fit(options: Options, run: Run) -> None:
    pairs = options.base * (options.base + 1) // 2
    least = 1 if options.unseen else options.outputs
    if not least <= run.n_train <= pairs:
        why = (
            ""
            if options.unseen
            else f" ({options.outputs} outputs, each of which must occur: unseen = false)"
        )
        raise BadInput(
            f"addition: n_train = {run.n_train} is not accepted; {least} to {pairs} pairs{why}"
        )
    if not 0 <= run.messiness <= 1:
        raise BadInput(
            f"addition: messiness = {run.messiness} is not accepted; 0 (linear) to 1 (random)"
        )
    widths = FromNetwork.of(run).widths
    if widths and (widths[0], widths[-1]) != (options.dimension, options.target_dim):
        raise BadInput(
            f"addition: widths = {list(widths)} do not fit; representation = "
            f"{options.representation} needs {options.dimension} inputs, "
            f"target_dim = {options.target_dim} as many outputs"
        )


def split(run: Run, root: Path) -> Split:
    """All unordered pairs i <= j: inputs (pairs, dimension), targets (pairs, target_dim), float32.

    Seed s takes 58 + s, of numpy for targets and split, of torch for everything else, so that seed
    0 is the authors' own. Their order of draws is kept under every option: an unused
    encoder, the decoder, R_linear's noise, R_random. The generator is handed on as it stood before
    the decoder, so that ``build`` draws the same one for every messiness. With all pairs in the
    training set the test set is empty.

    Raises:
        BadInput: an option, ``n_train``, ``messiness`` or the network's ends do not fit.
    """
    options = Options.of(run)
    _check_fit(options, run)
    first, second = np.triu_indices(options.base)
    label = first + second if options.labels == "sum" else (first + second) % options.base

    draw = np.random.RandomState(FIRST_SEED + run.seed)
    draw.normal(size=(options.outputs, options.target_dim))  # the authors' unused input vectors
    table = draw.normal(size=(options.outputs, options.target_dim))
    train = _training_pairs(draw, label, run.n_train, options.unseen)
    test = np.setdiff1d(np.arange(len(label)), train)

    torch.manual_seed(FIRST_SEED + run.seed)
    MLP((options.base, ENCODER_WIDTH, ENCODER_WIDTH, options.dimension), "leaky_relu_0.2")
    before_decoder = torch.get_rng_state()
    find_model(run.model).build(run)
    representation = _representation(options, run.messiness)
    torch.set_rng_state(before_decoder)

    inputs = representation[first] + representation[second]
    if options.standardise == "input":
        inputs = _standardised(inputs)
    targets = torch.from_numpy(table[label]).float()
    return Split(Pool((inputs,), targets), torch.from_numpy(train), torch.from_numpy(test))


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Whether an output is nearer to its target than halfway to a typical other one; (...,
    target_dim) to (...).

    ``acc`` stands for the authors' nearest-target accuracy without the table of targets, which
    differs from replica to replica: independent N(0, I) targets differ by a mean square of 2, so a
    mean squared error under 1/2 is nearer to its own. An output that is nearest to the right target
    but shrunk towards 0 counts as wrong. In a pilot (``code``, 35 pairs, 12 cells) the two agreed
    on 95 % of training and 93 % of test pairs, ``acc`` being .04 lower in the mean. Chance is 0 for
    an output that hedges and 1 / outputs for one that bets. ``acc_close`` asks for a mean squared
    error under .05, the loss at the paper's boundary of regions I and II.
    """
    mse = (outputs - targets).square().mean(-1)
    return {"acc": (mse < HALFWAY).to(outputs.dtype), "acc_close": (mse < CLOSE).to(outputs.dtype)}


def _training_pairs(
    draw: np.random.RandomState, label: NDArray[np.int64], n_train: int, unseen: bool
) -> NDArray[np.int64]:
    """Indices of the training pairs; unless ``unseen``, a random pair of each output comes first,
    then the rest at random.
    """
    if unseen:
        return draw.choice(len(label), n_train, replace=False)
    order = draw.permutation(len(label))
    leaders = np.unique(label[order], return_index=True)[1]
    return np.concatenate([order[leaders], np.delete(order, leaders)])[:n_train]


def _representation(options: Options, messiness: float) -> Tensor:
    """R of Eq. 4, (base, dimension)."""
    shape = (options.base, options.dimension)
    if options.representation == "scalar":
        linear = torch.arange(options.base, dtype=torch.float32).unsqueeze(-1)
        random = torch.randn(shape)
    else:
        linear = LINE_NOISE * (2 * torch.rand(shape) - 1)
        linear[:, 0] = 2 * torch.linspace(0, 1, options.base) - 1
        random = 2 * torch.rand(shape) - 1
    if options.standardise == "linear":
        linear = _standardised(linear)
    return messiness * random + (1 - messiness) * linear


def _standardised(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0, correction=0)
