"""Adjusted p values."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.stats.multiplicity import benjamini_hochberg, holm

families = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=12
)


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1, made monotone: .02 .03 .06 .06.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_benjamini_hochberg_by_hand() -> None:
    # .005 * 4/1, .01 * 4/2, .03 * 4/3, .04 * 4/4, made monotone from above.
    assert benjamini_hochberg({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.02, "b": 0.04, "c": 0.04, "d": 0.02}
    )


@settings(max_examples=60)
@given(families)
def test_adjusting_keeps_order_and_bounds(p: dict[str, float]) -> None:
    by_holm, by_bh = holm(p), benjamini_hochberg(p)
    assert list(by_holm) == list(p) == list(by_bh)
    for name, value in p.items():
        assert (
            value - 1e-12 <= by_bh[name] <= by_holm[name] + 1e-12 <= min(1, len(p) * value) + 2e-12
        )
    ranked = sorted(p, key=p.__getitem__)
    assert [by_holm[name] for name in ranked] == sorted(by_holm.values())
    assert [by_bh[name] for name in ranked] == pytest.approx(sorted(by_bh.values()))


@settings(max_examples=30)
@given(families)
def test_a_claim_without_p_counts_in_the_family(p: dict[str, float]) -> None:
    larger = holm({**p, "no test": math.nan})
    assert larger["no test"] == 1
    assert all(larger[name] >= value for name, value in holm(p).items())


def test_edges() -> None:
    assert holm({}) == {}
    assert benjamini_hochberg({}) == {}
    assert holm({"a": 0.2}) == {"a": 0.2}
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match=r"a: a p value lies in \[0, 1\]"):
            adjust({"a": 1.5})
