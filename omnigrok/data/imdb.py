"""IMDb reviews, positive or negative (Section 4, Figure 4; Maas et al. 2011).

The paper says neither where a review is padded nor whose words are counted; both are as in the
code, which counts those of its training reviews. The authors' axis N counts test reviews too: their
N = 1,000 is ``n_train`` 750 here. The order of rows in their csv is not known: the rows here are a
fixed shuffle of the sorted file names, the same for every seed. All splits are stratified by label,
as in scikit-learn's ``train_test_split``, and drawn by numpy's generator of the seed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from omnigrok.data.imdb_files import ARCHIVES, bundled, fetch, full
from omnigrok.data.imdb_text import Ints, encode, most_frequent
from omnigrok.data.split import Pool, Split
from omnigrok.errors import BadInput
from omnigrok.options import DataOptions
from omnigrok.run import Run

# 1: stratified splits by numpy, rows in the order of seed 2022; score acc.
VERSION = 1

__all__ = ["accuracy", "fetch", "files", "split"]

ORDER_SEED = 2022
LEAST_FIRST = 6

Vocabulary = Annotated[int, Field(ge=1, le=32_767)]
Length = Annotated[int, Field(ge=1, le=100_000)]


class Options(DataOptions):
    """Options of ``Run.data`` (Section 4, Appendix A); the defaults are the protocol ``paper``.

    Args:
        source: "full", 50,000 reviews below the data root, or "bundled", 4,000 that come with the
            package.
        sampling: "random": a quarter of all reviews is held back for testing and ``n_train`` are
            drawn from the others. "first" (protocol ``code``): the first rows, as many as make
            ``n_train`` three quarters of them, and the last quarter is for testing.
        stop_words: "keep", or "drop" (``code``) to leave out 179 stop words.
        digits: "keep", or "drop" (``code``) to cut digits out of words.
        vocabulary: most frequent words of the training reviews; others are left out.
        length: tokens; longer reviews keep the first, shorter ones are padded with 0 on the left.
        n_test: if positive, at most this many test reviews.
        shuffle_labels: permutes the training labels, as a control.
    """

    source: Literal["full", "bundled"] = "full"
    sampling: Literal["random", "first"] = "random"
    stop_words: Literal["keep", "drop"] = "keep"
    digits: Literal["keep", "drop"] = "keep"
    vocabulary: Vocabulary = 1000
    length: Length = 500
    n_test: Annotated[int, Field(ge=0, le=50_000)] = 0
    shuffle_labels: bool = False


def stratified(labels: Ints, seed: int) -> tuple[Ints, Ints]:
    """Three quarters and a quarter of the rows, each with the labels' shares, in random order
    (train_test_split's procedure).
    """
    rng = np.random.RandomState(seed)
    counts = np.bincount(labels, minlength=2)
    n_test = -(-len(labels) // 4)

    def share(available: Ints, draws: int) -> Ints:
        exact = available * draws / available.sum()
        whole: Ints = np.floor(exact).astype(np.int64)
        left = draws - int(whole.sum())
        # Left-over draws go to the larger remainders; equal ones are drawn among.
        for value in np.unique(exact - whole)[::-1]:
            if left:
                tied = np.flatnonzero(exact - np.floor(exact) == value)
                take = min(len(tied), left)
                whole[rng.choice(tied, size=take, replace=False)] += 1
                left -= take
        return whole

    train_counts = share(counts, len(labels) - n_test)
    test_counts = share(counts - train_counts, n_test)
    train, test = [], []
    for label, (n, m) in enumerate(zip(train_counts, test_counts, strict=True)):
        rows = np.flatnonzero(labels == label)[rng.permutation(counts[label])]
        train.append(rows[:n])
        test.append(rows[n : n + m])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


@functools.lru_cache(maxsize=16)
def _split(root: Path, seed: int, n_train: int, options: Options) -> Split:
    """The split itself; arms that differ in other settings than these share it, and its memory."""
    corpus = bundled() if options.source == "bundled" else full(root)
    rows = np.random.RandomState(ORDER_SEED).permutation(len(corpus))
    labels = corpus.labels[rows].astype(np.int64)
    first = options.sampling == "first"
    least, most = LEAST_FIRST if first else 1, len(rows) - -(-len(rows) // 4)
    if not least <= n_train <= most:
        raise BadInput(
            f"imdb: n_train = {n_train} is not accepted; with source {options.source} and "
            f"sampling {options.sampling} it is {least} to {most}"
        )
    if first:
        train, test = stratified(labels[: n_train + -(-n_train // 3)], seed)
    else:
        train, test = stratified(labels, seed)
        train = train[:n_train]
    if options.n_test:
        test = test[: options.n_test]
    both = rows[np.concatenate([train, test])]
    drop = {
        "drop_stop_words": options.stop_words == "drop",
        "drop_digits": options.digits == "drop",
    }
    _, rank = most_frequent(corpus, rows[train], options.vocabulary, **drop)
    tokens = torch.from_numpy(encode(corpus, both, rank, options.length))
    targets = corpus.labels[both].astype(np.float32)
    if options.shuffle_labels:
        targets[: len(train)] = np.random.RandomState([seed, 1]).permutation(targets[: len(train)])
    indices = torch.arange(len(both))
    return Split(
        Pool((tokens,), torch.from_numpy(targets)), indices[: len(train)], indices[len(train) :]
    )


def split(run: Run, root: Path) -> Split:
    """Tokens (n, length) int16 with 0 for padding, and targets (n,) float32, 1 for a positive
    review.

    Afterwards torch's generator is seeded with the run's seed and has made the two draws with which
    the authors' data loader shows its first batch, so that the network's initialization at seed 0
    is theirs.

    Raises:
        BadInput: an option is not accepted, or there are not ``n_train`` reviews.
        DataMissing, DataCorrupt: as ``imdb_files.full``.
    """
    made = _split(Path(root), run.seed, run.n_train, Options.of(run))
    torch.manual_seed(run.seed)
    for _ in range(2):
        torch.empty((), dtype=torch.int64).random_()
    return made


def accuracy(run: Run, outputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """``acc``: whether the logit's sign is the label's; a logit of 0 says negative, as rounding a
    probability of .5 does.
    """
    return {"acc": ((outputs.reshape(targets.shape) > 0) == (targets > 0.5)).to(outputs.dtype)}


def files(run: Run) -> list[str]:
    """The archive that ``fetch`` brings; the folder or the other archive of
    ``imdb_files.read_reviews`` does as well.
    """
    return [] if Options.of(run).source == "bundled" else [ARCHIVES[1]]
