"""Graph convolutions after Kipf and Welling for QM9: one reading of the text's network for Figure 5
(Appendix A).

The text has "2 convolutional layers with ReLU activation, followed by a linear layer" and does not
say which convolution, how wide, or how atoms become a molecule. Choices made here: the convolution
that the name GCN stands for; the widths of the published code; the sum over atoms before the linear
layer, as in the published code; bond types unused unless the option says otherwise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from omnigrok.data.qm9 import MOST_ATOMS
from omnigrok.models import HELD
from omnigrok.options import NetworkOptions, Size
from omnigrok.run import Run

# 1: Glorot-uniform weights, zero biases; sum over atoms; edge_weight none and order.
VERSION = 1

# Weight of no, a single, double, triple and aromatic bond.
EdgeWeight = Literal["none", "order"]
EDGE_WEIGHTS: dict[EdgeWeight, tuple[float, ...]] = {
    "none": (0.0, 1.0, 1.0, 1.0, 1.0),
    "order": (0.0, 1.0, 2.0, 3.0, 1.5),
}


class Options(NetworkOptions):
    """Options of ``Run.network`` (Appendix A).

    Args:
        widths: features of an atom: given, and after each convolution.
        edge_weight: weight of a bond: "none" (a bond is a bond) or "order" (1, 2, 3, aromatic 1.5).
    """

    widths: Annotated[tuple[Size, ...], Field(min_length=2)] = (11, 32, 16)
    edge_weight: EdgeWeight = "none"


def propagation(bonds: Tensor, edge_weight: EdgeWeight, dtype: torch.dtype) -> Tensor:
    """Bond types (..., A, A) to D^-1/2 (A + I) D^-1/2 (..., A, A), with A the bonds' weights and D
    the row sums of A + I.
    """
    # A sum of comparisons, not a look-up in a table: vmap and torch.compile make one fused kernel
    # of it.
    weights = torch.zeros_like(bonds, dtype=dtype)
    for kind, weight in enumerate(EDGE_WEIGHTS[edge_weight]):
        if weight:
            weights = weights + weight * (bonds == kind).to(dtype)
    weights = weights + torch.eye(bonds.shape[-1], dtype=dtype, device=bonds.device)
    scale = weights.sum(-1).rsqrt()
    return scale.unsqueeze(-1) * weights * scale.unsqueeze(-2)


class GraphConv(nn.Module):
    """P X W + bias, with P from ``propagation``; weights Glorot-uniform and bias zero, as PyTorch
    Geometric's GCNConv draws them.

    Args:
        fan_in: features of an atom before.
        fan_out: features of an atom after.
    """

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(fan_out))
        bound = math.sqrt(6 / (fan_in + fan_out))
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor, spread: Tensor) -> Tensor:
        """Atoms (..., A, fan_in) and P (..., A, A) to (..., A, fan_out)."""
        out: Tensor = spread @ self.linear(x) + self.bias
        return out


class GraphConvNet(nn.Module):
    """Graph convolutions with ReLU, the sum over atoms, and a linear layer.

    Args:
        widths: features of an atom: given, and after each convolution.
        edge_weight: a key of ``EDGE_WEIGHTS``.
    """

    def __init__(self, widths: Sequence[int], edge_weight: EdgeWeight) -> None:
        super().__init__()
        self.edge_weight = edge_weight
        self.convolutions = nn.ModuleList(GraphConv(*pair) for pair in itertools.pairwise(widths))
        self.linear = nn.Linear(widths[-1], 1)

    def forward(self, nodes: Tensor, bonds: Tensor, mask: Tensor) -> Tensor:
        """Node features (..., A, widths[0]), bond types (..., A, A) and mask (..., A) to
        (..., 1).
        """
        spread = propagation(bonds, self.edge_weight, nodes.dtype)
        x = nodes
        for convolution in self.convolutions:
            x = convolution(x, spread).relu()
        out: Tensor = self.linear((x * mask.unsqueeze(-1)).sum(-2))
        return out


def build(run: Run) -> GraphConvNet:
    """The network of a Run.

    Raises:
        BadInput: an option is not accepted.
    """
    options = Options.of(run)
    return GraphConvNet(options.widths, options.edge_weight)


def work(run: Run, model: nn.Module) -> tuple[float, float]:
    """A linear map of every atom, and a product with the propagation matrix."""
    operations = floats = 0.0
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(Options.of(run).widths)):
        operations += (
            2 * MOST_ATOMS * ((3 if layer else 2) * fan_in * fan_out + 2 * MOST_ATOMS * fan_out)
        )
        floats += MOST_ATOMS * (fan_in + HELD * fan_out)
    return operations, floats + 6 * MOST_ATOMS**2
