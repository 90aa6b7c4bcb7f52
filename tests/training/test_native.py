"""The native step against float64 autograd with torch.optim.AdamW, and against torch's own step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from omnigrok.curves import Curves
from omnigrok.data import default_root, find_task
from omnigrok.models import find_model
from omnigrok.run import Run, freeze
from omnigrok.training import Stack, native, train
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.device import arithmetic

Compare = Callable[..., None]
CONSTRAINTS = ("free", "rescale", "rescale_double", "published", "tangent")
ACTIVATIONS = ("tanh", "relu", "leaky_relu_0.2")
LOSSES = ("mse", "cross_entropy")
STEPS = 50
RTOL = 1e-9

pytestmark = pytest.mark.usefixtures("no_wish")


def images(**changes: object) -> Run:
    """A small network on the bundled digits, whose batches of 8 leave an epoch of 20 with
    one of 4.
    """
    fields: dict[str, object] = {
        "task": "mnist",
        "model": "mlp",
        "seed": 1,
        "n_train": 20,
        "steps": STEPS,
        "lr": 1e-3,
        "batch_size": 8,
        "alpha": 2.0,
        "weight_decay": 0.3,
        "log_every": STEPS,
        "precision": "float64",
        "data": freeze({"source": "bundled", "n_test": 12}),
        "network": freeze({"widths": (784, 7, 6, 10), "activation": "tanh"}),
        **changes,
    }
    return Run(**fields)  # type: ignore[arg-type]


# A plain loop


def norm_square(parameters: list[Tensor], constraint: str) -> Tensor:
    squares = [parameter.square().sum() for parameter in parameters]
    return torch.stack(squares).sum() + (
        squares[0] if constraint in ("rescale_double", "published") else 0
    )


@torch.no_grad()
def rescale(parameters: list[Tensor], held: Tensor, constraint: str) -> None:
    factor = (held / norm_square(parameters, constraint)).sqrt()
    for parameter in parameters:
        parameter.mul_(factor)


def remove_radial(parameters: list[Tensor]) -> None:
    dots = [(parameter * parameter.grad).sum() for parameter in parameters]
    share = torch.stack(dots).sum() / norm_square(parameters, "free")
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad -= share * parameter


def plain_loop(run: Run) -> Tensor:
    """The parameters after the last step: nn.Module, autograd and torch.optim.AdamW in float64."""
    torch.manual_seed(run.seed)
    split = find_task(run.task).split(run, default_root())
    model = find_model(run.model).build(run).double()
    parameters: list[Tensor] = list(model.parameters())
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(run.alpha)
    held = norm_square(parameters, run.constraint).detach()
    inputs = [each.double() if each.is_floating_point() else each for each in split.pool.inputs]
    loss_of, targets = nn.CrossEntropyLoss(), split.pool.targets
    if run.loss == "mse":
        loss_of, targets = nn.MSELoss(), targets.double()  # type: ignore[assignment]
    optimizer = torch.optim.AdamW(
        parameters, lr=run.lr, weight_decay=run.weight_decay, betas=run.betas
    )
    positions, real = batch_order(run, 0, run.steps, effective_batch(run))
    for step in range(run.steps):
        if step in run.lr_drops:
            for group in optimizer.param_groups:
                group["lr"] *= run.lr_factor
        chosen = split.train[torch.as_tensor(positions[step][real[step]])]
        optimizer.zero_grad()
        torch.autograd.backward(loss_of(model(*(each[chosen] for each in inputs)), targets[chosen]))
        if run.constraint == "tangent":
            remove_radial(parameters)
        if run.clip:
            nn.utils.clip_grad_norm_(parameters, run.clip)
        if run.constraint == "published":
            rescale(parameters, held, run.constraint)
        optimizer.step()
        if run.constraint in ("rescale", "rescale_double", "tangent"):
            rescale(parameters, held, run.constraint)
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])


def stepped(runs: list[Run], chunks: tuple[int, ...] = (STEPS,)) -> Stack:
    """A stack after so many native steps."""
    stack = Stack(runs)
    assert stack.native is not None
    with arithmetic(stack.form.precision, stack.replicas.device):
        for count in chunks:
            stack.take_steps(count)
    return stack


def assert_plain(run: Run, others: list[Run]) -> None:
    stack = stepped([*others, run])
    expected = plain_loop(run)
    torch.testing.assert_close(
        stack.replicas.weights[-1], expected, rtol=RTOL, atol=RTOL * float(expected.abs().max())
    )


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [8, 0], ids=["ragged", "full"])
def test_a_replica_equals_autograd_and_adamw(
    activation: str, loss: str, constraint: str, batch: int
) -> None:
    run = images(
        loss=loss,
        constraint=constraint,
        batch_size=batch,
        network=freeze({"widths": (784, 7, 6, 10), "activation": activation}),
    )
    assert_plain(run, [run.replace(seed=2, alpha=1.0), run.replace(seed=3, lr=1e-2)])


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_clipping_drops_and_betas_equal_a_plain_loop(constraint: str) -> None:
    run = images(
        constraint=constraint, clip=0.02, lr_drops=(10, 30), lr_factor=0.3, betas=(0.8, 0.98)
    )
    assert_plain(run, [run.replace(n_train=19)])
    assert not torch.allclose(
        plain_loop(run), plain_loop(run.replace(clip=0.0)), rtol=1e-6
    )  # the limit was reached


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("template", ["label", "linspace"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_messy_replica_equals_a_plain_loop(template: str, loss: str) -> None:
    network = freeze({"widths": (784, 7, 10), "activation": "relu", "template": template})
    run = images(
        task="mnist_representation", model="messy_mlp", messiness=0.7, loss=loss, network=network
    )
    assert_plain(run, [run.replace(messiness=0.0), run.replace(messiness=1.0)])


@pytest.mark.usefixtures("native_step")
def test_a_decoder_equals_a_plain_loop() -> None:
    run = images(
        task="addition",
        model="decoder",
        n_train=45,
        batch_size=0,
        messiness=0.3,
        data=freeze({"representation": "planar"}),
        network=freeze({"hidden": (9, 8), "activation": "leaky_relu_0.2"}),
    )
    assert_plain(run, [run.replace(messiness=0.0)])


@pytest.mark.usefixtures("native_step")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    hidden=st.lists(st.integers(1, 9), max_size=3),
    n_train=st.integers(1, 12),
    batch=st.integers(0, 14),
    activation=st.sampled_from(ACTIVATIONS),
    constraint=st.sampled_from(CONSTRAINTS),
    decay=st.floats(0, 2),
    alpha=st.floats(0.1, 3),
    clip=st.sampled_from([0.0, 0.01]),
    steps=st.integers(1, 12),
)
def test_any_small_network_equals_a_plain_loop(
    hidden: list[int],
    n_train: int,
    batch: int,
    activation: str,
    constraint: str,
    decay: float,
    alpha: float,
    clip: float,
    steps: int,
) -> None:
    run = Run(
        task="addition",
        model="decoder",
        seed=5,
        n_train=n_train,
        steps=steps,
        lr=1e-3,
        batch_size=batch,
        alpha=alpha,
        clip=clip,
        constraint=constraint,
        weight_decay=decay,
        precision="float64",
        log_every=steps,
        data=freeze({"unseen": True, "target_dim": 3}),
        network=freeze({"hidden": tuple(hidden), "activation": activation}),
    )
    stack = stepped([run], (steps,))
    expected = plain_loop(run)
    # Adam divides by gradients that may be nothing but rounding; then a step is lr in a direction
    # that rounding chose.
    torch.testing.assert_close(
        stack.replicas.weights[0],
        expected,
        rtol=1e-8,
        atol=1e-8 * max(1.0, float(expected.abs().max())),
    )


@pytest.mark.usefixtures("native_step")
def test_inputs_that_are_zero_in_training_are_left_out_and_decay_as_in_a_plain_loop() -> None:
    run = images(constraint="tangent")
    stack = Stack([run, run.replace(seed=2, n_train=300), run.replace(seed=3)])
    assert stack.native is not None
    runs = stack.native.runs
    for row in range(3):
        begin, end = runs["first_run"][row : row + 2].tolist()
        starts, lengths = runs["run_starts"][begin:end], runs["run_lengths"][begin:end]
        found = torch.zeros(784, dtype=torch.bool)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            found[start : start + length] = True
        chosen = stack.replicas.samples.train[row][stack.replicas.samples.train_real[row]]
        assert torch.equal(found, (stack.replicas.samples.inputs[0].values[chosen] != 0).any(0))
    assert_plain(run, [run.replace(seed=2, n_train=300)])


@pytest.mark.usefixtures("native_step")
def test_where_all_inputs_count_none_is_left_out(
    student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack([student])
    assert stack.native is not None
    assert stack.native.runs == {}
    monkeypatch.setattr(native, "LARGEST_SEARCHED", 19)  # of 20 training images
    stack = Stack([images()])
    assert stack.native is not None
    assert stack.native.runs == {}


# Torch's step


def both_ways(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Curves, Curves]]:
    ours = train(runs)
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    yield from zip(ours, train(runs), strict=True)


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize(
    ("precision", "loss_precision", "rtol"),
    [
        ("float32", "float32", 1e-4),
        ("float32", "float64", 1e-4),
        ("tf32", "float32", 1e-4),
        ("float64", "float64", 1e-9),
    ],
)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_curves_are_those_of_torchs_step(
    precision: str,
    loss_precision: str,
    rtol: float,
    loss: str,
    activation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = freeze({"widths": (784, 7, 6, 10), "activation": activation})
    form = images(
        steps=20,
        log_every=1,
        precision=precision,
        loss_precision=loss_precision,
        loss=loss,
        network=network,
    )
    runs = [
        form.replace(constraint=constraint, seed=seed, n_train=18 + seed)
        for constraint in ("rescale",)
        for seed in range(3)
    ]
    for ours, torchs in both_ways(runs, monkeypatch):
        assert sorted(ours.columns) == sorted(torchs.columns)
        for name, values in torchs.columns.items():
            np.testing.assert_allclose(ours[name], values, rtol=rtol, atol=1e-12, err_msg=name)


@pytest.mark.usefixtures("native_step")
def test_a_stack_may_change_between_the_steps(student: Run) -> None:
    runs = [student.replace(seed=seed, constraint="rescale") for seed in range(3)]
    stack, reference = Stack(runs), stepped(runs, (30,))
    with arithmetic("float64", stack.replicas.device):
        for k, step in enumerate([stack.native, None, stack.native]):
            stack.native = step
            stack.take_steps(10)
            assert stack.step == 10 * (k + 1)
    torch.testing.assert_close(
        stack.replicas.weights, reference.replicas.weights, rtol=RTOL, atol=1e-12
    )
    torch.testing.assert_close(
        stack.replicas.second, reference.replicas.second, rtol=RTOL, atol=1e-15
    )


# A pure function of the Runs


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_steps_at_once_or_one_by_one_are_the_same_bits(precision: str) -> None:
    runs = [images(seed=seed, precision=precision, constraint="tangent") for seed in range(3)]
    at_once, one_by_one = stepped(runs), stepped(runs, (1,) * STEPS)
    for name in ("weights", "first", "second"):
        assert torch.equal(getattr(at_once.replicas, name), getattr(one_by_one.replicas, name))


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 1e-4), ("float64", RTOL)])
def test_a_replica_is_the_same_alone_and_in_any_stack(precision: str, rtol: float) -> None:
    """But for rounding: MKL adds in an order that depends on where in a cache line a matrix
    begins.
    """
    runs = [
        images(seed=seed, precision=precision, n_train=16 + seed, constraint="rescale", steps=20)
        for seed in range(5)
    ]
    stack = stepped(runs, (20,))
    for row, run in enumerate(runs):
        torch.testing.assert_close(
            stepped([run], (20,)).replicas.weights[0],
            stack.replicas.weights[row],
            rtol=rtol,
            atol=rtol / 100,
        )


@pytest.mark.usefixtures("native_step")
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_no_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [images(seed=seed, precision="float32") for seed in range(3)]
    expected = stepped(runs).replicas.weights
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert torch.equal(stepped(runs).replicas.weights, expected)


@pytest.mark.usefixtures("native_step")
def test_a_checkpoint_goes_on_bit_for_bit(
    assert_equal: Compare, stepwise: Callable[..., list[Curves]], encoded: object
) -> None:
    runs = [
        images(seed=seed, steps=30, log_every=7, constraint="published", precision="float32")
        for seed in range(3)
    ]
    for whole, pieces in zip(train(runs), stepwise(runs, encoded), strict=True):
        assert_equal(whole, pieces)


@pytest.mark.usefixtures("native_step")
def test_replicas_leave_as_soon_as_they_have_finished(student: Run, assert_equal: Compare) -> None:
    runs = [
        student.replace(seed=seed, steps=steps) for seed, steps in enumerate((5, 10, 20, 20, 30))
    ]
    stack, sizes, done = Stack(runs), set(), []
    while stack.histories:
        sizes.add(len(stack.replicas.weights))
        done += stack.advance(0)
    assert sizes == {5, 4, 3, 1}
    for curves in done:
        assert_equal(train([curves.run])[0], curves)


@pytest.mark.usefixtures("native_step")
def test_a_replica_that_diverges_hurts_no_other(student: Run) -> None:
    calm, wild = train(
        [
            student.replace(precision="float32"),
            student.replace(seed=1, lr=1e30, precision="float32"),
        ]
    )
    assert wild.diverged
    assert not calm.diverged
    assert np.isfinite(calm["train_loss"]).all()


@pytest.mark.usefixtures("native_step")
def test_alpha_0_stays_0() -> None:
    stack = stepped([images(alpha=0.0, constraint=constraint) for constraint in ("rescale",)])
    assert not stack.replicas.weights.any()
