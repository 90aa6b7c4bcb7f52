from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from omnigrok.data import find_task, teacher_student
from omnigrok.errors import BadInput
from omnigrok.models import mlp
from omnigrok.run import Run, freeze

RUN = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=100,
    steps=1,
    lr=3e-4,
    network=freeze({"widths": (5, 100, 100, 5), "activation": "tanh"}),
)
NOWHERE = Path()


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 5)
    )


def test_draws_are_in_the_order_of_the_published_code() -> None:
    """docs/protocol.md: seed 0, the teacher, 100 training inputs, 100 test inputs; then seed 1, the
    student.
    """
    torch.manual_seed(0)
    teacher = network()
    inputs = torch.cat([torch.randn(100, 5), torch.randn(100, 5)])
    torch.manual_seed(1)
    student = network()
    split = teacher_student.split(RUN, NOWHERE)
    assert torch.equal(split.pool.inputs[0], inputs)
    with torch.no_grad():
        torch.testing.assert_close(split.pool.targets, teacher(inputs))
    ours = mlp.build(RUN)  # from what split leaves in torch's generator
    assert all(
        torch.equal(one, other)
        for one, other in zip(ours.parameters(), student.parameters(), strict=True)
    )


def test_labels_are_noiseless_and_carry_no_gradient() -> None:
    split = teacher_student.split(RUN, NOWHERE)
    assert split.pool.targets.shape == (200, 5)
    assert not split.pool.targets.requires_grad


def test_training_and_test_samples_are_different_ones() -> None:
    split = teacher_student.split(RUN.replace(n_train=7, data={"n_test": 4}), NOWHERE)
    assert split.train.tolist() == list(range(7))
    assert split.test.tolist() == [7, 8, 9, 10]
    assert len(split.pool.inputs[0]) == len(split.pool.targets) == 11
    assert len(torch.unique(split.pool.inputs[0], dim=0)) == 11


def test_a_split_follows_from_the_seed_alone() -> None:
    torch.manual_seed(99)
    one = teacher_student.split(RUN, NOWHERE)
    torch.manual_seed(1234)
    other = teacher_student.split(RUN.replace(alpha=3.0, lr=1.0, precision="float64"), NOWHERE)
    assert torch.equal(one.pool.inputs[0], other.pool.inputs[0])
    assert torch.equal(one.pool.targets, other.pool.targets)


def test_no_two_seeds_share_a_teacher_a_data_set_or_a_student() -> None:
    """Not even one's data with another's student: seeds are 2 s and 2 s + 1."""
    firsts = []
    for seed in range(4):
        split = teacher_student.split(RUN.replace(seed=seed), NOWHERE)
        firsts += [
            float(split.pool.inputs[0][0, 0]),
            float(split.pool.targets[0, 0]),
            float(torch.randn(1)),
        ]
    assert len(set(firsts)) == len(firsts)


def test_accuracies_count_samples_below_their_thresholds() -> None:
    """Per-sample mean squared error under .01 (text) or .001 (code), Euclidean error under .01,
    each strictly.
    """
    errors = torch.tensor([0.0, 0.004, 0.02, 0.05, 0.2])
    outputs = errors[:, None] * torch.tensor(
        [1.0, -1.0]
    )  # mean square e^2, Euclidean norm sqrt(2) e
    scores = teacher_student.accuracy(RUN, outputs, torch.zeros(5, 2))
    assert {name: values.tolist() for name, values in scores.items()} == {
        "acc": [1, 1, 1, 1, 0],
        "acc_code": [1, 1, 1, 0, 0],
        "acc_euclid": [1, 1, 0, 0, 0],
    }
    assert all(values.dtype == outputs.dtype for values in scores.values())


def test_a_sample_on_the_threshold_is_not_below_it() -> None:
    """.5 squared is .25 exactly."""
    outputs = torch.tensor([[0.5]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(teacher_student.THRESHOLDS, "acc", 0.25)
        assert teacher_student.accuracy(RUN, outputs, torch.zeros(1, 1))["acc"].tolist() == [0]


def test_it_is_found_by_name_and_an_unknown_one_is_not() -> None:
    assert find_task("teacher_student") is teacher_student
    with pytest.raises(
        BadInput,
        match=(
            r"unknown task 'teacher'; accepted: .*addition, .*teacher_student, or the dotted path "
            r"of a module"
        ),
    ):
        find_task("teacher")


def test_another_authors_module_that_is_missing_is_told_with_where_it_was_looked_for() -> None:
    for name, missing, place in (
        ("nobody.data", "nobody", sys.path[-1]),
        ("omnigrok.stats.nothing", "omnigrok.stats.nothing", "omnigrok/stats"),
    ):
        words = f"task '{name}': cannot import {missing}: it is not in .*{place}"
        with pytest.raises(BadInput, match=words):
            find_task(name)


def test_only_data_sets_are_listed_as_accepted() -> None:
    with pytest.raises(BadInput, match="accepted: addition"):
        find_task("teacher")


def test_a_module_that_is_no_data_set_is_refused() -> None:
    with pytest.raises(
        BadInput,
        match=r"task 'omnigrok.errors': module omnigrok.errors must define split\(run, root\)",
    ):
        find_task("omnigrok.errors")
