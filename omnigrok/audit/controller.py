"""What one process does for the whole session: gather outcomes from all workers, print the table, write the JSON, set the exit status."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy
import torch

import omnigrok
from omnigrok.audit.crash import crashed
from omnigrok.audit.options import read_options
from omnigrok.audit.summary import audit_document, merge, write_audit
from omnigrok.audit.table import lines
from omnigrok.errors import BadInput
from omnigrok.training.device import describe


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    return {"omnigrok": omnigrok.__version__, "torch": torch.__version__, "numpy": np.__version__, "scipy": scipy.__version__}


class Controller:
    """Registered in the process that is no xdist worker.

    Args:
        config: of this session.
        outcome_of: reads the outcome out of a report.
    """

    def __init__(self, config: pytest.Config, outcome_of: Any) -> None:
        self.config = config
        self.outcome_of = outcome_of
        self.outcomes: list[dict[str, Any]] = []
        self.unexpected = 0
        self.rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and report.passed:
            return
        outcome = self.outcome_of(report) if report.when != "teardown" else None
        if outcome is None and (lost := crashed(report, self.config.rootpath, read_options(self.config).tier)):
            outcome = lost.as_dict()
        if outcome is not None:
            self.outcomes.append(outcome)
        if report.failed and not (outcome and outcome["role"] == "claim" and outcome["verdict"] == "REFUTED" and _by_verdict(report)):
            self.unexpected += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        options = read_options(self.config)
        self.rows = merge(self.outcomes)
        errors = sum(row["verdict"] == "ERROR" for row in self.rows)
        if options.tier == "smoke" and exitstatus == pytest.ExitCode.TESTS_FAILED and not self.unexpected and not errors:
            # A smoke verdict is not evidence: REFUTED is shown, and is no failure of this program.
            session.exitstatus = pytest.ExitCode.OK
        target = self.config.getoption("audit_json")
        if target is not None:
            device = describe(torch.device("cuda" if options.gpu else "cpu")) if not options.replay else "replay"
            try:
                write_audit(target, audit_document(self.rows, options.tier, device, versions()))
            except BadInput as error:
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
                self.failure = str(error)

    failure = ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.failure:
            terminalreporter.write_line(f"ERROR: {self.failure}", red=True)
        if not self.rows:
            return
        verbosity = self.config.get_verbosity()
        terminalreporter.section("audit of the Omnigrok paper")
        table = list(lines(self.rows, read_options(self.config).tier, max(verbosity, 0)))
        for line in table[-1:] if verbosity < 0 else table:
            terminalreporter.write_line(line)


def _by_verdict(report: pytest.TestReport) -> bool:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash is None or "DeviationMoved" not in crash.message
