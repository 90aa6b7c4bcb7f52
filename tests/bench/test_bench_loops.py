"""What is compared does the same work: the loops take the trainer's steps, and PyTorch Geometric's
networks are ours.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from omnigrok.bench import graphs, jax_loop, loops
from omnigrok.bench.families import FAMILIES, find_family, variant_names, variants
from omnigrok.data import default_root
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.models.lstm import LSTM
from omnigrok.run import Run, freeze
from omnigrok.training.stack import Stack, train
from omnigrok.training.work import step_operations

CPU = torch.device("cpu")
STUDENT = Run(
    task="teacher_student",
    model="mlp",
    seed=3,
    n_train=12,
    steps=6,
    lr=1e-2,
    weight_decay=0.5,
    log_every=1,
    data=freeze({"n_test": 4}),
    network=freeze({"widths": (3, 6, 2), "activation": "tanh"}),
)
DIGITS = Run(
    task="mnist",
    model="mlp",
    seed=0,
    n_train=20,
    steps=6,
    lr=1e-3,
    batch_size=8,
    data=freeze({"source": "bundled", "n_test": 4}),
    network=freeze({"widths": (784, 4, 10), "activation": "relu"}),
)
MOLECULES = FAMILIES["nnconv"].run.replace(n_train=6, batch_size=4, data={"n_test": 2})


needs_graphs = pytest.mark.skipif(not graphs.installed(), reason=graphs.ABSENT)


@pytest.mark.parametrize("source", [loops.from_loader, loops.from_device])
def test_the_plain_loop_takes_the_trainers_steps(source: object) -> None:
    model, split = loops.build(STUDENT, CPU, Path())
    (inputs,), targets = loops.training_set(split)
    loops.plain(STUDENT, model, source(STUDENT, split, CPU))(6)  # type: ignore[operator]
    (curves,) = train([STUDENT])
    with torch.no_grad():
        assert float(nn.functional.mse_loss(model(inputs), targets)) == pytest.approx(
            float(curves["train_loss"][-1]), rel=1e-4
        )


@pytest.mark.parametrize("source", [loops.from_loader, loops.from_device])
def test_batches_are_an_epoch_of_shuffled_samples(source: object) -> None:
    _, split = loops.build(DIGITS, CPU, default_root())
    (images,), _ = loops.training_set(split)
    epoch = list(islice(source(DIGITS, split, CPU), 3))  # type: ignore[operator]
    assert [len(targets) for _, targets in epoch] == [8, 8, 4]
    seen = torch.cat([inputs[0] for inputs, _ in epoch])
    assert not torch.equal(seen, images)
    assert torch.equal(seen.sum(1).sort().values, images.sum(1).sort().values)


def test_by_hand_each_replica_has_data_and_weights_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its steps are the trainer's: the losses that the optimiser saw fall as theirs do."""
    runs = [STUDENT.replace(seed=seed) for seed in range(3)]
    kept: list[dict[str, torch.Tensor]] = []
    real = loops.stack_module_state

    def spy(models: list[nn.Module]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        state = real(models)
        kept.append(state[0])
        return state

    monkeypatch.setattr(loops, "stack_module_state", spy)
    loops.by_hand(runs, CPU, Path())(6)
    for row, (run, curves) in enumerate(zip(runs, train(runs), strict=True)):
        model, split = loops.build(run, CPU, Path())
        (inputs,), targets = loops.training_set(split)
        with torch.no_grad():
            outputs = torch.func.functional_call(
                model, {name: value[row] for name, value in kept[0].items()}, inputs
            )
        assert float(nn.functional.mse_loss(outputs, targets)) == pytest.approx(
            float(curves["train_loss"][-1]), rel=1e-4
        )


@pytest.mark.skipif(not jax_loop.installed(), reason=jax_loop.ABSENT)
@pytest.mark.parametrize("run", [STUDENT, DIGITS.replace(n_train=16)], ids=["full", "batches"])
def test_in_jax_the_steps_are_the_trainers(run: Run) -> None:
    runs = [run.replace(seed=seed) for seed in range(3)]
    advance = jax_loop.stacked(runs, default_root())
    advance(2)
    advance(4)
    losses = [
        curves["train_loss"][-1] for curves in train([each.replace(log_every=6) for each in runs])
    ]
    assert advance.losses() == pytest.approx(losses, rel=1e-3)


@pytest.mark.skipif(not jax_loop.installed(), reason=jax_loop.ABSENT)
@pytest.mark.parametrize(
    "run",
    [DIGITS, STUDENT.replace(precision="float64"), FAMILIES["transformer"].run],
    ids=["ragged", "float64", "other"],
)
def test_in_jax_other_settings_are_refused(run: Run) -> None:
    with pytest.raises(BadInput, match="JAX trains perceptrons"):
        jax_loop.stacked([run], default_root())


def test_by_hand_mini_batches_train_each_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [DIGITS.replace(seed=seed) for seed in range(2)]
    shapes: list[torch.Size] = []
    kept: list[dict[str, torch.Tensor]] = []
    real, state_of = loops.functional_call, loops.stack_module_state

    def call(model: nn.Module, state: object, inputs: tuple[torch.Tensor, ...]) -> object:
        shapes.append(inputs[0].shape)
        return real(model, state, inputs)  # type: ignore[arg-type]

    def keep(models: list[nn.Module]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        kept.append((state := state_of(models))[0])
        return state

    def losses() -> list[float]:
        found = []
        for row, run in enumerate(runs):
            model, split = loops.build(run, CPU, default_root())
            inputs, targets = loops.training_set(split)
            state = {name: value[row].detach() for name, value in kept[0].items()}
            found.append(float(loops.LOSSES[run.loss]()(real(model, state, inputs), targets)))
        return found

    monkeypatch.setattr(loops, "functional_call", call)
    monkeypatch.setattr(loops, "stack_module_state", keep)
    advance = loops.by_hand(runs, CPU, default_root())
    before = losses()
    advance(200)
    advance(200)
    assert shapes == [(8, 784)] * 400
    assert all(new < old / 2 for new, old in zip(losses(), before, strict=True)), before


def test_the_loop_of_the_trainer_takes_the_trainers_mini_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")
    runs = [DIGITS.replace(seed=seed, log_every=5) for seed in range(2)]
    made: list[Stack] = []
    monkeypatch.setattr(loops, "Stack", lambda *given: made.append(Stack(*given)) or made[0])
    advance = loops.trainer(runs, CPU, default_root())
    advance(2)
    advance(3)
    assert made[0].step == 5
    expected = [curves["train_loss"][list(curves.step).index(5)] for curves in train(runs)]
    assert made[0].evaluate()["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_lstm_of_the_plain_loop_is_torchs_with_the_same_outputs() -> None:
    ours = LSTM(vocabulary=20, embedding=4, hidden=5, layers=2)
    tokens = torch.randint(0, 21, (3, 9), generator=torch.Generator().manual_seed(0))
    calls: list[object] = []
    ours.lstm.register_forward_hook(lambda *given: calls.append(given))
    expected = ours(tokens)
    assert not calls
    torch.testing.assert_close(loops.TorchLSTM(ours)(tokens), expected)
    assert len(calls) == 1


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_loops_calculate_in_the_precision_of_the_run(precision: str) -> None:
    run = STUDENT.replace(precision=precision, loss_precision=precision)
    model, split = loops.build(run, CPU, Path())
    dtype = torch.float64 if precision == "float64" else torch.float32
    (inputs,), targets = loops.training_set(split)
    assert (
        {parameter.dtype for parameter in model.parameters()}
        == {inputs.dtype, targets.dtype}
        == {dtype}
    )
    before = [parameter.clone() for parameter in model.parameters()]
    loops.plain(run, model, loops.from_device(run, split, CPU))(1)
    assert not any(
        torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)
    )
    assert {
        parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None
    } == {dtype}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_takes_a_step_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small, and with bundled data: what the benchmark would only find out after minutes."""
    small = {"imdb": {"source": "bundled", "n_test": 2}, "qm9": {"n_test": 2}, "modular": {"p": 7}}
    network = {"transformer": {"d_model": 8, "d_mlp": 8, "n_heads": 2}, "lstm": {"hidden": 8}}
    run = FAMILIES[name].run
    batch = 4 if run.batch_size else 0
    run = run.replace(
        n_train=20,
        batch_size=batch,
        data=small.get(run.task, run.data),
        network=network.get(run.model, run.network),
    )
    stepped: list[list[torch.Tensor]] = []

    def step(optimizer: torch.optim.AdamW) -> None:
        stepped.append(
            [parameter.grad for group in optimizer.param_groups for parameter in group["params"]]
        )

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    loops.by_hand([run.replace(seed=seed) for seed in range(2)], CPU, default_root())(1)
    ((*gradients,),) = stepped
    assert all(len(gradient) == 2 and gradient.isfinite().all() for gradient in gradients)
    # Each of the two networks has a gradient, and its own.
    assert all(any(gradient[replica].any() for gradient in gradients) for replica in range(2))
    assert not all(torch.equal(gradient[0], gradient[1]) for gradient in gradients)


@needs_graphs
@pytest.mark.parametrize("name", ["nnconv", "graph-conv"])
def test_the_graph_networks_of_pytorch_geometric_are_ours(name: str) -> None:
    """As many parameters, and the same outputs from the same weights."""
    run = FAMILIES[name].run.replace(n_train=6, batch_size=6, data={"n_test": 2})
    ours, split = loops.build(run, CPU, default_root())
    theirs = graphs.build(run)
    assert sorted(p.numel() for p in theirs.parameters()) == sorted(
        p.numel() for p in ours.parameters()
    )
    with torch.no_grad():
        for convolution, layer in ((theirs.first, 0), (theirs.second, 1)):
            if name == "nnconv":
                mine = (ours.conv_1, ours.conv_2)[layer]
                convolution.nn.load_state_dict(mine.edge.state_dict())
                convolution.lin.weight.copy_(mine.root.weight)
            else:
                mine = ours.convolutions[layer]
                convolution.lin.weight.copy_(mine.linear.weight)
            convolution.bias.copy_(mine.bias)
        last = ours.head[0] if name == "nnconv" else ours.linear
        theirs.head.load_state_dict(last.state_dict())
        (batch,), targets = next(loops.from_molecules(run, split, CPU))
        inputs, expected = loops.training_set(split)
        found, wanted = theirs(batch), ours(*inputs)
    order, other = targets.flatten().argsort(), expected.flatten().argsort()
    torch.testing.assert_close(
        found.flatten()[order], wanted.flatten()[other], rtol=1e-4, atol=1e-4
    )


@needs_graphs
def test_pytorch_geometric_has_no_other_networks() -> None:
    with pytest.raises(BadInput, match="accepted: nnconv, graph_conv"):
        graphs.build(STUDENT)


# Families


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_setting_of_the_audit(name: str) -> None:
    family = FAMILIES[name]
    assert family.run.constraint == "free"
    assert find_model(family.run.model).build(family.run)
    assert step_operations(family.run) > 0
    for device in ("cpu", "cuda"):
        assert 1 in family.sizes[device]
        assert [
            each.name for each in variants(family, torch.device(device), Path())
        ] == variant_names(family, device)


@pytest.mark.parametrize(
    "name",
    ["teacher-student", "mnist", "messy-mnist", "addition", "transformer", "transformer-float64"],
)
def test_the_layers_are_most_of_the_operations(name: str) -> None:
    """Three products each, and two for the first where it reads the data."""
    family = FAMILIES[name]
    listed = 6 * sum(rows * fan_in * fan_out for rows, fan_in, fan_out in family.layers)
    assert 0.95 < listed / step_operations(family.run) < 1.5


def test_an_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match="unknown family 'cnn'; accepted: teacher-student, mnist"):
        find_family("cnn")
