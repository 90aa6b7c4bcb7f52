"""What one process does for the whole session: gather outcomes from all workers, print the table,
write the JSON, set the exit status.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import torch

import omnigrok
from omnigrok.audit import decided
from omnigrok.audit.document import Audit, ItemRow, Row, SuitePart, write_audit
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.session import Options
from omnigrok.audit.summary import merge
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.plugin.arguments import read_options
from omnigrok.plugin.completeness import Completeness
from omnigrok.plugin.crash import crashed
from omnigrok.plugin.exit_status import Ended, settle
from omnigrok.plugin.repeated import combined
from omnigrok.plugin.replication import with_replicated
from omnigrok.report.terminal import WIDTH, lines
from omnigrok.suite.revision import revision
from omnigrok.suite.suite import load_suite
from omnigrok.training.device import describe


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "omnigrok": omnigrok.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


PROPERTY = "omnigrok"  # of a report: its outcome as JSON
RAISED = (
    "omnigrok_raised"  # of a report: the name of the exception that it failed or was skipped by
)
AGAIN = "omnigrok_again"  # of a report: another one has said the verdict of the same claim
KNOWN = "omnigrok_known"  # of a report: its outcome was judged before
DEVICE = "omnigrok_device"  # where an engine has trained, if not here
USAGE, HINT = (
    "omnigrok_usage",
    "omnigrok_hint",
)  # what the process that collects tells the controller


def _property(report: pytest.TestReport | pytest.CollectReport, wanted: str) -> Any:
    return next(
        (value for name, value in getattr(report, "user_properties", []) if name == wanted), None
    )


def outcome_of(report: pytest.TestReport | pytest.CollectReport) -> ItemRow | None:
    """The verdict that a report carries."""
    value = _property(report, PROPERTY)
    return None if value is None else ItemRow.model_validate_json(value)


def raised(report: pytest.TestReport) -> str:
    """The name of the exception that ended the item; "" if none did."""
    return str(_property(report, RAISED) or "")


def _own_device(options: Options) -> str:
    on_gpu = options.gpu and torch.cuda.is_available()
    return describe(torch.device("cuda" if on_gpu else "cpu"))


class Controller:
    """Registered in the process that is no xdist worker.

    Args:
        config: of this session.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.outcomes: dict[tuple[str, str, str], ItemRow] = {}
        self.said: set[tuple[str, str, str]] = set()
        self.refutations = self.known = 0
        self.rows: list[Row] = []
        self.suite = SuitePart()
        self.folders: set[Path] = set()
        self.completeness = Completeness((config.rootpath, config.invocation_params.dir))
        self.notes: dict[str, str] = {}
        self.failure = self.warning = self.why = ""
        self.page: Path | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self.config.option.collectonly and not self.config.getoption("audit_plan"):
            self.completeness.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.completeness.expect(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended: take what it has to tell."""
        sent = getattr(node, "workeroutput", None) or {}
        self.notes.update({key: sent[key] for key in (USAGE, HINT) if key in sent})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            return
        outcome = outcome_of(report)
        folders = (self.config.rootpath, self.config.invocation_params.dir)
        if outcome is None and (lost := crashed(report, folders, read_options(self.config).tier)):
            outcome = lost.row()
        final = report.outcome in ("passed", "failed", "skipped")  # not "rerun"
        if outcome is None or (not final and outcome.verdict == "ERROR"):
            return
        key = (outcome.id, outcome.protocol, outcome.role)
        self.outcomes[key] = (
            combined(self.outcomes[key], outcome) if key in self.outcomes else outcome
        )
        if not final:
            return
        if key in self.said:
            report.user_properties.append((AGAIN, True))
        self.said.add(key)
        self.completeness.count(report.nodeid, outcome)
        self.known += _property(report, KNOWN) is not None
        self.folders.add((self.config.rootpath / report.location[0]).resolve().parent)
        refuted = outcome.role == "claim" and outcome.verdict == "REFUTED"
        self.refutations += report.failed and refuted and raised(report) == ClaimRefuted.__name__

    def settle(self, session: pytest.Session) -> None:
        """Merge what was judged, and set the exit status, where it is known why it is what
        it is.
        """
        try:
            self.suite = self._suite()
        except OmnigrokError as error:
            self.notes.setdefault(USAGE, str(error))
        headline = self.suite.headline
        self.rows = merge(self.outcomes.values(), self.completeness.partial, headline)
        options = read_options(self.config)
        try:
            if options.tier == "smoke":
                self._compare_with_evidence()
        except OmnigrokError as error:
            self.notes.setdefault(USAGE, str(error))
        if USAGE in self.notes:
            session.exitstatus, self.failure = pytest.ExitCode.USAGE_ERROR, self.notes[USAGE]
            return
        ended = Ended(
            status=session.exitstatus,
            tier=options.tier,
            failures=session.testsfailed,
            refutations=self.refutations,
            cut="; ".join(
                str(reason) for reason in (session.shouldfail, session.shouldstop) if reason
            ),
            partial=self.completeness.partial,
            stopped=self.completeness.stopped,
            rows=self.rows,
            strict=options.strict,
            opposite=decided.names(self.rows, "opposite"),
        )
        session.exitstatus, self.why = settle(ended)

    def _compare_with_evidence(self) -> None:
        """Mark the rows of claims that recorded evidence has decided.

        Raises:
            OmnigrokError: what a claims folder keeps of that is not valid.
        """
        for folder in sorted(self.folders):
            self.rows = decided.marked(load_suite(folder), self.rows)

    def _suite(self) -> SuitePart:
        """What was audited; claims of several folders are one family, and have no title.

        Raises:
            BadInput: a file of a claims folder is not valid.
        """
        parts = [SuitePart.of(load_suite(folder)) for folder in sorted(self.folders)]
        if len(parts) == 1:
            return parts[0]
        protocols = {name: words for part in parts for name, words in part.protocols.items()}
        headline = {
            name: tuple(each for part in parts for each in part.headline.get(name, ()))
            for name in protocols
        }
        return SuitePart(protocols=protocols, headline=headline)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        options = read_options(self.config)
        partial = self.completeness.partial
        target, page = self.config.getoption("audit_json"), self.config.getoption("audit_report")
        if (target is None and page is None) or USAGE in self.notes:
            return
        if partial and not self.rows:
            # Nothing to show, and what an earlier audit wrote there is worth more.
            self.failure = (
                f"{', '.join(str(path) for path in (target, page) if path is not None)}: not "
                "written: no claim was judged yet"
            )
            return
        try:
            audit, self.warning = with_replicated(self.config, self.folders, self.audit())
            if target is not None:
                write_audit(target, audit)
            if page is not None:
                self._write_page(page, audit, options)
        except OmnigrokError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self.failure = str(error)

    def audit(self) -> Audit:
        """The document of this session."""
        options = read_options(self.config)
        return Audit(
            tier=options.tier,
            partial=self.completeness.partial,
            date=datetime.now(UTC).date().isoformat(),
            commit=revision(next(iter(self.folders))) if len(self.folders) == 1 else "",
            device="replay" if options.replay else self.notes.get(DEVICE, _own_device(options)),
            versions=versions(),
            first_seed=options.first_seed,
            suite=self.suite,
            agreement=decided.counts(self.rows),
            claims=tuple(self.rows),
        )

    def _write_page(self, path: Path, audit: Audit, options: Options) -> None:
        """The HTML page, drawn here, in the controller, from the store that the workers filled or
        from the evidence.
        """
        from omnigrok.report.page import write_page  # noqa: PLC0415 (the report is optional)

        if not self.folders:
            raise BadInput(f"{path}: not written: no claim was judged")
        if len(self.folders) > 1:
            raise BadInput(
                f"{path}: not written: claims of several folders were judged "
                f"({', '.join(map(str, sorted(self.folders)))})"
            )
        write_page(path, audit, next(iter(self.folders)), options.store(self.folders))
        self.page = path

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.failure:
            terminalreporter.write_line(f"ERROR: {self.failure}", red=True)
        if self.warning:
            terminalreporter.write_line(f"WARNING: {self.warning}", yellow=True)
        if self.notes.get(HINT):
            terminalreporter.write_line(self.notes[HINT])
        if not self.rows:
            return
        verbosity = self.config.get_verbosity()
        title = self.suite.title or "claims"
        terminalreporter.section(f"audit of {title if len(title) <= 60 else title[:59] + '…'}")
        width, colour = fitting(terminalreporter)
        table = list(
            lines(
                self.rows,
                read_options(self.config).tier,
                max(verbosity, 0),
                self.completeness.partial,
                width,
                colour,
            )
        )
        if self.known and verbosity >= 0:
            known = (
                f"{self.known} of {len(self.said)} verdicts and controls were judged before, from "
                "the same evidence, criteria and code; --no-cache judges them again"
            )
            for line in textwrap.wrap(known, width):
                terminalreporter.write_line(line)
        if self.why:
            terminalreporter.write_line(f"not a success: {self.why}")
        for line in table[-1:] if verbosity < 0 else table:
            terminalreporter.write_line(line)
        opposite = bool(decided.names(self.rows, "opposite"))
        for line in textwrap.wrap(decided.sentence(self.rows), width, break_on_hyphens=False):
            terminalreporter.write_line(line, red=opposite)
        if self.page is not None:
            terminalreporter.write_line(f"page: {self.page}")


def fitting(reporter: pytest.TerminalReporter) -> tuple[int, bool]:
    """Columns of the terminal, and whether it shows colours (--color, NO_COLOR); without a terminal
    ``WIDTH`` columns.
    """
    writer = reporter.config.get_terminal_writer()
    on_terminal = reporter.isatty and not os.environ.get("CI")
    return (writer.fullwidth if on_terminal else WIDTH), writer.hasmarkup


class ExitStatus:
    """Sets the exit status before other plugins look at it at the end of the session: what they set
    then stands.

    Args:
        controller: of the same session.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.controller.settle(session)
