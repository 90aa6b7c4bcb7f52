from __future__ import annotations

from collections import Counter
from itertools import chain, pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omnigrok.run import Run
from omnigrok.training.calendar import batch_order, effective_batch, evaluation_sample, log_steps

FORM = Run(task="teacher_student", model="mlp", seed=0, n_train=10, steps=10, lr=1e-3)

sizes = st.integers(1, 60)
batches = st.integers(0, 70)
seeds = st.integers(0, 5)


def epoch_length(run: Run) -> int:
    return -(-run.n_train // effective_batch(run))


# Logged steps


@settings(deadline=None)
@given(st.integers(1, 300_000), st.floats(0.001, 1.0))
@example(100_000, 0.02)
@example(1, 0.02)
def test_logged_steps_rise_from_0_to_the_last_with_small_gaps(steps: int, ratio: float) -> None:
    logged = np.array(log_steps(FORM.replace(steps=steps, log_ratio=ratio)))
    assert (logged[0], logged[-1]) == (0, steps)
    gaps = np.diff(logged)
    assert (gaps >= 1).all()
    assert (gaps <= np.maximum(1, (ratio + 1e-12) * logged[:-1])).all()


def test_two_per_cent_is_the_default_and_early_steps_are_all_logged() -> None:
    logged = log_steps(FORM.replace(steps=100_000))
    assert logged[:100] == tuple(range(100))
    assert max((after - before) / before for before, after in pairwise(logged[100:])) <= 0.02


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 400))
def test_log_every(steps: int, every: int) -> None:
    logged = log_steps(FORM.replace(steps=steps, log_every=every))
    assert logged == tuple(sorted({*range(0, steps, every), steps}))


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_longer_run_logs_what_a_shorter_one_does(short: int, more: int) -> None:
    one, other = (log_steps(FORM.replace(steps=steps)) for steps in (short, short + more))
    assert set(one[:-1]) <= set(other)


# Batches


def drawn(run: Run, first_step: int, count: int) -> list[list[int]]:
    positions, real = batch_order(run, first_step, count, effective_batch(run))
    return [row[kept].tolist() for row, kept in zip(positions, real, strict=True)]


@settings(deadline=None)
@given(sizes, batches, seeds, st.integers(0, 4))
def test_every_sample_once_an_epoch(n_train: int, batch_size: int, seed: int, epoch: int) -> None:
    run = FORM.replace(n_train=n_train, batch_size=batch_size, seed=seed)
    length = epoch_length(run)
    seen = Counter(position for batch in drawn(run, epoch * length, length) for position in batch)
    assert seen == Counter(range(n_train))


@settings(deadline=None)
@given(sizes, batches)
def test_the_last_smaller_batch_is_kept(n_train: int, batch_size: int) -> None:
    run = FORM.replace(n_train=n_train, batch_size=batch_size)
    lengths = [len(batch) for batch in drawn(run, 0, epoch_length(run))]
    size = min(batch_size, n_train) if batch_size else n_train
    assert lengths[:-1] == [size] * (len(lengths) - 1)
    assert lengths[-1] == (n_train % size or size)


@settings(deadline=None)
@given(sizes, batches, seeds, st.integers(0, 40), st.integers(1, 20), st.integers(1, 20))
def test_a_resumed_run_sees_the_same_batches(
    n_train: int, batch_size: int, seed: int, start: int, one: int, two: int
) -> None:
    run = FORM.replace(n_train=n_train, batch_size=batch_size, seed=seed)
    assert drawn(run, start, one + two) == drawn(run, start, one) + drawn(run, start + one, two)


@settings(deadline=None)
@given(sizes, st.integers(1, 70), st.integers(0, 30), st.integers(1, 10))
def test_filling_up_is_marked(n_train: int, batch_size: int, more: int, count: int) -> None:
    run = FORM.replace(n_train=n_train, batch_size=batch_size)
    width = effective_batch(run) + more
    positions, real = batch_order(run, 0, count, width)
    assert positions.shape == real.shape == (count, width)
    assert (positions[~real] == 0).all()
    assert [row[kept].tolist() for row, kept in zip(positions, real, strict=True)] == drawn(
        run, 0, count
    )


def test_order_differs_by_epoch_and_by_seed_and_by_nothing_else() -> None:
    run = FORM.replace(n_train=50, batch_size=49)

    def epoch(of: Run, number: int = 0) -> list[int]:
        return list(chain.from_iterable(drawn(of, number * epoch_length(of), epoch_length(of))))

    assert epoch(run) != epoch(run, 1)
    assert epoch(run) != epoch(run.replace(seed=1))
    assert epoch(run) == epoch(run.replace(alpha=3.0, lr=1.0, weight_decay=1.0, steps=99))
    assert epoch(run) != list(range(50))


def test_full_batches_keep_the_order_of_the_set() -> None:
    assert drawn(FORM, 0, 2) == [list(range(10))] * 2


# Samples of an evaluation


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 10_000), st.sampled_from([0, 1]))
def test_an_evaluation_sample_has_no_sample_twice(
    available: int, size: int, step: int, which: int
) -> None:
    run = FORM.replace(eval_samples=size)
    sample = evaluation_sample(run, step, available, which)
    assert len(set(sample.tolist())) == len(sample) == min(size, available)
    assert set(sample.tolist()) <= set(range(available))
    np.testing.assert_array_equal(sample, evaluation_sample(run, step, available, which))


def test_evaluation_samples_are_fresh() -> None:
    run = FORM.replace(eval_samples=20)
    one = evaluation_sample(run, 5, 1000, 0).tolist()
    others = [(run, 6, 0), (run, 5, 1), (run.replace(seed=1), 5, 0)]
    assert all(
        evaluation_sample(each, step, 1000, which).tolist() != one for each, step, which in others
    )
