"""Warnings that the trainer logs (a compiler that does not work) in pytest's summary, from any
worker.
"""

from __future__ import annotations

import logging
import warnings

import pytest

LOGGER = logging.getLogger("omnigrok")


class Notes(logging.Handler):
    """Hands warnings of this package's loggers to pytest, which forwards those of xdist's workers.

    They do not go through Python's filters: under ``-W error`` a slower step would fail a claim.
    """

    def __init__(self, config: pytest.Config) -> None:
        super().__init__(logging.WARNING)
        self.config = config
        LOGGER.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Record the line as a warning that concerns the whole session."""
        said = warnings.WarningMessage(
            UserWarning(record.getMessage()), UserWarning, record.pathname, record.lineno
        )
        self.config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": said, "nodeid": "", "when": "runtest", "location": None}
        )

    def pytest_unconfigure(self) -> None:
        """Leave the loggers as they were."""
        LOGGER.removeHandler(self)
