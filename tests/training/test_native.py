"""The native step against float64 autograd with torch.optim.AdamW, against torch's own step, and
where there is none.
"""

from __future__ import annotations

import ctypes
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from omnigrok.curves import Curves
from omnigrok.data import default_root, find_task
from omnigrok.errors import BadInput, DataCheckFailed
from omnigrok.models import find_model
from omnigrok.run import Run, freeze
from omnigrok.training import Stack, native, native_library, train
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.device import arithmetic

Compare = Callable[..., None]
CONSTRAINTS = ("free", "rescale", "rescale_double", "published", "tangent")
ACTIVATIONS = ("tanh", "relu", "leaky_relu_0.2")
LOSSES = ("mse", "cross_entropy")
STEPS = 50
RTOL = 1e-9


def _built() -> bool:
    return native_library._attempt()[0] is not None


needs_native = pytest.mark.skipif(
    not _built(), reason=f"no native step here: {native_library._attempt()[1]}"
)


@pytest.fixture(autouse=True)
def no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIGROK_NATIVE", raising=False)
    monkeypatch.setenv("OMNIGROK_COMPILE", "0")


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


@needs_native
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


@needs_native
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_clipping_drops_and_betas_equal_a_plain_loop(constraint: str) -> None:
    run = images(
        constraint=constraint, clip=0.02, lr_drops=(10, 30), lr_factor=0.3, betas=(0.8, 0.98)
    )
    assert_plain(run, [run.replace(n_train=19)])
    assert not torch.allclose(
        plain_loop(run), plain_loop(run.replace(clip=0.0)), rtol=1e-6
    )  # the limit was reached


@needs_native
@pytest.mark.parametrize("template", ["label", "linspace"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_messy_replica_equals_a_plain_loop(template: str, loss: str) -> None:
    network = freeze({"widths": (784, 7, 10), "activation": "relu", "template": template})
    run = images(
        task="mnist_representation", model="messy_mlp", messiness=0.7, loss=loss, network=network
    )
    assert_plain(run, [run.replace(messiness=0.0), run.replace(messiness=1.0)])


@needs_native
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


@needs_native
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


@needs_native
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


@needs_native
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


@needs_native
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


@needs_native
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


@needs_native
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_steps_at_once_or_one_by_one_are_the_same_bits(precision: str) -> None:
    runs = [images(seed=seed, precision=precision, constraint="tangent") for seed in range(3)]
    at_once, one_by_one = stepped(runs), stepped(runs, (1,) * STEPS)
    for name in ("weights", "first", "second"):
        assert torch.equal(getattr(at_once.replicas, name), getattr(one_by_one.replicas, name))


@needs_native
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


@needs_native
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_no_bit(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [images(seed=seed, precision="float32") for seed in range(3)]
    expected = stepped(runs).replicas.weights
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert torch.equal(stepped(runs).replicas.weights, expected)


@needs_native
def test_a_checkpoint_goes_on_bit_for_bit(
    assert_equal: Compare, stepwise: Callable[..., list[Curves]], encoded: object
) -> None:
    runs = [
        images(seed=seed, steps=30, log_every=7, constraint="published", precision="float32")
        for seed in range(3)
    ]
    for whole, pieces in zip(train(runs), stepwise(runs, encoded), strict=True):
        assert_equal(whole, pieces)


@needs_native
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


@needs_native
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


@needs_native
def test_alpha_0_stays_0() -> None:
    stack = stepped([images(alpha=0.0, constraint=constraint) for constraint in ("rescale",)])
    assert not stack.replicas.weights.any()


# tanh


@needs_native
def test_tanh_is_within_two_and_a_half_units_in_the_last_place() -> None:
    """Of every float that is not a denormal, in steps of 97 floats, and of all from 2^-3 to 2^0."""
    bits = np.concatenate(
        [
            np.arange(0x00800000, 0x7F800000, 97, dtype=np.uint32),
            np.arange(0x3E000000, 0x3F800000, dtype=np.uint32),
        ]
    )
    x = bits.view(np.float32)
    y = np.empty_like(x)
    found, _ = native_library._attempt()
    assert found is not None
    address = ctypes.c_void_p
    found.functions.tanh_float(
        address(x.ctypes.data), address(y.ctypes.data), ctypes.c_int64(len(x))
    )
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(exact.astype(np.float32))).max() <= 2.5
    assert (y <= 1).all()


@needs_native
def test_tanh_is_odd_and_keeps_what_is_no_number() -> None:
    x = np.array([0.0, -0.0, 0.5, -0.5, 1e-30, 40.0, -np.inf, np.inf, np.nan], dtype=np.float32)
    y = np.empty_like(x)
    found, _ = native_library._attempt()
    assert found is not None
    found.functions.tanh_float(
        ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int64(len(x))
    )
    assert y[2] == -y[3]
    assert np.signbit(y[1])
    assert y[5:8].tolist() == [1.0, -1.0, 1.0]
    assert np.isnan(y[8])
    assert y[4] == x[4]


# What it covers


@needs_native
@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_other_models_take_torchs_step(model: str) -> None:
    network = {
        "transformer": {"d_model": 8, "d_mlp": 8, "n_heads": 2},
        "lstm": {"hidden": 4, "embedding": 4},
    }[model]
    task, data = {
        "transformer": ("modular", {"p": 5}),
        "lstm": ("imdb", {"source": "bundled", "length": 6, "vocabulary": 50, "n_test": 5}),
    }[model]
    loss = {"transformer": "cross_entropy", "lstm": "binary_cross_entropy"}[model]
    run = Run(
        task=task,
        model=model,
        seed=1,
        n_train=10,
        steps=2,
        lr=1e-3,
        loss=loss,
        data=freeze(data),
        network=freeze(network),
    )
    assert Stack([run]).native is None


OUTSIDE = """
import torch
from omnigrok.data.split import Pool, Split
from omnigrok.models.mlp import MLP
def build(run):
    return MLP((3, 4, 2), "tanh")
def split(run, root):
    return Split(Pool((torch.randn(20, 3),), {targets}), {train}, torch.arange(15, 20))
def accuracy(run, outputs, targets):
    return {{}}
"""


@needs_native
@pytest.mark.parametrize(
    ("targets", "train_places", "loss", "covered"),
    [
        ("torch.randn(20, 2)", "torch.arange(12)", "mse", True),
        ("torch.randn(20, 1)", "torch.arange(12)", "mse", False),
        ("torch.arange(20) % 2", "torch.arange(12)", "cross_entropy", True),
        ("torch.arange(20) % 3", "torch.arange(12)", "cross_entropy", False),
        ("torch.randn(20, 2).softmax(1)", "torch.arange(12)", "cross_entropy", False),
    ],
)
def test_what_does_not_fit_the_network_is_left_to_torch(
    student: Run,
    write_module: Callable[[str], str],
    targets: str,
    train_places: str,
    loss: str,
    covered: bool,
) -> None:
    module = write_module(OUTSIDE.format(targets=targets, train=train_places))
    run = student.replace(task=module, model=module, loss=loss)
    assert (Stack([run]).native is not None) is covered


@pytest.mark.parametrize("train", ["torch.arange(12) - 2", "torch.arange(12) + 20"])
def test_positions_outside_the_pool_are_refused(
    student: Run, write_module: Callable[[str], str], train: str
) -> None:
    """The native step would read memory that is not its own."""
    module = write_module(OUTSIDE.format(targets="torch.randn(20, 2)", train=train))
    run = student.replace(task=module, model=module, loss="mse")
    with pytest.raises(DataCheckFailed, match=r"position -?\d+ lies outside the pool of 20"):
        Stack([run])


# Where it cannot be built


@pytest.fixture
def unbuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and no attempt made; the folder first on PATH for compilers of one's own."""
    monkeypatch.setattr(native_library, "user_cache", lambda: tmp_path / "cache")
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.delenv("CXX", raising=False)
    native_library._attempt.cache_clear()
    yield tools
    native_library._attempt.cache_clear()


def broken_compiler(folder: Path) -> None:
    for name in ("g++", "clang++"):
        (folder / name).write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("wish", ["", "1"])
def test_a_compiler_that_does_not_work_is_tried_once_and_named(
    unbuilt: Path,
    student: Run,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wish: str,
) -> None:
    broken_compiler(unbuilt)
    if wish:
        monkeypatch.setenv("OMNIGROK_NATIVE", wish)
        with pytest.raises(
            BadInput,
            match=r"OMNIGROK_NATIVE=1: the native step cannot be built: .*this compiler is broken",
        ):
            Stack([student])
        return
    with caplog.at_level(logging.WARNING):
        (curves,) = train([student.replace(steps=3)])
        train([student.replace(steps=2)])
    assert len(curves.step) == 4
    (line,) = [
        record.getMessage() for record in caplog.records if "torch's step" in record.getMessage()
    ]
    assert "g++ ended with 1: this compiler is broken" in line


def test_without_a_compiler_torchs_step_is_taken(
    unbuilt: Path, student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(unbuilt))
    assert Stack([student]).native is None
    assert native_library._attempt()[1] == "there is no C++ compiler"


def test_without_mkl_torchs_step_is_taken(
    unbuilt: Path, student: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_library.torch, "__file__", str(unbuilt / "__init__.py"))
    assert Stack([student]).native is None
    assert "comes without MKL" in native_library._attempt()[1]


def test_a_cache_that_cannot_be_written_is_a_reason(unbuilt: Path, student: Run) -> None:
    (unbuilt.parent / "cache").write_text("a file where a folder should be")
    assert Stack([student]).native is None
    assert native_library._attempt()[0] is None


def test_a_library_of_another_machine_is_a_reason(unbuilt: Path, student: Run) -> None:
    path = native_library.library_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no library")
    assert Stack([student]).native is None
    assert str(path) in native_library._attempt()[1]


@needs_native
def test_it_is_built_once_and_kept_whole(unbuilt: Path) -> None:
    assert native_library._attempt()[0] is not None
    path = native_library.library_path()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert stat.S_ISREG(path.stat().st_mode)
    before = path.stat().st_mtime_ns
    native_library._attempt.cache_clear()
    assert native_library._attempt()[0] is not None
    assert path.stat().st_mtime_ns == before


def test_the_key_of_the_cache_knows_source_torch_and_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "step.cpp"
    source.write_text("// another")
    keys = {native_library.library_path()}
    for target, name, value in (
        (native_library, "SOURCE", source),
        (native_library.torch, "__version__", "9"),
        (native_library, "_processor", lambda: "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, value)
            keys.add(native_library.library_path())
    assert len(keys) == 4


@pytest.mark.parametrize("wish", ["yes", "2"])
def test_another_wish_is_refused(wish: str, student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", wish)
    with pytest.raises(BadInput, match=f"OMNIGROK_NATIVE={wish} is not accepted; 0 .* or 1"):
        Stack([student])


def test_it_can_be_switched_off(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    assert Stack([student]).native is None


@needs_native
def test_too_little_memory_is_an_error(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack([student])
    assert stack.native is not None
    stack.feed.load(0, 1)
    stack.native.fixed["parameters"] = 2**55
    with pytest.raises(MemoryError, match="activations"):
        stack.native.train(stack.replicas, stack.feed, 1)
