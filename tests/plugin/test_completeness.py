"""An audit that was stopped says so in its JSON, its page, its Markdown and its last line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.audit.document import ItemRow
from omnigrok.cli import main
from omnigrok.plugin.completeness import Completeness
from omnigrok.report.terminal import WIDTH, lines
from omnigrok.suite.suite import forget

OUTCOME = ItemRow(id="a.b", protocol="paper", verdict="NOT RUN")
ITEMS = [f"claims/test_toy.py::test_good[toy.good-paper{role}]" for role in ("", "-control")]
STOP = (
    '\nimport signal, os\ndef pytest_runtest_teardown(item):\n    if "good-paper-control" in '
    "item.nodeid:\n        {}\n"
)
# Where the tests themselves run in the background of a shell, SIGINT is ignored, and what they
# start inherits that.
SIGINT = (
    "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT)"
)
STOPPED = "it was stopped when 2 of 4 claims and controls were judged"


@pytest.fixture
def state(toy: Any) -> Completeness:
    """Of an audit of a folder with one claim."""
    toy.add("good")
    toy.write()
    forget()
    return Completeness((toy.pytester.path,))


def test_whole(state: Completeness) -> None:
    state.expect([*ITEMS, "claims/test_cost.py::test_something"])
    for item in ITEMS:
        state.count(item, OUTCOME)
    assert state.partial == ""


def test_what_is_missing_and_what_was_cut(state: Completeness) -> None:
    state.expect(ITEMS)
    state.expect(ITEMS)  # another worker
    assert state.partial == "it was stopped when 0 of 2 claims and controls were judged"
    state.count(ITEMS[0], OUTCOME.model_copy(update={"unfinished": True}))
    assert state.partial == (
        "it was stopped when 1 of 2 claims and controls were judged; "
        "the --budget was spent before 1 of 2 claims and controls had their training"
    )
    state.count(ITEMS[1], OUTCOME)
    assert (
        state.partial
        == "the --budget was spent before 1 of 2 claims and controls had their training"
    )


def test_table_says_it_within_100_columns() -> None:
    text = list(lines([], "smoke", partial="word " * 60))
    assert max(map(len, text)) <= WIDTH
    assert any(line.startswith("PARTIAL AUDIT: word") for line in text)
    assert text[-1].startswith("smoke tier, PARTIAL: ")


@pytest.fixture
def two(toy: Any) -> Any:
    toy.add("good")
    toy.add("later")
    return toy


def run(toy: Any, *options: str) -> pytest.RunResult:
    """In this process: no signal is sent, and nothing is trained."""
    toy.write()
    done: pytest.RunResult = toy.pytester.runpytest_inprocess(
        "claims", "-p", "no:cacheprovider", "-n", "0", *options
    )
    return done


@pytest.mark.parametrize(
    ("stop", "options"),
    [(SIGINT, []), ("item.session.shouldstop = 'enough'", []), ("", ["--maxfail", "1"])],
    ids=["Ctrl-C", "another plugin", "maxfail"],
)
def test_stopped_in_the_middle(two: Any, stop: str, options: list[str]) -> None:
    if stop:
        two.pytester.makeconftest(
            'pytest_plugins = ["omnigrok.plugin.plugin"]\n' + STOP.format(stop)
        )
    else:
        two.checks = two.checks.replace(
            "judge(case)", "judge(case) if case.role == 'claim' else 1 / 0", 1
        )
    start = two.start if "kill" in stop else partial(run, two)
    done = start("-n", "0", "--audit-json", "a.json", "--report", "a.html", *options)
    assert done.ret != 0
    document = json.loads((two.pytester.path / "a.json").read_text())
    assert document["partial"] == STOPPED
    assert [claim["id"] for claim in document["claims"]] == ["toy.good"]
    page = (two.pytester.path / "a.html").read_text()
    assert f"Partial audit: {STOPPED}." in page
    assert "<title>PARTIAL, SMOKE TIER:" in page
    done.stdout.fnmatch_lines([f"PARTIAL AUDIT: {STOPPED}. The same*"])
    assert any(line.startswith("smoke tier, PARTIAL: 1 ") for line in done.outlines)


def test_a_whole_audit_says_nothing_of_it(two: Any) -> None:
    done = run(two, "--audit-json", "a.json", "--report", "a.html")
    assert done.ret == 0
    assert json.loads((two.pytester.path / "a.json").read_text())["partial"] == ""
    assert "Partial audit" not in (two.pytester.path / "a.html").read_text()
    assert "PARTIAL" not in done.stdout.str()


def test_a_selection_is_no_interruption(two: Any) -> None:
    run(two, "-k", "later", "--audit-json", "a.json")
    assert json.loads((two.pytester.path / "a.json").read_text())["partial"] == ""


def test_stopped_with_workers(two: Any) -> None:
    two.checks = two.checks.replace(
        "judge(case)", "judge(case) if case.role == 'claim' else 1 / 0", 1
    )
    two.run("-n", "1", "--maxfail", "1", "--audit-json", "a.json")
    document = json.loads((two.pytester.path / "a.json").read_text())
    assert document["partial"].endswith("of 4 claims and controls were judged")


def test_a_control_that_was_not_reached_is_not_called_unselected(two: Any) -> None:
    stop = STOP.replace("good-paper-control", "good-paper]").format(
        "item.session.shouldstop = 'enough'"
    )
    two.pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n' + stop)
    run(two, "--audit-json", "a.json")
    (claim,) = json.loads((two.pytester.path / "a.json").read_text())["claims"]
    control = claim["control"]
    assert (control["verdict"], control["findings"]) == ("NOT RUN", [])
    assert control["reason"] == "not judged: the audit is partial"


def test_nothing_judged_overwrites_nothing(two: Any) -> None:
    stop = "\nimport pytest\ndef pytest_runtest_setup(item):\n    raise KeyboardInterrupt\n"
    two.pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n' + stop)
    for name in ("a.json", "a.html"):
        (two.pytester.path / name).write_text("of yesterday")
    done = two.start("-n", "0", "--audit-json", "a.json", "--report", "a.html")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["*a.json, a.html: not written: no claim was judged yet*"])
    assert [(two.pytester.path / name).read_text() for name in ("a.json", "a.html")] == [
        "of yesterday"
    ] * 2


@pytest.fixture
def stopped(two: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    run(two, "--audit-json", "a.json")
    monkeypatch.chdir(two.pytester.path)
    document = json.loads(Path("a.json").read_text())
    Path("p.json").write_text(json.dumps({**document, "partial": "it was <b>stopped</b>"}))
    return Path("p.json")


def test_markdown_and_compare(stopped: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(stopped)])
    assert done.output.startswith("**Partial audit: it was &lt;b>stopped&lt;/b>.**\n\n")
    done = CliRunner().invoke(main, ["compare", "a.json", str(stopped)])
    assert done.exit_code == 0
    assert "B is a partial audit: it was <b>stopped</b>" in done.output
    assert "A is" not in done.output
    done = CliRunner().invoke(main, ["compare", "a.json", str(stopped), "--json"])
    assert json.loads(done.output)["partial"] == ["", "it was <b>stopped</b>"]
