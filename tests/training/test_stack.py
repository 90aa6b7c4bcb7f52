"""A stack is a pure function of its Runs: what a replica does, alone, in company, or beside one
that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from omnigrok.errors import BadInput, DataCheckFailed
from omnigrok.models import find_model
from omnigrok.run import Run
from omnigrok.training import Stack, train
from omnigrok.training.network import Flat
from omnigrok.training.stackable import shape_key

Compare = Callable[..., None]
Write = Callable[[str], str]

ALONE_OR_STACKED = 1e-9


def sixteen(run: Run, sizes: Sequence[int]) -> list[Run]:
    return [
        run.replace(
            seed=k,
            alpha=0.5 + 0.25 * k,
            lr=run.lr * (1 + 0.1 * k),
            weight_decay=0.1 * k,
            n_train=sizes[k % len(sizes)],
        )
        for k in range(16)
    ]


# Alone and in company


@pytest.mark.parametrize("full_batch", [True, False])
def test_teacher_student_replica_is_the_same_alone_and_in_a_stack_of_16(
    student: Run, assert_equal: Compare, full_batch: bool
) -> None:
    runs = sixteen(
        student if full_batch else student.replace(batch_size=8),
        [12] if full_batch else [8, 12, 17, 24],
    )
    for curves in train(runs)[::5]:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_mnist_replica_is_the_same_alone_and_in_a_stack_of_16(
    digits: Run, assert_equal: Compare
) -> None:
    runs = sixteen(digits, [16, 40, 33, 100])
    for curves in train(runs)[::5]:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


@pytest.mark.parametrize("constraint", ["rescale", "rescale_double", "published", "tangent"])
def test_constrained_replica_is_the_same_alone_and_stacked(
    student: Run, assert_equal: Compare, constraint: str
) -> None:
    runs = sixteen(student.replace(constraint=constraint, steps=20), [12])[:4]
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_training_sets_smaller_than_the_batch_are_filled_up_without_effect(
    digits: Run, assert_equal: Compare
) -> None:
    """5 to 8 samples under batch 64: one stack of width 8, where filling counts neither in the loss
    nor in the metrics.
    """
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


def test_training_is_a_pure_function_and_leaves_the_global_generator_alone(
    student: Run, assert_equal: Compare
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = train([student])[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_equal(train([student])[0], one)


def test_the_seed_matters(student: Run) -> None:
    one, other = train([student, student.replace(seed=1)])
    assert not np.isclose(one["train_loss"], other["train_loss"]).any()


# Ends: fewer steps, divergence


def test_finished_replicas_leave_the_stack_and_the_others_do_not_notice(
    student: Run, assert_equal: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By halves, where steps may be compiled."""
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    runs = [
        student.replace(seed=k, steps=steps)
        for k, steps in enumerate((5, 5, 10, 10, 10, 20, 60, 61))
    ]
    stack = Stack(runs)
    sizes, done = {len(stack.runs)}, []
    while stack.histories:
        done += stack.advance(0)
        sizes.add(len(stack.replicas.weights))
    assert sizes == {8, 6, 3, 2, 1}
    assert [len(curves.step) for curves in done] == [curves.run.steps + 1 for curves in done]
    assert [curves.run.steps for curves in done] == sorted(run.steps for run in runs)
    for curves in done:
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_mini_batch_stacks_shrink_too(digits: Run, assert_equal: Compare) -> None:
    runs = [
        digits.replace(seed=k, n_train=n, steps=steps)
        for k, (n, steps) in enumerate(((16, 30), (40, 4), (50, 6), (33, 4)))
    ]
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, ALONE_OR_STACKED)


def test_a_diverging_replica_is_recorded_and_hurts_no_other(
    student: Run, assert_equal: Compare
) -> None:
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
    assert all(
        curves.diverged for curves in train([student.replace(seed=k, lr=1e200) for k in range(3)])
    )


def test_seconds_are_shared_among_the_replicas(student: Run) -> None:
    one, other = train([student, student.replace(seed=1)])
    assert one.seconds == pytest.approx(other.seconds)
    assert one.seconds > 0


def test_held_norm_of_alpha_0_stays_0(student: Run) -> None:
    (curves,) = train([student.replace(alpha=0.0, constraint="rescale")])
    assert not curves.diverged
    np.testing.assert_allclose(curves["weight_norm"], 0.0, atol=1e-9)


# Refusals


def test_runs_of_two_shapes_are_refused(student: Run) -> None:
    with pytest.raises(BadInput, match="a stack needs Runs of one shape; these have 2"):
        train([student, student.replace(n_train=13)])


SPLIT = """
import torch
from omnigrok.data.split import Pool, Split
def split(run, root):
    pool = Pool((torch.randn(20, 3),), torch.randn(20, 2))
    return Split(pool, torch.arange(run.n_train + {more}), torch.arange({first}, 20))
def accuracy(run, outputs, targets):
    return {{}}
"""


def test_a_split_that_tests_on_training_samples_is_refused(
    student: Run, write_module: Write
) -> None:
    task = write_module(SPLIT.format(more=0, first=10))
    with pytest.raises(
        DataCheckFailed, match="seed 4: 2 samples are in the training set and in the test set"
    ):
        train([student.replace(task=task, seed=4)])


def test_a_split_of_another_size_is_refused(student: Run, write_module: Write) -> None:
    task = write_module(SPLIT.format(more=1, first=15))
    with pytest.raises(BadInput, match="split gave 13 training samples, n_train is 12"):
        train([student.replace(task=task)])


def test_a_clean_split_of_somebody_else_trains(student: Run, write_module: Write) -> None:
    (curves,) = train([student.replace(task=write_module(SPLIT.format(more=0, first=12)))])
    assert sorted(curves.columns) == [
        "test_loss",
        "train_loss",
        "weight_norm",
        "weight_norm_double",
    ]


# The compiled step


@pytest.mark.slow
def test_compiled_steps_equal_eager_ones(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    runs = [
        student.replace(seed=k, precision="float32", constraint="rescale", steps=30, log_every=10)
        for k in range(2)
    ]
    eager = train(runs)
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    stack = Stack(runs)
    compiled = stack.advance()
    assert stack.torch_step.prepare(0.0)[0] != stack.network.gradient
    for one, other in zip(eager, compiled, strict=True):
        for name in ("train_loss", "test_loss", "weight_norm"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, err_msg=name)


def test_eager_where_compiling_does_not_pay(student: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIGROK_COMPILE", raising=False)
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    stack = Stack([student])
    assert stack.torch_step.prepare(stack.operations_left)[0] == stack.network.gradient


# Parameters as one vector


def test_flat_is_the_parameters_in_their_order(student: Run) -> None:
    model = find_model("mlp").build(student)
    vector = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    flat = Flat(model)
    assert flat.names[:2] == ["0.weight", "0.bias"]
    assert sum(flat.sizes) == len(vector)
    for name, value in flat.split(vector).items():
        assert torch.equal(value, model.get_parameter(name))
