from __future__ import annotations

import torch

from omnigrok.data.split import Pool, Split
from omnigrok.training.samples import Samples, Shelf

CPU = torch.device("cpu")


def pool(n: int, first: float) -> Pool:
    """Inputs and targets that tell their own position."""
    numbers = torch.arange(n, dtype=torch.float32) + first
    return Pool((numbers[:, None], numbers.long()), numbers * 10)


def split(from_pool: Pool, train: list[int], test: list[int]) -> Split:
    return Split(from_pool, torch.tensor(train), torch.tensor(test, dtype=torch.int64))


def test_a_shared_pool_is_kept_once() -> None:
    shared = pool(5, 0)
    samples = Samples([split(shared, [0, 1], [2]), split(shared, [3, 4], [2])], torch.float32, CPU)
    assert len(samples.targets.values) == 5
    assert [len(shelf.values) for shelf in samples.inputs] == [5, 5]
    (numbers, _), targets = samples.take(samples.train)
    assert numbers.squeeze(-1).tolist() == [[0, 1], [3, 4]]
    assert targets.tolist() == [[0, 10], [30, 40]]


def test_a_shared_tensor_of_two_pools_is_kept_once() -> None:
    """Shuffled labels are another pool over the same images."""
    one = pool(5, 0)
    other = Pool(one.inputs, one.targets.flip(0))
    samples = Samples([split(one, [1], [2]), split(other, [1], [2])], torch.float32, CPU)
    assert len(samples.inputs[0].values) == 5
    assert len(samples.targets.values) == 10
    (numbers, _), targets = samples.take(samples.train)
    assert numbers.squeeze(-1).tolist() == [[1], [1]]
    assert targets.tolist() == [[10], [30]]


def test_pools_of_different_sizes_lie_one_after_another() -> None:
    samples = Samples(
        [split(pool(3, 0), [0, 2], [1]), split(pool(5, 100), [4, 1], [0])], torch.float32, CPU
    )
    (numbers, integers), targets = samples.take(samples.train)
    assert numbers.squeeze(-1).tolist() == [[0, 2], [104, 101]]
    assert integers.tolist() == [[0, 2], [104, 101]]
    assert targets.tolist() == [[0, 20], [1040, 1010]]


def test_shorter_lists_are_filled_up_and_marked() -> None:
    shared = pool(6, 0)
    samples = Samples(
        [split(shared, [5], [1, 2]), split(shared, [3, 4, 2], [])], torch.float32, CPU
    )
    assert samples.train.tolist() == [[5, 0, 0], [3, 4, 2]]
    assert samples.train_real.tolist() == [[True, False, False], [True, True, True]]
    assert samples.test.tolist() == [[1, 2], [0, 0]]
    assert samples.test_real.tolist() == [[True, True], [False, False]]


def test_only_floating_tensors_are_cast() -> None:
    samples = Samples([split(pool(3, 0), [0], [1])], torch.float64, CPU)
    assert [shelf.values.dtype for shelf in (*samples.inputs, samples.targets)] == [
        torch.float64,
        torch.int64,
        torch.float64,
    ]


def test_keep_forgets_the_other_replicas() -> None:
    samples = Samples([split(pool(3, 100 * k), [k], [2 - k]) for k in range(3)], torch.float32, CPU)
    samples.keep(torch.tensor([2, 0]))
    (numbers, _), targets = samples.take(samples.train)
    assert numbers.flatten().tolist() == [202, 0]
    assert targets.flatten().tolist() == [2020, 0]
    (numbers, _), _ = samples.take(samples.test)
    assert numbers.flatten().tolist() == [200, 2]
    assert samples.train_real.shape == samples.test_real.shape == (2, 1)


def test_samples_with_inner_axes() -> None:
    images = torch.arange(24.0).view(4, 2, 3)
    shelf = Shelf([images, images], torch.float32, CPU)
    taken = shelf.take(torch.tensor([[1, 3], [0, 0]]))
    assert taken.shape == (2, 2, 2, 3)
    assert torch.equal(taken[0, 1], images[3])
