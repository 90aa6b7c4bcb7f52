"""Positions on the effect's scale."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.document import FindingPart, RegionPart
from omnigrok.report.scale import effect_scale


def finding(lo: float, hi: float, **more: Any) -> FindingPart:
    return FindingPart(region=RegionPart(lo=lo, hi=hi), **more)


def test_inside_a_region() -> None:
    scale = effect_scale(finding(0.9, 1.1, estimate=1.0, ci=(0.95, 1.05), values=(0.95, 1.05)))
    assert scale is not None
    assert not scale.log
    assert (
        scale.region[0] < scale.interval[0] < scale.estimate < scale.interval[1] < scale.region[1]
    )  # type: ignore[index, operator]
    assert scale.estimate == 50
    assert [tick.text for tick in scale.ticks] == ["0.9", "1.1"]


def test_open_region_reaches_the_end() -> None:
    scale = effect_scale(finding(10, math.inf, estimate=20.0, ci=(15.0, 25.0)))
    assert scale is not None
    assert scale.region[1] == 100
    assert 0 < scale.region[0] < scale.interval[0]  # type: ignore[index]


def test_wide_ratios_are_logarithmic() -> None:
    scale = effect_scale(finding(2, math.inf, estimate=1e4, ci=(1e3, 1e5)))
    assert scale is not None
    assert scale.log
    assert scale.interval is not None
    assert scale.estimate == pytest.approx(sum(scale.interval) / 2, abs=0.1)


def test_nothing_to_show() -> None:
    assert effect_scale(FindingPart(estimate=1.0)) is None
    assert effect_scale(finding(0, 1)) is None
    assert effect_scale(finding(0, 1, values=(None, math.inf))) is None


def test_smoke_has_seeds_and_no_interval() -> None:
    scale = effect_scale(finding(0, 1, values=(0.2, 0.4)))
    assert scale is not None
    assert scale.interval is None
    assert scale.estimate is None
    assert scale.seeds[0] < scale.seeds[1]


numbers = st.floats(-1e12, 1e12) | st.none() | st.just(math.inf) | st.just(-math.inf)


intervals = st.tuples(numbers, numbers).filter(lambda ends: None in ends or ends[0] <= ends[1])  # type: ignore[operator]
Ends = tuple[float | None, float | None]


@given(
    st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), numbers, intervals, st.lists(numbers, max_size=5)
)
def test_everything_stays_on_the_scale(
    lo: float, width: float, estimate: float | None, ci: Ends, values: list[float | None]
) -> None:
    scale = effect_scale(finding(lo, lo + width, estimate=estimate, ci=ci, values=tuple(values)))
    if scale is not None:
        parts = [
            *scale.region,
            *(scale.interval or ()),
            *scale.seeds,
            *(tick.at for tick in scale.ticks),
            scale.estimate or 0,
        ]
        assert all(0 <= part <= 100 for part in parts)
        assert scale.region[0] <= scale.region[1]
