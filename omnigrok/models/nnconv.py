"""The published code's graph network for QM9 (Figure 5): edge-conditioned convolutions, a sum over
atoms, and a head.

An edge-conditioned convolution (Gilmer et al. 2017) adds to each atom the message x_j W(e) of each
neighbour j, where a small network makes the matrix W from the features e of the edge. Here e is the
one-hot of four bond types, so W takes four values: they are computed once a network, and the
messages of all atoms are one product with the adjacency of each bond type. The result is that of a
loop over edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from omnigrok.data.qm9 import MOST_ATOMS
from omnigrok.models import HELD
from omnigrok.options import NetworkOptions, Size
from omnigrok.run import Run

# 1: PyTorch Geometric's second draws; sum over atoms; optional hidden head.
VERSION = 1

BOND_TYPES = 4


class Options(NetworkOptions):
    """Options of ``Run.network``; the defaults are the published code's 30,321 parameters.

    The text has "2 convolutional layers with ReLU activation, followed by a linear layer" (Appendix
    A), which is ``head_hidden`` 0, or ``omnigrok.models.graph_conv``.

    Args:
        widths: features of an atom: given, after the first, and after the second convolution.
        edge_hidden: hidden units of the two edge networks.
        head_hidden: hidden units of the head; 0 is a single linear layer.
    """

    widths: tuple[Size, Size, Size] = (11, 32, 16)
    edge_hidden: Size = 32
    head_hidden: Annotated[int, Field(ge=0)] = 32


def adjacency(bonds: Tensor, dtype: torch.dtype) -> Tensor:
    """Bond types (..., A, A), 0 where there is no bond, as (..., A, 4, A): whether atoms i and j
    have a bond of type b at [i, b, j].
    """
    types = torch.arange(1, BOND_TYPES + 1, dtype=bonds.dtype, device=bonds.device)
    return (bonds.unsqueeze(-2) == types.unsqueeze(-1)).to(dtype)


def edge_network(fan_in: int, fan_out: int, hidden: int) -> nn.Sequential:
    """The network that makes a (fan_in, fan_out) matrix, flat, from the one-hot of the bond
    type.
    """
    return nn.Sequential(
        nn.Linear(BOND_TYPES, hidden), nn.ReLU(), nn.Linear(hidden, fan_in * fan_out)
    )


class NNConv(nn.Module):
    """x_i W_root + sum over neighbours j of x_j W(e_ij) + bias.

    Args:
        fan_in: features of an atom before.
        fan_out: features of an atom after.
        edge: the network that makes W.
    """

    def __init__(self, fan_in: int, fan_out: int, edge: nn.Sequential) -> None:
        super().__init__()
        self.fan_in, self.fan_out = fan_in, fan_out
        self.edge = edge
        self.root = nn.Linear(fan_in, fan_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(fan_out))
        # PyTorch Geometric draws the edge network and the root weight a second time when the layer
        # is complete: the authors' weights are these second draws, so seed 0 needs both.
        for layer in edge:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        bound = 1 / math.sqrt(fan_in)
        nn.init.uniform_(self.root.weight, -bound, bound)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """Atoms (..., A, fan_in) and adjacency (..., A, 4, A) to (..., A, fan_out)."""
        one_hot = torch.eye(BOND_TYPES, dtype=x.dtype, device=x.device)
        weights = self.edge(one_hot).reshape(BOND_TYPES * self.fan_in, self.fan_out)
        # Row (i, b) of the product is the sum of x over the neighbours that atom i has by bond type
        # b.
        summed = (neighbours.flatten(-3, -2) @ x).reshape(*x.shape[:-1], BOND_TYPES * self.fan_in)
        out: Tensor = self.root(x) + summed @ weights + self.bias
        return out


class NNConvNet(nn.Module):
    """Two edge-conditioned convolutions with ReLU, the sum over atoms, and a head with or without a
    hidden layer.

    Args:
        widths: features of an atom: given, after the first, and after the second convolution.
        edge_hidden: hidden units of the two edge networks.
        head_hidden: hidden units of the head; 0 is a single linear layer.
    """

    def __init__(self, widths: Sequence[int], edge_hidden: int, head_hidden: int) -> None:
        super().__init__()
        given, first, second = widths
        edges = [edge_network(given, first, edge_hidden), edge_network(first, second, edge_hidden)]
        self.conv_1 = NNConv(given, first, edges[0])
        self.conv_2 = NNConv(first, second, edges[1])
        if head_hidden:
            self.head = nn.Sequential(
                nn.Linear(second, head_hidden), nn.ReLU(), nn.Linear(head_hidden, 1)
            )
        else:
            self.head = nn.Sequential(nn.Linear(second, 1))

    def forward(self, nodes: Tensor, bonds: Tensor, mask: Tensor) -> Tensor:
        """Node features (..., A, widths[0]), bond types (..., A, A) and mask (..., A) to
        (..., 1).
        """
        neighbours = adjacency(bonds, nodes.dtype)
        x = self.conv_1(nodes, neighbours).relu()
        x = self.conv_2(x, neighbours).relu()
        out: Tensor = self.head((x * mask.unsqueeze(-1)).sum(-2))
        return out


def build(run: Run) -> NNConvNet:
    """The network of a Run.

    Raises:
        BadInput: an option is not accepted.
    """
    options = Options.of(run)
    return NNConvNet(options.widths, options.edge_hidden, options.head_hidden)


def work(run: Run, model: nn.Module) -> tuple[float, float]:
    """Root and message of every atom, and the sum over neighbours: a product with the adjacency of
    each bond type.
    """
    operations = floats = 0.0
    for layer, (fan_in, fan_out) in enumerate(pairwise(Options.of(run).widths)):
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
