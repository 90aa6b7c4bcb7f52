"""What every pytest of an environment with this package loads: options, and nothing heavy."""

from __future__ import annotations

import pytest

FIGURE = """
figure: toy
title: Toy
place: nowhere
claims:
  - {id: toy.good, statement: s, place: p, quantity: {values: [1.0, 1.1, 1.2]},
     criterion: {mean: {above: 0}}, control: {why: w, quantity: {values: [-1.0, -1.1, -1.2]}},
     "null": sign flips}
"""
CHECK = """
from omnigrok.audit import Case, claim
from omnigrok.stats import mean_in_region

@claim("toy.good")
def test_good(case: Case) -> None:
    case.judge([mean_in_region("mean", case["values"], case.region("mean"))])
"""
# The plugin as the entry point gives it; the environment of these tests may have it or not.
ENTRY = ("-p", "omnigrok.plugin.entry", "-p", "no:cacheprovider", "-p", "no:omnigrok")
LIGHT = """
import sys

def test_light(pytestconfig):
    assert not {"torch", "scipy", "numpy"} & set(sys.modules)
    assert pytestconfig.getoption("audit_tier") is None
"""


@pytest.fixture
def started(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib\n")
    return pytester


def test_a_session_without_claims_loads_no_torch(started: pytest.Pytester) -> None:
    started.makepyfile(test_light=LIGHT)
    started.runpytest_subprocess(*ENTRY).assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["claims", "claims/test_toy.py", "."])
def test_a_folder_of_claims_needs_no_conftest(started: pytest.Pytester, where: str) -> None:
    folder = started.mkdir("claims")
    (folder / "toy.yaml").write_text(FIGURE)
    (folder / "test_toy.py").write_text(CHECK)
    done = started.runpytest_subprocess(*ENTRY, "--audit-tier", "smoke", where)
    done.stdout.fnmatch_lines(["*audit of claims*", "*toy.good*", "*1 REPRODUCED*"])
    assert done.ret == 0


def test_a_short_name_is_left_to_who_has_it(started: pytest.Pytester) -> None:
    started.makepyfile(
        other="def pytest_addoption(parser):\n    parser.addoption('--tier', default='gold')\n",
        test_it="""
            def test_it(pytestconfig):
                assert pytestconfig.getoption("tier") == "silver"
                assert pytestconfig.getoption("audit_tier") == "paper"
        """,
    )
    done = started.runpytest_subprocess(
        "-p", "other", *ENTRY, "--tier", "silver", "--audit-tier", "paper"
    )
    done.assert_outcomes(passed=1)
