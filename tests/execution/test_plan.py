from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.execution.plan import (
    LARGEST,
    OPERATIONS_PER_STEP,
    SMALLEST,
    largest_stack,
    make_plan,
    plan,
)
from omnigrok.run import Run, freeze
from omnigrok.training.stackable import shape_key
from omnigrok.training.work import replica_bytes, step_operations

FORM = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=10,
    steps=10,
    lr=1e-3,
    network=freeze({"widths": (3, 4, 2), "activation": "tanh"}),
)
COSTS = {10: 1e3, 20: 3e8, 40: 1e9}

run_lists = st.lists(
    st.builds(
        lambda seed, n_train, steps, alpha: FORM.replace(
            seed=seed, n_train=n_train, steps=steps, alpha=alpha
        ),
        st.integers(0, 300),
        st.sampled_from(sorted(COSTS)),
        st.sampled_from([10, 100, 1000]),
        st.sampled_from([0.5, 1.0]),
    ),
    max_size=150,
)


def costs(runs: list[Run]) -> dict[Run, float]:
    return {shape_key(run): COSTS[run.n_train] for run in runs}


@settings(deadline=None)
@given(run_lists, st.sampled_from(["cpu", "cuda"]))
def test_every_run_is_in_one_stack_of_its_shape(runs: list[Run], device: str) -> None:
    stacks = plan(runs, costs(runs), device)
    assert Counter(run for stack in stacks for run in stack.runs) == Counter(set(runs))
    for stack in stacks:
        (key,) = {shape_key(run) for run in stack.runs}
        assert stack.network_steps == sum(run.steps for run in stack.runs)
        assert stack.operations == pytest.approx(stack.network_steps * COSTS[key.n_train])


@settings(deadline=None)
@given(run_lists, st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_or_on_repetitions(
    runs: list[Run], rng: random.Random
) -> None:
    """Every worker makes its own, from items it may have collected in another order."""
    shuffled = [*runs, *runs[:5]]
    rng.shuffle(shuffled)
    assert plan(shuffled, costs(runs)) == plan(runs, costs(runs))


@settings(deadline=None)
@given(run_lists, st.sampled_from(["cpu", "cuda"]))
def test_the_longest_first(runs: list[Run], device: str) -> None:
    operations = [stack.operations for stack in plan(runs, costs(runs), device)]
    assert operations == sorted(operations, reverse=True)


@settings(deadline=None)
@given(run_lists, st.sampled_from(["cpu", "cuda"]))
def test_stacks_are_neither_too_large_nor_uneven(runs: list[Run], device: str) -> None:
    by_shape: dict[Run, list[int]] = {}
    for stack in plan(runs, costs(runs), device):
        by_shape.setdefault(shape_key(stack.runs[0]), []).append(len(stack.runs))
    for key, sizes in by_shape.items():
        most = min(LARGEST[device], max(SMALLEST, OPERATIONS_PER_STEP[device] / COSTS[key.n_train]))
        assert max(sizes) <= most
        assert len(sizes) <= -(-sum(sizes) // int(most))
        assert len(set(sizes)) <= 2  # one compiled shape, and a rest


def test_runs_of_a_stack_have_similar_lengths() -> None:
    """So that a stack shrinks late: the shorter ones are together."""
    runs = [FORM.replace(seed=seed, steps=steps) for seed in range(100) for steps in (10, 1000)]
    stacks = plan(runs, costs(runs))
    assert sorted({run.steps for run in stack.runs} == {1000} for stack in stacks) == [False, True]


@pytest.mark.parametrize(
    ("device", "p", "stacks"), [("cpu", 113, [1] * 6), ("cpu", 23, [6]), ("cuda", 113, [6])]
)
def test_a_large_transformer_trains_alone_on_a_cpu(device: str, p: int, stacks: list[int]) -> None:
    """A small one, whose step is short, does not; nor does any on a card."""
    runs = [
        FORM.replace(
            task="modular",
            model="transformer",
            seed=seed,
            n_train=int(0.3 * p**2),
            network=freeze({}),
            data=freeze({"p": p}),
        )
        for seed in range(6)
    ]
    assert [len(stack.runs) for stack in make_plan(runs, device)] == stacks


def test_no_runs_no_stacks() -> None:
    assert plan([], {}) == []


# Which Runs share a shape


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 4},
        {"alpha": 7.0},
        {"weight_decay": 1.0},
        {"lr": 0.5},
        {"messiness": 0.3},
        {"steps": 999},
        {"lr_drops": (5,), "lr_factor": 0.1},
    ],
)
def test_what_may_differ_within_a_stack(changes: dict[str, object]) -> None:
    assert shape_key(FORM.replace(**changes)) == shape_key(FORM)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_train": 11},
        {"batch_size": 5},
        {"loss": "cross_entropy"},
        {"constraint": "rescale"},
        {"precision": "float64"},
        {"loss_precision": "float64"},
        {"betas": (0.9, 0.98)},
        {"clip": 1.0},
        {"log_ratio": 0.5},
        {"log_every": 3},
        {"eval_samples": 5},
        {"data": {"n_test": 5}},
        {"network": {"widths": (3, 5, 2), "activation": "tanh"}},
        {"task": "other"},
        {"model": "other"},
    ],
)
def test_what_may_not(changes: dict[str, object]) -> None:
    assert shape_key(FORM.replace(**changes)) != shape_key(FORM)


def test_mini_batches_share_a_stack_where_little_is_filled_up() -> None:
    form = FORM.replace(batch_size=64)
    keys = {n: shape_key(form.replace(n_train=n)) for n in (5, 8, 9, 16, 33, 64, 100, 50_000)}
    assert keys[5] == keys[8] != keys[9]
    assert keys[9] == keys[16] != keys[33]
    assert keys[33] == keys[64] == keys[100] == keys[50_000]


@settings(deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=2, max_size=20), st.integers(1, 300))
def test_at_most_half_of_a_batch_is_filling(sizes: list[int], batch_size: int) -> None:
    widths: dict[Run, list[int]] = {}
    for n_train in sizes:
        run = FORM.replace(n_train=n_train, batch_size=batch_size)
        widths.setdefault(shape_key(run), []).append(min(batch_size, n_train))
    for batches in widths.values():
        assert max(batches) < 2 * min(batches) or min(batches) == max(batches)


# Memory


@settings(deadline=None)
@given(run_lists, st.sampled_from(["cpu", "cuda"]), st.floats(1e3, 1e6), st.floats(1e3, 1e9))
def test_no_stack_takes_more_than_the_memory(
    runs: list[Run], device: str, each: float, memory: float
) -> None:
    """A single network is the least that can be trained, whether it fits or not."""
    sizes = {shape_key(run): each for run in runs}
    stacks = plan(runs, costs(runs), device, sizes, memory)
    assert all(len(stack.runs) * each <= memory or len(stack.runs) == 1 for stack in stacks)
    assert Counter(run for stack in stacks for run in stack.runs) == Counter(set(runs))


@given(st.floats(1, 1e15), st.floats(1, 1e12), st.floats(1, 1e12), st.sampled_from(["cpu", "cuda"]))
def test_a_stack_has_one_replica_at_least_and_at_most_what_the_device_allows(
    operations: float, each: float, memory: float, device: str
) -> None:
    most = largest_stack(operations, each, memory, device)
    assert 1 <= most <= LARGEST[device]
    assert most == 1 or most * each <= memory
    assert largest_stack(operations * 2, each, memory, device) <= most
    assert largest_stack(operations, each * 2, memory, device) <= most
    assert largest_stack(operations, each, memory * 2, device) >= most


def test_make_plan_counts_operations_and_memory_itself() -> None:
    runs = [FORM.replace(seed=seed) for seed in range(30)]
    (stack,) = make_plan([*runs, *runs], "cpu")
    assert set(stack.runs) == set(runs)
    assert stack.operations == 300 * step_operations(FORM)
    few = make_plan(runs, "cpu", memory=10.5 * replica_bytes(FORM))
    assert sorted(len(stack.runs) for stack in few) == [10, 10, 10]


def test_the_plan_counts_the_widest_batch_of_a_stack() -> None:
    """Smaller batches are filled up to it."""
    form = FORM.replace(batch_size=64)
    runs = [form.replace(n_train=33), form.replace(n_train=64)]
    (stack,) = make_plan(runs, "cpu")
    assert stack.operations == 20 * step_operations(runs[1])
    assert [
        len(part.runs) for part in make_plan(runs, "cpu", memory=1.9 * replica_bytes(runs[1]))
    ] == [1, 1]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_workers_of_one_machine_make_the_same_plan(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """Whichever worker makes it, from items in whatever order."""
    runs = [FORM.replace(seed=seed, n_train=n_train) for seed in range(40) for n_train in (10, 11)]
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "4")
    plans = []
    for worker, order in (("gw0", runs), ("gw3", runs[::-1])):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        plans.append(make_plan(order, device))
    assert plans[0] == plans[1]
