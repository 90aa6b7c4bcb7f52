"""Every family of networks with every constraint trains on the simulated card as on the CPU: alone,
and in stacks that resume, split and lose finished replicas, with no wait and no copy in a step.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from omnigrok.curves import Curves
from omnigrok.run import CONSTRAINTS, Run
from omnigrok.store.encode import decode_state, encode_state
from omnigrok.training import Stack, State, train
from simcuda import SimulatedCard
from tiny_families import FAMILIES, assert_near, replicas

# Kernels that a captured step may launch: about a tenth more than it does. A small network's step
# takes as long as its launches.
BUDGET = {
    "full batch": 78,
    "mini-batch": 80,
    "messy": 88,
    "addition": 65,
    "transformer": 215,
    "lstm": 560,
    "nnconv": 180,
    "graph-conv": 135,
}
STEPS = (4, 8, 9, 12)


def _finish(stack: Stack) -> list[Curves]:
    done = []
    while stack.histories:
        done += stack.advance(0)
    return done


def _carried_over(state: State) -> State:
    """As a checkpoint brings it back."""
    return State.from_arrays(state.step, decode_state(encode_state(state.arrays()))[0])


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_curves_are_those_of_the_cpu(
    family: str,
    constraint: str,
    card: SimulatedCard,
    gpu: torch.device,
    train_on: Callable[..., list[Curves]],
) -> None:
    """A stack of four is stopped after its first chunk, written, read, and split; each half goes on
    and loses a replica.
    """
    form: Run = FAMILIES[family].replace(constraint=constraint, log_every=3)
    runs = [run.replace(steps=steps) for run, steps in zip(replicas(form, 4), STEPS, strict=True)]
    expected = [train([run])[0] for run in runs]
    whole = Stack(runs, gpu)
    assert whole.advance(0) == []
    states = {run: _carried_over(state) for run, state in whole.states().items()}
    assert {state.step for state in states.values()} == {3}
    done = []
    for half in (runs[:2], runs[2:]):
        stack = Stack(half, gpu, states={run: states[run] for run in half})
        done += _finish(stack)
        assert len(stack.replicas.weights) == 1
    assert_near(sorted(done, key=lambda curves: curves.run.steps), expected, rtol=1e-9)
    assert_near(train_on(runs[3:]), expected[3:], rtol=1e-9)
    assert len({float(curves["train_loss"][1]) for curves in done}) == 4
    assert card.graphs_captured
    assert max(card.graphs_captured) <= BUDGET[family]


def test_a_family_that_is_new_has_a_budget() -> None:
    assert set(BUDGET) == set(FAMILIES)
