"""A stack that is interrupted and resumed from its checkpoints goes on as if nothing had been, bit
for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.store.encode import encode_state
from omnigrok.training import Stack, State, train
from omnigrok.training.feed import CHUNK

Compare = Callable[..., None]
Encoded = Callable[[State], State]
Stepwise = Callable[[Sequence[Run], Encoded], list[Curves]]


@pytest.mark.parametrize("written", [False, True], ids=["states", "encoded"])
@pytest.mark.parametrize("constraint", ["free", "published", "tangent"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_resumed_training_is_the_uninterrupted_one_bit_for_bit(
    student: Run,
    assert_equal: Compare,
    written: bool,
    constraint: str,
    precision: str,
    stepwise: Stepwise,
    encoded: Encoded,
) -> None:
    changes = {
        "constraint": constraint,
        "precision": precision,
        "log_every": 3,
        "steps": 20,
        "weight_decay": 0.1,
    }
    runs = [student.replace(seed=k, alpha=1.5, **changes) for k in range(3)]
    for whole, pieces in zip(
        train(runs), stepwise(runs, encoded if written else lambda state: state), strict=True
    ):
        assert_equal(whole, pieces)


def test_resumed_mini_batches_go_on_in_the_middle_of_an_epoch(
    digits: Run, assert_equal: Compare, stepwise: Stepwise, encoded: Encoded
) -> None:
    runs = [
        digits.replace(seed=k, n_train=90 + k, steps=25, log_every=4, lr_drops=(7,), lr_factor=0.5)
        for k in range(2)
    ]
    for whole, pieces in zip(train(runs), stepwise(runs, encoded), strict=True):
        assert_equal(whole, pieces)


def test_resumed_between_two_logged_steps(
    student: Run, assert_equal: Compare, encoded: Encoded
) -> None:
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
    with pytest.raises(
        BadInput, match=r"a stack resumes at one step; these checkpoints are at \[1, 2\]"
    ):
        Stack([student, other], states=states)
