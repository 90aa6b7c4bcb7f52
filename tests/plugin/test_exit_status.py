"""The exit status: docs/exit-status.md is true, however pytest is started and with the plugins that
people use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omnigrok.audit.document import Row
from omnigrok.plugin.exit_status import Ended, settle

TABLE = Path(__file__).parents[2] / "docs" / "exit-status.md"
GOOD, BAD, MIXED = "[1.0, 1.1, 1.2]", "[-1.0, -1.1, -1.2]", "[-1.0, 2.0, 3.0]"
OK, FAILED, INTERRUPTED, USAGE = 0, 1, 2, 4
RAISES = 'raise KeyError("no such column")'
SWALLOW = "\n    ".join(("try:", "    judge(case)", "except AssertionError:", "    pass"))
CONFTEST = 'pytest_plugins = ["omnigrok.plugin.plugin"]\nimport pytest\n'
SPENT = """
from omnigrok.audit.session import AuditSession
from omnigrok.execution.interruption import BudgetSpent
def spent(self, request):
    raise BudgetSpent('over')
whole = AuditSession.case
def pytest_unconfigure():
    AuditSession.case = whole
AuditSession.case = spent
"""
COUNTS = """
@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    result = yield
    session.testsfailed += 1
    return result
"""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        smoke, paper: the exit status in each tier.
        values, control, body: of the one claim, ``toy.bad``.
        conftest: lines of another plugin.
        options: of the command line.
        decided: what the recorded evidence said.
    """

    smoke: int
    paper: int
    values: str = BAD
    control: str = BAD
    body: str = "judge(case)"
    conftest: str = ""
    options: tuple[str, ...] = ()
    experiments: str = field(default="[]")
    decided: str = ""


def raised_by(call: str) -> str:
    return f"import pytest; pytest.{call}"


CASES = {
    "REPRODUCED": Case(OK, OK, GOOD),
    "REFUTED": Case(OK, FAILED),
    "INCONCLUSIVE": Case(OK, OK, MIXED),
    "REFUTED, and REPRODUCED in the recorded evidence": Case(
        FAILED, FAILED, BAD, decided="REPRODUCED"
    ),
    "REPRODUCED, and REFUTED in the recorded evidence": Case(FAILED, OK, GOOD, decided="REFUTED"),
    "INCONCLUSIVE with `--strict-verdicts`": Case(
        FAILED, FAILED, MIXED, options=("--strict-verdicts",)
    ),
    "NOT RUN, also with `--strict-verdicts`": Case(
        OK, OK, experiments="[tiny]", conftest=SPENT, options=("--strict-verdicts",)
    ),
    "a control is INCONCLUSIVE (weak), also with `--strict-verdicts`": Case(
        OK, OK, GOOD, control=MIXED, options=("--strict-verdicts",)
    ),
    "ERROR: a check raises": Case(FAILED, FAILED, body=RAISES),
    "ERROR: a check, or a control, calls `pytest.skip`": Case(
        FAILED, FAILED, body=raised_by("skip('later')")
    ),
    "ERROR: a check, or a control, calls `pytest.xfail`": Case(
        FAILED, FAILED, body=raised_by("xfail('known')")
    ),
    "ERROR: a check never judges": Case(FAILED, FAILED, body="pass"),
    "ERROR: a check judges twice": Case(FAILED, FAILED, GOOD, body="judge(case); judge(case)"),
    "ERROR: a control is REPRODUCED": Case(FAILED, FAILED, GOOD, control=GOOD),
    "a check catches its own `ClaimRefuted`": Case(OK, FAILED, body=SWALLOW),
    "a check bears the mark `skip`": Case(
        FAILED, FAILED, conftest="def pytest_itemcollected(item):\n    item.add_marker('skip')\n"
    ),
    "a REFUTED check bears the mark `xfail`": Case(
        OK, FAILED, conftest="def pytest_itemcollected(item):\n    item.add_marker('xfail')\n"
    ),
    "a fixture fails in its teardown": Case(
        FAILED,
        FAILED,
        conftest="@pytest.fixture(autouse=True)\ndef broken():\n    yield\n"
        "    raise OSError('gone')\n",
    ),
    "stopped by `-x` or `--maxfail`": Case(FAILED, FAILED, options=("-x",)),
    "stopped by a plugin (`session.shouldfail`)": Case(
        FAILED,
        FAILED,
        conftest="def pytest_runtest_teardown(item):\n    item.session.shouldfail = 'enough'\n",
    ),
    "stopped by Ctrl-C or a plugin (`session.shouldstop`)": Case(
        INTERRUPTED,
        INTERRUPTED,
        conftest="def pytest_runtest_teardown(item):\n    item.session.shouldstop = 'enough'\n",
    ),
    "stopped by `pytest.exit(returncode=0)`": Case(
        INTERRUPTED,
        INTERRUPTED,
        conftest="def pytest_runtest_teardown():\n    pytest.exit('enough', returncode=0)\n",
    ),
    "REFUTED, its control not selected (`--lf`, `--deselect`, a node id)": Case(
        FAILED, FAILED, options=("-k", "not control")
    ),
    "another test fails": Case(FAILED, FAILED, options=("test_other.py",)),
    "another plugin fails the session": Case(
        FAILED, FAILED, conftest="def pytest_sessionfinish(session):\n    session.exitstatus = 1\n"
    ),
    "another plugin counts a failure": Case(FAILED, FAILED, conftest=COUNTS),
    "another plugin sets a status of its own": Case(
        7, 7, conftest="def pytest_sessionfinish(session):\n    session.exitstatus = 7\n"
    ),
    "the `--budget` is spent, and nothing is REFUTED": Case(
        OK,
        OK,
        GOOD,
        experiments="[tiny]",
        conftest=SPENT,
    ),
    "two checks for one claim, or one claim in two figure files": Case(
        USAGE, USAGE, conftest="# twice\n"
    ),
    "a YAML file is not valid (an error of collection)": Case(
        INTERRUPTED, INTERRUPTED, experiments="[tyni]"
    ),
}


def build(toy: Any, case: Case) -> None:
    toy.add(
        "bad",
        values=case.values,
        control=case.control,
        body=case.body,
        experiments=case.experiments,
    )
    if case.conftest == "# twice\n":
        toy.checks += toy.checks.partition("\n\n\n@claim")[1] + toy.checks.partition(
            "\n\n\n@claim"
        )[2].replace("test_bad", "test_again")
    toy.pytester.makeconftest(CONFTEST + case.conftest)
    toy.pytester.makepyfile(test_other="def test_other():\n    raise OSError('no claim')\n")
    toy.write()
    if case.decided:
        toy.decide(bad=case.decided)


def start(toy: Any, *options: str) -> pytest.RunResult:
    """In this process, where the workers of a test of their own are not needed."""
    done: pytest.RunResult = toy.pytester.runpytest_inprocess(
        "claims", "-p", "no:cacheprovider", "-p", "no:cov", *options
    )
    return done


def rows() -> dict[str, tuple[str, str]]:
    found = re.findall(
        r"^\| (.+?) \| (\d) \| (\d) \|$", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return {name: (smoke, paper) for name, smoke, paper in found}


def test_the_table_has_the_rows_that_are_tested() -> None:
    assert rows() == {name: (str(case.smoke), str(case.paper)) for name, case in CASES.items()}


@pytest.mark.parametrize("tier", ["smoke", "paper"])
@pytest.mark.parametrize("name", CASES)
def test_each_row(toy: Any, name: str, tier: str) -> None:
    build(toy, CASES[name])
    done = start(toy, "-n", "0", "--tier", tier, *CASES[name].options)
    assert done.ret == getattr(CASES[name], tier), done.stdout.str()


WAYS = {
    "-n 2": (("-n", "2"), {"REFUTED": OK}),
    "-p no:xdist": (("-p", "no:xdist"), {"REFUTED": OK}),
    "-x": (("-n", "0", "-x"), {"REFUTED": FAILED}),
    "--maxfail=1": (("-n", "0", "--maxfail=1"), {"REFUTED": FAILED}),
    "--maxfail=1 -n 2": (("-n", "2", "--maxfail=1"), {"REFUTED": INTERRUPTED}),
    "--tb=native": (("-n", "0", "--tb=native"), {"REFUTED": OK}),
    "--runxfail": (("-n", "0", "--runxfail"), {"REFUTED": OK}),
    "rerunfailures": (("-n", "0", "--reruns", "1"), {"REFUTED": OK}),
    "repeat": (("-n", "0", "--count", "2"), {"REFUTED": OK}),
    "timeout": (("-n", "0", "--timeout", "60"), {"REFUTED": OK}),
    "timeout of the session": (("-n", "0", "--session-timeout", "0.000001"), {"REFUTED": FAILED}),
}
PLUGINS = {
    "rerunfailures": "pytest_rerunfailures",
    "repeat": "pytest_repeat",
    "timeout": "pytest_timeout",
    "cov": "pytest_cov",
}


def needs(way: str) -> None:
    for word, module in PLUGINS.items():
        if way.startswith(word):
            pytest.importorskip(module, reason=f"the extra omnigrok[test] has pytest-{word}")


@pytest.mark.parametrize("name", ["REFUTED", "ERROR"])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_start(toy: Any, way: str, name: str) -> None:
    """Three claims, the first of which is REFUTED or ERROR."""
    needs(way)
    options, expected = WAYS[way]
    toy.add(
        "first", values=BAD, body="judge(case)" if name == "REFUTED" else raised_by("skip('later')")
    )
    toy.add("second")
    toy.add("third", values=MIXED)
    toy.write()
    run = toy.run if "-n" in options and "2" in options else lambda *more: start(toy, *more)
    done = run(*options)
    cut = INTERRUPTED if expected["REFUTED"] == INTERRUPTED else FAILED
    assert done.ret == (expected["REFUTED"] if name == "REFUTED" else cut), done.stdout.str()
    if expected["REFUTED"] == OK and name == "REFUTED":
        done.stdout.fnmatch_lines(["smoke tier: 1 REPRODUCED, 1 REFUTED, 1 INCONCLUSIVE"])


@pytest.mark.parametrize("again", ["--lf", "--sw"])
def test_what_failed_last_time_alone(toy: Any, again: str) -> None:
    """``--lf`` takes the REFUTED claim without its control; ``--sw`` stops at it, and begins with
    it.
    """
    toy.add("first")
    toy.add("bad", values=BAD)
    toy.add("last")
    toy.write()
    expected = {"--lf": (OK, FAILED), "--sw": (INTERRUPTED, INTERRUPTED)}[again]
    for status in expected:
        done = toy.pytester.runpytest_inprocess("claims", "-n", "0", "-p", "no:cov", again)
        assert done.ret == status, done.stdout.str()
    assert "toy.bad" in done.stdout.str()


def test_a_check_that_takes_too_long(toy: Any) -> None:
    needs("timeout")
    toy.add("slow", body="import time; time.sleep(30)")
    toy.write()
    done = start(toy, "-n", "0", "--timeout", "0.3", "-k", "not control")
    assert done.ret == FAILED
    done.stdout.fnmatch_lines(["smoke tier: 1 ERROR"])


@pytest.mark.parametrize("least", ["0", "100"])
def test_coverage(toy: Any, least: str) -> None:
    """A coverage under the least fails an audit whose verdicts would not."""
    needs("cov")
    toy.add("bad", values=BAD)
    (toy.pytester.path / "unused.py").write_text("print(1)\n")
    done = toy.run("-n", "0", "--cov=.", "--cov-report=", f"--cov-fail-under={least}")
    assert done.ret == (FAILED if least == "100" else OK), done.stdout.str()


def test_the_reason_is_said(toy: Any) -> None:
    toy.add("bad", values=BAD)
    toy.write()
    done = start(toy, "-n", "0", "-k", "not control")
    done.stdout.fnmatch_lines(
        [
            (
                "not a success: REFUTED fails a smoke audit that is not whole: without its "
                "control: toy.bad"
            )
        ]
    )


def judged(verdict: str, control: str) -> Row:
    fields = {"id": "a.b", "protocol": "paper", "verdict": verdict}
    return Row.model_validate({**fields, "control": {"verdict": control}})


def ended(**changed: Any) -> Ended:
    row = judged("REFUTED", "REFUTED")
    known = {
        "status": 1,
        "tier": "smoke",
        "failures": 1,
        "refutations": 1,
        "cut": "",
        "partial": "",
        "stopped": False,
        "rows": [row],
    }
    return Ended(**{**known, **changed})


def test_every_reason_counts() -> None:
    """Each alone keeps a failed session failed."""
    assert settle(ended()) == (OK, "")
    alone = judged("REFUTED", "NOT RUN")
    broken = judged("ERROR", "REFUTED")
    for changed in (
        {"tier": "paper"},
        {"failures": 2},
        {"refutations": 0},
        {"cut": "stopping after 1 failures"},
        {"partial": "it was stopped"},
        {"rows": [alone]},
        {"rows": [broken]},
        {"opposite": ["a.b-paper"]},
    ):
        assert settle(ended(**changed))[0] == FAILED, changed
    for status in (2, 3, 4, 5, 6, 7):
        assert settle(ended(status=status)) == (status, "")


def test_no_error_is_a_success() -> None:
    broken = judged("ERROR", "REFUTED")
    open_ = judged("INCONCLUSIVE", "REFUTED")
    for tier in ("smoke", "paper"):
        passed = {"status": 0, "tier": tier, "failures": 0, "refutations": 0}
        assert settle(ended(**passed, rows=[broken]))[0] == FAILED
        assert settle(ended(**passed, rows=[open_]))[0] == OK
        assert settle(ended(**passed, rows=[open_], strict=True))[0] == FAILED
        assert (
            settle(ended(**passed, rows=[open_], stopped=True, partial="it was stopped"))[0]
            == INTERRUPTED
        )


def test_a_replay_without_evidence_is_a_success(toy: Any) -> None:
    toy.add("good", experiments="[tiny]")
    toy.write()
    done = start(toy, "-n", "0", "--replay", "--strict-verdicts")
    assert done.ret == OK, done.stdout.str()
    done.stdout.fnmatch_lines(["paper tier: 1 NOT RUN"])
