"""Benchmarks run in a pytest of their own, which must not take itself for a worker of this one:
there nothing is measured.
"""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if started from a shell."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
