"""The published graph network: against a loop over edges and against PyTorch Geometric, weights
included.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from omnigrok.data import qm9
from omnigrok.errors import BadInput
from omnigrok.models import find_model, nnconv
from omnigrok.run import Run, freeze

pytest.importorskip("rdkit")

ROWS = (0, 3, 11, 40, 200, 213, 900, 100_000)


def a_run(**network: Any) -> Run:
    return Run(
        task="qm9", model="nnconv", seed=0, n_train=8, steps=1, lr=1e-3, network=freeze(network)
    )


def molecules(dtype: torch.dtype, features: str = "perceived") -> tuple[Tensor, Tensor, Tensor]:
    nodes, bonds, mask = qm9.pool_of(ROWS, features).inputs
    return nodes.to(dtype), bonds, mask.to(dtype)


def edges_of(bonds: Tensor) -> tuple[Tensor, Tensor]:
    """The edges of one molecule as PyTorch Geometric has them: (2, e) indices and (e, 4) one-hot
    features.
    """
    start, end = bonds.nonzero(as_tuple=True)
    return torch.stack([start, end]), nn.functional.one_hot(bonds[start, end].long() - 1, 4)


def by_edges(layer: nnconv.NNConv, x: Tensor, bonds: Tensor) -> Tensor:
    """One convolution of one molecule, one edge at a time."""
    out: Tensor = layer.root(x) + layer.bias
    index, attributes = edges_of(bonds)
    for (source, target), attribute in zip(index.T.tolist(), attributes, strict=True):
        matrix = layer.edge(attribute.to(x.dtype)).view(layer.fan_in, layer.fan_out)
        out = out.index_add(0, torch.tensor([target]), (x[source] @ matrix)[None])
    return out


def test_found_by_name_with_the_published_size() -> None:
    model = find_model("nnconv").build(a_run())
    assert sum(parameter.numel() for parameter in model.parameters()) == 30_321


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_norm_at_alpha_one(seed: int) -> None:
    torch.manual_seed(seed)
    squares = sum(
        parameter.square().sum().item() for parameter in nnconv.build(a_run()).parameters()
    )
    assert squares**0.5 == pytest.approx(18.7, rel=0.01)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_equals_a_loop_over_edges(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    model = nnconv.build(a_run()).to(dtype)
    nodes, bonds, mask = molecules(dtype)
    hidden = model.conv_1(nodes, nnconv.adjacency(bonds, dtype))
    for row, size in enumerate(mask.sum(1).int().tolist()):
        expected = by_edges(model.conv_1, nodes[row, :size], bonds[row, :size, :size])
        assert (hidden[row, :size] - expected).norm() <= tolerance * expected.norm()


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = nnconv.build(a_run()).double()
    nodes, bonds, mask = molecules(torch.float64)
    together = model(nodes, bonds, mask)
    assert together.shape == (len(ROWS), 1)
    for row, size in enumerate(mask.sum(1).int().tolist()):
        alone = model(nodes[row, :size], bonds[row, :size, :size], mask[row, :size])
        torch.testing.assert_close(alone, together[row], rtol=1e-12, atol=0)


def test_order_of_atoms_changes_nothing() -> None:
    torch.manual_seed(0)
    model = nnconv.build(a_run()).double()
    nodes, bonds, mask = molecules(torch.float64)
    order = torch.randperm(nodes.shape[1])
    torch.testing.assert_close(
        model(nodes[:, order], bonds[:, order][:, :, order], mask[:, order]),
        model(nodes, bonds, mask),
    )


def test_bond_types_matter() -> None:
    torch.manual_seed(0)
    model = nnconv.build(a_run()).double()
    nodes, bonds, mask = molecules(torch.float64)
    assert not torch.allclose(model(nodes, bonds.clamp(max=1), mask), model(nodes, bonds, mask))


def geometric_net() -> nn.Module:
    """A network of PyTorch Geometric's own layers, made in the order in which the published code
    makes them.
    """
    layers = pytest.importorskip("torch_geometric.nn")
    edges = [
        nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, size))
        for size in (11 * 32, 32 * 16)
    ]
    convolutions = [
        layers.NNConv(*shape, edge) for shape, edge in zip(((11, 32), (32, 16)), edges, strict=True)
    ]
    return nn.ModuleList([*convolutions, nn.Linear(16, 32), nn.Linear(32, 1)])


def geometric_forward(net: Any, nodes: Tensor, bonds: Tensor) -> Tensor:
    """Its output for one molecule without padding."""
    index, attributes = edges_of(bonds)
    x = nodes
    for convolution in net[:2]:
        x = convolution(x, index, attributes.to(nodes.dtype)).relu()
    out: Tensor = net[3](net[2](x.sum(0)).relu())
    return out


def test_initial_weights_are_those_of_torch_geometric() -> None:
    torch.manual_seed(7)
    theirs = geometric_net()
    drawn = torch.rand(1)
    torch.manual_seed(7)
    ours = nnconv.build(a_run())
    assert torch.equal(torch.rand(1), drawn)
    names = {
        "0.nn": "conv_1.edge",
        "1.nn": "conv_2.edge",
        "0.lin": "conv_1.root",
        "1.lin": "conv_2.root",
    }
    names |= {"0.bias": "conv_1.bias", "1.bias": "conv_2.bias", "2": "head.0", "3": "head.2"}
    state = ours.state_dict()
    for name, value in theirs.state_dict().items():
        key = next(new + name[len(old) :] for old, new in names.items() if name.startswith(old))
        assert torch.equal(state.pop(key), value), name
    assert not state


def readout_terms(net: Any, nodes: Tensor, bonds: Tensor) -> Tensor:
    """The sum of the absolute terms that the last layer adds up: what the rounding of its output is
    relative to.
    """
    index, attributes = edges_of(bonds)
    x = nodes
    for convolution in net[:2]:
        x = convolution(x, index, attributes.to(nodes.dtype)).relu()
    terms: Tensor = net[3].weight.abs() @ net[2](x.sum(0)).relu() + net[3].bias.abs()
    return terms


# At seed 7 the last layer's terms, 49 in all, cancel to outputs of norm 1.7: 1.3e-6 of the outputs
# in float32 are 4.5e-8 of the terms.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
@pytest.mark.parametrize("seed", [7, 1])
def test_outputs_and_gradients_are_those_of_torch_geometric(
    dtype: torch.dtype, tolerance: float, seed: int
) -> None:
    torch.manual_seed(seed)
    theirs = geometric_net().to(dtype)
    torch.manual_seed(seed)
    ours = nnconv.build(a_run()).to(dtype)
    nodes, bonds, mask = molecules(dtype)
    sizes = mask.sum(1).int().tolist()
    graphs = [(nodes[row, :size], bonds[row, :size, :size]) for row, size in enumerate(sizes)]
    expected = torch.stack([geometric_forward(theirs, *graph) for graph in graphs])
    scale = torch.stack([readout_terms(theirs, *graph) for graph in graphs]).norm()
    found = ours(nodes, bonds, mask)
    assert (found - expected).norm() <= tolerance * scale
    pairs = ((found, ours), (expected, theirs))
    gradients = [
        torch.autograd.grad(out.square().mean(), list(net.parameters())) for out, net in pairs
    ]
    norms = [sum(gradient.square().sum().item() for gradient in each) ** 0.5 for each in gradients]
    assert norms[0] == pytest.approx(norms[1], rel=10 * tolerance)


@pytest.mark.parametrize("head_hidden", [32, 0])
def test_stack_equals_single_networks(head_hidden: int) -> None:
    torch.manual_seed(0)
    models = [nnconv.build(a_run(head_hidden=head_hidden)).double() for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    inputs = tuple(
        torch.stack([x.roll(shift, 0) for shift in range(3)]) for x in molecules(torch.float64)
    )
    stacked = vmap(lambda p, b, *x: functional_call(models[0], (p, b), x))(
        parameters, buffers, *inputs
    )
    single = torch.stack([model(*(x[row] for x in inputs)) for row, model in enumerate(models)])
    torch.testing.assert_close(stacked, single, rtol=1e-9, atol=0)


def test_single_linear_head() -> None:
    model = nnconv.build(a_run(head_hidden=0))
    assert [tuple(parameter.shape) for parameter in model.head.parameters()] == [(1, 16), (1,)]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"widths": (11, 32)}, r"widths = \(11, 32\) is not accepted; a list of 3 values"),
        ({"widths": 11}, "widths = 11 is not accepted"),
        ({"widths": (11, 32, 0)}, "is not accepted"),
        ({"edge_hidden": 0}, "edge_hidden = 0 is not accepted"),
        ({"head_hidden": -1}, "head_hidden = -1 is not accepted"),
    ],
)
def test_bad_options(network: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        nnconv.build(a_run(**network))
