from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from omnigrok.run import Run
from omnigrok.training.optimizer import Schedule, adamw_, clip, schedule

CPU = torch.device("cpu")
BETAS = (0.9, 0.98)


def factors(run: Run, first_step: int, count: int) -> Schedule:
    return schedule([run], first_step, count, torch.float64, CPU)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_replica_is_a_torch_adamw(student: Run, dtype: torch.dtype) -> None:
    """Three replicas of one quadratic, each with its own lr and weight decay, against three
    torch.optim.AdamW.
    """
    generator = torch.Generator().manual_seed(0)
    start, scale = (torch.randn(3, 5, generator=generator, dtype=dtype) for _ in range(2))
    runs = [
        student.replace(betas=BETAS, lr=lr, weight_decay=decay)
        for lr, decay in ((1e-3, 0.0), (3e-2, 1.0), (0.3, 0.1))
    ]
    parameters = [nn.Parameter(row.clone()) for row in start]
    optimizers = [
        torch.optim.AdamW([parameter], lr=run.lr, betas=BETAS, weight_decay=run.weight_decay)
        for parameter, run in zip(parameters, runs, strict=True)
    ]
    weights, first, second = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    plan = schedule(runs, 0, 40, dtype, CPU)
    for k in range(40):
        adamw_(
            weights,
            first,
            second,
            scale * weights,
            BETAS,
            plan.decay[k],
            plan.step_size[k],
            plan.second[k],
        )
        for row, (parameter, optimizer) in enumerate(zip(parameters, optimizers, strict=True)):
            parameter.grad = scale[row] * parameter.detach()
            optimizer.step()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(
        weights,
        torch.stack([parameter.detach() for parameter in parameters]),
        rtol=tolerance,
        atol=tolerance,
    )


def test_decay_alone_is_decoupled_from_the_gradient() -> None:
    """Without a gradient each step multiplies the weights by 1 - lr gamma."""
    weights = torch.ones(1, 2, dtype=torch.float64)
    zero = torch.zeros_like(weights)
    one, step_size, second = (
        torch.tensor(value, dtype=torch.float64) for value in ([0.99], [0.1], 1.0)
    )
    for _ in range(10):
        adamw_(weights, zero.clone(), zero.clone(), zero, BETAS, one, step_size, second)
    torch.testing.assert_close(weights, torch.full_like(weights, 0.99**10))


def test_schedule_is_the_bias_correction(student: Run) -> None:
    plan = factors(student.replace(lr=0.01, weight_decay=0.5, betas=BETAS), 0, 3)
    assert plan.decay[:, 0].tolist() == pytest.approx([1 - 0.005] * 3)
    assert plan.step_size[:, 0].tolist() == pytest.approx([0.01 / (1 - 0.9**t) for t in (1, 2, 3)])
    assert plan.second.tolist() == pytest.approx([np.sqrt(1 - 0.98**t) for t in (1, 2, 3)])


def test_a_later_part_of_the_schedule_is_the_whole_one_cut(student: Run) -> None:
    run = student.replace(lr_drops=(4, 6), lr_factor=0.1, weight_decay=0.2)
    whole, part = factors(run, 0, 10), factors(run, 3, 5)
    for name in ("decay", "step_size", "second"):
        assert torch.equal(getattr(whole, name)[3:8], getattr(part, name))


def test_the_learning_rate_drops_after_so_many_steps(student: Run) -> None:
    """lr_drops = (2, 4): steps 1 and 2 have lr, 3 and 4 a tenth, 5 a hundredth; the decay follows,
    each replica for itself.
    """
    run = student.replace(lr=1.0, weight_decay=0.5, lr_drops=(2, 4), lr_factor=0.1)
    plan = schedule([run, run.replace(lr_drops=())], 0, 5, torch.float64, CPU)
    lr = (1 - plan.decay) / 0.5
    assert lr[:, 0].tolist() == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert lr[:, 1].tolist() == pytest.approx([1] * 5)


@pytest.mark.parametrize("size", [1e-9, 0.3, 1.0, 50.0])
def test_clip_is_torchs(size: float) -> None:
    def torchs(row: Tensor) -> Tensor:
        parameter = nn.Parameter(torch.zeros_like(row))
        parameter.grad = row.clone()
        nn.utils.clip_grad_norm_([parameter], 1.0)
        return parameter.grad

    gradients = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients *= (
        size
        / torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
        * torch.tensor([[1.0], [2.0], [0.1], [1.0]])
    )
    torch.testing.assert_close(
        clip(gradients, 1.0), torch.stack([torchs(row) for row in gradients]), rtol=1e-12, atol=0
    )
    assert (torch.linalg.vector_norm(clip(gradients, 1.0), dim=1) <= 1.0).all()
