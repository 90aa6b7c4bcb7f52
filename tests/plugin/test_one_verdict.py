"""One claim has one check and one verdict, whatever repeats it, and the verdict is in the JUnit
file.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from omnigrok.audit.document import ItemRow
from omnigrok.plugin.junit import properties
from omnigrok.plugin.node_id import parse
from omnigrok.plugin.repeated import combined
from omnigrok.suite.suite import forget

GOOD, BAD = "[1.0, 1.1, 1.2]", "[-1.0, -1.1, -1.2]"


def start(toy: Any, *options: str) -> pytest.RunResult:
    toy.write()
    done: pytest.RunResult = toy.pytester.runpytest_inprocess(
        "claims", "-p", "no:cacheprovider", "-n", "0", *options
    )
    return done


def add_a_second_check(toy: Any) -> None:
    toy.add("one")
    toy.checks += '\n\n@claim("toy.one")\ndef test_again(case: Case) -> None:\n    judge(case)\n'


def add_a_second_file(toy: Any) -> None:
    toy.add("one")
    toy.write()
    (toy.folder / "more.yaml").write_text(toy.yaml.replace("figure: toy", "figure: more"))
    (toy.folder / "test_more.py").write_text("")


SECOND = {
    (
        "claim toy.one has two checks, claims/test_toy.py::test_one and "
        "claims/test_toy.py::test_again"
    ): add_a_second_check,
    "claim toy.one is in two files, more.yaml and toy.yaml": add_a_second_file,
}


@pytest.mark.parametrize("message", SECOND)
def test_two_homes_of_one_claim(toy: Any, message: str) -> None:
    SECOND[message](toy)
    done = start(toy)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr.str()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_two_folders_with_one_claim(toy: Any, workers: str) -> None:
    toy.add("one")
    toy.write()
    other = toy.pytester.path / "other"
    shutil.copytree(toy.folder, other)
    done = toy.run("other", "-n", workers)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    said = done.stdout.str() + done.stderr.str()
    assert f"claim toy.one is in two folders, {toy.folder} and {other}: audit one" in said


def test_two_checks_under_xdist(toy: Any) -> None:
    add_a_second_check(toy)
    done = toy.run("-n", "2")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert next(iter(SECOND)) in done.stdout.str()


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        ("{}\ndef test_one(): pass", ""),
        ("{}\ndef test_one(case, tmp_path): judge(case)", "case, tmp_path"),
        ("{}\ndef test_one(case, n=3): judge(case)", "case, n"),
        ("class TestOne:\n  {}\n  def test_one(self, case): judge(case)", "self, case"),
    ],
)
def test_a_check_that_takes_other_arguments(toy: Any, check: str, arguments: str) -> None:
    toy.add("one")
    mark = '@claim("toy.one")'
    toy.checks = toy.checks.partition(mark)[0] + check.format(mark)
    done = start(toy)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert (
        f"the check of toy.one takes ({arguments}); a check has to take the argument case and no "
        "other"
    ) in done.stdout.str()


@pytest.mark.parametrize("option", ["--reruns", "--count"])
def test_the_last_line_counts_each_claim_once(toy: Any, option: str) -> None:
    pytest.importorskip(
        {"--reruns": "pytest_rerunfailures", "--count": "pytest_repeat"}[option],
        reason="pip install 'omnigrok[test]'",
    )
    toy.add("bad", values=BAD)
    done = start(toy, option, "2")
    counts = {
        "--reruns": "2 rerun, 1 refuted, 1 control holds",
        "--count": "1 refuted, 2 judged again, 1 control holds",
    }
    assert counts[option] in done.outlines[-1]


def test_dist_each(toy: Any) -> None:
    toy.add("bad", values=BAD)
    done = toy.run("-n", "2", "--dist", "each")
    assert done.ret == pytest.ExitCode.OK
    assert "1 refuted" in done.outlines[-1]
    assert "1 control holds" in done.outlines[-1]
    assert "2 judged again" in done.outlines[-1]


def test_a_rerun_makes_no_verdict_better(toy: Any) -> None:
    pytest.importorskip("pytest_rerunfailures", reason="pip install 'omnigrok[test]'")
    body = "case.claim.quantity['values'][:] = [-v for v in case['values']]; judge(case)"
    toy.add("moody", body=body)
    done = start(toy, "--reruns", "1", "-k", "not control")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["*judged twice, REFUTED and REPRODUCED*"])


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("REFUTED", "REFUTED", "REFUTED"),
        ("REFUTED", "REPRODUCED", "ERROR"),
        ("INCONCLUSIVE", "REPRODUCED", "ERROR"),
        ("ERROR", "REPRODUCED", "ERROR"),
        ("REPRODUCED", "ERROR", "ERROR"),
        ("NOT RUN", "REFUTED", "REFUTED"),
        ("REFUTED", "NOT RUN", "REFUTED"),
    ],
)
def test_two_judgements(earlier: str, later: str, expected: str) -> None:
    rows = [
        ItemRow.model_validate({"id": "a.b", "protocol": "paper", "verdict": each})
        for each in (earlier, later)
    ]
    assert combined(*rows).verdict == expected


READ = ("toy.open", "toy.open-code", "toy.open-code-paper")


@pytest.mark.parametrize("claim", READ)
@pytest.mark.parametrize("protocol", ["paper", "code"])
@pytest.mark.parametrize("role", ["", "-control"])
@pytest.mark.parametrize(
    "more", ["[{}]", "[{}-1-2]", "[1-2-{}]", "[{}]@group", "[{}-2-3]@a_b", "[a-{}-b-2-3]"]
)
def test_ids_with_what_other_plugins_add(
    toy: Any, claim: str, protocol: str, role: str, more: str
) -> None:
    for each in READ:
        toy.add(each.removeprefix("toy."))
    toy.write()
    forget()
    name = more.format(f"{claim}-{protocol}{role}")
    root = toy.pytester.path
    found = parse(f"claims/test_toy.py::test_x{name}", [root / "elsewhere", root])
    assert found is not None
    assert (found.suite.folder, found.figure) == (toy.folder, "toy")
    assert (found.claim, found.protocol, found.role) == (
        claim,
        protocol,
        role.removeprefix("-") or "claim",
    )


def test_an_id_that_is_in_no_file_is_no_claim(toy: Any) -> None:
    toy.add("open")
    toy.write()
    forget()
    assert parse("claims/test_toy.py::test_x[toy.close-paper]", [toy.pytester.path]) is None


@pytest.mark.parametrize(
    "nodeid",
    [
        "tests/test_a.py::test_b[a-b]",
        "tests/test_a.py::test_b",
        "claims/test_cost.py::test_cost[fig02_x]",
    ],
)
def test_ids_of_other_items(nodeid: str, tmp_path: Path) -> None:
    for name in ("tests/a.yaml", "claims/cost.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert parse(nodeid, [tmp_path]) is None


def test_an_item_without_a_figure_file_is_no_claim(tmp_path: Path) -> None:
    assert parse("tests/test_a.py::test_b[toy.good-paper]", [tmp_path]) is None


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_verdict_is_in_the_junit_file(toy: Any, workers: str) -> None:
    toy.add("good")
    toy.add("bad", values=BAD)
    toy.add("broken", body="raise KeyError('x')")
    if workers == "0":
        start(toy, "--junitxml", "out.xml")
    else:
        toy.run("-n", workers, "--junitxml", "out.xml")
    tree = ElementTree.parse(toy.pytester.path / "out.xml")  # noqa: S314 (this test's own file)
    found = {
        case.attrib["name"].partition("[")[2].rstrip("]"): {
            each.attrib["name"]: each.attrib["value"] for each in case.iter("property")
        }
        for case in tree.iter("testcase")
    }
    seeds = {"finding": "mean", "effect": "1.1", "interval": "none; seeds 1 .. 1.2"}
    assert found["toy.good-paper"] == {"verdict": "REPRODUCED", **seeds}
    assert found["toy.bad-paper"]["verdict"] == "REFUTED"
    assert found["toy.bad-paper-control"]["verdict"] == "REFUTED"
    assert found["toy.broken-paper"] == {
        "verdict": "ERROR",
        "finding": "none",
        "effect": "none",
        "interval": "none",
    }


def test_an_interval_of_the_paper_tier() -> None:
    finding = {
        "name": "f",
        "decides": True,
        "verdict": "REFUTED",
        "estimate": -0.84,
        "ci": [-0.892, "inf"],
        "values": [1.0],
    }
    fields = {"id": "a.b", "protocol": "paper", "verdict": "REFUTED", "findings": [finding]}
    assert dict(properties(ItemRow.model_validate(fields))) == {
        "verdict": "REFUTED",
        "finding": "f",
        "effect": "-0.84",
        "interval": "[-0.892, inf]",
    }
