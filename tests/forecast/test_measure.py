from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnigrok.errors import BadInput
from omnigrok.forecast import measure
from omnigrok.forecast.measure import best_seconds, evaluated, matrix_rate, time_stack
from omnigrok.run import Run, freeze
from omnigrok.training import Stack
from omnigrok.training.feed import CHUNK

CPU = torch.device("cpu")
FORM = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=20,
    steps=1000,
    lr=1e-3,
    data=freeze({"n_test": 8}),
    network=freeze({"widths": (3, 8, 2), "activation": "tanh"}),
)


def test_the_shortest_repetition_counts() -> None:
    pauses = iter([0.05, 0.002, 0.03, *[0.03] * 100])
    assert 0.002 <= best_seconds(lambda: time.sleep(next(pauses)), CPU, 0.1) < 0.03


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_it_repeats_twice_at_least_and_then_while_there_is_time(seconds: float) -> None:
    calls: list[float] = []

    def work() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.02)

    best_seconds(work, CPU, seconds)
    assert len(calls) == 2 if not seconds else 3 <= len(calls) <= 11


def test_the_matrix_rate_is_operations_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        measure, "best_seconds", lambda work, device, seconds: work() is None or 0.5
    )
    monkeypatch.setattr(measure, "MATRICES", {"cpu": 2})
    monkeypatch.setattr(measure, "ORDER", 3)
    assert matrix_rate(CPU) == 2 * 2 * 27 / 0.5


def test_a_real_rate_is_one_of_this_decade_and_double_precision_is_slower() -> None:
    single, double = matrix_rate(CPU, seconds=0.05), matrix_rate(CPU, "float64", seconds=0.05)
    assert 1e8 < double < single < 1e14


def test_measuring_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    matrix_rate(CPU, seconds=0.0)
    time_stack([FORM], CPU, Path(), 0.0)
    assert torch.equal(before, torch.get_rng_state())


def test_a_stack_is_timed_with_all_its_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(
        measure.Stack,
        "take_steps",
        lambda self, count: (taken.append(count), time.sleep(0.01 * count)),
    )
    found = time_stack([FORM.replace(seed=seed) for seed in range(3)], CPU, Path(), 0.05)
    assert found.replicas == 3
    assert taken[0] == measure.WARM_UP
    assert set(taken[1:]) == {1}
    assert 0.01 <= found.step < 0.03
    assert 0 < found.evaluation < 0.1
    assert 0 <= found.start < 5
    assert found.test_samples == 8


@pytest.mark.parametrize(("each", "count"), [(0.001, 50), (1e-6, 62), (0.0, 62), (1.0, 1)])
def test_short_steps_are_timed_as_many_as_training_takes_at_once(
    monkeypatch: pytest.MonkeyPatch, each: float, count: int
) -> None:
    """What a call costs besides is shared among its steps: 4 ms here."""
    taken: list[int] = []

    def best(work: Callable[[], object], device: torch.device, seconds: float) -> float:
        work()
        return 0.004 + each * taken[-1]

    monkeypatch.setattr(measure.Stack, "take_steps", lambda self, count: taken.append(count))
    monkeypatch.setattr(measure, "best_seconds", best)
    monkeypatch.setattr(measure, "EVALUATION_SECONDS", 0.0)
    found = time_stack([FORM], CPU, Path(), 1.0)
    assert taken == [measure.WARM_UP, 1, count]
    assert found.step == pytest.approx(0.004 / count + each)


def test_no_more_steps_are_timed_at_once_than_training_takes() -> None:
    assert measure.MOST_STEPS == CHUNK


def test_an_evaluation_that_would_take_long_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the step, by operations: 28 samples forward against 20 forward and backward."""
    monkeypatch.setattr(measure, "EVALUATION_SECONDS", 0.0)
    monkeypatch.setattr(Stack, "evaluate", lambda stack: pytest.fail("evaluated"))
    found = time_stack([FORM], CPU, Path(), 0.0)
    assert found.evaluation == pytest.approx(found.step * 28 / 20 / 3)


def test_compiling_can_be_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIGROK_NATIVE", "0")
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    monkeypatch.setattr(torch, "compile", lambda *given, **more: pytest.fail("compiled"))
    assert not time_stack([FORM], CPU, Path(), 0.0, compiled=False).compiled
    with pytest.raises(pytest.fail.Exception, match="compiled"):
        time_stack([FORM], CPU, Path(), 0.0)


@pytest.mark.parametrize(
    ("eval_samples", "test", "shown"), [(0, 8, 28), (5, 8, 10), (15, 8, 23), (100, 0, 20)]
)
def test_samples_of_an_evaluation(eval_samples: int, test: int, shown: int) -> None:
    assert evaluated(FORM.replace(eval_samples=eval_samples), test) == shown


def test_a_stack_that_cannot_be_built_is_an_error() -> None:
    with pytest.raises(BadInput, match="widths"):
        time_stack([FORM.replace(network={})], CPU, Path())


@pytest.mark.gpu
def test_a_gpu_is_waited_for() -> None:
    assert 1e11 < matrix_rate(torch.device("cuda")) < 1e16
    assert time_stack([FORM], torch.device("cuda"), Path(), 0.1).step > 0
