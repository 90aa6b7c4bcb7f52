"""IMDb splits (Section 4): sizes, protocols, seeds, the authors' order of draws, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from omnigrok.data import find_task, imdb, imdb_files
from omnigrok.data.imdb import accuracy, files, split, stratified
from omnigrok.errors import BadInput
from omnigrok.run import Run

NOWHERE = Path("no-such-folder")
CODE = {"sampling": "first", "stop_words": "drop", "digits": "drop"}


def make_run(n_train: int = 200, seed: int = 0, **data: object) -> Run:
    return Run(
        task="imdb",
        model="lstm",
        seed=seed,
        n_train=n_train,
        steps=1,
        lr=1e-3,
        data={"source": "bundled", **data},
    )


def rows(n_train: int = 200, seed: int = 0, part: str = "train", **data: object) -> set[bytes]:
    """The reviews of a part as byte strings; 2,000 words of length 900 tell nearly all of them
    apart.
    """
    made = split(make_run(n_train, seed, **data), NOWHERE)
    return {row.tobytes() for row in made.pool.inputs[0][getattr(made, part)].numpy()}


def test_registry_finds_the_module() -> None:
    assert find_task("imdb") is imdb


@pytest.mark.parametrize("n_train", [1, 100, 3000])
def test_paper_holds_back_a_quarter_and_draws_n_of_the_rest(n_train: int) -> None:
    made = split(make_run(n_train), NOWHERE)
    assert len(made.train) == n_train
    assert len(made.test) == 1000
    assert not set(made.train.tolist()) & set(made.test.tolist())
    assert made.pool.targets[made.test].mean() == 0.5


@pytest.mark.parametrize("n", [8, 100, 158, 251, 398, 1584, 2511, 3981, 4000])
def test_code_tests_on_a_quarter_of_the_first_rows(n: int) -> None:
    """The authors' N gives its n_train, and n_train gives N back (or one row less, where both have
    the same n_train).
    """
    n_train = n - -(-n // 4)
    made = split(make_run(n_train, sampling="first"), NOWHERE)
    assert len(made.train) == n_train
    assert len(made.train) + len(made.test) == n - (n % 4 == 1)


def test_code_is_stratified() -> None:
    made = split(make_run(750, **CODE), NOWHERE)
    assert (len(made.train), len(made.test)) == (750, 250)
    whole = made.pool.targets.mean()
    assert abs(made.pool.targets[made.train].mean() - whole) < 0.002


def test_shapes_and_types() -> None:
    made = split(make_run(50, length=100, vocabulary=500, n_test=30), NOWHERE)
    (tokens,) = made.pool.inputs
    assert tokens.shape == (80, 100)
    assert tokens.dtype == torch.int16
    assert made.pool.targets.shape == (80,)
    assert made.pool.targets.dtype == torch.float32
    assert made.train.dtype == made.test.dtype == torch.int64
    assert tokens.min() >= 0
    assert tokens.max() == 500
    assert set(made.pool.targets.tolist()) == {0.0, 1.0}


def test_tokens_are_ranked_by_frequency_in_the_training_reviews() -> None:
    made = split(make_run(500, length=2000), NOWHERE)
    counts = torch.bincount(made.pool.inputs[0][made.train].int().flatten())[1:]
    assert len(counts) == 1000
    assert bool((counts.diff() <= 0).all())


def test_padding_is_on_the_left() -> None:
    (tokens,) = split(make_run(), NOWHERE).pool.inputs
    filled = (tokens > 0).int()
    assert bool((filled.diff(dim=1) >= 0).all())
    assert bool((filled[:, 0] == 0).any())
    assert bool((filled[:, -1] == 1).all())


def test_a_short_length_keeps_the_first_tokens() -> None:
    long, short = (
        split(make_run(50, length=length), NOWHERE).pool.inputs[0] for length in (2000, 40)
    )
    for whole, part in zip(long, short, strict=True):
        words = whole[whole > 0]
        assert torch.equal(part[part > 0], words[:40])


def test_stop_words_and_digits_shorten_reviews() -> None:
    lengths = [
        (split(make_run(400, length=2000, stop_words=choice), NOWHERE).pool.inputs[0] > 0).sum()
        for choice in ("keep", "drop")
    ]
    assert lengths[1] < 0.7 * lengths[0]


def test_same_seed_same_samples_and_shared_memory() -> None:
    first, second = (split(make_run(), NOWHERE) for _ in range(2))
    assert first.pool is second.pool
    imdb._split.cache_clear()
    third = split(make_run(), NOWHERE)
    assert torch.equal(first.pool.inputs[0], third.pool.inputs[0])
    assert torch.equal(first.pool.targets, third.pool.targets)


def test_seeds_draw_other_reviews() -> None:
    assert len(rows(seed=0, length=900) & rows(seed=1, length=900)) < 40
    # 300 of 1,000: two seeds' test sets are drawn independently
    shared = rows(3000, 0, "test", length=900, vocabulary=2000) & rows(
        3000, 1, "test", length=900, vocabulary=2000
    )
    assert len(shared) < 400


def test_code_uses_the_same_first_rows_at_every_seed() -> None:
    both = [
        rows(75, seed, "train", sampling="first", vocabulary=2000, length=900) for seed in (0, 1)
    ]
    sizes = [len(part) for part in both]
    assert sizes == [75, 75]
    assert both[0] != both[1]
    labels = [
        split(make_run(75, seed, sampling="first"), NOWHERE).pool.targets.sum() for seed in (0, 1)
    ]
    assert labels[0] == labels[1]


def test_larger_training_sets_contain_smaller_ones() -> None:
    small, large = (split(make_run(n), NOWHERE).pool.targets for n in (100, 200))
    assert torch.equal(small[:100], large[:100])


def test_shuffled_labels_keep_inputs_test_labels_and_shares() -> None:
    plain, control = (
        split(make_run(400, shuffle_labels=choice), NOWHERE) for choice in (False, True)
    )
    assert torch.equal(plain.pool.inputs[0], control.pool.inputs[0])
    assert torch.equal(plain.pool.targets[plain.test], control.pool.targets[control.test])
    train, shuffled = plain.pool.targets[plain.train], control.pool.targets[control.train]
    assert train.sum() == shuffled.sum()
    assert 0.4 < (train == shuffled).float().mean() < 0.6


@pytest.mark.parametrize("seed", [0, 3])
def test_generator_is_left_where_the_authors_build_their_network(seed: int) -> None:
    torch.manual_seed(seed)
    next(iter(DataLoader(TensorDataset(torch.arange(200)), shuffle=True, batch_size=50)))
    theirs = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(99)
        split(make_run(seed=seed), NOWHERE)
        assert torch.equal(torch.get_rng_state(), theirs)


# Rows of train_test_split(arange(12), stratify=labels) of scikit-learn 1.9.1 after
# numpy.random.seed(0)
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1])


def test_stratified_is_train_test_split() -> None:
    train, test = stratified(LABELS, 0)
    assert train.tolist() == [6, 0, 8, 2, 9, 5, 1, 3, 4]
    assert test.tolist() == [10, 11, 7]


@pytest.mark.parametrize("n", [8, 101, 398, 1000])
def test_stratified_covers_every_row_once(n: int) -> None:
    labels = (np.arange(n) % 3 == 0).astype(np.int64)
    train, test = stratified(labels, 5)
    assert sorted(np.concatenate([train, test])) == list(range(n))
    assert len(test) == -(-n // 4)
    assert abs(labels[test].mean() - labels.mean()) < 1 / len(test)


def test_accuracy_is_the_sign_of_the_logit() -> None:
    targets = torch.tensor([1.0, 1.0, 0.0, 0.0])
    for outputs in (
        torch.tensor([2.0, -1.0, 0.0, 3.0]),
        torch.tensor([[2.0], [-1.0], [0.0], [3.0]]),
    ):
        scores = accuracy(make_run(), outputs, targets)
        assert list(scores) == ["acc"]
        assert scores["acc"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_train": 3001}, "n_train = 3001 is not accepted.* 1 to 3000"),
        ({"n_train": 4, "sampling": "first"}, "it is 6 to 3000"),
        ({"n_train": 3001, "sampling": "first"}, "it is 6 to 3000"),
        ({"sampling": "last"}, "sampling = 'last' is not accepted; one of random, first"),
        ({"source": "kaggle"}, "source = 'kaggle'"),
        ({"stop_words": True}, "stop_words = True"),
        ({"vocabulary": 0}, "vocabulary = 0 is not accepted; a whole number from 1 to 32767"),
        ({"length": 10.0}, "length = 10.0"),
        ({"n_test": True}, "n_test = True"),
        ({"shuffle_labels": 1}, "shuffle_labels = 1 is not accepted; true or false"),
        (
            {"lenght": 100},
            "unknown option 'lenght' in data \\(did you mean 'length'\\?\\); accepted: source",
        ),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        split(make_run(**change), NOWHERE)  # type: ignore[arg-type]


def test_files_name_the_download() -> None:
    assert files(make_run()) == []
    assert files(make_run(source="full")) == [imdb_files.ARCHIVES[1]]


def test_labels_can_be_learned_from_words() -> None:
    """Labels and reviews belong together: naive Bayes on the presence of words is far above
    chance.
    """
    made = split(make_run(3000), NOWHERE)
    (tokens,) = made.pool.inputs
    present = torch.zeros(len(tokens), 1001).scatter_(1, tokens.long(), 1.0)[:, 1:]
    train, labels = present[made.train], made.pool.targets[made.train] > 0
    shares = [(train[labels == label].mean(0) * 0.998 + 0.001) for label in (True, False)]
    weight = (shares[0] / shares[1]).log() - ((1 - shares[0]) / (1 - shares[1])).log()
    bias = ((1 - shares[0]) / (1 - shares[1])).log().sum()
    scores = accuracy(make_run(), present[made.test] @ weight + bias, made.pool.targets[made.test])
    assert scores["acc"].mean() > 0.75
