"""Tells the process that started this pytest how far its replay has come: ``-p
omnigrok.plugin.judging``, with ``omnigrok.report.replaying`` at the other end of the pipe.
"""

from __future__ import annotations

import sys
import time

import pytest

from omnigrok.plugin.controller import KNOWN, outcome_of
from omnigrok.report.replaying import Judged

EVERY = 0.2  # seconds


class Judging:
    """Counts claims and controls that are judged."""

    def __init__(self) -> None:
        self._total = self._done = self._known = 0
        self._said = -EVERY

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = sum(item.get_closest_marker("claim") is not None for item in session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = None if report.when == "teardown" else outcome_of(report)
        if outcome is None:
            return
        self._done += 1
        self._known += any(name == KNOWN for name, _ in report.user_properties)
        now = time.monotonic()
        if now - self._said >= EVERY or self._done == self._total:
            self._said = now
            name = f"{outcome.id}, {outcome.protocol}"
            sys.stderr.write(f"\n{Judged(self._done, self._total, self._known, name).line()}\n")
            sys.stderr.flush()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Judging(), "omnigrok-judging")
