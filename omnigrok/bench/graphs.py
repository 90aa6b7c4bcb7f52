"""The graph networks of Figure 5 in PyTorch Geometric, as their authors wrote them."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.run import Run

ABSENT = "needs PyTorch Geometric: pip install omnigrok[test]"


def installed() -> bool:
    """Whether PyTorch Geometric is; one that is and cannot be imported is an error, not an
    absence.
    """
    return importlib.util.find_spec("torch_geometric") is not None


def geometric(module: str) -> Any:
    """``torch_geometric.<module>``; its use of what torch has deprecated is not ours to warn about.

    Raises:
        ImportError: PyTorch Geometric, an extra of the tests, is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"torch_geometric.{module}")


class Molecules(nn.Module):
    """Two convolutions with ReLU, the sum over atoms, a linear layer.

    Args:
        first, second: the convolutions.
        width: features after the second.
        edges: whether the convolutions read the bonds' types.
    """

    def __init__(self, first: nn.Module, second: nn.Module, width: int, edges: bool) -> None:
        super().__init__()
        self.first, self.second, self.edges = first, second, edges
        self.head = nn.Linear(width, 1)

    def forward(self, batch: Any) -> Tensor:
        """A batch of PyTorch Geometric to (molecules, 1)."""
        more = (batch.edge_attr,) if self.edges else ()
        x = self.first(batch.x, batch.edge_index, *more).relu()
        x = self.second(x, batch.edge_index, *more).relu()
        out: Tensor = self.head(geometric("nn").global_add_pool(x, batch.batch))
        return out


def build(run: Run) -> Molecules:
    """The counterpart of the model ``nnconv`` without a hidden layer in its head, or of
    ``graph_conv``.

    Raises:
        BadInput: the Run has another model.
        ImportError: PyTorch Geometric is not installed.
    """
    gnn = geometric("nn")
    widths = (11, 32, 16)
    if run.model == "graph_conv":
        return Molecules(
            gnn.GCNConv(*widths[:2]), gnn.GCNConv(*widths[1:]), widths[-1], edges=False
        )
    if run.model != "nnconv":
        raise BadInput(
            f"bench: PyTorch Geometric has no counterpart of the model {run.model!r} here; "
            "accepted: nnconv, graph_conv"
        )
    layers = [
        gnn.NNConv(
            fan_in,
            fan_out,
            nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, fan_in * fan_out)),
            aggr="add",
        )
        for fan_in, fan_out in (widths[:2], widths[1:])
    ]
    return Molecules(layers[0], layers[1], widths[-1], edges=True)
