from __future__ import annotations

from pathlib import Path

import pytest
import torch

from omnigrok.data import _mnist_bundle, default_root, find_task, mnist
from omnigrok.errors import BadInput, DataMissing
from omnigrok.models import find_model
from omnigrok.run import Run, freeze

NOWHERE = Path("no-such-folder")
RUN = Run(
    task="mnist",
    model="mlp",
    seed=0,
    n_train=200,
    steps=1,
    lr=1e-3,
    data=freeze({"source": "bundled"}),
    network=freeze({"widths": (784, 200, 200, 10), "activation": "relu"}),
)


def options(**data: object) -> Run:
    return RUN.replace(data={"source": "bundled", **data})


def test_shapes_types_and_range_under_mse() -> None:
    split = mnist.split(RUN, NOWHERE)
    (pixels,) = split.pool.inputs
    assert pixels.shape == (7000, 784)
    assert pixels.dtype == torch.float32
    assert pixels.min() == 0
    assert pixels.max() == 1
    assert split.pool.targets.shape == (7000, 10)
    assert split.pool.targets.dtype == torch.float32
    assert torch.equal(split.pool.targets.sum(-1), torch.ones(7000))
    assert set(split.pool.targets.flatten().tolist()) == {0.0, 1.0}
    assert split.train.shape == (200,)
    assert split.test.shape == (2000,)
    assert split.train.dtype == split.test.dtype == torch.int64


def test_targets_are_classes_under_cross_entropy() -> None:
    classes = mnist.split(RUN.replace(loss="cross_entropy"), NOWHERE).pool.targets
    assert classes.shape == (7000,)
    assert classes.dtype == torch.int64
    assert torch.equal(classes, mnist.split(RUN, NOWHERE).pool.targets.argmax(-1))


def test_pixels_are_bytes_over_255_in_the_order_of_the_file() -> None:
    images = _mnist_bundle.read()
    split = mnist.split(options(subset="first"), NOWHERE)
    (pixels,) = split.pool.inputs
    assert torch.equal(pixels[split.train], torch.tensor(images.train_pixels[:200]).float() / 255)
    assert torch.equal(pixels[split.test], torch.tensor(images.test_pixels).float() / 255)


@pytest.mark.parametrize("subset", ["random", "first"])
@pytest.mark.parametrize("n_train", [10, 5000])
def test_train_and_test_are_disjoint_and_without_repeats(subset: str, n_train: int) -> None:
    split = mnist.split(options(subset=subset).replace(n_train=n_train), NOWHERE)
    both = torch.cat([split.train, split.test])
    assert len(set(both.tolist())) == n_train + 2000
    assert split.train.max() < 5000 <= split.test.min()
    assert split.test.max() < 7000


def test_first_takes_the_first() -> None:
    assert torch.equal(
        mnist.split(options(subset="first").replace(seed=3), NOWHERE).train, torch.arange(200)
    )


def test_random_is_the_default_and_set_by_the_seed_alone() -> None:
    torch.manual_seed(5)
    one = mnist.split(RUN, NOWHERE).train
    torch.manual_seed(6)
    same, other = (
        mnist.split(options(subset="random"), NOWHERE).train,
        mnist.split(RUN.replace(seed=1), NOWHERE).train,
    )
    assert torch.equal(one, same)
    # 200 of 5,000: two independent subsets share about 8.
    shared = len(set(one.tolist()) & set(other.tolist()))
    assert shared < 30
    assert not torch.equal(one, torch.arange(200))


def test_random_subsets_of_one_seed_are_nested() -> None:
    small, large = (mnist.split(RUN.replace(n_train=n), NOWHERE).train for n in (50, 1000))
    assert torch.equal(large[:50], small)


def test_runs_share_one_tensor_of_images() -> None:
    runs = [
        RUN,
        RUN.replace(seed=1),
        options(subset="first"),
        RUN.replace(loss="cross_entropy"),
        options(shuffle_labels=True),
    ]
    assert len({id(mnist.split(run, NOWHERE).pool.inputs[0]) for run in runs}) == 1
    assert (
        mnist.split(RUN, NOWHERE).pool is mnist.split(RUN.replace(seed=1, n_train=7), NOWHERE).pool
    )


@pytest.mark.parametrize("pool", [2, 4])
def test_pooled_inputs_are_means_of_squares(pool: int) -> None:
    pixels = mnist.split(RUN, NOWHERE).pool.inputs[0].reshape(-1, 28, 28)
    side = 28 // pool
    expected = pixels.reshape(-1, side, pool, side, pool).mean((2, 4)).flatten(1)
    split = mnist.split(options(pool=pool), NOWHERE)
    assert split.pool.inputs[0].shape == (7000, side * side)
    assert torch.allclose(split.pool.inputs[0], expected, atol=1e-6)
    assert torch.equal(split.train, mnist.split(RUN, NOWHERE).train)
    assert split.pool.inputs[0] is mnist.split(options(pool=pool, n_test=5), NOWHERE).pool.inputs[0]


def test_pixels_as_they_are_are_the_default() -> None:
    assert (
        mnist.split(options(pool=1), NOWHERE).pool.inputs[0]
        is (mnist.split(RUN, NOWHERE).pool.inputs[0])
    )


def test_shuffled_labels_permute_the_training_targets_of_this_run_only() -> None:
    true, shuffled = mnist.split(RUN, NOWHERE), mnist.split(options(shuffle_labels=True), NOWHERE)
    before, after = true.pool.targets, shuffled.pool.targets
    assert torch.equal(true.train, shuffled.train)
    assert torch.equal(before[true.train].sum(0), after[true.train].sum(0))
    agree = (before[true.train].argmax(-1) == after[true.train].argmax(-1)).float().mean()
    assert agree < 0.25
    untouched = torch.ones(7000, dtype=torch.bool)
    untouched[true.train] = False
    assert torch.equal(before[untouched], after[untouched])
    assert torch.equal(mnist.split(RUN, NOWHERE).pool.targets, before)


def test_shuffled_labels_follow_the_seed_and_the_loss() -> None:
    run = options(shuffle_labels=True, subset="first")
    one, same, other = (
        mnist.split(run.replace(seed=seed), NOWHERE).pool.targets for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(
        mnist.split(run.replace(loss="cross_entropy"), NOWHERE).pool.targets, one.argmax(-1)
    )


def test_n_test_takes_the_first_test_images() -> None:
    assert torch.equal(mnist.split(options(n_test=1000), NOWHERE).test, torch.arange(5000, 6000))
    assert len(mnist.split(options(n_test=None), NOWHERE).test) == 2000


@pytest.mark.parametrize("subset", ["random", "first"])
def test_weights_depend_on_the_seed_only(subset: str) -> None:
    run = options(subset=subset, shuffle_labels=True).replace(seed=4)
    mnist.split(run, NOWHERE)
    drawn = next(find_model("mlp").build(run).parameters())
    torch.manual_seed(4)
    assert torch.equal(drawn, torch.nn.Linear(784, 200).weight)


def test_parameters_and_norm_of_the_network_in_golden() -> None:
    mnist.split(RUN, NOWHERE)
    parameters = list(find_model("mlp").build(RUN).parameters())
    assert sum(p.numel() for p in parameters) == 199_210
    norm = torch.stack([p.detach().square().sum() for p in parameters]).sum().sqrt().item()
    assert norm == pytest.approx(11.71, abs=0.01)


def test_accuracy_is_equality_of_the_largest() -> None:
    outputs = torch.tensor([[0.1, 0.9, 0.0], [3.0, -1.0, 2.0], [0.0, 0.0, 0.5]])
    classes = torch.tensor([1, 2, 2])
    expected = torch.tensor([1.0, 0.0, 1.0])
    one_hot = torch.nn.functional.one_hot(classes, 3).float()
    assert torch.equal(mnist.accuracy(RUN, outputs, one_hot)["acc"], expected)
    assert torch.equal(
        mnist.accuracy(RUN.replace(loss="cross_entropy"), outputs, classes)["acc"], expected
    )
    stacked = mnist.accuracy(RUN, outputs.double().expand(4, 3, 3), one_hot.expand(4, 3, 3))["acc"]
    assert stacked.shape == (4, 3)
    assert stacked.dtype == torch.float64


def test_one_hot_targets_score_fully_and_shuffled_ones_do_not() -> None:
    split = mnist.split(RUN, NOWHERE)
    targets = split.pool.targets[split.train]
    assert mnist.accuracy(RUN, targets, targets)["acc"].mean() == 1
    shuffled = mnist.split(options(shuffle_labels=True), NOWHERE).pool.targets[split.train]
    assert mnist.accuracy(RUN, targets, shuffled)["acc"].mean() < 0.25


def test_class_means_of_the_training_images_recognise_the_test_images() -> None:
    # Fails if images and labels are out of step anywhere; least squares to the nearest mean needs
    # no training.
    split = mnist.split(options(subset="random").replace(n_train=1000), NOWHERE)
    (pixels,), targets = split.pool.inputs, split.pool.targets
    means = (targets[split.train].T @ pixels[split.train]) / targets[split.train].sum(0)[:, None]
    outputs = -torch.cdist(pixels[split.test], means)
    assert mnist.accuracy(RUN, outputs, targets[split.test])["acc"].mean() > 0.75


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            options(source="kaggle"),
            "mnist: data.source = 'kaggle' is not accepted; one of full, bundled",
        ),
        (
            options(pool=3),
            "mnist: data.pool = 3 is not accepted; one of 1, 2, 4",
        ),
        (
            options(subset="last"),
            "mnist: data.subset = 'last' is not accepted; one of random, first",
        ),
        (
            options(n_test=0),
            "mnist: data.n_test = 0 is not accepted; a whole number of 1 or more, or null",
        ),
        (options(n_test=True), "mnist: data.n_test = True is not accepted"),
        (options(n_test=2001), "mnist: n_test = 2001, but the bundled source has 2000 test images"),
        (
            options(shuffle_labels="yes"),
            "mnist: data.shuffle_labels = 'yes' is not accepted; true or false",
        ),
        (
            options(n_tests=5),
            (
                "mnist: unknown option 'n_tests' in data (did you mean 'n_test'?); accepted: "
                "source, subset, n_test, shuffle_labels"
            ),
        ),
        (
            RUN.replace(n_train=5001),
            (
                "mnist: n_train = 5001, but the bundled source has 5000 training images; source: "
                "full has more"
            ),
        ),
        (
            RUN.replace(loss="binary_cross_entropy"),
            "mnist: loss = 'binary_cross_entropy' is not accepted; mse",
        ),
    ],
)
def test_bad_input(run: Run, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        mnist.split(run, NOWHERE)
    assert str(caught.value).startswith(message)


def test_full_is_the_default_and_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="train-images-idx3-ubyte"):
        mnist.split(RUN.replace(data={}), tmp_path)
    with pytest.raises(BadInput, match="not accepted"):
        mnist.split(RUN.replace(data={"subset": "odd"}), tmp_path)


def test_files_that_a_run_needs() -> None:
    assert mnist.files(RUN) == []
    assert mnist.files(RUN.replace(data={})) == [
        "MNIST/raw/train-images-idx3-ubyte",
        "MNIST/raw/train-labels-idx1-ubyte",
        "MNIST/raw/t10k-images-idx3-ubyte",
        "MNIST/raw/t10k-labels-idx1-ubyte",
    ]


def test_the_registry_finds_it() -> None:
    assert find_task("mnist") is mnist


@pytest.mark.skipif(
    "missing" in mnist.status(default_root()).values(),
    reason="the full MNIST is not below $OMNIGROK_DATA",
)
def test_the_full_set() -> None:
    run = RUN.replace(data={"subset": "first"}, n_train=60_000)
    split = mnist.split(run, default_root())
    (pixels,) = split.pool.inputs
    assert pixels.shape == (70_000, 784)
    assert len(split.train) == 60_000
    assert len(split.test) == 10_000
    # Mean and deviation that everybody normalises with.
    assert pixels[:60_000].mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert pixels[:60_000].std().item() == pytest.approx(0.3081, abs=1e-4)
    assert split.pool.targets[:60_000].sum(0).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert split.pool.inputs[0] is mnist.split(run.replace(seed=1), default_root()).pool.inputs[0]
    (bundled,) = mnist.split(RUN, NOWHERE).pool.inputs
    assert torch.equal(bundled[:5000], pixels[:5000])
    assert torch.equal(bundled[5000:6000], pixels[60_000::10])
    with pytest.raises(
        BadInput, match=r"n_train = 60001, but the full source has 60000 training images$"
    ):
        mnist.split(run.replace(n_train=60_001), default_root())
