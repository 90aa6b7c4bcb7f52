"""Reviews as numbers: a corpus of word ids, the vocabulary of a training set, and padded token
arrays (Section 4 and Appendix A).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnigrok.errors import DataCorrupt

Ints = NDArray[np.int64]

FORMAT = 1
NOT_WORD = re.compile(r"[^\w\s]")
DIGIT = re.compile(r"\d")

# NLTK's 179 English stop words, the list in the authors' code. Words lose their apostrophes before
# they are compared with it, in the code and so here: "dont" is not in the list and stays.
STOP_WORDS = frozenset(
    """
    a about above after again against ain all am an and any are aren aren't as at be because been
    before being below between both but by can couldn couldn't d did didn didn't do does doesn
    doesn't doing don don't down during each few for from further had hadn hadn't has hasn hasn't
    have haven haven't having he her here hers herself him himself his how i if in into is isn isn't
    it it's its itself just ll m ma me mightn mightn't more most mustn mustn't my myself needn
    needn't no nor not now o of off on once only or other our ours ourselves out over own re s same
    shan shan't she she's should should've shouldn shouldn't so some such t than that that'll the
    their theirs them themselves then there these they this those through to too under until up ve
    very was wasn wasn't we were weren weren't what when where which while who whom why will with
    won won't wouldn wouldn't y you you'd you'll you're you've your yours yourself yourselves
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Labelled reviews as word ids.

    Args:
        words: the word of each id.
        tokens: (n_tokens,) unsigned ids of all reviews, one after the other.
        ends: (n,) where each review ends in ``tokens``.
        labels: (n,) 1 for a positive review, 0 for a negative one.
    """

    words: tuple[str, ...]
    tokens: NDArray[np.uint32]
    ends: Ints
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ends)

    def reviews(self, rows: Ints) -> tuple[NDArray[np.uint32], Ints]:
        """The word ids of some reviews, one after the other, and the position in ``rows`` that each
        belongs to.
        """
        starts = np.concatenate([[0], self.ends[:-1]])[rows]
        lengths = self.ends[rows] - starts
        owner = np.repeat(np.arange(len(rows)), lengths)
        offsets = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.tokens[starts[owner] + offsets], owner


def tokenise(reviews: Iterable[tuple[str, int]]) -> Corpus:
    """(text, label) pairs to a corpus: lower-case, split at white space, characters that belong to
    no word removed.

    What is left of the HTML line breaks ("br") is a word, as in the authors' code. Ids are by first
    appearance.
    """
    ids: dict[str, int] = {}
    tokens: list[NDArray[np.uint32]] = []
    labels = []
    for text, label in reviews:
        words = NOT_WORD.sub("", text.lower()).split()
        tokens.append(
            np.fromiter((ids.setdefault(word, len(ids)) for word in words), np.uint32, len(words))
        )
        labels.append(label)
    ends = np.cumsum([len(review) for review in tokens], dtype=np.int64)
    flat = np.concatenate(tokens) if tokens else np.empty(0, np.uint32)
    return Corpus(tuple(ids), flat, ends, np.array(labels, np.uint8))


def most_frequent(
    corpus: Corpus, rows: Ints, size: int, *, drop_stop_words: bool, drop_digits: bool
) -> tuple[list[str], Ints]:
    """The vocabulary of some reviews: their ``size`` most frequent words, ties in order of
    appearance (fewer if they have fewer).

    Returns:
        The words by rank, and for every id of the corpus its token: 1 for the most frequent word
        and so on, 0 for none.
    """
    alias: Ints = np.arange(len(corpus.words))
    words = list(corpus.words)
    if drop_digits:
        known = {word: k for k, word in enumerate(words)}
        for k, word in enumerate(corpus.words):
            bare = DIGIT.sub("", word)
            if bare != word:
                if bare not in known:
                    known[bare] = len(words)
                    words.append(bare)
                alias[k] = known[bare]
    tokens = alias[corpus.reviews(rows)[0]]
    counts = np.bincount(tokens, minlength=len(words))
    for k, word in enumerate(words):
        if not word or (drop_stop_words and word in STOP_WORDS):
            counts[k] = 0
    first = np.full(len(words), len(tokens))
    first[tokens[::-1]] = np.arange(len(tokens))[::-1]
    ranked = np.lexsort((first, -counts))[: min(size, int((counts > 0).sum()))]
    rank = np.zeros(len(words), np.int64)
    rank[ranked] = np.arange(1, len(ranked) + 1)
    return [words[k] for k in ranked], rank[alias]


def encode(corpus: Corpus, rows: Ints, rank: Ints, length: int) -> NDArray[np.int16]:
    """Some reviews as (len(rows), length) tokens: unknown words left out, the first ``length``
    kept, padded with 0 on the left.
    """
    words, owner = corpus.reviews(rows)
    tokens = rank[words]
    kept = tokens > 0
    tokens, owner = tokens[kept], owner[kept]
    lengths = np.bincount(owner, minlength=len(rows))
    position = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    column = position + np.repeat(np.maximum(length - lengths, 0), lengths)
    inside = column < length
    padded = np.zeros((len(rows), length), np.int16)
    padded[owner[inside], column[inside]] = tokens[inside]
    return padded


def to_bytes(corpus: Corpus, *, compress: bool = True, source: str = "") -> bytes:
    """A corpus as an npz file without pickles.

    Args:
        source: SHA-256 of the reviews it was made from, to be kept in the file.
    """
    buffer = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    tokens = corpus.tokens if len(corpus.words) > 2**16 else corpus.tokens.astype(np.uint16)
    words = np.frombuffer("\n".join(corpus.words).encode(), np.uint8)
    save(
        buffer,
        format=np.array(FORMAT),
        source=np.array(source),
        words=words,
        tokens=tokens,
        ends=corpus.ends.astype(np.int32),
        labels=corpus.labels,
    )
    return buffer.getvalue()


def source_of(data: bytes) -> str:
    """The ``source`` of an npz file that ``from_bytes`` accepts; "" where it keeps none."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return str(file["source"]) if "source" in file else ""


def from_bytes(data: bytes, name: str) -> Corpus:
    """The inverse of ``to_bytes``.

    Raises:
        DataCorrupt: the data is truncated, of another version, or does not fit together.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            version = int(file["format"])
            words = tuple(file["words"].tobytes().decode().split("\n"))
            tokens, ends, labels = (
                file["tokens"].astype(np.uint32),
                file["ends"].astype(np.int64),
                file["labels"].astype(np.uint8),
            )
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataCorrupt(
            f"{name}: not a whole IMDb token file ({error}); delete it to have it made again"
        ) from error
    whole = (
        version == FORMAT
        and len(ends) == len(labels) > 0
        and ends[-1] == len(tokens)
        and bool((np.diff(ends, prepend=0) >= 0).all())
    )
    if not whole or int(tokens.max(initial=0)) >= len(words):
        raise DataCorrupt(
            f"{name}: not an IMDb token file of version {FORMAT}, or its parts do not fit; delete "
            "it to have it made again"
        )
    return Corpus(words, tokens, ends, labels)
