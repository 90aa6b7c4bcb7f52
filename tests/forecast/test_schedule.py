"""Worked examples of the simulated scheduler, and a forecast that obeys its own bounds."""

from __future__ import annotations

import pytest

from omnigrok.execution.plan import StackPlan, make_plan
from omnigrok.forecast.cards import CARDS, REACHED, START, cost_of, kernels, reason
from omnigrok.forecast.schedule import HEARTBEAT, schedule
from omnigrok.run import Run, freeze


def test_by_hand() -> None:
    """Two cards and 6, 4, 3 s: the third stack begins at 4 s."""
    found = schedule([(6.0, 1), (4.0, 1), (3.0, 1)], 2, report=0.0, run=0.0)
    assert (found.seconds, found.longest, found.driver) == (7.0, 6.0, 0.0)
    assert found.busy == pytest.approx(13 / 14)


def test_no_number_of_cards_is_faster_than_the_longest_stack() -> None:
    stacks = [(100.0, 10)] + [(1.0, 10)] * 500
    times = [schedule(stacks, cards).seconds for cards in (1, 10, 100, 1000)]
    assert times == sorted(times, reverse=True)
    assert times[-1] >= 100.0


def test_a_driver_that_is_too_slow_is_what_an_audit_waits_for() -> None:
    stacks = [(HEARTBEAT, 1)] * 1000
    found = schedule(stacks, 1000, report=1.0, run=0.0)
    assert found.seconds >= 1000.0
    assert found.driver == pytest.approx(1.0, abs=0.01)
    assert found.busy < 0.01


def layers(width: int) -> dict[str, object]:
    return {"widths": (5, width, width, 5), "activation": "tanh"}


def run(**changes: object) -> Run:
    form = Run(
        task="teacher_student",
        model="mlp",
        seed=0,
        n_train=100,
        steps=10_000,
        lr=1e-3,
        data=freeze({"n_test": 100}),
        network=freeze({"widths": (5, 100, 100, 5), "activation": "tanh"}),
    )
    return form.replace(**changes)


@pytest.mark.parametrize(
    ("form", "size", "word"),
    [
        (run(steps=100_000), 1, "launches"),
        (run(n_train=20_000, network=layers(800)), 64, "rate"),
        (run(n_train=2, network=layers(2000)), 64, "memory"),
    ],
)
def test_what_a_stack_waits_for(form: Run, size: int, word: str) -> None:
    """One small network for its launches, large ones for products, much weight on few samples for
    memory; and never less than the floor.
    """
    runs = tuple(form.replace(seed=seed) for seed in range(size))
    cost = cost_of(StackPlan(runs, 0, 0.0), CARDS["H200"])
    assert word in reason([cost])
    assert cost.floor <= REACHED * cost.products * 1.001
    assert max(cost.products, cost.memory, cost.launches) <= cost.seconds - START


def test_an_lstm_launches_for_every_token() -> None:
    lstm = run(model="lstm", task="imdb", network={}, data={"length": 500})
    assert kernels(lstm) > 100 * kernels(run())


@pytest.mark.parametrize("devices", [1, 4, 1000])
def test_a_plan_for_many_devices_divides_what_one_would_train_as_a_whole(devices: int) -> None:
    """Each Run stands in one stack, and no stack is more than half of a device's share."""
    runs = [run(seed=seed) for seed in range(16)]
    stacks = make_plan(runs, "cuda", 1e12, devices)
    assert sorted(each.digest for stack in stacks for each in stack.runs) == sorted(
        each.digest for each in runs
    )
    assert max(len(stack.runs) for stack in stacks) == {1: 16, 4: 2, 1000: 1}[devices]
