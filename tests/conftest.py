"""The same hypothesis examples in every run, new ones with ``--hypothesis-profile=explore``; one
answer for tests that need a GPU.

Examples have no deadline, as machines are shared.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from hypothesis import HealthCheck, settings

from controls_seen import ControlsSeen

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
    # JAX, once a test has loaded it, of every fork; the forks of these tests touch no JAX.
    config.addinivalue_line("filterwarnings", "ignore:os.fork.. was called:RuntimeWarning")
    config.pluginmanager.register(ControlsSeen(config))


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """What a test draws from torch's own generator is the same in each run, in any order."""
    torch.manual_seed(0)


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


@contextmanager
def _limited(megabytes: float, seconds: float) -> Iterator[None]:
    if not sys.platform.startswith("linux"):
        pytest.skip("limits on memory are set on Linux only")

    def too_slow(*_: object) -> NoReturn:
        raise AssertionError(f"more than {seconds} s of CPU")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, too_slow)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + int(megabytes * 2**20), hard)
    )
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except MemoryError as error:
        raise AssertionError(f"more than {megabytes} MB of memory") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


@pytest.fixture(scope="session")
def limited() -> Callable[[float, float], AbstractContextManager[None]]:
    """``with limited(megabytes, seconds)``: more new memory, or more CPU time, is a failure."""
    return _limited
