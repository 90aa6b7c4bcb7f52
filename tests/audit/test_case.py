"""A Case serves quantities and regions, and settles the verdict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.case import Case
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.errors import BadInput
from omnigrok.stats import Finding, Region, Verdict
from omnigrok.suite.schema import Claim

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


def finding(
    ci: tuple[float, float], values: tuple[float, ...] = (), decides: bool = True
) -> Finding:
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


@pytest.mark.parametrize(
    ("ci", "verdict"), [((11.0, 12.0), Verdict.REPRODUCED), ((9.0, 12.0), Verdict.INCONCLUSIVE)]
)
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
    (record,) = judged.outcome.row().findings
    assert record.ci is None
    assert record.p is None


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


@pytest.mark.parametrize(("censored", "verdict"), [(3, Verdict.INCONCLUSIVE), (0, Verdict.REFUTED)])
def test_what_a_smoke_run_never_reached_may_come_later(censored: int, verdict: Verdict) -> None:
    judged = case("control", "smoke")
    judged.judge([replace(finding((0.0, 0.0), (0.0, 0.0, 0.0)), censored=censored)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict


def premised() -> Case:
    return replace(case(), claim=CLAIM.model_copy(update={"premise": "there is a contour"}))


def test_a_premise_that_is_not_met_leaves_the_claim_open_and_says_why() -> None:
    judged = premised()
    judged.judge([finding((0.0, 1.0)), finding((1.0, 3.0)).as_premise()])
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.INCONCLUSIVE
    assert judged.outcome.reason.startswith("premise not met: f: 2 [1, 3]")


@pytest.mark.parametrize(
    ("ci", "verdict"), [((11.0, 12.0), Verdict.REPRODUCED), ((9.0, 12.0), Verdict.INCONCLUSIVE)]
)
def test_a_premise_that_is_met_has_no_say(ci: tuple[float, float], verdict: Verdict) -> None:
    judged = premised()
    judged.judge([finding(ci), finding((20.0, 30.0)).as_premise()])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict


def test_a_premise_stands_in_the_yaml_and_in_the_check_or_in_neither() -> None:
    with pytest.raises(BadInput, match="must both have a premise"):
        premised().judge([finding((11.0, 12.0))])
    with pytest.raises(BadInput, match="must both have a premise"):
        case().judge([finding((11.0, 12.0)), finding((11.0, 12.0)).as_premise()])


@pytest.mark.parametrize(
    ("role", "p", "verdict"),
    [
        ("control", 0.002, Verdict.INCONCLUSIVE),
        ("control", None, Verdict.INCONCLUSIVE),
        ("control", 0.001, Verdict.REPRODUCED),
        ("claim", 0.002, Verdict.REPRODUCED),
    ],
)
def test_a_control_on_the_edge_of_the_region_is_reproduced_only_at_a_thousandth(
    role: Any, p: float | None, verdict: Verdict
) -> None:
    entry = CLAIM.model_copy(
        update={"control": CLAIM.control.model_copy(update={"edge": ["ratio"]})}
    )
    judged = replace(case(role), claim=entry)
    judged.judge([replace(finding((11.0, 12.0)), p=p)])
    assert judged.outcome is not None
    assert judged.outcome.verdict is verdict
    assert judged.outcome.edge == (("f",) if role == "control" else ())


def test_of_several_findings_that_agree_the_leading_one_is_shown() -> None:
    judged = case()
    judged.judge([finding((11.0, 12.0)), replace(finding((100.0, 200.0)), name="bottom").as_lead()])
    assert judged.outcome is not None
    assert judged.outcome.reason.startswith("bottom: 150")
    with pytest.raises(ClaimRefuted, match="f: 2"):
        case().judge(
            [finding((1.0, 3.0)), replace(finding((100.0, 200.0)), name="bottom").as_lead()]
        )


def test_seeds_that_share_their_data_are_one_data_set() -> None:
    shared = replace(finding((11.0, 12.0), (11.0, 12.0)), p=0.01).of_one_data_set(
        "the seeds share their images"
    )
    assert (shared.n, shared.p, shared.verdict()) == (1, None, Verdict.INCONCLUSIVE)
    assert shared.note == "the seeds share their images"


INTERVALS = st.sampled_from([(11.0, 12.0), (1.0, 3.0), (9.0, 12.0)])
KINDS = st.sampled_from(["decides", "premise", "sensitivity"])


@given(st.lists(st.tuples(INTERVALS, KINDS), min_size=1, max_size=6))
def test_a_curtailed_verdict_is_reproduced_where_the_whole_one_is(
    parts: list[tuple[tuple[float, float], str]],
) -> None:
    findings = [finding(ci, decides=kind != "sensitivity") for ci, kind in parts]
    findings = [
        each.as_premise() if kind == "premise" else each
        for each, (_, kind) in zip(findings, parts, strict=True)
    ]
    if not any(each.decides and each.region is not None for each in findings):
        findings.append(finding((11.0, 12.0)))
    made = premised() if any(each.premise for each in findings) else case()
    verdicts = []
    for curtailed in (False, True):
        judged = replace(made, curtailed=curtailed)
        with contextlib.suppress(ClaimRefuted):
            judged.judge(iter(findings))
        assert judged.outcome is not None
        verdicts.append(judged.outcome.verdict)
    whole, short = (each is Verdict.REPRODUCED for each in verdicts)
    assert whole == short


@pytest.mark.parametrize("first", [finding((9.0, 12.0)), finding((9.0, 12.0)).as_premise()])
def test_a_curtailed_case_asks_for_no_more_than_it_needs(first: Finding) -> None:
    def found() -> Iterator[Finding]:
        yield finding((1.0, 3.0), decides=False)
        yield first
        raise AssertionError("asked for another finding")

    judged = replace(premised() if first.premise else case(), curtailed=True)
    judged.judge(found())
    assert judged.outcome is not None
    assert judged.outcome.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(AssertionError):
        case().judge(found())
