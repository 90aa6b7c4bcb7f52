from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call, stack_module_state

from omnigrok.data import addition, find_task
from omnigrok.data.split import Split
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.run import Run

PAPER = {"network": {"widths": [1, 200, 200, 30], "activation": "relu"}, "lr": 1e-3}
CODE = {
    "data": {"representation": "planar", "labels": "modular", "unseen": True},
    "network": {"widths": [2, 200, 200, 30], "activation": "leaky_relu_0.2"},
    "lr": 1e-2,
    "betas": (0.9, 0.99),
}
FIRST, SECOND = np.triu_indices(10)
SUM = FIRST + SECOND


def a_run(protocol: dict[str, object], **changes: object) -> Run:
    fields: dict[str, object] = {
        "task": "addition",
        "model": "mlp",
        "seed": 0,
        "n_train": 45,
        "steps": 10,
        **protocol,
        **changes,
    }
    return Run(**fields)  # type: ignore[arg-type]


def draw(run: Run) -> tuple[Split, torch.nn.Module]:
    with torch.random.fork_rng():
        return find_task("addition").split(run, Path()), find_model(run.model).build(run)


@pytest.mark.parametrize(("protocol", "dimension"), [(PAPER, 1), (CODE, 2)])
@pytest.mark.parametrize("n_train", [25, 35, 45, 54, 55])
def test_shapes_and_disjoint_splits(protocol, dimension, n_train):
    split, _ = draw(a_run(protocol, n_train=n_train, messiness=0.3))
    assert split.pool.inputs[0].shape == (55, dimension)
    assert split.pool.targets.shape == (55, 30)
    assert split.pool.inputs[0].dtype == split.pool.targets.dtype == torch.float32
    assert split.train.dtype == split.test.dtype == torch.int64
    assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(55))
    assert len(split.train) == n_train


@pytest.mark.parametrize(
    ("n_train", "unseen_sums"), [(25, {1, 2, 3}), (35, {1}), (45, set()), (54, set())]
)
def test_code_splits_miss_the_sums_that_the_published_ones_miss(n_train, unseen_sums):
    split, _ = draw(a_run(CODE, n_train=n_train))
    assert (
        set(SUM[split.test.numpy().reshape(-1)].ravel()) - set(SUM[split.train.numpy()])
        == unseen_sums
    )


def test_code_draws_the_published_decoder_and_first_loss():
    run = a_run(CODE, n_train=54, alpha=2.5)
    split, decoder = draw(run)
    with torch.no_grad():
        norm = torch.cat([p.flatten() for p in decoder.parameters()]).norm()
        for parameter in decoder.parameters():
            parameter.mul_(run.alpha)
        inputs, targets = split.pool.inputs[0][split.train], split.pool.targets[split.train]
        loss = (decoder(inputs) - targets).square().mean()
    assert float(norm) == pytest.approx(13.09, abs=0.005)
    # What the authors' notebook printed for m = 0 in its fine grid.
    assert float(loss) == pytest.approx(3.37243176, rel=1e-6)


@pytest.mark.parametrize("protocol", [PAPER, CODE])
def test_messiness_changes_the_representation_and_nothing_else(protocol):
    (linear, decoder), (half, other), (random, _) = (
        draw(a_run(protocol, messiness=m)) for m in (0.0, 0.5, 1.0)
    )
    assert torch.equal(linear.pool.targets, random.pool.targets)
    assert torch.equal(linear.train, random.train)
    assert all(
        torch.equal(a, b) for a, b in zip(decoder.parameters(), other.parameters(), strict=True)
    )
    mixed = (linear.pool.inputs[0] + random.pool.inputs[0]) / 2
    assert torch.allclose(half.pool.inputs[0], mixed, atol=1e-6)
    assert not torch.allclose(linear.pool.inputs[0], random.pool.inputs[0], atol=0.1)


def test_paper_linear_representation_is_the_sum_itself():
    split, _ = draw(a_run(PAPER))
    assert split.pool.inputs[0].flatten().tolist() == SUM.tolist()


def test_code_linear_representation_is_a_noisy_line():
    split, _ = draw(a_run(CODE))
    alone = split.pool.inputs[0][torch.from_numpy(FIRST == SECOND)] / 2
    assert torch.allclose(alone[:, 0], torch.linspace(-1, 1, 10))
    assert 0 < float(alone[:, 1].abs().max()) <= 0.3


@pytest.mark.parametrize(("protocol", "outputs"), [(PAPER, 19), (CODE, 10)])
def test_equal_labels_share_a_target(protocol, outputs):
    split, _ = draw(a_run(protocol))
    label = SUM if outputs == 19 else SUM % 10
    assert len(torch.unique(split.pool.targets, dim=0)) == outputs
    for value in set(label):
        assert len(torch.unique(split.pool.targets[torch.from_numpy(label == value)], dim=0)) == 1
    assert float(split.pool.targets.var()) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("labels", ["sum", "modular"])
@pytest.mark.parametrize("seed", range(5))
def test_every_output_occurs_in_training_unless_unseen(labels, seed):
    split, _ = draw(a_run(PAPER, seed=seed, n_train=19, data={"labels": labels}))
    label = SUM if labels == "sum" else SUM % 10
    assert set(label[split.train.numpy()]) == set(label)


def test_splits_of_one_seed_are_nested():
    small, large = (draw(a_run(PAPER, n_train=n))[0].train for n in (25, 45))
    assert torch.equal(small, large[:25])


def test_unseen_outputs_can_be_asked_for():
    split, _ = draw(a_run(PAPER, n_train=25, data={"unseen": True}))
    assert set(SUM[split.test.numpy()]) - set(SUM[split.train.numpy()])


@pytest.mark.parametrize("messiness", [0.0, 0.5, 1.0])
def test_standardised_input(messiness):
    split, _ = draw(a_run(PAPER, messiness=messiness, data={"standardise": "input"}))
    x = split.pool.inputs[0]
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std(correction=0)) == pytest.approx(1, rel=1e-5)


def test_standardised_line_leaves_the_random_end_alone():
    options = {"standardise": "linear"}
    linear = (
        draw(a_run(PAPER, data=options))[0].pool.inputs[0][torch.from_numpy(FIRST == SECOND)] / 2
    )
    assert float(linear.std(correction=0)) == pytest.approx(1, rel=1e-5)
    plain, changed = (
        draw(a_run(PAPER, messiness=1.0, data=data))[0].pool.inputs[0] for data in ({}, options)
    )
    assert torch.equal(plain, changed)


@pytest.mark.parametrize("protocol", [PAPER, CODE])
def test_a_seed_fixes_everything_and_another_changes_it(protocol):
    (one, net), (again, same), (other, net_2) = (
        draw(a_run(protocol, seed=seed, messiness=0.5)) for seed in (3, 3, 4)
    )
    assert torch.equal(one.pool.inputs[0], again.pool.inputs[0])
    assert torch.equal(one.pool.targets, again.pool.targets)
    assert torch.equal(one.train, again.train)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.pool.inputs[0], other.pool.inputs[0])
    assert not torch.equal(one.pool.targets, other.pool.targets)
    assert not torch.equal(one.train, other.train)
    assert not torch.equal(next(net.parameters()), next(net_2.parameters()))


def test_neither_numpys_nor_the_callers_stream_is_touched():
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    draw(a_run(CODE))
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_a_stack_of_three_equals_three_networks():
    drawn = [
        draw(a_run(CODE, seed=seed, messiness=m)) for seed, m in ((0, 0.0), (1, 0.5), (2, 1.0))
    ]
    nets = [net.double() for _, net in drawn]
    inputs = torch.stack([split.pool.inputs[0] for split, _ in drawn]).double()
    params, buffers = stack_module_state(nets)
    stacked = torch.func.vmap(lambda p, b, x: functional_call(nets[0], (p, b), (x,)))(
        params, buffers, inputs
    )
    for out, net, x in zip(stacked, nets, inputs, strict=True):
        assert torch.allclose(out, net(x), rtol=1e-9, atol=1e-12)


def test_accuracy_counts_outputs_within_half_the_way_to_another_target():
    run = a_run(PAPER)
    targets = draw(run)[0].pool.targets
    for error, right, close in (
        (0.0, 1, 1),
        (0.04, 1, 1),
        (0.06, 1, 0),
        (0.49, 1, 0),
        (0.51, 0, 0),
    ):
        scores = addition.accuracy(run, targets + error**0.5, targets)
        assert (float(scores["acc"].mean()), float(scores["acc_close"].mean())) == (right, close)
        assert scores["acc"].shape == (55,)


def test_accuracy_is_zero_for_outputs_that_know_nothing():
    run = a_run(PAPER)
    targets = draw(run)[0].pool.targets
    for guess in (torch.zeros_like(targets), targets.mean(0).expand_as(targets)):
        assert float(addition.accuracy(run, guess, targets)["acc"].mean()) < 0.1
    one = addition.accuracy(run, targets[SUM.tolist().index(9)].expand_as(targets), targets)["acc"]
    assert float(one.mean()) == pytest.approx((SUM == 9).mean())


def test_accuracy_stands_for_nearest_target_accuracy():
    """Outputs on the way from the target to a random other one, with noise: what acc counts is
    nearest to its own.
    """
    targets = draw(a_run(PAPER))[0].pool.targets
    generator = torch.Generator().manual_seed(0)
    wrong = torch.from_numpy(SUM[None, :] != SUM[:, None])
    for share in (0.0, 0.2, 0.4, 0.6, 1.0):
        other = targets[torch.multinomial(wrong.float(), 1, generator=generator).flatten()]
        outputs = (
            (1 - share) * targets
            + share * other
            + 0.3 * torch.randn(targets.shape, generator=generator)
        )
        distances = torch.cdist(outputs, targets)
        nearest = distances.masked_fill(wrong, torch.inf).amin(1) <= distances.masked_fill(
            ~wrong, torch.inf
        ).amin(1)
        counted = addition.accuracy(a_run(PAPER), outputs, targets)["acc"].bool()
        assert (counted & ~nearest).float().mean() < 0.1
        assert (counted == nearest).float().mean() > 0.7


def test_accuracy_under_vmap_and_for_a_stack():
    run = a_run(PAPER)
    targets = torch.randn(3, 7, 30)
    outputs = targets + 0.7 * torch.randn(3, 7, 30)
    whole = addition.accuracy(run, outputs, targets)["acc"]
    assert whole.shape == (3, 7)
    assert torch.equal(
        whole, torch.func.vmap(lambda o, t: addition.accuracy(run, o, t)["acc"])(outputs, targets)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 18}, r"n_train = 18 is not accepted; 19 to 55 pairs \(19 outputs"),
        ({"n_train": 56}, "n_train = 56 is not accepted; 19 to 55"),
        ({"messiness": 1.5}, "messiness = 1.5 is not accepted"),
        (
            {"data": {"labels": "product"}},
            "labels = 'product' is not accepted; one of sum, modular",
        ),
        ({"data": {"unseen": 1}}, "unseen = 1 is not accepted; true or false"),
        (
            {"data": {"standardise": True}},
            "standardise = True is not accepted; one of none, linear, input",
        ),
        ({"data": {"base": 1}}, "base = 1 is not accepted; a whole number of 2 or more"),
        ({"data": {"target_dim": "30"}}, "target_dim = '30' is not accepted"),
        (
            {"data": {"colour": "red"}},
            "unknown option 'colour' in data; accepted: representation, labels",
        ),
        (
            {"data": {"representation": "planar"}},
            r"widths = \[1, 200, 200, 30\] do not fit; representation = planar needs 2 inputs",
        ),
        ({"data": {"target_dim": 29}}, "target_dim = 29 as many outputs"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(BadInput, match=message):
        draw(a_run(PAPER, **changes))


def test_another_base():
    split, _ = draw(a_run(PAPER, n_train=9, data={"base": 4}))
    assert split.pool.inputs[0].shape == (10, 1)
    assert len(split.test) == 1
