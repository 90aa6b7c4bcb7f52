"""Every reading that a sentence leaves open, judged from the same curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.audit.case import Case
from omnigrok.audit.grid import Grid
from omnigrok.audit.universes import (
    Multiverse,
    Universe,
    combinations,
    judge_universes,
    label,
    multiverse_of,
)
from omnigrok.cache import Cache
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.stats import Verdict, mean_in_region
from omnigrok.suite.schema import Claim

RUN = Run(
    task="teacher_student",
    model="mlp",
    seed=0,
    n_train=8,
    steps=10,
    lr=0.1,
    network=(("widths", (2, 2)),),
)


def entry(**universes: list[Any]) -> Claim:
    return Claim.model_validate(
        {
            "id": "toy.a",
            "statement": "s",
            "place": "p",
            "quantity": {"shift": 0.0, "times": 1.0, "idle": "a"},
            "criterion": {"mean": {"above": 2.0}},
            "universes": universes,
            "control": {"why": "w"},
            "null": "control arm",
        }
    )


def case(claim: Claim, start: float = 1.0) -> Case:
    step = np.array([0, 10])
    curves = {
        RUN.replace(seed=seed): Curves(
            RUN.replace(seed=seed), step, {"x": start + 0.1 * seed * np.ones(2)}
        )
        for seed in range(3)
    }
    return Case(claim, "toy", "paper", "paper", "claim", {"tiny": Grid("tiny", curves)})


def check(given: Case) -> None:
    if given["times"] < 0:
        raise BadInput("times must not be negative")
    values = (
        given.grid().per_seed(lambda curves: float(curves["x"][-1])) * given["times"]
        + given["shift"]
    )
    given.judge([mean_in_region("mean", values, given.region("mean"))])


AXES: dict[str, list[Any]] = {"shift": [0.0, 1.0, 5.0], "times": [1.0, -1.0], "idle": ["a", "b"]}


def test_every_combination_of_levels_is_there_once() -> None:
    found = combinations(entry(**AXES))
    assert len(found) == len({tuple(each.items()) for each in found}) == 12
    assert combinations(entry()) == []


def test_each_universe_is_judged_by_the_claims_own_check() -> None:
    found = judge_universes(check, case(entry(shift=[0.0, 1.0, 5.0], idle=["a", "b"])))
    assert [found.count(word) for word in ("REPRODUCED", "INCONCLUSIVE", "REFUTED")] == [2, 2, 2]
    assert [each.estimate for each in found.sorted()] == pytest.approx(
        [1.1, 1.1, 2.1, 2.1, 6.1, 6.1]
    )
    assert found.universes[0].choices == {"shift": "0", "idle": "a"}


def test_the_case_itself_is_left_as_it_is() -> None:
    given = case(entry(shift=[0.0, 5.0]))
    judge_universes(check, given)
    assert given.outcome is None
    assert given["shift"] == 0.0


def test_a_combination_that_cannot_be_judged_is_an_error_and_says_why() -> None:
    found = judge_universes(check, case(entry(times=[1.0, -1.0])))
    assert found.count("ERROR") == 1
    assert found.universes[1].reason == "times must not be negative"
    assert found.summary().error == 1


def test_what_matters_most_is_the_axis_that_moves_the_estimate() -> None:
    found = judge_universes(
        check, case(entry(shift=[0.0, 1.0, 5.0], times=[1.0, 1.1], idle=["a", "b"]))
    )
    shares = found.shares()
    assert next(iter(shares)) == "shift"
    assert shares["idle"] == pytest.approx(0.0, abs=1e-12)
    assert sum(shares.values()) == pytest.approx(1.0)


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=4, unique=True),
    st.lists(st.floats(-5, 5), min_size=2, max_size=4, unique=True),
)
def test_shares_of_an_additive_estimate_are_those_of_its_parts(
    left: list[float], right: list[float]
) -> None:
    universes = [
        Universe({"a": str(a), "b": str(b)}, "REPRODUCED", a + b + 100.0)
        for a in left
        for b in right
    ]
    shares = Multiverse("toy.a", "paper", tuple(universes)).shares()
    total = np.var(left) + np.var(right)
    if total > 1e-6:
        assert shares["a"] == pytest.approx(np.var(left) / total, abs=1e-6)
        assert shares["b"] == pytest.approx(np.var(right) / total, abs=1e-6)


def test_where_nothing_varies_nothing_matters() -> None:
    same = [Universe({"a": level}, "REFUTED", 1.0) for level in "xyz"]
    assert Multiverse("toy.a", "paper", tuple(same)).shares() == {}
    none = [Universe({"a": level}, "ERROR") for level in "xyz"]
    assert Multiverse("toy.a", "paper", tuple(none)).shares() == {}


def test_what_was_judged_before_is_read_and_changed_curves_are_judged_again(tmp_path: Path) -> None:
    asked = []

    def counting(given: Case) -> None:
        asked.append(given["shift"])
        check(given)

    given = case(entry(shift=[0.0, 5.0]))
    first, second = (multiverse_of(counting, given, "check", Cache(tmp_path)) for _ in range(2))
    assert first == second
    assert asked == [0.0, 5.0]
    multiverse_of(counting, case(given.claim, start=1.5), "check", Cache(tmp_path))
    assert len(asked) == 4
    multiverse_of(counting, given, "another check", Cache(tmp_path))
    assert len(asked) == 6
    multiverse_of(counting, replace(given, claim=entry(shift=[0.0, 6.0])), "check", Cache(tmp_path))
    assert len(asked) == 8


def test_a_damaged_cache_is_judged_anew(tmp_path: Path) -> None:
    given = case(entry(shift=[0.0, 5.0]))
    first = multiverse_of(check, given, "check", Cache(tmp_path))
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert multiverse_of(check, given, "check", Cache(tmp_path)) == first


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (0.5, "0.5"),
        ([0.1, 1.0], "0.1 to 1"),
        ({"paper": "acc", "code": "acc_code"}, "acc/acc_code"),
        ("stay", "stay"),
    ],
)
def test_levels_have_names(level: Any, text: str) -> None:
    assert label(level) == text


def test_an_axis_is_a_quantity_of_the_claim_with_two_to_five_levels() -> None:
    with pytest.raises(
        ValueError, match="'level' is not a key of its quantity; it has shift, times, idle"
    ):
        entry(level=[1, 2])
    with pytest.raises(ValueError, match="at least 2"):
        entry(shift=[1.0])
    with pytest.raises(ValueError, match="at most 5"):
        entry(shift=[1.0, 2, 3, 4, 5, 6])


def test_universes_change_no_digest_and_no_verdict() -> None:
    assert entry(**AXES).digest == entry().digest
    given = case(entry(shift=[0.0, 5.0]), start=5.0)
    check(given)
    assert given.outcome is not None
    assert given.outcome.verdict is Verdict.REPRODUCED


def test_readings_without_a_value_are_those_where_nothing_can_be_measured() -> None:
    found = Multiverse(
        "toy.a",
        "paper",
        (
            Universe({"a": "1"}, "INCONCLUSIVE"),
            Universe({"a": "2"}, "INCONCLUSIVE", low=1.0),  # beyond what was measured
            Universe({"a": "3"}, "INCONCLUSIVE", 1.0, 0.0, 2.0),
            Universe({"a": "4"}, "REFUTED"),
            Universe({"a": "5"}, "ERROR"),
        ),
    )
    assert found.without_value == found.summary().without_value == 1


def test_what_decides_need_not_move_the_estimate() -> None:
    universes = tuple(
        Universe(
            {"cap": cap, "reading": reading},
            "REPRODUCED" if cap == "true" else "REFUTED",
            {"first": 1.0, "last": 2.0}[reading],
        )
        for cap in ("true", "false")
        for reading in ("first", "last")
    )
    found = Multiverse("toy.a", "paper", universes)
    assert found.shares() == {"reading": 1.0, "cap": 0.0}
    assert found.verdict_shares() == {"cap": 1.0, "reading": 0.0}
    assert Multiverse("toy.a", "paper", universes[:2]).verdict_shares() == {}
