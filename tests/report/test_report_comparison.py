"""Two audits side by side: what counts as a change, and how often chance alone does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from omnigrok.audit.document import parse
from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.report.changes import compare, same_mean_p

from .conftest import document, row


def finding(values: list[float | None], name: str = "a ratio", **more: Any) -> dict[str, Any]:
    return {**row("a.b")["findings"][0], "name": name, "values": values, **more}


def audit(values: list[float | None], verdict: str = "REPRODUCED", **more: Any) -> dict[str, Any]:
    return document(row("a.b", verdict=verdict, findings=[finding(values)]), **more)


SAME, NEAR, FAR = (
    [1.0, 1.1, 1.2, 0.9, 1.05],
    [1.02, 1.08, 1.21, 0.92, 1.0],
    [5.0, 5.5, 6.0, 4.5, 5.2],
)


def test_no_finding_is_lost_whatever_its_name() -> None:
    """Equal names are paired first, the others in their order."""
    names = ("x from N = 10", "x from N = 20", "y", "y")
    left, right = (
        parse(document(row("a.b", findings=[finding(values, name) for values, name in given])))
        for given in (
            list(zip((SAME, SAME, SAME, FAR), names, strict=True)),
            [(FAR, names[1]), (SAME, "x from N = 30"), (SAME, "y"), (SAME, "y"), (SAME, "z")],
        )
    )
    (found,) = compare(left, right)
    assert [effect.name for effect in found.effects] == [
        "x from N = 10; x from N = 30",
        "x from N = 20",
        "y",
        "y",
    ]
    assert [effect.moved for effect in found.effects] == [False, True, False, True]
    assert [[each.name for each in side] for side in found.alone] == [[], ["z"]]


def test_welch_against_a_worked_example() -> None:
    # Means 20 and 22 of -log values would differ; negative numbers are not put on logarithms.
    left, right = [-1.0, 0.0, 1.0, 2.0], [3.0, 5.0, 7.0, 9.0]
    difference, error = 5.5, np.sqrt(5 / 3 / 4 + 20 / 3 / 4)
    freedom = (5 / 12 + 5 / 3) ** 2 / ((5 / 12) ** 2 / 3 + (5 / 3) ** 2 / 3)
    assert same_mean_p(left, right) == pytest.approx(
        2 * stats.t.sf(difference / error, freedom), rel=1e-9
    )


def test_positive_numbers_are_compared_by_ratio() -> None:
    rng = np.random.default_rng(1)
    left, right = np.exp(rng.normal(0, 1, 10)), np.exp(rng.normal(0, 1, 10))
    assert same_mean_p(left, right) == pytest.approx(same_mean_p(1000 * left, 1000 * right))
    assert same_mean_p(left, right) == pytest.approx(
        stats.ttest_ind(np.log(left), np.log(right), equal_var=False).pvalue
    )


def test_without_spread_the_permutation_test_keeps_its_smallest_p() -> None:
    # 3 against 3: of the 20 splits the two extreme ones are as far apart.
    assert same_mean_p([1, 1, 1], [0, 0, 0]) == pytest.approx(0.1)
    assert same_mean_p([1, 1, 1], [1, 1, 1]) == 1
    assert same_mean_p([1.0], [2.0, 3.0]) is None


def test_false_positive_rate() -> None:
    rng = np.random.default_rng(20221003)
    hits = sum((same_mean_p(*rng.normal(3, 0.3, (2, 5))) or 1) <= 0.05 for _ in range(2000))
    assert stats.binomtest(hits, 2000).proportion_ci().high <= 0.07


def test_moved_effect_without_a_new_verdict() -> None:
    (found,) = compare(parse(audit(SAME)), parse(audit(FAR)))
    assert not found.verdict_changed
    assert found.changed
    (effect,) = found.moved
    assert effect.p is not None
    assert effect.p < 1e-3
    (same,) = compare(parse(audit(SAME)), parse(audit(NEAR)))
    assert not same.changed


def test_holm_runs_over_all_effects() -> None:
    def many(shift: float) -> dict[str, Any]:
        rng = np.random.default_rng(3)
        rows = [
            row(f"a.{place}", findings=[finding((3 + rng.normal(0, 0.2, 5)).tolist())])
            for place in range(40)
        ]
        rows[0]["findings"] = [
            finding([3.0 + shift, 3.1 + shift, 2.9 + shift, 3.05 + shift, 2.95 + shift])
        ]
        return document(*rows)

    differences = compare(parse(many(0)), parse(many(0.12)))
    moved = next(each for each in differences if each.id == "a.0")
    assert moved.effects[0].p is not None
    assert moved.effects[0].p < 0.05
    assert moved.effects[0].holm_p is not None
    assert moved.effects[0].holm_p > 0.05
    assert not moved.changed
    assert compare(parse(many(0)), parse(many(1)))[0].changed


def test_intervals_decide_where_seeds_have_no_numbers() -> None:
    def bare(low: float, high: float) -> Any:
        return parse(document(row("a.b", findings=[finding([], ci=[low, high])])))

    assert compare(bare(1, 2), bare(3, 4))[0].changed
    assert not compare(bare(1, 2), bare(1.5, 4))[0].changed
    assert (
        compare(bare(1, 2), parse(document(row("a.b", findings=[finding([], ci=None)]))))[0]
        .effects[0]
        .apart
        is None
    )


def test_claims_of_one_audit_only() -> None:
    left, right = parse(document(row("a.b"), row("a.c"))), parse(document(row("a.b")))
    assert [each.changed for each in compare(left, right)] == [False, True]
    assert [each.id for each in compare(left, right, common=True)] == ["a.b"]
    with pytest.raises(BadInput, match="no claim to compare"):
        compare(parse(document()), parse(document()))


def test_two_protocols_of_one_audit() -> None:
    rows = (
        row("a.b", findings=[finding(SAME, "t (acc, 95%)")]),
        row("a.b", "code", findings=[finding(FAR, "t (acc_code, 95%)")]),
    )
    both = parse(document(*rows))
    (found,) = compare(both, both, ("paper", "code"))
    assert found.protocols == ("paper", "code")
    assert len(found.moved) == 1


@pytest.fixture
def files(tmp_path: Path) -> Any:
    def call(left: Any, right: Any, *options: str) -> Result:
        paths = []
        for name, content in (("a.json", left), ("b.json", right)):
            paths.append(str(tmp_path / name))
            if content is not None:
                (tmp_path / name).write_text(
                    content if isinstance(content, str) else json.dumps(content)
                )
        return CliRunner().invoke(main, ["compare", *paths, *options])

    return call


def test_status_0(files: Any) -> None:
    done = files(audit(SAME), audit(NEAR))
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "1 claims compared: 0 verdicts changed, 0 effects moved (1 tested, Holm, level 0.05)"
    ]


def test_status_1_for_a_verdict(files: Any) -> None:
    other = {**audit(NEAR, "INCONCLUSIVE"), "device": "cuda", "versions": {"torch": "9"}}
    done = files(audit(SAME), other)
    assert done.exit_code == 1
    assert "device: cpu -> cuda" in done.output
    assert "a.b (paper): REPRODUCED -> INCONCLUSIVE" in done.output
    assert "not moved (p =" in done.output


def test_status_1_for_an_effect(files: Any) -> None:
    done = files(audit(SAME), audit(FAR))
    assert done.exit_code == 1
    assert "a.b (paper): REPRODUCED\n    a ratio: 2 [1, 3] -> 2 [1, 3], moved (p =" in done.output


@pytest.mark.parametrize(
    ("left", "right", "options", "said"),
    [
        (None, document(row("a.b")), [], "a.json: there is no such file"),
        (document(row("a.b")), "[]", [], "b.json: is not an audit"),
        (
            document(row("a.b")),
            document(row("a.b"), tier="smoke"),
            [],
            "different tiers (paper and smoke)",
        ),
        (
            document(row("a.b")),
            document(row("a.b")),
            ["--protocols", "paper,mine"],
            "give two of paper, code, corrected",
        ),
        (
            document(row("a.b")),
            document(row("a.b")),
            ["--protocols", "corrected,code"],
            "no claim to compare",
        ),
    ],
)
def test_status_2(files: Any, left: Any, right: Any, options: list[str], said: str) -> None:
    done = files(left, right, *options)
    assert done.exit_code == 2
    assert said in done.output


def test_json(files: Any) -> None:
    done = files(audit(SAME), audit(FAR), "--json")
    assert done.exit_code == 1
    content = json.loads(done.output)
    assert content["changed"] is True
    (claim,) = content["claims"]
    assert claim["verdicts"] == ["REPRODUCED", "REPRODUCED"]
    assert claim["effects"][0]["moved"] is True


def test_help_has_examples() -> None:
    done = CliRunner().invoke(main, ["compare", "--help"])
    assert "Example: omnigrok compare" in done.output


def test_a_deciding_finding_in_one_audit_only_is_a_change(tmp_path: Path) -> None:
    """It must not go unseen that a check asks less, or something else, than before."""
    both, one = (
        [finding(SAME), finding(NEAR, "a slope")],
        [finding(SAME), finding(NEAR, "shown only", decides=False)],
    )
    (found,) = compare(
        parse(document(row("a.b", findings=both))), parse(document(row("a.b", findings=one)))
    )
    assert [[part.name for part in side] for side in found.alone] == [["a slope"], []]
    assert found.changed
    assert not found.verdict_changed
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path, findings in zip(paths, (one, both), strict=True):
        path.write_text(json.dumps(document(row("a.b", findings=findings))))
    done = CliRunner().invoke(main, ["compare", *map(str, paths)])
    assert done.exit_code == 1
    assert "a slope: 2 [1, 3], in B only" in done.output
    (told,) = json.loads(CliRunner().invoke(main, ["compare", *map(str, paths), "--json"]).output)[
        "claims"
    ]
    assert (told["only_in_a"], told["only_in_b"]) == ([], ["a slope"])


def test_a_finding_from_another_size_on_is_the_same_question() -> None:
    left, right = (
        document(row("a.b", findings=[finding(SAME, f"width, from N = {size}")]))
        for size in (100, 51)
    )
    (found,) = compare(parse(left), parse(right))
    assert [effect.name for effect in found.effects] == ["width, from N = 100; width, from N = 51"]
    assert not found.changed
