"""Positions on the axis of a finding."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.document import FindingPart, RegionPart, Row
from omnigrok.report.forest import Line, leading, lines


def finding(lo: float | None, hi: float | None, **more: Any) -> FindingPart:
    region = RegionPart(lo=lo, hi=hi, text="there")
    return FindingPart(**{"name": "a ratio", "region": region, "decides": True, **more})


def row(*findings: FindingPart, protocol: str = "paper", **more: Any) -> Row:
    return Row(
        **{"id": "a.b", "protocol": protocol, "verdict": "REPRODUCED", "findings": findings, **more}
    )


def line(*findings: FindingPart) -> Line:
    """The only line, a protocol a finding."""
    (found,) = lines([row(each, protocol=f"p{place}") for place, each in enumerate(findings)])
    return found


def test_a_region_with_two_ends_is_the_middle_third() -> None:
    found = line(finding(0.9, 1.1, estimate=1.0, ci=(0.95, 1.05), values=(0.95, 1.05)))
    assert found.region == (pytest.approx(100 / 3, abs=0.01), pytest.approx(200 / 3, abs=0.01))
    (mark,) = found.marks
    assert mark.estimate == 50
    assert mark.interval == mark.seeds == (pytest.approx(41.67), pytest.approx(58.33))
    assert [tick.text for tick in found.ticks] == ["0.9", "1.1"]
    assert not mark.beyond
    assert not found.log


def test_an_open_region_is_one_half() -> None:
    assert line(finding(10, math.inf, estimate=20.0, ci=(15.0, 25.0))).region == (50, 100)
    assert line(finding(None, 10, estimate=20.0, ci=(15.0, 25.0))).region == (0, 50)


def test_what_lies_off_the_axis_is_at_its_end_with_an_arrow() -> None:
    (mark,) = line(finding(0.9, 1.1, estimate=3.61, ci=(3.5, 3.7))).marks
    assert mark.estimate == 100
    assert mark.beyond == ("right",)
    (mark,) = line(finding(10, math.inf, estimate=math.inf, ci=(-5.0, math.inf))).marks
    assert mark.estimate == 100
    assert mark.beyond == ("right",)
    assert mark.interval is not None
    assert mark.interval[0] < 50


def test_wide_ratios_are_logarithmic() -> None:
    found = line(finding(2, math.inf, estimate=1e4, ci=(1e3, 1e5)))
    assert found.log
    (mark,) = found.marks
    assert mark.interval is not None
    assert mark.estimate == pytest.approx(sum(mark.interval) / 2, abs=0.1)


def test_protocols_share_an_axis() -> None:
    found = line(
        finding(0.5, math.inf, estimate=1.0, ci=(0.9, 1.1)),
        finding(0.5, math.inf, estimate=2.0, ci=(1.8, 2.2)),
    )
    first, second = found.marks
    assert first.estimate is not None
    assert second.estimate is not None
    # Distances from the region's end: .5 and 1.5.
    assert (second.estimate - 50) / (first.estimate - 50) == pytest.approx(3, abs=0.01)


def test_the_same_question_under_the_columns_of_two_protocols_is_one_line() -> None:
    found = line(
        finding(0, 1, name="share (acc, 95%)", estimate=0.5, ci=(0.4, 0.6)),
        finding(0, 1, name="share (acc_code, 95%)", estimate=0.6, ci=(0.5, 0.7)),
    )
    assert [mark.protocol for mark in found.marks] == ["p0", "p1"]


def test_findings_that_differ_in_what_is_left_out_of_a_name_have_lines_of_their_own() -> None:
    ten, twenty = (finding(0, 1, name=f"x from N = {size}", estimate=0.5) for size in (10, 20))
    found = lines([row(ten, twenty), row(twenty, protocol="code")])
    assert [each.name for each in found] == [ten.name, twenty.name]
    assert [[mark.protocol for mark in each.marks] for each in found] == [
        ["paper"],
        ["paper", "code"],
    ]


def test_a_protocol_with_another_region_keeps_its_number_and_has_no_place() -> None:
    found = line(
        finding(0, 1, estimate=0.5, ci=(0.4, 0.6)), finding(0, 2, estimate=0.7, ci=(0.4, 0.9))
    )
    assert [mark.effect for mark in found.marks] == ["0.5 [0.4, 0.6]", "0.7 [0.4, 0.9]"]
    assert [mark.protocol for mark in found.drawn] == ["p0"]


def test_only_what_decides_and_premises_have_a_line() -> None:
    parts = (
        finding(0, 1, name="one", estimate=0.5),
        finding(0, 1, name="two", estimate=0.5, decides=False),
        finding(0, 1, name="three", estimate=0.5, decides=False, premise=True),
    )
    found = lines([row(*parts)])
    assert [each.name for each in found] == ["one", "three"]
    assert [each.premise for each in found] == [False, True]


def test_verdicts_rest_on_the_findings_that_decided_them() -> None:
    good = finding(0, 1, name="good", estimate=0.5, verdict="REPRODUCED")
    bad = finding(0, 1, name="bad", estimate=5.0, verdict="REFUTED")
    rows = [row(good, bad, verdict="REFUTED"), row(good, protocol="code")]
    assert [each.name for each in leading(rows, lines(rows))] == ["good", "bad"]
    rows = [row(good, bad, verdict="REFUTED")]
    assert [each.name for each in leading(rows, lines(rows))] == ["bad"]


def test_nothing_to_show() -> None:
    for part in (
        FindingPart(name="x", estimate=1.0, decides=True),
        finding(0, 1),
        finding(0, 1, values=(None, math.inf)),
        finding(None, None, estimate=1.0),
    ):
        assert line(part).region is None
        assert line(part).drawn == ()


def test_smoke_has_seeds_and_no_interval() -> None:
    (mark,) = line(finding(0, 1, values=(0.2, 0.4))).drawn
    assert mark.interval is None
    assert mark.estimate is None
    assert mark.seeds[0] < mark.seeds[1]


numbers = st.floats(-1e12, 1e12) | st.none() | st.just(math.inf) | st.just(-math.inf)
intervals = st.tuples(numbers, numbers).filter(lambda ends: None in ends or ends[0] <= ends[1])
Ends = tuple[float | None, float | None]


@given(
    st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), numbers, intervals, st.lists(numbers, max_size=5)
)
def test_everything_stays_on_the_axis(
    lo: float, width: float, estimate: float | None, ci: Ends, values: list[float | None]
) -> None:
    found = line(finding(lo, lo + width, estimate=estimate, ci=ci, values=tuple(values)))
    if found.region is not None:
        (mark,) = found.marks
        parts = [
            *found.region,
            *(mark.interval or ()),
            *mark.seeds,
            *(tick.at for tick in found.ticks),
            mark.estimate or 0,
        ]
        assert all(0 <= part <= 100 for part in parts)
        assert found.region[0] <= found.region[1]
