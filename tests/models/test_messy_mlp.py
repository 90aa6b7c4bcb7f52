from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from omnigrok.errors import BadInput
from omnigrok.models import find_model, messy_mlp, mlp
from omnigrok.run import Run, freeze

RUN = Run(
    task="mnist_representation",
    model="messy_mlp",
    seed=0,
    n_train=10,
    steps=1,
    lr=1e-3,
    messiness=0.3,
    network=freeze({"widths": (784, 200, 200, 10), "activation": "relu"}),
)


def small(messiness: float, template: str = "label", **fields: object) -> Run:
    return RUN.replace(
        messiness=messiness,
        network={"widths": (6, 8, 10), "activation": "relu", "template": template},
        **fields,
    )


def test_parameters_and_norm_are_those_of_the_mlp_and_buffers_are_not_parameters() -> None:
    torch.manual_seed(0)
    model = messy_mlp.build(RUN)
    assert sum(p.numel() for p in model.parameters()) == 199_210
    norm = torch.stack([p.detach().square().sum() for p in model.parameters()]).sum().sqrt().item()
    assert norm == pytest.approx(11.71, abs=0.01)
    assert set(dict(model.named_buffers())) == {"messiness", "template"}


def test_draws_the_weights_of_the_mlp() -> None:
    torch.manual_seed(7)
    here = messy_mlp.build(small(0.5))
    torch.manual_seed(7)
    there = mlp.build(small(0.5).replace(network={"widths": (6, 8, 10), "activation": "relu"}))
    assert all(
        torch.equal(a, b) for a, b in zip(here.parameters(), there.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("label", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
        ("linspace", [-0.5 + i / 9 for i in range(10)]),
    ],
)
def test_template_values(template: str, values: list[float]) -> None:
    assert messy_mlp.build(small(0.5, template)).template.tolist() == pytest.approx(
        values, abs=1e-7
    )


def test_label_is_the_default_template() -> None:
    assert torch.equal(messy_mlp.build(RUN).template, torch.arange(10.0))


@pytest.mark.parametrize("template", ["label", "linspace"])
@pytest.mark.parametrize("messiness", [0.0, 0.25, 1.0])
def test_forward_is_equation_7(template: str, messiness: float) -> None:
    model = messy_mlp.build(small(messiness, template))
    image, label = torch.rand(5, 6), torch.tensor([0, 3, 9, 3, 1])
    raw = torch.stack(
        [
            messiness * image[i] + (1 - messiness) * torch.full((6,), float(model.template[k]))
            for i, k in enumerate(label)
        ]
    )
    torch.testing.assert_close(model(image, label), model.network(raw))


def test_at_one_the_label_does_not_matter_and_at_zero_the_image_does_not() -> None:
    image, other = torch.rand(4, 6), torch.rand(4, 6)
    label, wrong = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])
    raw, linear = messy_mlp.build(small(1.0)), messy_mlp.build(small(0.0))
    assert torch.equal(raw(image, label), raw(image, wrong))
    assert not torch.equal(raw(image, label), raw(other, label))
    assert torch.equal(linear(image, label), linear(other, label))
    assert not torch.equal(linear(image, label), linear(image, wrong))


def test_one_sample_without_a_batch_axis() -> None:
    model = messy_mlp.build(small(0.4))
    image, label = torch.rand(3, 6), torch.tensor([2, 0, 5])
    torch.testing.assert_close(model(image[0], label[0]), model(image, label)[0])


def test_a_stack_of_three_equals_three_single_networks() -> None:
    runs = [
        small(m, template, precision="float64")
        for m, template in ((0.0, "label"), (0.3, "linspace"), (1.0, "label"))
    ]
    models = [messy_mlp.build(run).double() for run in runs]
    state = stack_module_state(models)
    image, label = torch.rand(3, 7, 6, dtype=torch.float64), torch.randint(0, 10, (3, 7))
    stacked = vmap(
        lambda parameters, buffers, *x: functional_call(models[0], (parameters, buffers), x)
    )(*state, image, label)
    for i, model in enumerate(models):
        torch.testing.assert_close(stacked[i], model(image[i], label[i]), rtol=1e-9, atol=0)


def test_gradients_of_a_stack_equal_those_of_single_networks() -> None:
    models = [messy_mlp.build(small(m, precision="float64")).double() for m in (0.1, 0.6, 0.9)]
    parameters, buffers = stack_module_state(models)
    image, label = torch.rand(3, 7, 6, dtype=torch.float64), torch.randint(0, 10, (3, 7))

    def loss(
        p: dict[str, torch.Tensor], b: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        out: torch.Tensor = functional_call(models[0], (p, b), (x, y))
        return out.square().mean()

    stacked = vmap(torch.func.grad(loss))(parameters, buffers, image, label)
    for i, model in enumerate(models):
        alone = torch.autograd.grad(
            model(image[i], label[i]).square().mean(), list(model.parameters())
        )
        for (name, _), expected in zip(model.named_parameters(), alone, strict=True):
            torch.testing.assert_close(stacked[name][i], expected, rtol=1e-9, atol=1e-15)


def test_the_scale_alpha_leaves_the_representation_alone() -> None:
    model = messy_mlp.build(small(0.3, "linspace"))
    before = {name: value.clone() for name, value in model.named_buffers()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0)
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
    assert torch.equal(model(torch.rand(2, 6), torch.tensor([0, 1])), torch.zeros(2, 10))


def test_buffers_have_the_precision_of_the_run() -> None:
    double = messy_mlp.build(small(0.98, "linspace", precision="float64"))
    assert double.messiness.item() == 0.98
    assert double.template.dtype == torch.float64
    assert messy_mlp.build(small(0.98, precision="tf32")).messiness.dtype == torch.float32


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            small(0.5, "one_hot"),
            "messy_mlp: network.template = 'one_hot' is not accepted; one of label, linspace",
        ),
        (small(1.5), r"Run: messiness = 1.5 is not accepted by messy_mlp; in \[0, 1\]"),
        (small(-0.1), "Run: messiness = -0.1 is not accepted"),
        (RUN.replace(network={"activation": "relu"}), "messy_mlp: network needs widths"),
        (
            RUN.replace(network={"widths": (6, 8, 10), "activation": "gelu"}),
            "network.activation = 'gelu' is not accepted",
        ),
    ],
)
def test_bad_input(run: Run, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        messy_mlp.build(run)


def test_the_registry_finds_it() -> None:
    assert find_model("messy_mlp") is messy_mlp
