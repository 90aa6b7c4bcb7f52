"""The data set: sums of three normal numbers."""

from pathlib import Path

import torch
from torch import Tensor

from omnigrok.data import Pool, Split
from omnigrok.run import Run


def split(run: Run, root: Path) -> Split:
    """The samples of one Run: n_train to train on, as many others to test on."""
    torch.manual_seed(run.seed)
    x = torch.randn(2 * run.n_train, 3)
    order = torch.arange(len(x))
    return Split(Pool((x,), x.sum(1, keepdim=True)), order[: run.n_train], order[run.n_train :])


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Per sample, whether the output is within .1 of the sum."""
    return {"acc": ((outputs - targets).abs() < 0.1).to(outputs.dtype).squeeze(-1)}
