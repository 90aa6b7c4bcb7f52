"""The QM9 task: the bundled table, both subsets, the splits, the scores, and the published metric's
factors.
"""

from __future__ import annotations

import csv
import itertools
import lzma
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from omnigrok.data import find_task, qm9
from omnigrok.errors import BadInput, DataCorrupt, DataMissing
from omnigrok.run import Run, freeze

pytest.importorskip("rdkit")

ROOT = Path("unused")


def a_run(n_train: int = 12, seed: int = 0, **data: Any) -> Run:
    return Run(
        task="qm9", model="nnconv", seed=seed, n_train=n_train, steps=1, lr=1e-3, data=freeze(data)
    )


def test_found_by_name() -> None:
    assert find_task("qm9") is qm9


def test_table() -> None:
    smiles, polarizability = qm9.table()
    assert len(smiles) == len(polarizability) == qm9.MOLECULES
    assert smiles[:6] == ("C", "N", "O", "C#C", "C#N", "C=O")
    assert polarizability[:4].tolist() == [13.21, 9.46, 6.31, 16.28]
    assert polarizability.var(correction=0).item() == pytest.approx(qm9.VARIANCE, rel=1e-5)


def test_table_is_in_the_order_of_the_index() -> None:
    packed = resources.files("omnigrok.data").joinpath(qm9.TABLE).read_bytes()
    rows = list(csv.DictReader(lzma.decompress(packed).decode().splitlines()))
    index = [int(row["index"]) for row in rows]
    assert index[0] == 1
    assert index[-1] == 133_885
    assert all(before < after for before, after in itertools.pairwise(index))
    assert 133_885 - len(index) == 3_054, "as many as PyTorch Geometric leaves out"


def test_licence_is_beside_the_table() -> None:
    text = resources.files("omnigrok.data").joinpath("bundled/qm9.LICENSE.txt").read_text()
    assert "MIT License" in text
    assert "Scientific Data 1, 140022" in text


def test_altered_and_missing_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(qm9, "TABLE_SHA256", "0" * 64)
        with pytest.raises(DataCorrupt, match=r"qm9\.csv\.xz is truncated or altered"):
            qm9.table.__wrapped__()
    monkeypatch.setattr(qm9, "TABLE", "bundled/nothing.xz")
    with pytest.raises(DataMissing, match=r"nothing\.xz is part of the package"):
        qm9.table.__wrapped__()


@pytest.mark.parametrize("subset", ["first", "random"])
def test_shapes(subset: str) -> None:
    split = qm9.split(a_run(12, subset=subset, n_test=8), ROOT)
    nodes, bonds, mask = split.pool.inputs
    atoms = nodes.shape[1]
    assert (nodes.shape, bonds.shape, mask.shape) == (
        (20, atoms, 11),
        (20, atoms, atoms),
        (20, atoms),
    )
    assert (nodes.dtype, bonds.dtype, mask.dtype) == (torch.float32, torch.uint8, torch.float32)
    assert (split.pool.targets.shape, split.pool.targets.dtype) == ((20, 1), torch.float32)
    assert (len(split.train), len(split.test)) == (12, 8)
    assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(20))
    if subset == "random":
        assert atoms == qm9.MOST_ATOMS
    else:
        assert atoms == mask.sum(1).max()


def test_first_is_the_authors_split() -> None:
    """random_split with torch seed 0, equal halves, of the first molecules in file order."""
    split = qm9.split(a_run(50, subset="first"), ROOT)
    after = torch.rand(1)
    torch.manual_seed(0)
    theirs = torch.utils.data.random_split(
        torch.utils.data.TensorDataset(torch.arange(100)), [50, 50]
    )
    assert list(theirs[0].indices) == split.train.tolist()
    assert list(theirs[1].indices) == split.test.tolist()
    assert torch.equal(torch.rand(1), after), "the model draws next in the authors' stream"
    assert split.pool.targets[:3].flatten().tolist() == pytest.approx([13.21, 9.46, 6.31])


def test_first_shares_the_pool() -> None:
    assert (
        qm9.split(a_run(12, 0, subset="first"), ROOT).pool
        is qm9.split(a_run(12, 5, subset="first"), ROOT).pool
    )


@pytest.mark.parametrize("subset", ["first", "random"])
def test_seeds(subset: str) -> None:
    once, again, other = (qm9.split(a_run(12, seed, subset=subset), ROOT) for seed in (3, 3, 4))
    assert torch.equal(once.train, again.train)
    assert torch.equal(once.test, again.test)
    assert all(torch.equal(*pair) for pair in zip(once.pool.inputs, again.pool.inputs, strict=True))
    assert not torch.equal(once.pool.targets[once.train], other.pool.targets[other.train])


def test_random_draws_from_everywhere_and_never_twice() -> None:
    split = qm9.split(a_run(150), ROOT)
    assert split.pool.targets.std() > 6
    assert split.pool.targets.mean().item() == pytest.approx(75.3, abs=3), (
        "the whole table's mean, not that of the smallest molecules"
    )
    graphs = {
        (nodes.numpy().tobytes(), bonds.numpy().tobytes())
        for nodes, bonds, _ in zip(*split.pool.inputs, strict=True)
    }
    assert len(graphs) >= 299


def test_targets_belong_to_their_molecules() -> None:
    split = qm9.split(a_run(5, seed=2), ROOT)
    torch.manual_seed(2)
    rows = torch.randperm(qm9.MOLECULES)[:10].tolist()
    alone = qm9.pool_of(tuple(rows), "pyg")
    atoms = alone.inputs[0].shape[1]
    assert torch.equal(split.pool.targets, alone.targets)
    assert torch.equal(split.pool.inputs[0][:, :atoms], alone.inputs[0])
    assert split.pool.inputs[0][:, atoms:].abs().sum() == 0


def test_perceived_features() -> None:
    plain, perceived = (
        qm9.split(a_run(40, subset="first", features=features), ROOT).pool.inputs[0]
        for features in ("pyg", "perceived")
    )
    assert plain[..., 6:10].abs().sum() == 0
    assert perceived[..., 7:10].sum() > 0
    assert torch.equal(plain[..., :6], perceived[..., :6])


@pytest.mark.parametrize("subset", ["first", "random"])
def test_shuffled_labels(subset: str) -> None:
    plain = qm9.split(a_run(20, 1, subset=subset), ROOT)
    after_plain = torch.rand(1)
    shuffled = qm9.split(a_run(20, 1, subset=subset, shuffle_labels=True), ROOT)
    assert torch.equal(torch.rand(1), after_plain), "the model's weights are as without shuffling"
    assert torch.equal(plain.train, shuffled.train)
    assert torch.equal(plain.pool.targets[plain.test], shuffled.pool.targets[shuffled.test])
    before, after = plain.pool.targets[plain.train], shuffled.pool.targets[shuffled.train]
    assert not torch.equal(before, after)
    assert torch.equal(before.sort(0).values, after.sort(0).values)


@pytest.mark.parametrize(
    ("n_train", "data", "message"),
    [
        (12, {"subset": "last"}, "subset = 'last' is not accepted; one of first, random"),
        (12, {"features": "3d"}, "features = '3d' is not accepted; one of pyg, perceived"),
        (12, {"n_test": 0}, "n_test = 0 is not accepted"),
        (12, {"n_test": 1.5}, "n_test = 1.5 is not accepted"),
        (12, {"shuffle_labels": 1}, "shuffle_labels = 1 is not accepted; true or false"),
        (70_000, {}, "n_train = 70000 is not accepted; with 70000 test molecules"),
        (100_000, {"n_test": 40_000}, "more than QM9's 130831"),
    ],
)
def test_bad_options(n_train: int, data: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        qm9.split(a_run(n_train, **data), ROOT)


def test_scores() -> None:
    targets = torch.tensor([[10.0], [20.0], [30.0]])
    scores = qm9.accuracy(a_run(), targets + torch.tensor([[0.8], [-0.85], [5.0]]), targets)
    assert scores["acc"].tolist() == [1, 0, 0]
    variance = scores["target_square"].mean() - scores["target"].mean() ** 2
    assert variance.item() == pytest.approx(targets.var(correction=0).item(), rel=1e-5)
    assert all(score.shape == (3,) for score in scores.values())


def test_variance_from_float32_scores_of_real_targets() -> None:
    targets = qm9.table()[1][:3000, None].float()
    scores = qm9.accuracy(a_run(), targets, targets)
    variance = scores["target_square"].mean() - scores["target"].mean() ** 2
    assert variance.item() == pytest.approx(targets.double().var(correction=0).item(), rel=1e-4)
