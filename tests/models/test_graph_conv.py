"""Graph convolutions after Kipf and Welling: by hand, and against PyTorch Geometric, weights
included.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from omnigrok.data import qm9
from omnigrok.errors import BadInput
from omnigrok.models import find_model, graph_conv
from omnigrok.run import Run, freeze

pytest.importorskip("rdkit")

ROWS = (0, 3, 11, 40, 200, 213, 900, 100_000)


def a_run(**network: Any) -> Run:
    return Run(
        task="qm9", model="graph_conv", seed=0, n_train=8, steps=1, lr=1e-3, network=freeze(network)
    )


def molecules(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    nodes, bonds, mask = qm9.pool_of(ROWS, "perceived").inputs
    return nodes.to(dtype), bonds, mask.to(dtype)


def test_found_by_name_and_size() -> None:
    model = find_model("graph_conv").build(a_run())
    assert (
        sum(parameter.numel() for parameter in model.parameters())
        == 11 * 32 + 32 + 32 * 16 + 16 + 16 + 1
    )


def test_propagation_by_hand() -> None:
    """Two atoms with a triple bond: degrees 2 and 2 unweighted, 4 and 4 by bond order."""
    bonds = torch.tensor([[0, 3, 0], [3, 0, 0], [0, 0, 0]], dtype=torch.uint8)
    half, quarter = (
        [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]],
        [[0.25, 0.75, 0], [0.75, 0.25, 0], [0, 0, 1]],
    )
    torch.testing.assert_close(
        graph_conv.propagation(bonds, "none", torch.float64),
        torch.tensor(half, dtype=torch.float64),
    )
    torch.testing.assert_close(
        graph_conv.propagation(bonds, "order", torch.float64),
        torch.tensor(quarter, dtype=torch.float64),
    )


def test_initial_weights_have_the_range_of_torch_geometric() -> None:
    layers = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(3)
    ours = graph_conv.GraphConv(11, 32)
    bound = (6 / 43) ** 0.5
    assert ours.bias.abs().max() == 0
    assert 0.95 * bound < ours.linear.weight.abs().max() <= bound
    theirs = layers.GCNConv(11, 32)
    assert 0.95 * bound < theirs.lin.weight.abs().max() <= bound


@pytest.mark.parametrize("edge_weight", list(graph_conv.EDGE_WEIGHTS))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_equals_torch_geometric(edge_weight: str, dtype: torch.dtype, tolerance: float) -> None:
    layers = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    ours, theirs = graph_conv.GraphConv(11, 32).to(dtype), layers.GCNConv(11, 32).to(dtype)
    theirs.load_state_dict({"lin.weight": ours.linear.weight, "bias": torch.randn(32)})
    ours.bias.data.copy_(theirs.bias.data)
    nodes, bonds, mask = molecules(dtype)
    found = ours(nodes, graph_conv.propagation(bonds, edge_weight, dtype))
    for row, size in enumerate(mask.sum(1).int().tolist()):
        index = bonds[row].nonzero().T
        weights = torch.tensor(graph_conv.EDGE_WEIGHTS[edge_weight], dtype=dtype)[
            bonds[row][tuple(index)].long()
        ]
        expected = theirs(nodes[row, :size], index, weights)
        assert (found[row, :size] - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("edge_weight", list(graph_conv.EDGE_WEIGHTS))
def test_padding_and_order_of_atoms_change_nothing(edge_weight: str) -> None:
    torch.manual_seed(0)
    model = graph_conv.build(a_run(edge_weight=edge_weight)).double()
    nodes, bonds, mask = molecules(torch.float64)
    together = model(nodes, bonds, mask)
    assert together.shape == (len(ROWS), 1)
    for row, size in enumerate(mask.sum(1).int().tolist()):
        torch.testing.assert_close(
            model(nodes[row, :size], bonds[row, :size, :size], mask[row, :size]), together[row]
        )
    order = torch.randperm(nodes.shape[1])
    torch.testing.assert_close(
        model(nodes[:, order], bonds[:, order][:, :, order], mask[:, order]), together
    )


def test_bond_types_matter_only_by_order() -> None:
    nodes, bonds, mask = molecules(torch.float64)
    for edge_weight, same in (("none", True), ("order", False)):
        torch.manual_seed(0)
        model = graph_conv.build(a_run(edge_weight=edge_weight)).double()
        assert (
            torch.allclose(model(nodes, bonds.clamp(max=1), mask), model(nodes, bonds, mask))
            is same
        )


@pytest.mark.parametrize("network", [{}, {"edge_weight": "order"}, {"widths": (11, 8)}])
def test_stack_equals_single_networks(network: dict[str, Any]) -> None:
    torch.manual_seed(0)
    models = [graph_conv.build(a_run(**network)).double() for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    inputs = tuple(
        torch.stack([x.roll(shift, 0) for shift in range(3)]) for x in molecules(torch.float64)
    )
    stacked = vmap(lambda p, b, *x: functional_call(models[0], (p, b), x))(
        parameters, buffers, *inputs
    )
    single = torch.stack([model(*(x[row] for x in inputs)) for row, model in enumerate(models)])
    torch.testing.assert_close(stacked, single, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"widths": (11,)}, r"widths = \(11,\) is not accepted; a list of 2 or more values"),
        ({"widths": "wide"}, "widths = 'wide' is not accepted"),
        ({"edge_weight": "length"}, "edge_weight = 'length' is not accepted; one of none, order"),
    ],
)
def test_bad_options(network: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        graph_conv.build(a_run(**network))
