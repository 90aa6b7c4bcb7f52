from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from omnigrok.errors import BadInput
from omnigrok.models import find_model, mlp
from omnigrok.run import Run, freeze

MNIST = Run(
    task="mnist",
    model="mlp",
    seed=0,
    n_train=10,
    steps=1,
    lr=1e-3,
    network=freeze({"widths": (784, 200, 200, 10), "activation": "relu"}),
)


def small(activation: str = "tanh", widths: tuple[object, ...] = (3, 4, 2)) -> Run:
    return MNIST.replace(network={"widths": widths, "activation": activation})


def test_the_network_of_figure_3() -> None:
    """docs/protocol.md: 199,210 parameters of norm 11.71."""
    torch.manual_seed(0)
    model = mlp.build(MNIST)
    assert sum(parameter.numel() for parameter in model.parameters()) == 199_210
    norm = (
        torch.stack([parameter.detach().square().sum() for parameter in model.parameters()])
        .sum()
        .sqrt()
    )
    assert float(norm) == pytest.approx(11.71, abs=0.01)


@pytest.mark.parametrize(
    ("activation", "module"),
    [("tanh", nn.Tanh()), ("relu", nn.ReLU()), ("leaky_relu_0.2", nn.LeakyReLU(0.2))],
)
def test_initialization_and_outputs_are_those_of_torchs_layers(
    activation: str, module: nn.Module
) -> None:
    torch.manual_seed(4)
    model = mlp.build(small(activation, (3, 4, 5, 2)))
    torch.manual_seed(4)
    plain = nn.Sequential(nn.Linear(3, 4), module, nn.Linear(4, 5), module, nn.Linear(5, 2))
    inputs = torch.randn(6, 3)
    assert torch.equal(model(inputs), plain(inputs))


def test_the_output_is_linear_and_every_layer_has_a_bias() -> None:
    model = mlp.build(small())
    assert [name for name, _ in model.named_parameters()] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert isinstance(model[-1], nn.Linear)


def test_two_widths_are_a_linear_map() -> None:
    model = mlp.build(small(widths=(3, 2)))
    assert len(model) == 1


def test_inputs_may_have_more_leading_axes() -> None:
    assert mlp.build(small())(torch.randn(7, 5, 3)).shape == (7, 5, 2)


def test_stacked_networks_give_what_each_gives() -> None:
    models = [mlp.build(small()) for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    inputs = torch.randn(3, 6, 3)
    template = mlp.build(small()).to("meta")
    outputs = vmap(lambda p, b, x: functional_call(template, (p, b), (x,)))(
        parameters, buffers, inputs
    )
    torch.testing.assert_close(
        outputs, torch.stack([model(x) for model, x in zip(models, inputs, strict=True)])
    )


def test_an_unknown_activation_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        BadInput, match=r"activation = 'sine' is not accepted; one of tanh, relu, leaky_relu_0\.2"
    ):
        mlp.build(small("sine"))


@pytest.mark.parametrize(
    "network", [{"activation": "tanh"}, {"activation": "tanh", "widths": (3,)}]
)
def test_missing_widths_are_named(network: dict[str, object]) -> None:
    with pytest.raises(
        BadInput, match=r"mlp: .*widths.*; a list of 2 or more values, each a whole"
    ):
        mlp.build(MNIST.replace(network=network))


@pytest.mark.parametrize("widths", [(3, "four", 2), (3, -4, 2), (3, 4.5, 2), 784])
def test_widths_that_are_no_sizes_are_named(widths: object) -> None:
    with pytest.raises(BadInput, match="widths"):
        mlp.build(MNIST.replace(network={"activation": "tanh", "widths": widths}))


def test_it_is_found_by_name_and_an_unknown_one_is_not() -> None:
    assert find_model("mlp") is mlp
    with pytest.raises(
        BadInput,
        match=r"unknown model 'perceptron'; accepted: decoder, .*mlp.*, or the dotted path of a",
    ):
        find_model("perceptron")
    with pytest.raises(BadInput, match=r"model 'nopaper\.modl': cannot import nopaper"):
        find_model("nopaper.modl")


def test_a_module_that_builds_nothing_is_refused() -> None:
    with pytest.raises(
        BadInput, match=r"model 'omnigrok.errors': module omnigrok.errors must define build\(run\)"
    ):
        find_model("omnigrok.errors")


def test_an_import_error_inside_a_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "somebody_without_a_dependency"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "model.py").write_text("import not_installed_here\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        find_model(f"{package.name}.model")
