"""The same hypothesis examples in every run, new ones with ``--hypothesis-profile=explore``; one
answer for tests that need a GPU.

Examples have no deadline, as machines are shared.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, settings

# A loaded machine makes examples slowly; that is no fault of the code under test.
SLOW = [HealthCheck.too_slow]
settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("explore", derandomize=False, deadline=None, suppress_health_check=SLOW)
settings.load_profile("fixed")

NEEDS_CUDA = "needs a CUDA device: run on a machine with one"


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors in these tests, and not in an audit, which the settings of pyproject.toml
    govern, too.
    """
    config.addinivalue_line("filterwarnings", "error")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what bears the mark ``gpu`` where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=NEEDS_CUDA))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many those were: a suite that skips them has not tested CUDA."""
    skipped = [
        report
        for report in terminalreporter.getreports("skipped")
        if NEEDS_CUDA in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"GPU: {len(skipped)} skipped, {NEEDS_CUDA}")
