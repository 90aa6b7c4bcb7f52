"""Modular addition (Section 5.1, Figure 7; Appendices B and C, Figures 9 and 10a): every ordered
pair, "x y =" -> (x + y) mod p.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.options import DataOptions
from omnigrok.run import Run

# 1: split from torch seed 42 + s; score acc.
VERSION = 1

# docs/protocol.md: the authors' split, weights and everything else come from one stream with this
# seed.
AUTHORS_SEED = 42
MODULUS = 113


# Numbers are 0 .. p - 1, token p is the equals sign.
Modulus = Annotated[int, Field(ge=2)]


class Options(DataOptions):
    """Options of ``Run.data`` (Section 5.1); the same under the protocols ``paper`` and ``code``.

    Args:
        p: the modulus.
        shuffle_labels: permutes the labels of the training samples among themselves, as a control,
            and leaves the split and the draws that follow as they are without it.
    """

    p: Modulus = MODULUS
    shuffle_labels: bool = False


@functools.lru_cache(maxsize=8)
def pairs(p: int) -> Pool:
    """All p * p ordered pairs, y running fastest: inputs (p * p, 3) int64 tokens [x, y, p], targets
    (p * p,) int64.
    """
    x = torch.arange(p).repeat_interleave(p)
    y = torch.arange(p).repeat(p)
    return Pool((torch.stack([x, y, torch.full_like(x, p)], dim=1),), (x + y) % p)


def split(run: Run, root: Path) -> Split:
    """A random ``run.n_train`` of the pairs to train on, all others to test on; the model draws
    next in the same stream.

    Seed s takes torch seed 42 + s, so that seed 0 is the authors' own; p = 113 with their fraction
    .3 is ``n_train`` 3830.

    Raises:
        BadInput: an option is not accepted, or ``n_train`` leaves no pair to test on.
    """
    options = Options.of(run)
    p = options.p
    if run.n_train >= p * p:
        raise BadInput(
            f"Run: n_train = {run.n_train} is not accepted; p = {p} has {p * p} pairs, of which at "
            "least one must be left to test on"
        )
    pool = pairs(p)
    torch.manual_seed(AUTHORS_SEED + run.seed)
    order = torch.randperm(p * p)
    train, test = order[: run.n_train], order[run.n_train :]
    if options.shuffle_labels:
        own = torch.Generator().manual_seed(AUTHORS_SEED + run.seed)
        targets = pool.targets.clone()
        targets[train] = targets[train[torch.randperm(run.n_train, generator=own)]]
        pool = Pool(pool.inputs, targets)
    return Split(pool, train, test)


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Whether the largest of the (..., p + 1) outputs is the right one; the equals sign counts as
    an answer, as in the published code.
    """
    return {"acc": (outputs.argmax(-1) == targets).to(outputs.dtype)}
