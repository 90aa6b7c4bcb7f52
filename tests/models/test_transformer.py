"""The transformer of ``omnigrok.models.transformer`` against its definition written out, and
against the authors' numbers.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from omnigrok.data import modular
from omnigrok.errors import BadInput
from omnigrok.models import find_model, transformer
from omnigrok.run import Run

ROOT = Path("unused")
SMALL = {"d_model": 8, "n_heads": 2, "d_mlp": 16}


def a_run(**changes):
    fields = {
        "task": "modular",
        "model": "transformer",
        "seed": 0,
        "n_train": 20,
        "steps": 1,
        "lr": 1e-3,
        "loss": "cross_entropy",
        "precision": "float64",
        "data": {"p": 7},
        "network": SMALL,
    }
    return Run(**(fields | changes))


AUTHORS = {"data": {}, "network": {}, "n_train": 3830}


def norm(model):
    return math.sqrt(
        sum(float(parameter.detach().double().square().sum()) for parameter in model.parameters())
    )


def written_out(model, tokens):
    """All three positions, an explicit causal mask, every sample and head on its own; (batch, 3,
    vocabulary).
    """
    n_heads, d_head, _ = model.key.shape
    outputs = []
    for prompt in tokens:
        stream = torch.stack(
            [model.embedding[token] + model.position[place] for place, token in enumerate(prompt)]
        )
        heads = []
        for head in range(n_heads):
            key, query, value = (
                stream @ weight[head].T for weight in (model.key, model.query, model.value)
            )
            scores = (query @ key.T / math.sqrt(d_head)).masked_fill(
                torch.ones(3, 3).triu(1).bool(), -math.inf
            )
            heads.append(scores.softmax(-1) @ value)
        stream = stream + torch.cat(heads, -1) @ model.output.T
        stream = (
            stream
            + (stream @ model.mlp_in.T + model.bias_in).relu() @ model.mlp_out.T
            + model.bias_out
        )
        outputs.append(stream @ model.unembedding)
    return torch.stack(outputs)


def with_biases(model):
    """The same network with biases that are not zero, so that a bias in the wrong place shows."""
    with torch.no_grad():
        model.bias_in.normal_()
        model.bias_out.normal_()
    return model


def test_is_found_by_name():
    assert find_model("transformer") is transformer


def test_parameters_and_norms_of_the_authors():
    run = a_run(**AUTHORS)
    modular.split(run, ROOT)
    model = transformer.build(run)
    assert sum(parameter.numel() for parameter in model.parameters()) == 226_816
    assert norm(model) == pytest.approx(42.28186, abs=5e-6)
    assert 0.8 * norm(model) == pytest.approx(33.8255, abs=5e-5)


def test_draws_in_the_order_of_registration():
    torch.manual_seed(5)
    model = transformer.build(a_run())
    torch.manual_seed(5)
    shapes = [(8, 8), (3, 8), (2, 4, 8), (2, 4, 8), (2, 4, 8), (8, 8), (16, 8), (8, 16), (8, 8)]
    drawn = [torch.randn(shape, dtype=torch.float64) / math.sqrt(8) for shape in shapes]
    drawn[0] = drawn[0].T
    weights = {
        name: parameter
        for name, parameter in model.named_parameters()
        if not name.startswith("bias")
    }
    assert list(weights) == [
        "embedding",
        "position",
        "key",
        "query",
        "value",
        "output",
        "mlp_in",
        "mlp_out",
        "unembedding",
    ]
    for weight, draw in zip(weights.values(), drawn, strict=True):
        torch.testing.assert_close(weight.detach(), draw, rtol=1e-15, atol=0)


def test_spread_of_the_weights_and_zero_biases():
    torch.manual_seed(0)
    model = transformer.build(a_run(data={"p": 113}, network={}))
    for name, parameter in model.named_parameters():
        if name.startswith("bias"):
            assert not parameter.any()
        else:
            fan = 114 if name == "unembedding" else 128
            assert float(parameter.detach().std()) == pytest.approx(
                1 / math.sqrt(fan), rel=0.15 if name == "position" else 0.03
            )


def test_same_draws_in_float32():
    models = []
    for precision in ("float64", "float32", "tf32"):
        torch.manual_seed(1)
        models.append(transformer.build(a_run(precision=precision)))
    for double, single, tf32 in zip(*(model.parameters() for model in models), strict=True):
        assert double.dtype == torch.float64
        assert single.dtype == tf32.dtype == torch.float32
        assert torch.equal(double.float(), single)
        assert torch.equal(single, tf32)


def test_forward_is_the_last_position_of_the_network_written_out():
    torch.manual_seed(2)
    model = with_biases(transformer.build(a_run()))
    (tokens,) = modular.pairs(7).inputs
    outputs = model(tokens)
    assert outputs.shape == (49, 8)
    assert outputs.dtype == torch.float64
    torch.testing.assert_close(outputs, written_out(model, tokens)[:, -1], rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_network_written_out():
    torch.manual_seed(3)
    model = with_biases(transformer.build(a_run()))
    (tokens,), targets = modular.pairs(7).inputs, modular.pairs(7).targets
    batch = torch.tensor([3, 17, 17, 40])
    for_each = [
        torch.autograd.grad(
            functional.cross_entropy(outputs, targets[batch]), list(model.parameters())
        )
        for outputs in (model(tokens[batch]), written_out(model, tokens[batch])[:, -1])
    ]
    for ours, theirs in zip(*for_each, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)


def test_the_answer_depends_on_order_of_the_numbers_at_the_start():
    model = transformer.build(a_run())
    outputs = model(torch.tensor([[1, 2, 7], [2, 1, 7]]))
    assert not torch.allclose(outputs[0], outputs[1])


def test_a_sample_does_not_depend_on_its_batch():
    model = transformer.build(a_run())
    (tokens,) = modular.pairs(7).inputs
    torch.testing.assert_close(model(tokens)[30:31], model(tokens[30:31]), rtol=1e-12, atol=1e-12)


def test_stack_of_three_equals_three_networks():
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        models.append(with_biases(transformer.build(a_run())))
    parameters, buffers = stack_module_state(models)
    pool = modular.pairs(7)
    batches = torch.stack([torch.randperm(49)[:11] for _ in models])

    def loss(own, index):
        outputs = functional_call(models[0], own, tuple(column[index] for column in pool.inputs))
        return functional.cross_entropy(outputs, pool.targets[index])

    assert not buffers
    stacked = vmap(lambda own, index: functional_call(models[0], own, (pool.inputs[0][index],)))(
        parameters, batches
    )
    gradients = vmap(grad(loss))(parameters, batches)
    for replica, (model, batch) in enumerate(zip(models, batches, strict=True)):
        torch.testing.assert_close(
            stacked[replica], model(pool.inputs[0][batch]), rtol=1e-9, atol=1e-12
        )
        alone = grad(loss)(dict(model.named_parameters()), batch)
        for name, gradient in alone.items():
            torch.testing.assert_close(gradients[name][replica], gradient, rtol=1e-9, atol=1e-12)


def test_learns_its_training_pairs_and_not_the_others():
    run = a_run(
        n_train=60, data={"p": 11}, network={"d_model": 32, "d_mlp": 64}, precision="float32"
    )
    split = modular.split(run, ROOT)
    model = transformer.build(run)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    (tokens,), targets = split.pool.inputs, split.pool.targets
    for _ in range(60):
        optimiser.zero_grad()
        functional.cross_entropy(model(tokens[split.train]), targets[split.train]).backward()
        optimiser.step()
    train, test = (
        modular.accuracy(run, model(tokens[part]), targets[part])["acc"].mean()
        for part in (split.train, split.test)
    )
    assert train == 1
    assert test < 0.6


def test_defaults_are_those_of_the_paper():
    model = transformer.build(a_run(data={}, network={}))
    assert model.key.shape == (4, 32, 128)
    assert model.mlp_in.shape == (512, 128)
    assert model.embedding.shape == (114, 128)
    assert model.position.shape == (3, 128)
    assert model.unembedding.shape == (128, 114)


@pytest.mark.parametrize("name", ["d_model", "n_heads", "d_mlp"])
@pytest.mark.parametrize("value", [0, -4, 8.0, "8", True])
def test_bad_size(name, value):
    with pytest.raises(
        BadInput,
        match=rf"transformer: network.{name} = .* is not accepted; a whole number of 1 or more",
    ):
        transformer.build(a_run(network=SMALL | {name: value}))


def test_heads_must_divide_the_width():
    with pytest.raises(BadInput, match="network: d_model = 8 must be a multiple of n_heads = 3"):
        transformer.build(a_run(network=SMALL | {"n_heads": 3}))


def test_modulus_is_checked_here_too():
    with pytest.raises(BadInput, match=r"transformer: data\.p = 1 is not accepted"):
        transformer.build(a_run(data={"p": 1}))


GOLDEN = {
    200: (0.2480, 0.0044),
    220: (0.3713, 0.0211),
    240: (0.7504, 0.2048),
    260: (0.9770, 0.7221),
    280: (0.9995, 0.9577),
    300: (1.0, 0.9969),
}


@pytest.mark.slow
def test_accuracies_that_the_authors_printed_at_constant_norm():
    """docs/protocol.md, Figure 7b: alpha = .8, norm held at 33.825; a plain loop, about a minute on
    one core.
    """
    run = a_run(**AUTHORS)
    split = modular.split(run, ROOT)
    model = transformer.build(run)
    (tokens,), targets = split.pool.inputs, split.pool.targets
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.8)
    held = norm(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0, betas=(0.9, 0.98))
    for step in range(max(GOLDEN) + 1):
        outputs = model(tokens[split.train])
        if step in GOLDEN:
            with torch.no_grad():
                test = modular.accuracy(run, model(tokens[split.test]), targets[split.test])[
                    "acc"
                ].mean()
            train = modular.accuracy(run, outputs, targets[split.train])["acc"].mean()
            assert (float(train), float(test)) == pytest.approx(GOLDEN[step], abs=5.1e-5), step
        optimiser.zero_grad()
        functional.cross_entropy(outputs, targets[split.train]).backward()
        optimiser.step()
        with torch.no_grad():
            factor = held / norm(model)
            for parameter in model.parameters():
                parameter.mul_(factor)
