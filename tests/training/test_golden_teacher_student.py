"""The trainer against what the authors' own code printed (docs/protocol.md, Figure 2)."""

from __future__ import annotations

import math

import pytest

from omnigrok.curves import Curves
from omnigrok.run import Run, freeze
from omnigrok.training import train

LOSS = 2e-6
NORM = 1e-5

RUN = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=100,
    steps=1000,
    lr=3e-4,
    log_every=200,
    network=freeze({"widths": (5, 100, 100, 5), "activation": "tanh"}),
)
AUTHORS_ALPHA = 0.6309573650360107

# step: train MSE, test MSE, held norm squared
LANDSCAPE = {
    0: (0.024721, 0.023881, 42.755409),
    200: (0.000400, 0.000639, 42.755413),
    400: (0.000273, 0.000516, 42.755405),
    1000: (0.000080, 0.000269, 42.755409),
}
# step: train MSE, test MSE, train accuracy, test accuracy, squared norm with the first layer twice
DYNAMICS = {
    0: (0.359951, 0.351991, 0.0, 0.0, 429.586853),
    200: (0.002719, 0.016901, 0.14, 0.04, 423.566),
    400: (0.000940, 0.012941, 0.64, 0.07, 419.681),
    600: (0.000452, 0.011120, 0.91, 0.10, 416.279),
    800: (0.000249, 0.010040, 0.99, 0.11, 413.170),
    1000: (0.000151, 0.009309, 0.99, 0.13, 410.262),
}


@pytest.fixture(scope="module")
def landscape() -> list[Curves]:
    """alpha of the table, and alpha = 1, in one stack."""
    return train(
        [
            RUN.replace(constraint="published", alpha=AUTHORS_ALPHA),
            RUN.replace(constraint="published"),
        ]
    )


@pytest.fixture(scope="module")
def dynamics() -> Curves:
    (curves,) = train([RUN.replace(alpha=2.0, weight_decay=0.05)])
    return curves


def at(curves: Curves, step: int, column: str) -> float:
    (row,) = [row for row, logged in enumerate(curves.step) if logged == step]
    return float(curves[column][row])


@pytest.mark.parametrize("step", LANDSCAPE)
def test_landscape(landscape: list[Curves], step: int) -> None:
    train_mse, test_mse, held = LANDSCAPE[step]
    curves = landscape[0]
    assert at(curves, step, "train_loss") == pytest.approx(train_mse, abs=LOSS)
    assert at(curves, step, "test_loss") == pytest.approx(test_mse, abs=LOSS)
    assert at(curves, step, "weight_norm_double") ** 2 == pytest.approx(held, rel=NORM)


@pytest.mark.parametrize("step", LANDSCAPE)
def test_landscape_at_alpha_1_holds_the_double_count(landscape: list[Curves], step: int) -> None:
    assert at(landscape[1], step, "weight_norm_double") ** 2 == pytest.approx(107.396713, rel=NORM)


def test_true_norm_at_alpha_1(landscape: list[Curves]) -> None:
    norm = at(landscape[1], 0, "weight_norm")
    assert norm == pytest.approx(8.636, abs=5e-4)
    assert norm**2 == pytest.approx(74.577, abs=5e-4)


@pytest.mark.parametrize("step", DYNAMICS)
def test_dynamics(dynamics: Curves, step: int) -> None:
    train_mse, test_mse, train_acc, test_acc, square = DYNAMICS[step]
    assert at(dynamics, step, "train_loss") == pytest.approx(train_mse, abs=LOSS)
    assert at(dynamics, step, "test_loss") == pytest.approx(test_mse, abs=LOSS)
    assert at(dynamics, step, "train_acc_code") == pytest.approx(train_acc, abs=1e-9)
    assert at(dynamics, step, "test_acc_code") == pytest.approx(test_acc, abs=1e-9)
    assert at(dynamics, step, "weight_norm_double") ** 2 == pytest.approx(square, rel=NORM)


def test_alpha_multiplies_every_parameter(landscape: list[Curves]) -> None:
    ratio = at(landscape[0], 0, "weight_norm_double") / at(landscape[1], 0, "weight_norm_double")
    assert math.isclose(ratio, AUTHORS_ALPHA, rel_tol=1e-6)
