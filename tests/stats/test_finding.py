"""The verdict rule of docs/statistics.md, end by end."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.stats.finding import Finding, Region, Verdict, conjunction

INF, NAN = math.inf, math.nan
R, X, I = Verdict.REPRODUCED, Verdict.REFUTED, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("region", "ci", "verdict"),
    [
        (Region(10), (10.1, 20), R),
        (Region(10), (9.9, 20), I),
        (Region(10), (1, 9), X),
        # "Lower bound > 10" is not met at 10, and an interval that ends at 10 has no point above
        # it.
        (Region(10), (10, 20), I),
        (Region(10), (1, 10), X),
        (Region(0.9, 1.1, closed=True), (0.9, 1.1), R),
        (Region(0.9, 1.1), (0.9, 1.1), I),
        (Region(0.9, 1.1, closed=True), (1.1, 1.3), I),
        (Region(0.9, 1.1), (1.1, 1.3), X),
        (Region(0.9, 1.1), (0.5, 2), I),
        (Region(hi=3), (-INF, 2.9), R),
        (Region(hi=3), (-INF, 3.1), I),
        (Region(hi=3), (3.1, INF), X),
        (Region(10), (11, INF), R),
        (Region(10), (INF, INF), R),
        (Region(hi=3), (INF, INF), X),
        (Region(hi=3), (-INF, -INF), R),
        (Region(10), (-INF, INF), I),
        (Region(), (-INF, INF), R),
        (Region(10), (NAN, 20), I),
        (Region(10), (20, NAN), I),
        (Region(10), (12, 12), R),
        (Region(10), (10, 10), X),
    ],
)
def test_judge(region: Region, ci: tuple[float, float], verdict: Verdict) -> None:
    assert region.judge(ci) is verdict


@pytest.mark.parametrize(
    ("region", "values", "verdict"),
    [
        (Region(10), (11, 12, 13), R),
        (Region(10), (11, 12, 9), I),
        (Region(10), (1, 2, 10), X),
        (Region(10), (11, 12, INF), R),
        (Region(10), (11, 12, NAN), I),
        (Region(10), (NAN, NAN, NAN), I),
        (Region(10), (1, 2, NAN), I),
        (Region(hi=0), (-INF, -1), R),
        (Region(0.9, 1.1), (INF, -INF), X),
        (Region(10), (), I),
    ],
)
def test_judge_seeds(region: Region, values: tuple[float, ...], verdict: Verdict) -> None:
    assert region.judge_seeds(values) is verdict


def test_a_region_needs_an_inside() -> None:
    for lo, hi in ((1.0, 1.0), (2.0, 1.0), (NAN, 1.0)):
        with pytest.raises(ValueError, match="lo < hi"):
            Region(lo, hi)


def test_an_interval_that_is_upside_down_is_a_bug_not_a_verdict() -> None:
    with pytest.raises(ValueError, match="low <= high"):
        Region(10).judge((20, 11))


@given(st.floats(-5, 5), st.floats(0.1, 5), st.booleans(), st.floats(-20, 20), st.floats(0, 20))
def test_a_degenerate_or_wider_interval_never_contradicts(
    lo: float, size: float, closed: bool, low: float, width: float
) -> None:
    region = Region(lo, lo + size, closed)
    verdict = region.judge((low, low + width))
    points = [region.judge((point, point)) for point in (low, low + width / 2, low + width)]
    assert set(points) <= {R, X}
    if verdict is not I:
        assert all(point is verdict for point in points)


def test_regions_read_as_the_claims_do() -> None:
    assert str(Region(10)) == "> 10"
    assert str(Region(hi=0.03)) == "< 0.03"
    assert str(Region(-1.15, -0.85)) == "inside [-1.15, -0.85]"


def finding(**changes: object) -> Finding:
    base: dict[str, object] = {
        "name": "x",
        "estimate": 3.0,
        "ci": (2.5, 4.0),
        "region": Region(2),
        "values": (3.0, 3.0),
    }
    return Finding(**{**base, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p", "ci", "verdict"),
    [
        (0.05, (2.5, 4), R),
        (0.051, (2.5, 4), I),
        (None, (2.5, 4), I),
        (NAN, (2.5, 4), I),
        (0.9, (0.5, 1.5), X),
        (0.001, (1.5, 4), I),
    ],
)
def test_a_trend_needs_its_p_to_be_reproduced_but_not_to_be_refuted(
    p: float | None, ci: tuple[float, float], verdict: Verdict
) -> None:
    assert finding(p=p, ci=ci, needs_p=True).verdict() is verdict


def test_an_interval_is_one_of_95_percent_unless_it_says_otherwise() -> None:
    assert finding().level == 0.95
    assert finding(level=0.9).level == 0.9


def test_without_region_or_interval_there_is_no_verdict() -> None:
    assert finding(region=None).verdict() is I
    assert finding(region=None).smoke_verdict() is I
    assert finding(ci=None).verdict() is I
    assert finding(ci=None).smoke_verdict() is R


def test_a_sensitivity_row_keeps_its_numbers_and_loses_its_say() -> None:
    row = finding(note="old").as_sensitivity("80 %")
    assert (row.decides, row.note, row.ci) == (False, "80 %", (2.5, 4.0))
    assert finding(note="old").as_sensitivity().note == "old"


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([R, R], R),
        ([R, I], I),
        ([R, X, I], X),
        ([X, Verdict.NOT_RUN], Verdict.NOT_RUN),
        ([X, Verdict.NOT_RUN, Verdict.ERROR], Verdict.ERROR),
        ([], I),
    ],
)
def test_conjunction(parts: list[Verdict], verdict: Verdict) -> None:
    assert conjunction(parts) is verdict
