"""The pairs, the authors' split and the control of ``omnigrok.data.modular``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset, random_split

from omnigrok.data import find_task, modular
from omnigrok.errors import BadInput
from omnigrok.run import Run

ROOT = Path("unused")


def a_run(**changes):
    fields = {
        "task": "modular",
        "model": "transformer",
        "seed": 0,
        "n_train": 20,
        "steps": 1,
        "lr": 1e-3,
        "data": {"p": 7},
    }
    return Run(**(fields | changes))


def test_is_found_by_name():
    assert find_task("modular") is modular


def test_every_ordered_pair_once_with_its_sum():
    pool = modular.pairs(7)
    (tokens,) = pool.inputs
    assert tokens.shape == (49, 3)
    assert pool.targets.shape == (49,)
    assert tokens.dtype == pool.targets.dtype == torch.int64
    assert len({tuple(row) for row in tokens[:, :2].tolist()}) == 49
    assert tokens[:, :2].min() == 0
    assert tokens[:, :2].max() == 6
    assert (tokens[:, 2] == 7).all()
    assert pool.targets.tolist() == [(x + y) % 7 for x, y, _ in tokens.tolist()]


def test_second_number_runs_fastest():
    assert modular.pairs(5).inputs[0][:6].tolist() == [
        [0, 0, 5],
        [0, 1, 5],
        [0, 2, 5],
        [0, 3, 5],
        [0, 4, 5],
        [1, 0, 5],
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_split_and_the_stream_after_it_are_those_of_random_split(seed):
    n_train = int(0.3 * 113 * 113)
    assert n_train == 3830
    split = modular.split(a_run(seed=seed, n_train=n_train, data={}), ROOT)
    follows = torch.rand(3)
    torch.manual_seed(42 + seed)
    train, test = random_split(
        TensorDataset(torch.arange(113 * 113)), [n_train, 113 * 113 - n_train]
    )
    assert split.train.tolist() == list(train.indices)
    assert split.test.tolist() == list(test.indices)
    assert len(split.test) == 8939
    assert torch.equal(follows, torch.rand(3))


@settings(deadline=None, max_examples=25)
@given(
    p=st.integers(2, 12), share=st.floats(0, 1), seed=st.integers(0, 1000), shuffle=st.booleans()
)
def test_train_and_test_part_all_pairs(p, share, seed, shuffle):
    n_train = 1 + int(share * (p * p - 2))
    split = modular.split(
        a_run(seed=seed, n_train=n_train, data={"p": p, "shuffle_labels": shuffle}), ROOT
    )
    assert len(split.train) == n_train
    assert len(split.test) >= 1
    assert sorted(split.train.tolist() + split.test.tolist()) == list(range(p * p))
    assert split.train.dtype == split.test.dtype == torch.int64


def test_same_seed_same_split_whatever_was_drawn_before():
    first = modular.split(a_run(seed=3), ROOT)
    torch.rand(5)
    again = modular.split(a_run(seed=3), ROOT)
    other = modular.split(a_run(seed=4), ROOT)
    assert torch.equal(first.train, again.train)
    assert torch.equal(first.test, again.test)
    assert not torch.equal(first.train, other.train)


def test_smaller_training_sets_are_nested_in_larger_ones():
    small, large = (modular.split(a_run(n_train=n), ROOT) for n in (10, 30))
    assert torch.equal(small.train, large.train[:10])


def test_replicas_share_one_pool():
    assert modular.split(a_run(seed=0), ROOT).pool is modular.split(a_run(seed=1), ROOT).pool


def test_shuffled_labels_leave_split_inputs_test_labels_and_stream():
    plain = modular.split(a_run(n_train=30), ROOT)
    follows = torch.rand(3)
    before = plain.pool.targets.clone()
    control = modular.split(a_run(n_train=30, data={"p": 7, "shuffle_labels": True}), ROOT)
    assert torch.equal(follows, torch.rand(3))
    assert torch.equal(plain.train, control.train)
    assert torch.equal(plain.test, control.test)
    assert control.pool.inputs[0] is plain.pool.inputs[0]
    assert torch.equal(plain.pool.targets, before)
    assert torch.equal(plain.pool.targets[plain.test], control.pool.targets[control.test])


def test_shuffled_labels_are_the_training_labels_in_another_order():
    plain = modular.split(a_run(n_train=30), ROOT)
    shuffled = a_run(n_train=30, data={"p": 7, "shuffle_labels": True})
    control = modular.split(shuffled, ROOT).pool.targets[plain.train]
    true = plain.pool.targets[plain.train]
    assert torch.equal(control.sort().values, true.sort().values)
    assert (control == true).float().mean() < 0.5
    assert torch.equal(control, modular.split(shuffled, ROOT).pool.targets[plain.train])
    other = modular.split(shuffled.replace(seed=1), ROOT)
    assert not torch.equal(control, other.pool.targets[other.train])


def test_shuffle_false_is_no_shuffle():
    assert modular.split(a_run(data={"p": 7, "shuffle_labels": False}), ROOT).pool is modular.pairs(
        7
    )


@pytest.mark.parametrize("p", [1, 0, -3, 7.0, "7", True])
def test_bad_modulus(p):
    with pytest.raises(
        BadInput, match=r"modular: data.p = .* is not accepted; a whole number of 2 or more"
    ):
        modular.split(a_run(data={"p": p}), ROOT)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_bad_shuffle(value):
    with pytest.raises(
        BadInput, match=r"modular: data.shuffle_labels = .* is not accepted; true or false"
    ):
        modular.split(a_run(data={"p": 7, "shuffle_labels": value}), ROOT)


@pytest.mark.parametrize("n_train", [49, 50])
def test_no_pair_left_to_test_on(n_train):
    with pytest.raises(BadInput, match=rf"n_train = {n_train} .* p = 7 has 49 pairs"):
        modular.split(a_run(n_train=n_train), ROOT)


def test_one_pair_left_to_test_on_is_enough():
    assert len(modular.split(a_run(n_train=48), ROOT).test) == 1


def test_accuracy_is_whether_the_largest_output_is_right():
    outputs = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 1.0, 2.0]], dtype=torch.float64)
    scores = modular.accuracy(a_run(), outputs, torch.tensor([1, 1, 0]))
    assert list(scores) == ["acc"]
    assert scores["acc"].tolist() == [1.0, 0.0, 0.0]
    assert scores["acc"].dtype == torch.float64


def test_accuracy_counts_the_equals_sign_as_a_wrong_answer():
    outputs = torch.zeros(1, 8)
    outputs[0, 3], outputs[0, 7] = 1.0, 2.0
    assert modular.accuracy(a_run(), outputs, torch.tensor([3]))["acc"].item() == 0


def test_accuracy_takes_a_replica_axis():
    outputs, targets = torch.randn(3, 5, 8), torch.randint(8, (3, 5))
    assert modular.accuracy(a_run(), outputs, targets)["acc"].shape == (3, 5)
    mapped = torch.func.vmap(lambda o, t: modular.accuracy(a_run(), o, t)["acc"])(outputs, targets)
    assert torch.equal(mapped, modular.accuracy(a_run(), outputs, targets)["acc"])
