"""What one process does for the whole session: gather outcomes from all workers, print the table, write the JSON, set the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import torch

import omnigrok
from omnigrok.audit.completeness import Completeness
from omnigrok.audit.crash import crashed
from omnigrok.audit.options import read_options
from omnigrok.audit.summary import audit_document, merge, write_audit
from omnigrok.audit.table import lines
from omnigrok.errors import BadInput, OmnigrokError
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
        self.folders: set[Path] = set()
        self.completeness = Completeness()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.config.option.collectonly and not self.config.getoption("plan"):
            self.completeness.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.completeness.expect(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and report.passed:
            return
        outcome = self.outcome_of(report) if report.when != "teardown" else None
        if outcome is None and (lost := crashed(report, self.config.rootpath, read_options(self.config).tier)):
            outcome = lost.as_dict()
        if outcome is not None:
            self.outcomes.append(outcome)
            self.completeness.count(report.nodeid, outcome)
            self.folders.add((self.config.rootpath / report.location[0]).resolve().parent)
        if report.failed and not (outcome and outcome["role"] == "claim" and outcome["verdict"] == "REFUTED" and _by_verdict(report)):
            self.unexpected += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        options = read_options(self.config)
        partial = self.completeness.partial
        self.rows = merge(self.outcomes, partial)
        errors = sum(row["verdict"] == "ERROR" for row in self.rows)
        if options.tier == "smoke" and exitstatus == pytest.ExitCode.TESTS_FAILED and not self.unexpected and not errors:
            # A smoke verdict is not evidence: REFUTED is shown, and is no failure of this program.
            session.exitstatus = pytest.ExitCode.OK
        target, page = self.config.getoption("audit_json"), self.config.getoption("report")
        if target is None and page is None:
            return
        if partial and not self.rows:
            # Nothing to show, and what an earlier audit wrote there is worth more.
            self.failure = f"{', '.join(str(path) for path in (target, page) if path is not None)}: not written: no claim was judged yet"
            return
        device = describe(torch.device("cuda" if options.gpu else "cpu")) if not options.replay else "replay"
        document = audit_document(self.rows, options.tier, device, versions(), options.first_seed, partial)
        try:
            self._add_replicated(document)
            if target is not None:
                write_audit(target, document)
            if page is not None:
                self._write_page(page, document, options.runs)
        except OmnigrokError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self.failure = str(error)

    def _add_replicated(self, document: dict[str, Any]) -> None:
        """What a second training from other seeds said, where the claims folder keeps one."""
        from omnigrok.audit.document import parse  # noqa: PLC0415 (the report is optional)
        from omnigrok.report.retraining import replicated  # noqa: PLC0415

        if document["tier"] != "paper" or document["first_seed"] or len(self.folders) != 1:
            return
        found = replicated(next(iter(self.folders)), parse(document))
        for row in document["claims"]:
            again = found.get((row["id"], row["protocol"]))
            row["replicated"] = again.model_dump(mode="json") if again else None

    def _write_page(self, path: Path, document: dict[str, Any], runs: Path) -> None:
        """The HTML page, drawn here, in the controller, from the store that the workers filled or from the evidence."""
        from omnigrok.audit.document import parse  # noqa: PLC0415 (the report is optional)
        from omnigrok.report.page import write_page  # noqa: PLC0415

        if not self.folders:
            raise BadInput(f"{path}: not written: no claim was judged")
        if len(self.folders) > 1:
            raise BadInput(f"{path}: not written: claims of several folders were judged ({', '.join(map(str, sorted(self.folders)))})")
        write_page(path, parse(document), next(iter(self.folders)), runs)

    failure = ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.failure:
            terminalreporter.write_line(f"ERROR: {self.failure}", red=True)
        if not self.rows:
            return
        verbosity = self.config.get_verbosity()
        terminalreporter.section("audit of the Omnigrok paper")
        table = list(lines(self.rows, read_options(self.config).tier, max(verbosity, 0), self.completeness.partial))
        for line in table[-1:] if verbosity < 0 else table:
            terminalreporter.write_line(line)


def _by_verdict(report: pytest.TestReport) -> bool:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash is None or "DeviationMoved" not in crash.message
