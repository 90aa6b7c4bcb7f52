"""A checkpoint goes round; one that cannot be a state of its Run is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.run import Run
from omnigrok.store.checkpoint import pack, unpack
from omnigrok.store.encode import decode_state, encode_state
from omnigrok.training import Stack, State


@pytest.fixture(scope="module")
def run(toy: Run) -> Run:
    return toy.replace(precision="float32")


@pytest.fixture(scope="module")
def reviews(run: Run) -> Run:
    """A setting whose model carries something from one batch to the next."""
    return run.replace(
        task="imdb",
        model="lstm",
        n_train=24,
        batch_size=32,
        steps=4,
        log_every=1,
        loss="binary_cross_entropy",
        data={"source": "bundled", "n_test": 4, "length": 8, "vocabulary": 20},
        network={"embedding": 3, "hidden": 4, "layers": 1, "carry": True},
    )


def state_of(run: Run) -> State:
    stack = Stack([run])
    stack.advance(0.0)
    return stack.states()[run]


@pytest.fixture(scope="module")
def state(run: Run) -> State:
    return state_of(run)


def test_a_state_goes_round(state: State, run: Run) -> None:
    back = unpack(run, 20, pack(state))
    assert back is not None
    assert (back.step, back.logged, back.columns, back.held) == (
        20,
        [0, 20],
        state.columns,
        state.held,
    )
    for old, new in (
        (state.weights, back.weights),
        (state.first, back.first),
        (state.second, back.second),
    ):
        np.testing.assert_array_equal(old, new)


def test_a_state_beyond_the_end_of_a_run_that_stops_is_none(state: State, run: Run) -> None:
    """It is none either if it lacks what the run stops at."""
    stopping = run.replace(stop_at={"test_acc": 0.5})
    low, high = (
        replace(state, columns={**state.columns, "test_acc": [value, value]})
        for value in (0.4, 0.6)
    )
    assert unpack(stopping, 20, pack(low)) is not None
    assert unpack(stopping, 20, pack(high)) is None
    assert unpack(run, 20, pack(high)) is not None
    assert unpack(run.replace(stop_at={"test_acc_other": 0.5}), 20, pack(low)) is None


def test_what_a_model_carries_goes_round(reviews: Run) -> None:
    state = state_of(reviews)
    back = unpack(reviews, state.step, pack(state))
    assert back is not None
    assert back.carried["state"].shape == (2, 1, 24, 4)
    assert unpack(reviews, state.step, pack(replace(state, carried={}))) is None
    assert (
        unpack(
            reviews, state.step, pack(replace(state, carried={"state": np.zeros((2, 1, 32, 4))}))
        )
        is None
    )


CHANGES: dict[str, Callable[[State], Any]] = {
    "another network": lambda state: {"weights": state.weights[:-1]},
    "a vector that would be broadcast": lambda _: {"first": np.zeros(1, np.float32)},
    "a matrix": lambda state: {"second": state.second[None]},
    "weights of a wrong kind": lambda state: {"weights": state.weights.astype(np.int64)},
    "a norm that is no number": lambda _: {"held": math.nan},
    "endless seconds": lambda _: {"seconds": math.inf},
    "negative seconds": lambda _: {"seconds": -1.0},
    "a point too many": lambda state: {"logged": [*state.logged, 40]},
    "another grid": lambda _: {"logged": [0, 19]},
    "a column too short": lambda state: {"columns": {**state.columns, "train_loss": [1.0]}},
    "no columns": lambda _: {"columns": {}},
    "something carried": lambda _: {"carried": {"state": np.zeros(3)}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_is_not_of_its_run_is_none(state: State, change: str, run: Run) -> None:
    assert unpack(run, 20, pack(replace(state, **CHANGES[change](state)))) is None


@pytest.mark.parametrize("step", [-20, 0, 40, 100, 2**70])
def test_another_step_is_none(state: State, step: int, run: Run) -> None:
    assert unpack(run, step, pack(state)) is None


def test_another_run_is_none(state: State, run: Run) -> None:
    assert (
        unpack(run.replace(network={"widths": (3, 5, 2), "activation": "tanh"}), 20, pack(state))
        is None
    )
    assert unpack(run.replace(log_every=10), 20, pack(state)) is None
    assert (
        unpack(run.replace(seed=1), 20, pack(state)) is not None
    )  # seeds share shapes: the store's key and checksum tell them apart


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_none(state: State, data: st.DataObject, run: Run) -> None:
    blob = bytearray(pack(state))
    place = data.draw(st.integers(0, len(blob) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    if kind == "flip":
        blob[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del blob[place:]
    else:
        blob[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    assert unpack(run, 20, bytes(blob)) is None


names = st.sampled_from(
    ["weights", "first", "second", "scalars", "logged", "column.train_loss", "carried.state"]
)
arrays = st.lists(st.floats() | st.integers(-(2**62), 2**62), max_size=4).map(
    lambda values: np.asarray(values, dtype=np.float64)
)


@settings(max_examples=100, deadline=None)
@given(changed=st.dictionaries(names, arrays | st.none(), min_size=1, max_size=3))
def test_forged_arrays_are_none(state: State, changed: dict[str, Any], run: Run) -> None:
    """With checksums that are right: what a stranger can put into a store."""
    forged = {**decode_state(pack(state))[0], **changed}
    given = {name: values for name, values in forged.items() if values is not None}
    sound = state.arrays()
    different = {
        name
        for name in sound.keys() | given.keys()
        if name not in sound or name not in given or not np.array_equal(given[name], sound[name])
    }
    found = unpack(run, 20, encode_state(given))
    assert found is None or different <= {"scalars", "column.train_loss"}
