"""What an audit leaves on GitHub Actions: the verdict table on the job's summary page, and an
annotation for each claim that is an ERROR or says the opposite of the recorded evidence.

Workflow commands and the summary file: https://docs.github.com/actions/reference/workflow-commands.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omnigrok.audit.document import Row
from omnigrok.plugin.controller import Controller
from omnigrok.report.markdown import plain, table
from omnigrok.suite.schema import item_name


def on_github() -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


class GitHub:
    """Registered in the process that is no xdist worker.

    Args:
        controller: of the same session, which has all verdicts at its end.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Annotate errors and opposite verdicts, and append the table to the file that GitHub
        names.
        """
        rows = self.controller.rows
        if not rows:
            return
        for line in filter(None, map(annotation, rows)):
            terminalreporter.write_line(line)
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if not target:
            return
        try:
            # Other steps of the job write to it, too: append.
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(self._summary())
        except OSError as error:
            terminalreporter.write_line(f"GITHUB_STEP_SUMMARY: not written: {error}", yellow=True)

    def _summary(self) -> str:
        audit = self.controller.audit()
        title = plain(audit.suite.title) or "claims"
        why = f"Not a success: {plain(self.controller.why)}.\n\n" if self.controller.why else ""
        return f"## Audit of {title}\n\n{why}{table(audit)}\n"


def annotation(row: Row) -> str:
    """The workflow command that marks a claim of one protocol as an error; "" for most claims."""
    name = item_name(row.id, row.protocol)
    if row.verdict == "ERROR":
        title = f"{name} is an ERROR"
    elif row.agreement == "opposite":
        title = f"{name} is {row.verdict}, and {row.evidence} in the recorded evidence"
    else:
        return ""
    return f"::error title={_property(title)}::{_message(row.reason)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
