"""Teacher-student regression (Section 3, Figure 2): Gaussian inputs labelled by a network of the
student's architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from omnigrok.data.split import Pool, Split
from omnigrok.models import find_model
from omnigrok.options import DataOptions, NetworkOptions, Size
from omnigrok.run import Run

# 1: data from torch seed 2 s, student from 2 s + 1; scores acc, acc_code, acc_euclid.
VERSION = 1

# docs/protocol.md: the text's theta is .01 without a norm, the code's .001 on the per-sample mean
# squared error.
THRESHOLDS = {"acc": 0.01, "acc_code": 0.001}


class Options(DataOptions):
    """Options of ``Run.data`` (Section 3).

    Args:
        n_test: test samples.
    """

    n_test: Annotated[int, Field(ge=0)] = 100


class FromNetwork(NetworkOptions, extra="ignore"):
    """What is read of the network's options.

    Args:
        widths: units of each layer; the first is the number of coordinates of an input.
    """

    widths: Annotated[tuple[Size, ...], Field(min_length=1)]


def split(run: Run, root: Path) -> Split:
    """Teacher, training inputs, test inputs, drawn in this order; then the generator is set for the
    student.

    Seed s takes torch seed 2 s for the data and 2 s + 1 for the student, so that seed 0 is the
    authors' own (0 and 1).

    Raises:
        BadInput: an option is not accepted, or the network has no ``widths``.
    """
    options, width_in = Options.of(run), FromNetwork.of(run).widths[0]
    torch.manual_seed(2 * run.seed)
    teacher = find_model(run.model).build(run.replace(precision="float32"))
    with torch.no_grad():
        train = torch.randn(run.n_train, width_in)
        test = torch.randn(options.n_test, width_in)
        inputs = torch.cat([train, test])
        # The authors label the two sets in two calls; a joint call differs in the last bit.
        targets = torch.cat([teacher(train), teacher(test)])
    torch.manual_seed(2 * run.seed + 1)
    return Split(
        Pool((inputs,), targets), torch.arange(run.n_train), torch.arange(run.n_train, len(inputs))
    )


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Share of samples with error under theta (Section 3), by per-sample mean squared error, and by
    the Euclidean norm.
    """
    squares = (outputs - targets).square()
    mse = squares.mean(-1)
    scores = {name: (mse < theta).to(outputs.dtype) for name, theta in THRESHOLDS.items()}
    scores["acc_euclid"] = (squares.sum(-1).sqrt() < THRESHOLDS["acc"]).to(outputs.dtype)
    return scores
