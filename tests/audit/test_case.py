"""A Case serves quantities and regions, and settles the verdict."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from omnigrok.audit.case import CUT_SHORT, Case
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.schema import Claim
from omnigrok.errors import BadInput
from omnigrok.stats import Finding, Region, Verdict

CLAIM = Claim.model_validate(
    {
        "id": "toy.a",
        "statement": "s",
        "place": "p",
        "quantity": {"arm": "large", "level": 0.95},
        "criterion": {"ratio": {"above": 10}, "margin": 0.15, "inside": {"inside": [1, 2]}},
        "control": {"why": "w", "quantity": {"arm": "small"}},
        "null": "control arm",
    }
)


def case(role: Any = "claim", tier: Any = "paper") -> Case:
    return Case(claim=CLAIM, figure="toy", protocol="paper", tier=tier, role=role, grids={})


def short_case(role: Any = "claim", tier: Any = "paper", short: bool = True) -> Case:
    """One that reads two experiments; the runs of the first may be too short."""
    grids = {name: Grid(name, {}) for name in ("landscape", "other:landscape")}
    return replace(case(role, tier), grids=grids, short=frozenset({"landscape"} if short else ()))


def finding(ci: tuple[float, float], values: tuple[float, ...] = (), decides: bool = True) -> Finding:
    return Finding("f", sum(ci) / 2, ci, Region(lo=10.0), values, n=len(values), decides=decides)


def test_the_control_changes_the_quantity() -> None:
    assert (case()["arm"], case("control")["arm"]) == ("large", "small")
    assert case("control")["level"] == 0.95
    with pytest.raises(BadInput, match=r"quantity has no key 'leg'; it has arm, level"):
        case()["leg"]


def test_regions_and_numbers() -> None:
    assert case().region("ratio") == Region(lo=10.0)
    assert case().region("inside") == Region(1.0, 2.0, closed=True)
    assert case().number("margin") == 0.15
    with pytest.raises(BadInput, match=r"criterion\.margin must be above, below or inside"):
        case().region("margin")
    with pytest.raises(BadInput, match=r"criterion\.ratio must be a number"):
        case().number("ratio")
    with pytest.raises(BadInput, match="no key 'x'; it has ratio, margin, inside"):
        case().region("x")


@pytest.mark.parametrize(("ci", "verdict"), [((11.0, 12.0), Verdict.REPRODUCED), ((9.0, 12.0), Verdict.INCONCLUSIVE)])
def test_paper_tier_judges_the_interval(ci: tuple[float, float], verdict: Verdict) -> None:
    judged = case()
    judged.judge([finding(ci)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict


def test_refuted_raises_for_the_claim_and_not_for_its_control() -> None:
    with pytest.raises(ClaimRefuted, match=r"f: 2 \[1, 3\]"):
        case().judge([finding((1.0, 3.0))])
    control = case("control")
    control.judge([finding((1.0, 3.0))])
    assert control.outcome is not None
    assert control.outcome.verdict is Verdict.REFUTED


def test_smoke_judges_the_seeds() -> None:
    judged = case(tier="smoke")
    judged.judge([finding((0.0, 100.0), (11.0, 12.0, 13.0))])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.REPRODUCED
    record = judged.outcome.as_dict()["findings"][0]
    assert record["ci"] is None
    assert record["p"] is None


def test_a_conjunction_is_refuted_by_one_part_and_sensitivity_has_no_say() -> None:
    with pytest.raises(ClaimRefuted):
        case().judge([finding((11.0, 12.0)), finding((1.0, 3.0))])
    judged = case()
    judged.judge([finding((11.0, 12.0)), finding((1.0, 3.0), decides=False)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.REPRODUCED


def test_a_check_that_cannot_fail_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot fail"):
        case().judge([finding((11.0, 12.0), decides=False)])


def test_a_grid_must_be_named_where_there_are_several() -> None:
    with pytest.raises(BadInput, match="name one"):
        case().grid()
    with pytest.raises(BadInput, match="has no experiment 'x'"):
        case().grid("x")


@pytest.mark.parametrize(
    ("short", "censored", "verdict"),
    [(False, 3, Verdict.REFUTED), (True, 3, Verdict.INCONCLUSIVE), (True, 0, Verdict.REFUTED)],
)
def test_what_a_short_smoke_run_never_reached_may_come_later(short: bool, censored: int, verdict: Verdict) -> None:
    judged = short_case("control", "smoke", short)
    judged.judge([replace(finding((0.0, 0.0), (0.0, 0.0, 0.0)), censored=censored)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict


def test_evidence_with_fewer_steps_than_the_papers_refutes_nothing_and_says_so() -> None:
    judged = short_case()
    judged.judge([finding((11.0, 12.0)), finding((0.0, 1.0))])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.INCONCLUSIVE
    assert judged.outcome.reason.startswith(CUT_SHORT)
    assert [each.verdict() for each in judged.outcome.findings] == [Verdict.REPRODUCED, Verdict.REFUTED]


def test_evidence_with_fewer_steps_than_the_papers_can_show_an_effect() -> None:
    judged = short_case()
    judged.judge([finding((11.0, 12.0))])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.REPRODUCED
    assert CUT_SHORT not in judged.outcome.reason


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        (["other:landscape"], Verdict.REFUTED),
        (["landscape"], Verdict.INCONCLUSIVE),
        (["other:landscape", "landscape"], Verdict.INCONCLUSIVE),
        ([], Verdict.INCONCLUSIVE),
    ],
)
def test_short_runs_count_where_the_check_has_read_them(asked: list[str], verdict: Verdict) -> None:
    """A control's experiment that is short takes nothing from the claim; a check that asks for none by name has read all."""
    judged = short_case()
    for name in asked:
        judged.grid(name)
    with contextlib.suppress(ClaimRefuted):
        judged.judge([finding((0.0, 1.0))])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict


def test_what_one_case_asked_for_does_not_pass_to_its_copy() -> None:
    judged = short_case()
    judged.grid("other:landscape")
    assert not judged.is_short
    assert replace(judged).is_short


def test_short_runs_excuse_no_control_and_praise_nothing() -> None:
    judged = short_case("control")
    judged.judge([replace(finding((0.0, 1.0)), censored=3)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.REFUTED
    smoke = short_case("claim", "smoke")
    smoke.judge([replace(finding((11.0, 12.0), (11.0, 12.0)), censored=2)])
    assert smoke.outcome is not None
    assert smoke.outcome.verdict is Verdict.REPRODUCED
