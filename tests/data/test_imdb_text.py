"""Tokenising, vocabulary, padding, and the token file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.data.imdb_text import (
    STOP_WORDS,
    Corpus,
    encode,
    from_bytes,
    most_frequent,
    to_bytes,
    tokenise,
)
from omnigrok.errors import DataCorrupt

REVIEWS = [
    ("The movie was GREAT, great fun!<br /><br />Don't miss it.", 1),
    ("Bad bad bad movie; 2 hours, 10minutes too long", 0),
    ("", 0),
    ("great", 1),
]
ALL = np.arange(len(REVIEWS))
KEEP = {"drop_stop_words": False, "drop_digits": False}
DROP = {"drop_stop_words": True, "drop_digits": True}


@pytest.fixture
def corpus() -> Corpus:
    return tokenise(REVIEWS)


def words_of(corpus: Corpus, row: int) -> list[str]:
    return [corpus.words[k] for k in corpus.reviews(np.array([row]))[0]]


def test_words_are_lower_case_without_marks(corpus: Corpus) -> None:
    assert words_of(corpus, 0) == [
        "the",
        "movie",
        "was",
        "great",
        "great",
        "funbr",
        "br",
        "dont",
        "miss",
        "it",
    ]
    assert words_of(corpus, 2) == []
    assert corpus.labels.tolist() == [1, 0, 0, 1]
    assert len(corpus) == 4


def test_reviews_in_any_order(corpus: Corpus) -> None:
    tokens, owner = corpus.reviews(np.array([3, 2, 1]))
    assert [corpus.words[k] for k in tokens[:2]] == ["great", "bad"]
    assert owner.tolist() == [0] + [2] * 9


def test_most_frequent_breaks_ties_by_appearance(corpus: Corpus) -> None:
    words, rank = most_frequent(corpus, ALL, 4, **KEEP)
    assert words == ["great", "bad", "movie", "the"]
    assert [rank[corpus.words.index(word)] for word in ("great", "the", "was")] == [1, 4, 0]
    assert most_frequent(corpus, ALL[::-1], 2, **KEEP)[0] == ["great", "bad"]
    assert most_frequent(corpus, np.array([1, 0]), 3, **KEEP)[0] == ["bad", "movie", "great"]


def test_only_the_given_rows_count(corpus: Corpus) -> None:
    words, _ = most_frequent(corpus, np.array([1]), 2, **KEEP)
    assert words == ["bad", "movie"]


def test_stop_words_and_digits(corpus: Corpus) -> None:
    words, rank = most_frequent(corpus, ALL, 100, **DROP)
    assert "the" not in words
    assert "too" not in words
    assert "" not in words
    assert "dont" in words  # the apostrophe went before the list was asked
    assert "minutes" in words
    assert "10minutes" not in words
    assert rank[corpus.words.index("2")] == 0
    assert words[rank[corpus.words.index("10minutes")] - 1] == "minutes"


def test_digits_merge_with_an_existing_word() -> None:
    corpus = tokenise([("minutes minutes2 minutes3 hours", 1)])
    words, rank = most_frequent(corpus, np.array([0]), 1, drop_stop_words=False, drop_digits=True)
    assert words == ["minutes"]
    assert rank.tolist() == [1, 1, 1, 0]


def test_a_small_vocabulary_is_all_there_is(corpus: Corpus) -> None:
    words, rank = most_frequent(corpus, np.array([3]), 10, **KEEP)
    assert words == ["great"]
    assert rank.sum() == 1


def test_stop_word_list() -> None:
    assert len(STOP_WORDS) == 179
    assert {"no", "not", "nor", "don't", "yourselves", "a"} <= STOP_WORDS
    assert not {"movie", "would", "dont"} & STOP_WORDS


def reference_padding(reviews: list[list[int]], length: int) -> list[list[int]]:
    return [[0] * (length - len(review)) + review[:length] for review in reviews]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12), min_size=1, max_size=6),
    st.integers(1, 15),
    st.integers(1, 7),
)
def test_encode_agrees_with_a_plain_loop(reviews: list[list[str]], length: int, size: int) -> None:
    corpus = tokenise((" ".join(review), 1) for review in reviews)
    every = np.arange(len(reviews))
    words, rank = most_frequent(corpus, every, size, **KEEP)
    expected = reference_padding(
        [[words.index(word) + 1 for word in review if word in words] for review in reviews], length
    )
    assert encode(corpus, every, rank, length).tolist() == expected


def test_token_file_round_trip(corpus: Corpus) -> None:
    for compress in (True, False):
        again = from_bytes(to_bytes(corpus, compress=compress), "x")
        assert again.words == corpus.words
        for name in ("tokens", "ends", "labels"):
            assert np.array_equal(getattr(again, name), getattr(corpus, name))
            assert getattr(again, name).dtype == getattr(corpus, name).dtype


@pytest.mark.parametrize("keep", [0, 10, 300, -1, -60])
def test_truncated_token_file(corpus: Corpus, keep: int) -> None:
    with pytest.raises(DataCorrupt, match=r"some\.npz: not a whole IMDb token file"):
        from_bytes(to_bytes(corpus)[:keep], "some.npz")


def test_token_file_whose_parts_do_not_fit(corpus: Corpus) -> None:
    for broken in (
        Corpus(corpus.words[:3], corpus.tokens, corpus.ends, corpus.labels),
        Corpus(corpus.words, corpus.tokens[:-1], corpus.ends, corpus.labels),
        Corpus(corpus.words, corpus.tokens, corpus.ends, corpus.labels[:-1]),
        Corpus(corpus.words, corpus.tokens, corpus.ends[::-1], corpus.labels),
    ):
        with pytest.raises(DataCorrupt, match="do not fit"):
            from_bytes(to_bytes(broken), "x")


def test_token_file_with_a_pickle_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", format=np.array([{}], dtype=object))
    with pytest.raises(DataCorrupt):
        from_bytes((tmp_path / "x.npz").read_bytes(), "x")
