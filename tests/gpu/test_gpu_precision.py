"""TF32, float32 and float64 on a GPU: each is another rounding, and none another result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omnigrok.run import Run
from omnigrok.training import train

pytestmark = pytest.mark.gpu
# Products large enough for tensor cores.
NETWORK = {"widths": (64, 256, 256, 64), "activation": "tanh"}


@pytest.fixture
def wide(student: Run) -> Run:
    return student.replace(
        n_train=256,
        steps=50,
        lr=1e-3,
        network=NETWORK,
        data={"n_test": 64},
        loss_precision="float32",
    )


def relative(wide: Run, one: str, other: str, gpu: torch.device) -> float:
    """The largest relative difference of the losses of two precisions."""
    first, second = (
        train([wide.replace(precision=precision)], gpu)[0] for precision in (one, other)
    )
    return max(
        float(np.max(np.abs(first[name] / second[name] - 1)))
        for name in ("train_loss", "test_loss")
    )


@pytest.mark.real_card
def test_tf32_rounds_more_and_changes_no_result(wide: Run, gpu: torch.device) -> None:
    if torch.cuda.get_device_capability(gpu) < (8, 0):
        pytest.skip(
            f"{torch.cuda.get_device_name(gpu)} has no TF32: run on an Ampere GPU or a newer one"
        )
    before = torch.get_float32_matmul_precision()
    tf32, float32 = (
        relative(wide, "tf32", "float64", gpu),
        relative(wide, "float32", "float64", gpu),
    )
    assert float32 < tf32 < 1e-2
    assert torch.get_float32_matmul_precision() == before


def test_float32_is_not_tf32_whatever_the_caller_has_set(wide: Run, gpu: torch.device) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        (high,) = train([wide.replace(precision="float32")], gpu)
    finally:
        torch.set_float32_matmul_precision(before)
    (plain,) = train([wide.replace(precision="float32")], gpu)
    np.testing.assert_allclose(high["train_loss"], plain["train_loss"], rtol=1e-6)


def test_float32_is_near_float64(wide: Run, gpu: torch.device) -> None:
    assert relative(wide, "float32", "float64", gpu) < 1e-3
