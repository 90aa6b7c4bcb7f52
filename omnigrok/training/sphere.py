"""Training at constant weight norm (Section 2): what counts as the norm, and the ways to hold it.

Weight norm means the L2 norm over all trainable parameters of the network, biases and embeddings
included.

* ``free``: the norm is not held.
* ``rescale``: after each step all parameters are multiplied so that the norm is what it was (the
  paper's text).
* ``rescale_double``: the same with the first parameter tensor counted twice in the norm (published
  code of Figure 6).
* ``published``: double count, and the rescaling comes between the forward and the step, so that
  losses are recorded one Adam step off the sphere (published code of Figure 2a).
* ``tangent``: the radial part of the gradient is removed before Adam sees it, then ``rescale``: the
  constrained minimum is really found.
"""

from __future__ import annotations

import torch
from torch import Tensor

DOUBLE_COUNT = ("rescale_double", "published")


def dot(left: Tensor, right: Tensor) -> Tensor:
    """(R,) inner product of each replica's vectors (R, P)."""
    # A row reduction: as a matrix product (1 x P)(P x 1) it takes five times as long on the CPU,
    # and rounds more.
    result: Tensor = torch.linalg.vecdot(left, right)
    return result


def held_square(weights: Tensor, constraint: str, first_size: int) -> Tensor:
    """(R,) the squared norm that ``constraint`` holds; ``first_size`` is the number of entries of
    the first parameter tensor.
    """
    square = dot(weights, weights)
    if constraint in DOUBLE_COUNT:
        first = weights[:, :first_size]
        square = square + dot(first, first)
    return square


def rescale_(weights: Tensor, target: Tensor, constraint: str, first_size: int) -> None:
    """Multiply each replica's weights (R, P) in place so that its held square is ``target`` (R,).
    All-zero weights stay zero.
    """
    square = held_square(weights, constraint, first_size)
    factor = (target / square.clamp_min(1e-30)).sqrt()
    weights.mul_(factor[:, None])


def remove_radial(grad: Tensor, weights: Tensor) -> Tensor:
    """(R, P) the part of the gradient that is tangent to the sphere through ``weights``."""
    share = dot(grad, weights) / dot(weights, weights).clamp_min(1e-30)
    return torch.addcmul(grad, share[:, None], weights, value=-1)
