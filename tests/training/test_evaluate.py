from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.store.encode import decode, encode
from omnigrok.training import Stack, train
from omnigrok.training.calendar import evaluation_sample
from omnigrok.training.evaluate import _pieces
from omnigrok.training.objective import per_sample_loss, storage_dtype, weighted_mean

Write = Callable[[str], str]


def outputs_of(stack: Stack, row: int, which: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets of one replica on its training or test set, one network at a time."""
    real = getattr(stack.replicas.samples, f"{which}_real")[row]
    positions = getattr(stack.replicas.samples, which)
    inputs, targets = stack.replicas.samples.take(positions)
    weights = stack.network.flat.split(stack.replicas.weights[row])
    buffers = {name: values[row] for name, values in stack.replicas.buffers.items()}
    with torch.no_grad():
        outputs = functional_call(
            stack.network.template, (weights, buffers), tuple(each[row] for each in inputs)
        )
    return outputs[real], targets[row][real]


def test_columns_are_means_over_each_replicas_own_sets(digits: Run) -> None:
    stack = Stack(
        [digits.replace(seed=k, n_train=n, alpha=1.0 + k) for k, n in enumerate((16, 40, 25))]
    )
    columns = stack.evaluate()
    assert sorted(columns) == [
        "test_acc",
        "test_loss",
        "train_acc",
        "train_loss",
        "weight_norm",
        "weight_norm_double",
    ]
    for row in range(3):
        for which in ("train", "test"):
            outputs, targets = outputs_of(stack, row, which)
            assert columns[f"{which}_loss"][row] == pytest.approx(
                float((outputs - targets).square().mean()), rel=1e-12
            )
            hits = (outputs.argmax(-1) == targets.argmax(-1)).double().mean()
            assert columns[f"{which}_acc"][row] == pytest.approx(float(hits), abs=1e-12)
        norm = float(stack.replicas.weights[row].norm())
        first = float(stack.replicas.weights[row, : stack.network.flat.sizes[0]].norm())
        assert columns["weight_norm"][row] == pytest.approx(norm, rel=1e-12)
        assert columns["weight_norm_double"][row] == pytest.approx(np.hypot(norm, first), rel=1e-12)


@pytest.mark.parametrize("task", ["student", "digits"])
def test_large_sets_are_evaluated_in_parts(
    task: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """With private pools (teacher-student) and a shared one (MNIST, where the test set is evaluated
    without copies).
    """
    run: Run = request.getfixturevalue(task)
    stack = Stack([run.replace(seed=k) for k in range(3)])
    whole = stack.evaluate()
    entries = 3 * 3 * int(stack.replicas.samples.inputs[0].values[0].numel())
    monkeypatch.setattr("omnigrok.training.evaluate.ENTRIES", entries)
    parts = stack.evaluate()
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, rel=1e-12), name


def test_every_test_sample_of_the_set_counts_once(digits: Run) -> None:
    (curves,) = train([digits.replace(steps=3)])
    assert set(np.unique(np.round(curves["test_acc"] * 20, 9) % 1)) == {0.0}


# Fresh random samples


def test_metrics_of_a_random_sample(digits: Run) -> None:
    run = digits.replace(eval_samples=7, n_train=30)
    stack = Stack([run])
    columns = stack.evaluate()
    for which, place in (("train", 0), ("test", 1)):
        outputs, targets = outputs_of(stack, 0, which)
        chosen = torch.as_tensor(evaluation_sample(run, 0, len(outputs), place))
        assert len(chosen) == 7
        expected = (outputs[chosen] - targets[chosen]).square().mean()
        assert columns[f"{which}_loss"] == [pytest.approx(float(expected), rel=1e-12)]


def test_sampled_metrics_are_the_same_alone_and_stacked(
    digits: Run, assert_equal: Callable[..., None]
) -> None:
    """Also where one training set is smaller than the sample."""
    runs = [
        digits.replace(seed=k, n_train=n, eval_samples=25, steps=5)
        for k, n in enumerate((16, 40, 80))
    ]
    for curves in train(runs):
        assert_equal(train([curves.run])[0], curves, 1e-9)


def test_a_sample_as_large_as_the_sets_is_all_of_them(digits: Run) -> None:
    (everything,) = train([digits.replace(steps=3)])
    (sampled,) = train([digits.replace(steps=3, eval_samples=1000)])
    for name in everything.columns:
        np.testing.assert_allclose(sampled[name], everything[name], rtol=1e-12)


def test_sampled_metrics_change_from_step_to_step_and_do_not_touch_the_training(
    digits: Run,
) -> None:
    form = digits.replace(lr=1e-12, steps=10)
    (all_samples,), (sampled,) = train([form]), train([form.replace(eval_samples=5)])
    assert len(np.unique(sampled["test_loss"].round(6))) > 5
    np.testing.assert_array_equal(sampled["weight_norm"], all_samples["weight_norm"])


# No test set

NO_TEST = """
import torch
from omnigrok.data.split import Pool, Split
def split(run, root):
    pool = Pool((torch.randn(run.n_train, 3),), torch.randn(run.n_train, 2))
    return Split(pool, torch.arange(run.n_train), torch.arange(0))
def accuracy(run, outputs, targets):
    return {"acc": (outputs - targets).square().mean(-1)}
"""


def test_without_a_test_set_there_are_no_test_columns(student: Run, write_module: Write) -> None:
    (curves,) = train([student.replace(task=write_module(NO_TEST), steps=3)])
    assert sorted(curves.columns) == [
        "train_acc",
        "train_loss",
        "weight_norm",
        "weight_norm_double",
    ]
    np.testing.assert_allclose(curves["train_acc"], curves["train_loss"])


# Losses and their precision


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "binary_cross_entropy"])
def test_per_sample_losses_are_the_definitions(student: Run, loss: str) -> None:
    run = student.replace(loss=loss)
    outputs = torch.randn(6, 1 if loss == "binary_cross_entropy" else 4, dtype=torch.float64)
    if loss == "mse":
        targets = torch.randn(6, 4, dtype=torch.float64)
        expected = ((outputs - targets) ** 2).mean(1)
    elif loss == "cross_entropy":
        targets = torch.tensor([0, 1, 2, 3, 0, 1])
        expected = -torch.log_softmax(outputs, -1)[torch.arange(6), targets]
    else:
        targets = torch.tensor([0, 1, 0, 1, 0, 1])
        share = torch.sigmoid(outputs[:, 0])
        expected = -torch.where(targets == 1, share.log(), (1 - share).log())
    torch.testing.assert_close(per_sample_loss(run, outputs, targets), expected)


def test_mse_is_the_mean_over_all_output_axes(student: Run) -> None:
    outputs, targets = torch.randn(3, 2, 5), torch.randn(3, 2, 5)
    torch.testing.assert_close(
        per_sample_loss(student, outputs, targets), (outputs - targets).square().mean((1, 2))
    )


def test_weighted_mean_leaves_the_filling_out() -> None:
    losses = torch.tensor([1.0, 5.0, 100.0])
    assert weighted_mean(losses, None) == pytest.approx(106 / 3)
    assert weighted_mean(losses, torch.tensor([True, True, False])) == 3


def test_float64_loss_of_float32_outputs(student: Run) -> None:
    """A sample classified by a gap of 30 has loss 9e-14, which float32 rounds to 0, and its
    gradient with it.
    """
    outputs = torch.tensor([[0.0, -30.0]], requires_grad=True)
    targets = torch.tensor([0])
    run = student.replace(loss="cross_entropy", precision="float32")
    assert per_sample_loss(run, outputs, targets).tolist() == [0]
    loss = per_sample_loss(run.replace(loss_precision="float64"), outputs, targets)
    assert loss.dtype == torch.float64
    assert loss.tolist() == pytest.approx([np.log1p(np.exp(-30))], rel=1e-9)
    (gradient,) = torch.autograd.grad(loss.sum(), outputs)
    assert gradient.dtype == torch.float32
    assert float(gradient[0, 1]) == pytest.approx(np.exp(-30), rel=1e-6)


def test_float64_loss_trains_float32_weights(digits: Run) -> None:
    """Small losses of a float32 softmax are multiples of its epsilon; those of float64 are not, in
    the record too.
    """
    run = digits.replace(
        precision="float32",
        loss_precision="float64",
        loss="cross_entropy",
        steps=60,
        lr=0.05,
        n_train=10,
    )
    stack = Stack([run])
    assert (stack.replicas.weights.dtype, stack.replicas.samples.inputs[0].values.dtype) == (
        torch.float32,
        torch.float32,
    )
    (fine,), (rough,) = stack.advance(), train([run.replace(loss_precision="float32")])
    units = [10 * curves["train_loss"][-1] / np.finfo(np.float32).eps for curves in (fine, rough)]
    assert 0 < units[0] < 10
    assert abs(units[0] - round(units[0])) > 0.01
    assert units[1] == pytest.approx(round(units[1]), abs=1e-4)
    assert round_trip(fine)["train_loss"][-1] == fine["train_loss"][-1]


def round_trip(curves: Curves) -> Curves:
    return decode(encode(curves))


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("tf32", torch.float32), ("float64", torch.float64)],
)
def test_storage_of_weights(student: Run, precision: str, dtype: torch.dtype) -> None:
    assert storage_dtype(student.replace(precision=precision)) == dtype
    assert Stack([student.replace(precision=precision)]).replicas.dtype == dtype


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 50))
def test_pieces_hold_every_sample_once_and_no_filling(sizes: list[int], limit: int) -> None:
    seen = [0] * len(sizes)
    for start, end, rows in _pieces(sizes, limit):
        assert len(rows) * (end - start) <= max(limit, len(rows))
        for row in rows:
            assert start == seen[row]
            assert end <= sizes[row]
            seen[row] = end
    assert seen == sizes
