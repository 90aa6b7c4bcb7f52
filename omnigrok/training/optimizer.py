"""AdamW on stacked parameters, with the semantics of torch.optim.AdamW for each replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omnigrok.run import Run

EPS = 1e-8


@dataclass(frozen=True)
class Schedule:
    """What AdamW needs at each of K steps, for R replicas; computed in float64 as torch.optim.AdamW
    does.

    Args:
        decay: (K, R) factor of the decoupled weight decay, 1 - lr gamma.
        step_size: (K, R) lr / (1 - beta1^t).
        second: (K,) sqrt(1 - beta2^t).
    """

    decay: Tensor
    step_size: Tensor
    second: Tensor


def schedule(
    runs: Sequence[Run], first_step: int, count: int, dtype: torch.dtype, device: torch.device
) -> Schedule:
    """The factors of ``count`` steps, the first of which is optimiser step ``first_step`` + 1."""
    t = np.arange(first_step + 1, first_step + count + 1, dtype=np.float64)[:, None]
    lr = np.array([run.lr for run in runs])[None, :] * np.ones_like(t)
    for column, run in enumerate(runs):
        for drop in run.lr_drops:
            lr[t[:, 0] > drop, column] *= run.lr_factor
    gamma = np.array([run.weight_decay for run in runs])[None, :]
    beta1, beta2 = runs[0].betas

    def on_device(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=device)

    return Schedule(
        on_device(1 - lr * gamma),
        on_device(lr / (1 - beta1**t)),
        on_device(np.sqrt(1 - beta2 ** t[:, 0])),
    )


def adamw_(
    weights: Tensor,
    first: Tensor,
    second: Tensor,
    grad: Tensor,
    betas: tuple[float, float],
    decay: Tensor,
    step_size: Tensor,
    scale: Tensor,
) -> None:
    """One AdamW step in place (Loshchilov and Hutter 2019): decoupled decay, then the Adam update.

    Args:
        weights, first, second, grad: (R, P) weights, first and second moments, gradient.
        decay, step_size: (R,) of a ``Schedule``.
        scale: scalar, ``Schedule.second`` of this step.
    """
    # Out of place up to the copies: inductor then fuses the whole update into one pass over each
    # tensor.
    new_first = torch.lerp(first, grad, 1 - betas[0])
    new_second = second * betas[1] + (1 - betas[1]) * grad * grad
    denominator = new_second.sqrt() / scale + EPS
    weights.copy_(weights * decay[:, None] - step_size[:, None] * (new_first / denominator))
    first.copy_(new_first)
    second.copy_(new_second)


def clip(grad: Tensor, limit: float) -> Tensor:
    """Gradients (R, P) scaled down to norm ``limit`` per replica, as
    torch.nn.utils.clip_grad_norm_.
    """
    norm = torch.linalg.vector_norm(grad, dim=1, keepdim=True)
    factor: Tensor = (limit / (norm + 1e-6)).clamp(max=1.0)
    return grad * factor
