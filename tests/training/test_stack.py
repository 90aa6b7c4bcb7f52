"""A stack is a pure function of its Runs: what a replica does, alone, in company, interrupted, or beside one that breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from omnigrok.data import default_root, find_task
from omnigrok.errors import BadInput, DataCheckFailed
from omnigrok.models import find_model
from omnigrok.runs import Curves, Run
from omnigrok.runs.encode import decode_state, encode_state
from omnigrok.training import Stack, State, train
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.feed import CHUNK
from omnigrok.training.shape import shape_key
from omnigrok.training.stack import Flat

Compare = Callable[..., None]
Write = Callable[[str], str]

ALONE_OR_STACKED = 1e-9


def sixteen(run: Run, sizes: Sequence[int]) -> list[Run]:
    return [
        run.replace(seed=k, alpha=0.5 + 0.25 * k, lr=run.lr * (1 + 0.1 * k), weight_decay=0.1 * k, n_train=sizes[k % len(sizes)])
        for k in range(16)
    ]


def plain_loop(run: Run, clip: float = 0.0) -> list[float]:
    """Training losses on the whole training set before each step and after the last: nn.Module, autograd and torch.optim.AdamW."""
    torch.manual_seed(run.seed)
    split = find_task(run.task).split(run, default_root())
    model = find_model(run.model).build(run).to(torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(run.alpha)
    inputs, targets = split.pool.inputs[0][split.train].double(), split.pool.targets[split.train].double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.lr, weight_decay=run.weight_decay, betas=run.betas)
    positions, real = batch_order(run, 0, run.steps, effective_batch(run))
    losses = []
    for step in range(run.steps):
        losses.append(nn.functional.mse_loss(model(inputs), targets).item())
        if step in run.lr_drops:
            for group in optimizer.param_groups:
                group["lr"] *= run.lr_factor
        chosen = positions[step][real[step]]
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.mse_loss(model(inputs[chosen]), targets[chosen]))
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    losses.append(nn.functional.mse_loss(model(inputs), targets).item())
    return losses


# Alone and in company


@pytest.mark.parametrize("full_batch", [True, False])
def test_teacher_student_replica_is_the_same_alone_and_in_a_stack_of_16(student: Run, assert_equal: Compare, full_batch: bool) -> None:
    runs = sixteen(student if full_batch else student.replace(batch_size=8), [12] if full_batch else [8, 12, 17, 24])
    for curves in train(runs)[::5]:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_mnist_replica_is_the_same_alone_and_in_a_stack_of_16(digits: Run, assert_equal: Compare) -> None:
    runs = sixteen(digits, [16, 40, 33, 100])
    for curves in train(runs)[::5]:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


@pytest.mark.parametrize("constraint", ["rescale", "rescale_double", "published", "tangent"])
def test_constrained_replica_is_the_same_alone_and_stacked(student: Run, assert_equal: Compare, constraint: str) -> None:
    runs = sixteen(student.replace(constraint=constraint, steps=20), [12])[:4]
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_training_sets_smaller_than_the_batch_are_filled_up_without_effect(digits: Run, assert_equal: Compare) -> None:
    """5 to 8 samples under batch 64: one stack of width 8, where filling counts neither in the loss nor in the metrics."""
    runs = [digits.replace(seed=k, n_train=5 + k, batch_size=64, steps=20) for k in range(4)]
    assert len({shape_key(run) for run in runs}) == 1
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_a_full_batch_replica_in_a_mini_batch_stack(digits: Run, assert_equal: Compare) -> None:
    runs = [digits.replace(n_train=n, steps=20) for n in (11, 16, 50)]
    assert len({shape_key(run) for run in runs}) == 1
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_curves_come_in_the_order_of_the_runs(student: Run) -> None:
    runs = [student.replace(steps=steps) for steps in (7, 3, 5)]
    assert [curves.run for curves in train(runs)] == runs


def test_training_is_a_pure_function_and_leaves_the_global_generator_alone(student: Run, assert_equal: Compare) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = train([student])[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_equal(train([student])[0], one)


def test_the_seed_matters(student: Run) -> None:
    one, other = train([student, student.replace(seed=1)])
    assert not np.isclose(one["train_loss"], other["train_loss"]).any()


# Against torch.optim.AdamW


def test_full_batch_replica_equals_a_plain_loop(student: Run) -> None:
    runs = [student.replace(alpha=2.0, weight_decay=0.3, seed=3), student]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=ALONE_OR_STACKED)


def test_mini_batch_replica_equals_a_plain_loop(digits: Run) -> None:
    """40 samples in batches of 16, 16 and 8: the last one of each epoch is smaller."""
    runs = [digits.replace(alpha=3.0, weight_decay=0.3, seed=3), digits.replace(n_train=64)]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=ALONE_OR_STACKED)


def test_clipped_replica_equals_a_plain_loop(student: Run) -> None:
    run = student.replace(alpha=4.0, clip=0.05)
    clipped, free = train([run])[0], train([run.replace(clip=0.0)])[0]
    np.testing.assert_allclose(clipped["train_loss"], plain_loop(run, clip=0.05), rtol=ALONE_OR_STACKED)
    assert not np.allclose(clipped["train_loss"], free["train_loss"], rtol=1e-3)  # the limit was reached


def test_learning_rate_drops_equal_a_plain_loop(student: Run) -> None:
    runs = [student.replace(lr_drops=(10, 30), lr_factor=0.1, weight_decay=0.5), student]
    np.testing.assert_allclose(train(runs)[0]["train_loss"], plain_loop(runs[0]), rtol=ALONE_OR_STACKED)


def test_betas_equal_a_plain_loop(student: Run) -> None:
    run = student.replace(betas=(0.8, 0.98))
    np.testing.assert_allclose(train([run])[0]["train_loss"], plain_loop(run), rtol=ALONE_OR_STACKED)


# Ends: fewer steps, divergence


def test_finished_replicas_leave_the_stack_and_the_others_do_not_notice(student: Run, assert_equal: Compare) -> None:
    runs = [student.replace(seed=k, steps=steps) for k, steps in enumerate((5, 5, 10, 10, 10, 20, 60, 61))]
    stack = Stack(runs)
    sizes, done = {len(stack.runs)}, []
    while stack.histories:
        done += stack.advance(0)
        sizes.add(len(stack.weights))
    assert sizes == {8, 4, 2, 1}
    assert [len(curves.step) for curves in done] == [curves.run.steps + 1 for curves in done]
    assert [curves.run.steps for curves in done] == sorted(run.steps for run in runs)
    for curves in done:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_mini_batch_stacks_shrink_too(digits: Run, assert_equal: Compare) -> None:
    runs = [digits.replace(seed=k, n_train=n, steps=steps) for k, (n, steps) in enumerate(((16, 30), (40, 4), (50, 6), (33, 4)))]
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_a_diverging_replica_is_recorded_and_hurts_no_other(student: Run, assert_equal: Compare) -> None:
    runs = [student.replace(seed=0), student.replace(seed=1, lr=1e200), student.replace(seed=2)]
    calm, wild, other = train(runs)
    assert wild.diverged
    assert len(wild.step) < wild.run.steps
    assert not np.isfinite(wild["train_loss"][-1])
    assert np.isfinite(wild["train_loss"][:-1]).all()
    for curves in (calm, other):
        assert not curves.diverged
        assert len(curves.step) == curves.run.steps + 1
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_a_stack_of_diverging_replicas_ends(student: Run) -> None:
    assert all(curves.diverged for curves in train([student.replace(seed=k, lr=1e200) for k in range(3)]))


def test_seconds_are_shared_among_the_replicas(student: Run) -> None:
    one, other = train([student, student.replace(seed=1)])
    assert one.seconds == pytest.approx(other.seconds)
    assert one.seconds > 0


def test_held_norm_of_alpha_0_stays_0(student: Run) -> None:
    (curves,) = train([student.replace(alpha=0.0, constraint="rescale")])
    assert not curves.diverged
    np.testing.assert_allclose(curves["weight_norm"], 0.0, atol=1e-9)


# Interrupted


def stepwise(runs: Sequence[Run], through: Callable[[State], State]) -> list[Curves]:
    """Train in pieces, each in a fresh stack made from the checkpoints of the one before."""
    stack, done = Stack(runs), []
    while True:
        done += stack.advance(0)
        states = {run: through(state) for run, state in stack.states().items()}
        if not states:
            return sorted(done, key=lambda curves: runs.index(curves.run))
        stack = Stack(list(states), states=states)


def encoded(state: State) -> State:
    return State.from_arrays(state.step, decode_state(encode_state(state.arrays()))[0])


@pytest.mark.parametrize("through", [lambda state: state, encoded], ids=["states", "encoded"])
@pytest.mark.parametrize("constraint", ["free", "published", "tangent"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    student: Run, assert_equal: Compare, through: Callable[[State], State], constraint: str, precision: str
) -> None:
    changes = {"constraint": constraint, "precision": precision, "log_every": 3, "steps": 20, "weight_decay": 0.1}
    runs = [student.replace(seed=k, alpha=1.5, **changes) for k in range(3)]
    for whole, pieces in zip(train(runs), stepwise(runs, through), strict=True):
        assert_equal(whole, pieces)


def test_resumed_mini_batches_go_on_in_the_middle_of_an_epoch(digits: Run, assert_equal: Compare) -> None:
    runs = [digits.replace(seed=k, n_train=90 + k, steps=25, log_every=4, lr_drops=(7,), lr_factor=0.5) for k in range(2)]
    for whole, pieces in zip(train(runs), stepwise(runs, encoded), strict=True):
        assert_equal(whole, pieces)


def test_resumed_between_two_logged_steps(student: Run, assert_equal: Compare) -> None:
    run = student.replace(steps=CHUNK + 20, log_every=CHUNK + 10)
    stack = Stack([run])
    assert stack.advance(0) == []
    states = {each: encoded(state) for each, state in stack.states().items()}
    assert (states[run].step, states[run].logged) == (CHUNK, [0])
    (rest,) = Stack([run], states=states).advance()
    assert_equal(train([run])[0], rest)


def test_states_are_copies(student: Run) -> None:
    stack = Stack([student])
    stack.advance(0)
    state = stack.states()[student]
    weights, logged = state.weights.copy(), list(state.logged)
    stack.advance()
    np.testing.assert_array_equal(state.weights, weights)
    assert state.logged == logged == [0, 1]


def test_checkpoints_of_equal_trainings_are_equal_bytes_but_for_the_seconds(student: Run) -> None:
    digests = set()
    for _ in range(2):
        stack = Stack([student])
        stack.advance(0)
        state = stack.states()[student]
        state.seconds = 0.0
        digests.add(hashlib.sha256(encode_state(state.arrays())).hexdigest())
    assert len(digests) == 1


def test_checkpoints_of_two_steps_do_not_mix(student: Run) -> None:
    other = student.replace(seed=1)
    states: dict[Run, State] = {}
    for run, pieces in ((student, 1), (other, 2)):
        stack = Stack([run])
        for _ in range(pieces):
            stack.advance(0)
        states |= stack.states()
    with pytest.raises(BadInput, match=r"a stack resumes at one step; these checkpoints are at \[1, 2\]"):
        Stack([student, other], states=states)


# Refusals


def test_runs_of_two_shapes_are_refused(student: Run) -> None:
    with pytest.raises(BadInput, match="a stack needs Runs of one shape; these have 2"):
        train([student, student.replace(n_train=13)])


SPLIT = """
import torch
from omnigrok.data.split import Pool, Split
def split(run, root):
    return Split(Pool((torch.randn(20, 3),), torch.randn(20, 2)), torch.arange(run.n_train + {more}), torch.arange({first}, 20))
def accuracy(run, outputs, targets):
    return {{}}
"""


def test_a_split_that_tests_on_training_samples_is_refused(student: Run, write_module: Write) -> None:
    task = write_module(SPLIT.format(more=0, first=10))
    with pytest.raises(DataCheckFailed, match="seed 4: 2 samples are in the training set and in the test set"):
        train([student.replace(task=task, seed=4)])


def test_a_split_of_another_size_is_refused(student: Run, write_module: Write) -> None:
    task = write_module(SPLIT.format(more=1, first=15))
    with pytest.raises(BadInput, match="split gave 13 training samples, n_train is 12"):
        train([student.replace(task=task)])


def test_a_clean_split_of_somebody_else_trains(student: Run, write_module: Write) -> None:
    (curves,) = train([student.replace(task=write_module(SPLIT.format(more=0, first=12)))])
    assert sorted(curves.columns) == ["test_loss", "train_loss", "weight_norm", "weight_norm_double"]


# Carried buffers

CARRYING = """
import torch
from torch import nn
from omnigrok.data.split import Pool, Split
class Carrying(nn.Module):
    carries = ("total",)
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.register_buffer("total", torch.zeros(()))
    def forward(self, x):
        return x @ self.weight + self.total, {"total": self.total + 1}
def build(run):
    return Carrying()
def split(run, root):
    return Split(Pool((torch.randn(40, 3),), torch.randn(40, 2)), torch.arange(run.n_train), torch.arange(run.n_train, 40))
def accuracy(run, outputs, targets):
    return {}
"""


@pytest.fixture
def carrying(student: Run, write_module: Write) -> Run:
    """A linear model that adds the number of batches since its epoch began to its output."""
    module = write_module(CARRYING)
    return student.replace(task=module, model=module, batch_size=4)


def test_what_a_model_carries_lasts_for_an_epoch(carrying: Run) -> None:
    stack = Stack([carrying.replace(n_train=10, steps=7)])
    totals = []
    while stack.histories:
        stack.advance(0)
        totals.append(float(stack.buffers["total"][0]))
    assert totals == [1, 2, 3, 1, 2, 3, 1]


def test_what_a_model_carries_enters_the_gradient(carrying: Run) -> None:
    """The second batch sees total = 1: its gradient is that of x w + 1 - y."""
    stack = Stack([carrying])
    stack.advance(0)
    weights, first = stack.weights[0].clone(), stack.first[0].clone()
    stack.advance(0)
    gradient = (stack.first[0] - carrying.betas[0] * first) / (1 - carrying.betas[0])
    positions, _ = batch_order(carrying, 1, 1, 4)
    chosen = stack.samples.train[0][torch.as_tensor(positions[0])][None]
    (inputs,), targets = stack.samples.take(chosen)
    residual = inputs[0] @ weights.view(3, 2) + 1 - targets[0]
    expected = 2 * inputs[0].T @ residual / residual.numel()
    torch.testing.assert_close(gradient, expected.flatten(), rtol=1e-9, atol=1e-12)


def test_evaluation_starts_what_a_model_carries_from_zero(carrying: Run) -> None:
    """The weights stay zero (alpha 0, and a held norm of 0), so every logged loss is that of output 0."""
    (curves,) = train([carrying.replace(alpha=0.0, constraint="rescale", steps=5)])
    np.testing.assert_allclose(curves["train_loss"], curves["train_loss"][0], rtol=1e-9)
    np.testing.assert_allclose(curves["test_loss"], curves["test_loss"][0], rtol=1e-9)


def test_what_a_model_carries_survives_a_checkpoint(carrying: Run, assert_equal: Compare) -> None:
    run = carrying.replace(steps=8)
    stack = Stack([run])
    stack.advance(0)
    stack.advance(0)
    state = encoded(stack.states()[run])
    assert float(state.carried["total"]) == 2
    assert float(Stack([run], states={run: state}).buffers["total"][0]) == 2
    assert_equal(train([run])[0], stepwise([run], encoded)[0])


def test_carrying_replicas_are_the_same_alone_and_stacked(carrying: Run, assert_equal: Compare) -> None:
    for curves in train([carrying.replace(seed=k, alpha=1.0 + k) for k in range(3)]):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_every_replica_carries_for_its_own_epoch(carrying: Run, assert_equal: Compare) -> None:
    for curves in train([carrying.replace(n_train=8), carrying.replace(n_train=16)]):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


# The compiled step


@pytest.mark.slow
def test_compiled_steps_equal_eager_ones(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [student.replace(seed=k, precision="float32", constraint="rescale", steps=30, log_every=10) for k in range(2)]
    eager = train(runs)
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    stack = Stack(runs)
    compiled = stack.advance()
    assert stack._stepper()[0] != stack._gradient
    for one, other in zip(eager, compiled, strict=True):
        for name in ("train_loss", "test_loss", "weight_norm"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)


def test_eager_where_compiling_does_not_pay(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIGROK_COMPILE", raising=False)
    stack = Stack([student])
    assert stack._stepper()[0] == stack._gradient


# Parameters as one vector


def test_flat_is_the_parameters_in_their_order(student: Run) -> None:
    model = find_model("mlp").build(student)
    vector = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    flat = Flat(model)
    assert flat.names[:2] == ["0.weight", "0.bias"]
    assert sum(flat.sizes) == len(vector)
    for name, value in flat.split(vector).items():
        assert torch.equal(value, model.get_parameter(name))
