"""Losses of one network, per sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from omnigrok.run import Run


def per_sample_loss(run: Run, outputs: Tensor, targets: Tensor) -> Tensor:
    """(B,) loss of each sample: the mean over outputs of the squared error, or a cross-entropy.

    Args:
        outputs: (B, ...) of one network.
        targets: (B, ...) values, or (B,) class indices for ``cross_entropy``.
    """
    if run.loss_precision == "float64":
        outputs = outputs.double()
    if run.loss == "cross_entropy":
        return functional.cross_entropy(outputs, targets, reduction="none")
    if run.loss == "binary_cross_entropy":
        return functional.binary_cross_entropy_with_logits(
            outputs.reshape(-1), targets.reshape(-1).to(outputs.dtype), reduction="none"
        )
    return (outputs - targets.to(outputs.dtype)).square().flatten(1).mean(1)


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of (B,) losses; ``weights`` (B,) are 0 for samples that only fill the batch up."""
    if weights is None:
        return losses.mean()
    weights = weights.to(losses.dtype)
    return (losses * weights).sum() / weights.sum()


def storage_dtype(run: Run) -> torch.dtype:
    """The dtype of weights and activations."""
    return torch.float64 if run.precision == "float64" else torch.float32
