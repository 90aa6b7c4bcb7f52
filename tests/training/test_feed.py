"""What steps read: the same as the calendar and the schedule say, laid out ahead, chunk after
chunk.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.run import Run
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.feed import CHUNK, Feed
from omnigrok.training.optimizer import schedule

CPU = torch.device("cpu")


def setting(**changes: object) -> Run:
    fields: dict[str, object] = {
        "task": "teacher_student",
        "model": "mlp",
        "n_train": 12,
        "steps": 500,
        "lr": 1e-3,
        "seed": 0,
        **changes,
    }
    return Run(**fields)  # type: ignore[arg-type]


def feed_of(runs: list[Run], epochs: bool = False) -> Feed:
    return Feed(runs, max(effective_batch(run) for run in runs), epochs, torch.float64, CPU)


@given(
    sizes=st.lists(st.integers(5, 24), min_size=1, max_size=4),
    batch=st.integers(3, 8),
    first=st.integers(0, 300),
    count=st.integers(1, CHUNK),
)
def test_batches_are_those_of_the_calendar(
    sizes: list[int], batch: int, first: int, count: int
) -> None:
    runs = [setting(seed=k, n_train=size, batch_size=batch) for k, size in enumerate(sizes)]
    feed = feed_of(runs, epochs=True)
    if feed.whole:
        feed.load(first, count)
        assert feed.take().positions is None
        return
    feed.load(first, count)
    orders = [batch_order(run, first, count, feed.width) for run in runs]
    for k in range(count):
        turn = feed.take()
        assert turn.positions is not None
        assert turn.begins is not None
        np.testing.assert_array_equal(
            turn.positions.numpy(), np.stack([order[0][k] for order in orders])
        )
        real = np.stack([order[1][k] for order in orders])
        if turn.real is None:
            assert real.all()
        else:
            np.testing.assert_array_equal(turn.real.numpy(), real)
        begins = [(first + k) % -(-run.n_train // effective_batch(run)) == 0 for run in runs]
        assert turn.begins.tolist() == begins


@given(
    first=st.integers(0, 300),
    count=st.integers(1, CHUNK),
    decay=st.floats(0, 5),
    drop=st.integers(0, 400),
)
def test_factors_are_those_of_the_schedule(first: int, count: int, decay: float, drop: int) -> None:
    runs = [
        setting(),
        setting(seed=1, lr=3e-2, weight_decay=decay, lr_drops=(drop,), lr_factor=0.2),
    ]
    feed = feed_of(runs)
    feed.load(first, count)
    plan = schedule(runs, first, count, torch.float64, CPU)
    for k in range(count):
        turn = feed.take()
        torch.testing.assert_close(turn.decay, plan.decay[k], rtol=0, atol=0)
        torch.testing.assert_close(turn.step_size, plan.step_size[k], rtol=0, atol=0)
        torch.testing.assert_close(turn.second, plan.second[k], rtol=0, atol=0)


def test_a_full_batch_names_no_positions_and_asks_for_no_epochs() -> None:
    feed = feed_of([setting(), setting(seed=1)])
    feed.load(0, 3)
    turn = feed.take()
    assert (turn.positions, turn.real, turn.begins) == (None, None, None)
    assert turn.second.shape == ()


def test_whether_places_are_filled_does_not_depend_on_the_chunk() -> None:
    feed = feed_of([setting(n_train=10, batch_size=4)])
    feed.load(0, 2)  # both batches of this chunk are whole
    first = feed.take().real
    assert first is not None
    assert bool(first.all())


def test_the_next_chunk_begins_at_its_first_step_wherever_the_last_one_was_left() -> None:
    feed = feed_of([setting(batch_size=4)])
    feed.load(0, 50)
    for _ in range(7):
        feed.take()
    feed.load(50, 10)
    expected = batch_order(feed.runs[0], 50, 1, 4)[0]
    positions = feed.take().positions
    assert positions is not None
    np.testing.assert_array_equal(positions.numpy(), expected)


def test_tensors_keep_their_place_in_memory() -> None:
    feed = feed_of([setting(batch_size=5)], epochs=True)
    places = {name: column.data_ptr() for name, column in feed.columns.items()}
    assert set(places) == {"decay", "step_size", "second", "positions", "real", "begins"}
    for first in (0, 100, 200):
        feed.load(first, 100)
    assert {name: column.data_ptr() for name, column in feed.columns.items()} == places


def test_more_than_a_chunk_is_refused() -> None:
    feed = feed_of([setting()])
    with pytest.raises(RuntimeError):
        feed.load(0, CHUNK + 1)
