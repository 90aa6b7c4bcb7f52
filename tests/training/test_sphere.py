from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.run import Run
from omnigrok.training import Stack, train
from omnigrok.training.sphere import DOUBLE_COUNT, dot, held_square, remove_radial, rescale_

HELD = ("rescale", "rescale_double", "published", "tangent")
FIRST = 2


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("constraint", HELD)
@pytest.mark.parametrize("lr", [1e-3, 0.3])
def test_the_norm_is_held_at_every_step(student: Run, constraint: str, lr: float) -> None:
    form = student.replace(constraint=constraint, lr=lr, steps=200, precision="float32")
    column = "weight_norm_double" if constraint in DOUBLE_COUNT else "weight_norm"
    for curves in train(
        [form.replace(seed=k, alpha=alpha) for k, alpha in enumerate((0.1, 1.0, 8.0))]
    ):
        assert len(curves.step) == 201
        np.testing.assert_allclose(curves[column], curves[column][0], rtol=1e-5)


def test_the_norm_is_held_over_mini_batches(digits: Run) -> None:
    (curves,) = train([digits.replace(constraint="rescale", alpha=0.3, precision="float32")])
    np.testing.assert_allclose(curves["weight_norm"], curves["weight_norm"][0], rtol=1e-5)


def test_free_runs_leave_the_sphere(student: Run) -> None:
    (curves,) = train([student])
    assert abs(curves["weight_norm"][-1] / curves["weight_norm"][0] - 1) > 1e-2


def test_published_holds_the_double_count_and_not_the_norm(student: Run) -> None:
    (curves,) = train([student.replace(constraint="published")])
    assert abs(curves["weight_norm"][-1] / curves["weight_norm"][0] - 1) > 1e-4


def test_published_losses_are_read_one_step_off_the_sphere(student: Run) -> None:
    """The weights in memory after a step are not yet rescaled, and these are the ones whose losses
    the authors printed.
    """
    stack = Stack([student.replace(constraint="published", lr=0.1)])
    stack.advance(0)
    square = held_square(stack.replicas.weights, "published", stack.network.flat.sizes[0])
    assert abs(float(square[0] / stack.replicas.held[0]) - 1) > 1e-3


def test_the_first_step_of_published_is_that_of_adam(student: Run) -> None:
    free, published = train([student])[0], train([student.replace(constraint="published")])[0]
    assert published["train_loss"][:2].tolist() == pytest.approx(
        free["train_loss"][:2].tolist(), rel=1e-12
    )
    assert published["train_loss"][3] != pytest.approx(free["train_loss"][3], rel=1e-6)


@pytest.mark.parametrize("constraint", HELD)
def test_the_held_norm_survives_a_checkpoint(student: Run, constraint: str) -> None:
    """Not the norm of the weights in the checkpoint, which under ``published`` are off the
    sphere.
    """
    run = student.replace(constraint=constraint, precision="float32", lr=0.1)
    stack = Stack([run])
    stack.advance(0)
    assert torch.equal(Stack([run], states=stack.states()).replicas.held, stack.replicas.held)


def test_the_gradient_of_tangent_steps_is_orthogonal_to_the_weights(student: Run) -> None:
    """Adam's first moment is a sum of tangent gradients; after one step it is one of them."""
    stack = Stack([student.replace(constraint="tangent", seed=k, alpha=2.0) for k in range(3)])
    before = stack.replicas.weights.clone()
    stack.advance(0)
    cosine = dot(stack.replicas.first, before) / (
        stack.replicas.first.norm(dim=1) * before.norm(dim=1)
    )
    assert cosine.abs().max() < 1e-12
    unconstrained = Stack([student.replace(seed=k, alpha=2.0) for k in range(3)])
    unconstrained.advance(0)
    first = unconstrained.replicas.first
    cosine = dot(first, before) / (first.norm(dim=1) * before.norm(dim=1))
    assert cosine.abs().min() > 1e-3


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-3, 1.0, 1e3]))
def test_removing_the_radial_part(seed: int, scale: float) -> None:
    gradient, weights = random(3, 7, seed=seed), scale * random(3, 7, seed=seed + 5000)
    tangent = remove_radial(gradient, weights)
    assert dot(tangent, weights).abs().max() <= 1e-12 * scale * 10
    radial = gradient - tangent
    torch.testing.assert_close(remove_radial(tangent, weights), tangent)
    torch.testing.assert_close(
        dot(radial, weights).square(), dot(radial, radial) * dot(weights, weights)
    )  # parallel to w
    torch.testing.assert_close(dot(tangent, tangent) + dot(radial, radial), dot(gradient, gradient))


def test_at_the_origin_all_directions_are_tangent_and_nothing_is_rescaled() -> None:
    zero, gradient = torch.zeros(1, 4, dtype=torch.float64), random(1, 4)
    assert torch.equal(remove_radial(gradient, zero), gradient)
    rescale_(zero, torch.zeros(1, dtype=torch.float64), "rescale", FIRST)
    assert torch.equal(zero, torch.zeros_like(zero))


@pytest.mark.parametrize("constraint", ["free", *HELD])
def test_the_held_square_counts_the_first_tensor_twice_where_the_authors_do(
    constraint: str,
) -> None:
    weights = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 2.0]])
    expected = [19.0, 4.0] if constraint in ("rescale_double", "published") else [14.0, 4.0]
    assert held_square(weights, constraint, FIRST).tolist() == expected


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from(HELD))
def test_rescaling_reaches_the_target_and_keeps_the_direction(seed: int, constraint: str) -> None:
    weights, target = random(3, 6, seed=seed), torch.tensor([0.5, 1.0, 40.0], dtype=torch.float64)
    before = weights.clone()
    rescale_(weights, target, constraint, FIRST)
    torch.testing.assert_close(held_square(weights, constraint, FIRST), target)
    ratio = weights / before
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert (ratio > 0).all()
