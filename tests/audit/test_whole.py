"""Numbers that decide, from recorded curves and from curves that were trained again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.whole import FALSE_ALARM, Unjudged, _accepted, _number, deciding_numbers
from omnigrok.stats.finding import Finding, Region
from omnigrok.suite.suite import load_suite

ABOVE = Region(lo=10.0)


def finding(*values: float, ci: tuple[float, float] = (11.0, 13.0)) -> Finding:
    return Finding("f", 12.0, ci, ABOVE, tuple(values), n=len(values))


def test_what_is_accepted_is_the_t_interval_of_a_difference() -> None:
    # Standard deviation sqrt(2.5) and five numbers: t with 4 degrees of freedom at 1e-4 in each
    # tail is 13.0337 (tables of Student's t).
    assert _accepted(np.arange(5.0)) == pytest.approx(13.0337 * math.sqrt(2.5 * 2), rel=1e-4)
    assert _accepted(np.array([*range(5), np.nan])) == _accepted(np.arange(5.0))


def test_at_least_a_hundredth_is_accepted() -> None:
    assert _accepted(np.array([-8.0, -8.0, -8.0])) == pytest.approx(0.08)
    assert _accepted(np.array([1.0, 2.0, np.nan])) == math.inf


@pytest.mark.parametrize("seeds", [3, 10])
def test_fresh_seeds_are_said_to_differ_as_rarely_as_stated(seeds: int) -> None:
    rng = np.random.default_rng(0)
    draws = 20_000
    alarms = 0
    for _ in range(draws):
        before, after = rng.normal(100.0, 20.0, (2, seeds))
        alarms += not _number("c", finding(*before), finding(*after)).agrees
    # Twice the stated share is 6 standard deviations of it away.
    assert alarms <= 2 * FALSE_ALARM * draws


@given(st.lists(st.floats(1.0, 100.0), min_size=3, max_size=8, unique=True))
def test_the_same_numbers_agree(values: list[float]) -> None:
    number = _number("toy.a", finding(*values), finding(*values))
    assert number.agrees
    assert (number.claim, number.name, number.difference) == ("toy.a", "f", 0.0)
    assert (number.before, number.after) == (12.0, 12.0)


def test_what_does_not_agree() -> None:
    before = finding(1.0, 2.0, 3.0)
    far = _number("c", before, finding(1.0, 2.0, 3000.0))
    assert (far.difference, far.agrees, far.same) == (2997.0, False, True)
    other = _number("c", before, finding(1.0, 2.0, 3.0, ci=(1.0, 3.0)))
    assert (other.difference, other.agrees, other.same) == (0.0, False, False)
    lost = _number("c", before, finding(1.0, 2.0, math.nan))
    assert (lost.difference, lost.agrees) == (math.inf, False)
    shorter = _number("c", before, finding(1.0, 2.0))
    assert (shorter.difference, shorter.accepted, shorter.agrees) == (math.inf, 0.0, False)
    gone = _number("c", before, None)
    assert math.isnan(gone.after)
    assert (gone.difference, gone.accepted, gone.agrees, gone.same) == (math.inf, 0.0, False, False)


def test_seeds_without_a_number_in_both_are_left_out() -> None:
    kept = finding(1.0, math.nan, 2.0, 3.0)
    moved = replace(kept, values=(1.5, math.nan, 2.0, 3.0), estimate=12.5)
    number = _number("c", kept, moved)
    assert (number.difference, number.after, number.agrees) == (0.5, 12.5, True)


def test_claims_that_cannot_be_judged_say_why(toy: Any) -> None:
    toy.add("good", experiments="[tiny]")
    toy.write()
    (found,) = deciding_numbers(load_suite(toy.folder), "toy:tiny", "paper", {}, {})
    assert isinstance(found, Unjudged)
    assert found.claim == "toy.good"
    assert "toy:tiny" in found.reason
    assert list(deciding_numbers(load_suite(toy.folder), "toy:tiny", "code", {}, {})) == []
