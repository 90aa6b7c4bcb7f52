"""What pytest's report calls each verdict, instead of passed, failed and skipped."""

from __future__ import annotations

import pytest

from omnigrok.audit.outcome import DeviationMoved
from omnigrok.plugin.controller import AGAIN, outcome_of, raised
from omnigrok.stats.finding import Verdict

# What a report line and the summary call each verdict: (word, letter).
CLAIM_WORDS = {
    Verdict.REPRODUCED: ("reproduced", "+", "REPRODUCED"),
    Verdict.REFUTED: ("refuted", "x", "REFUTED"),
    Verdict.INCONCLUSIVE: ("inconclusive", "?", "INCONCLUSIVE"),
    Verdict.NOT_RUN: ("not run", "-", "NOT RUN"),
}
CONTROL_WORDS = {
    Verdict.REFUTED: ("control holds", ",", "CONTROL HOLDS"),
    Verdict.INCONCLUSIVE: ("weak control", ";", "WEAK CONTROL"),
    Verdict.NOT_RUN: ("control not run", "-", "NOT RUN"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    outcome = outcome_of(report)
    if (
        outcome is None
        or report.when == "teardown"
        or report.outcome not in ("passed", "failed", "skipped")
    ):
        return None  # "rerun" has a word of its own
    if any(name == AGAIN for name, _ in report.user_properties):
        return "judged again", "", ""
    verdict = Verdict(outcome.verdict)
    if outcome.role == "control":
        return CONTROL_WORDS.get(verdict)
    if verdict is Verdict.INCONCLUSIVE and report.failed:
        return None
    if hasattr(report, "wasxfail") and verdict is Verdict.REFUTED:
        return "refuted as recorded", "X", "REFUTED (recorded)"
    if report.failed and verdict is Verdict.REFUTED and raised(report) == DeviationMoved.__name__:
        return None
    if report.failed and verdict is Verdict.REPRODUCED:
        return None
    return CLAIM_WORDS.get(verdict)
