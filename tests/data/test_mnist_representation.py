from __future__ import annotations

from pathlib import Path

import pytest
import torch

from omnigrok.data import find_task, mnist, mnist_representation
from omnigrok.errors import BadInput, DataMissing
from omnigrok.models import find_model
from omnigrok.run import Run, freeze

NOWHERE = Path("no-such-folder")
RUN = Run(
    task="mnist_representation",
    model="messy_mlp",
    seed=0,
    n_train=300,
    steps=1,
    lr=1e-3,
    messiness=0.5,
    data=freeze({"source": "bundled"}),
    network=freeze({"widths": (784, 200, 200, 10), "activation": "relu"}),
)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_inputs_are_images_and_their_true_classes(loss: str) -> None:
    run = RUN.replace(loss=loss)
    split, plain = mnist_representation.split(run, NOWHERE), mnist.split(run, NOWHERE)
    pixels, classes = split.pool.inputs
    assert pixels is plain.pool.inputs[0]
    assert split.pool.targets is plain.pool.targets
    assert classes.shape == (7000,)
    assert classes.dtype == torch.int64
    truth = plain.pool.targets.argmax(-1) if loss == "mse" else plain.pool.targets
    assert torch.equal(classes, truth)


def test_samples_are_those_of_mnist() -> None:
    for data in ({"source": "bundled"}, {"source": "bundled", "subset": "first", "n_test": 100}):
        run = RUN.replace(data=data, seed=3)
        split, plain = mnist_representation.split(run, NOWHERE), mnist.split(run, NOWHERE)
        assert torch.equal(split.train, plain.train)
        assert torch.equal(split.test, plain.test)


def test_runs_share_one_pool() -> None:
    assert (
        mnist_representation.split(RUN, NOWHERE).pool
        is mnist_representation.split(RUN.replace(seed=1, messiness=0.1), NOWHERE).pool
    )


def test_weights_depend_on_the_seed_only_and_equal_those_of_mnist() -> None:
    mnist_representation.split(RUN, NOWHERE)
    here = find_model("messy_mlp").build(RUN)
    mnist.split(RUN, NOWHERE)
    there = find_model("mlp").build(RUN)
    assert all(
        torch.equal(a, b) for a, b in zip(here.parameters(), there.parameters(), strict=True)
    )


def test_accuracy_is_that_of_mnist() -> None:
    split = mnist_representation.split(RUN, NOWHERE)
    targets = split.pool.targets[split.test]
    assert mnist_representation.accuracy(RUN, targets, targets)["acc"].mean() == 1
    assert mnist_representation.accuracy(RUN, -targets, targets)["acc"].mean() == 0


def test_at_messiness_zero_the_test_images_are_learned_from_their_labels_alone() -> None:
    run = RUN.replace(messiness=0.0, network={**dict(RUN.network), "template": "linspace"})
    split = mnist_representation.split(run, NOWHERE)
    model = find_model("messy_mlp").build(run)
    inputs, targets = split.pool.inputs, split.pool.targets
    with torch.no_grad():
        outputs = model(*(x[split.test] for x in inputs))
    for digit in range(10):
        alike = outputs[targets[split.test].argmax(-1) == digit]
        assert torch.equal(alike, alike[:1].expand_as(alike))
    assert len(outputs.unique(dim=0)) == 10


def test_bad_input() -> None:
    for value in (True, 0, None):
        with pytest.raises(
            BadInput,
            match=f"mnist_representation: data.shuffle_labels = {value} is not accepted; "
            "the inputs show the true labels",
        ):
            mnist_representation.split(
                RUN.replace(data={"source": "bundled", "shuffle_labels": value}), NOWHERE
            )
    with pytest.raises(BadInput, match="n_train = 5001"):
        mnist_representation.split(RUN.replace(n_train=5001), NOWHERE)
    with pytest.raises(DataMissing, match="omnigrok data fetch mnist"):
        mnist_representation.split(RUN.replace(data={"source": "full"}), NOWHERE)


def test_files_and_registry() -> None:
    assert find_task("mnist_representation") is mnist_representation
    assert mnist_representation.files(RUN) == []
    assert len(mnist_representation.files(RUN.replace(data={}))) == 4
