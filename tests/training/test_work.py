from __future__ import annotations

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from omnigrok.data import default_root
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.models.lstm import WORDS
from omnigrok.run import Run, freeze
from omnigrok.training.stack import Stack
from omnigrok.training.stackable import shape_key
from omnigrok.training.work import (
    COPIES,
    Work,
    evaluation_operations,
    replica_bytes,
    step_operations,
    work_of,
)


def setting(
    task: str,
    model: str,
    n_train: int,
    *,
    data: dict[str, object],
    network: dict[str, object],
    **more: object,
) -> Run:
    fields = {"seed": 0, "steps": 10, "lr": 1e-3, **more}
    return Run(
        task=task,
        model=model,
        n_train=n_train,
        data=freeze(data),
        network=freeze(network),
        **fields,
    )  # type: ignore[arg-type]


IMAGES = {"source": "bundled", "n_test": 5}
LAYERS = {"widths": (784, 60, 40, 10), "activation": "relu"}
STUDENT = {"widths": (5, 100, 100, 5), "activation": "tanh"}
SETTINGS = {
    "teacher-student": setting("teacher_student", "mlp", 100, data={"n_test": 5}, network=STUDENT),
    "mnist": setting("mnist", "mlp", 100, data=IMAGES, network=LAYERS, batch_size=50),
    "messy": setting(
        "mnist_representation",
        "messy_mlp",
        100,
        data=IMAGES,
        network=LAYERS,
        batch_size=50,
        messiness=0.5,
    ),
    "decoder": setting(
        "addition",
        "decoder",
        45,
        data={"representation": "scalar"},
        network={"hidden": (60, 50), "activation": "relu"},
    ),
    "transformer": setting(
        "modular",
        "transformer",
        700,
        data={"p": 31},
        network={"d_model": 64, "d_mlp": 128},
        loss="cross_entropy",
    ),
    "nnconv": setting("qm9", "nnconv", 32, data={"n_test": 5}, network={"head_hidden": 0}),
    "graph_conv": setting("qm9", "graph_conv", 32, data={"n_test": 5}, network={}),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_operations_are_those_that_torch_counts(name: str) -> None:
    """One step of one network, counted as it runs; small products and tables of tokens may make a
    tenth of difference.
    """
    run = SETTINGS[name]
    stack = Stack([run], root=default_root())
    inputs, targets = stack.replicas.samples.take(stack.replicas.samples.train[:, : stack.width])
    with FlopCounterMode(display=False) as counter:
        values = stack.replicas.weights, stack.replicas.buffers
        stack.network.gradient(*values, inputs, targets, None)
    assert step_operations(run) == pytest.approx(counter.get_total_flops(), rel=0.12)


@pytest.mark.parametrize("name", SETTINGS)
def test_floats_cover_what_autograd_saves(name: str) -> None:
    """Of one plain network: at least the distinct numbers saved for the backward pass, and not ten
    times more.
    """
    run = SETTINGS[name]
    stack = Stack([run], root=default_root())
    inputs, _ = stack.replicas.samples.take(stack.replicas.samples.train[:, : stack.width])
    torch.manual_seed(0)
    model = find_model(run.model).build(run)
    parameters = {parameter.data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in parameters:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(*(each[0] for each in inputs)).square().mean()
    held = 4 * work_of(shape_key(run)).floats * stack.width
    assert loss.requires_grad
    assert sum(saved.values()) < held < 10 * sum(saved.values())


def lstm(**network: object) -> Run:
    return setting(
        "imdb",
        "lstm",
        100,
        data={"length": 50},
        network={"hidden": 16, "embedding": 8, **network},
        batch_size=20,
        loss="binary_cross_entropy",
    )


def test_an_lstm_works_on_words_and_with_a_carried_state_on_padding_too() -> None:
    weights = 4 * 16 * (8 + 16) + 4 * 16 * (16 + 16)
    assert work_of(shape_key(lstm())).operations == pytest.approx(6 * 50 * WORDS * weights)
    assert work_of(shape_key(lstm(carry=True))).operations == 6 * 50 * weights
    assert step_operations(lstm()) == 20 * work_of(shape_key(lstm())).operations


@pytest.mark.parametrize("carry", [False, True])
def test_the_stacked_engine_of_an_lstm_goes_through_every_token(carry: bool) -> None:
    """Counted as it runs, in float64, as on a card."""
    bundled = {"source": "bundled", "length": 50, "vocabulary": 100, "n_test": 5}
    run = lstm(carry=carry).replace(precision="float64", n_train=20, data=bundled)
    stack = Stack([run], root=default_root())
    inputs, targets = stack.replicas.samples.take(stack.replicas.samples.train[:, : stack.width])
    # Which torch leaves out.
    in_place = {torch.ops.aten.baddbmm_: lambda out, a, b, **_: 2 * math.prod(a) * b[-1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        values = stack.replicas.weights, stack.replicas.buffers
        stack.network.gradient(*values, inputs, targets, None)
    assert step_operations(run) == pytest.approx(counter.get_total_flops(), rel=0.12)
    assert step_operations(run.replace(precision="float32"), "cuda") == step_operations(run)


def test_an_evaluation_is_a_forward_pass() -> None:
    run = SETTINGS["decoder"]
    assert evaluation_operations(run, 90) == pytest.approx(step_operations(run) * 90 / 45 / 3)


@pytest.mark.parametrize(("precision", "width"), [("float32", 4), ("tf32", 4), ("float64", 8)])
def test_bytes_follow_the_precision(precision: str, width: int) -> None:
    run = SETTINGS["decoder"].replace(precision=precision)
    work = work_of(shape_key(run))
    assert replica_bytes(run) == width * (COPIES * work.parameters + 45 * work.floats)


def test_somebody_elses_model_may_count_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    module = find_model("mlp")
    run = SETTINGS["teacher-student"].replace(network={"widths": (5, 7, 5), "activation": "tanh"})
    monkeypatch.setattr(module, "work", lambda run, model: (123, 45), raising=False)
    assert work_of(shape_key(run)) == Work(
        parameters=5 * 7 + 7 + 7 * 5 + 5, operations=123.0, floats=45.0
    )


def test_counting_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    work_of(
        shape_key(
            SETTINGS["decoder"].replace(lr=0.123, network={"hidden": (13,), "activation": "relu"})
        )
    )
    assert torch.equal(before, torch.get_rng_state())


def test_a_setting_that_the_model_refuses_is_an_error() -> None:
    with pytest.raises(BadInput, match="hidden"):
        step_operations(SETTINGS["decoder"].replace(network={"hidden": "many"}))
