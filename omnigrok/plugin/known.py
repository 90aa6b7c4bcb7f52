"""Verdicts on recorded evidence that were judged before are not judged again: neither curves are
read nor checks called.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.audit.session import AuditSession, Request
from omnigrok.audit.verdict_cache import VerdictCache

_known = pytest.StashKey[bool]()


class Known:
    """Finds and keeps outcomes while a session runs.

    Args:
        config: of this session.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.time()
        self._verdicts: VerdictCache | None = None

    def open(self, audit: AuditSession) -> None:
        """Use the user's cache for this session, if it is a replay."""
        cache = audit.cache("verdicts") if audit.options.replay else None
        if cache is None:
            return
        # Whatever a conftest patches decides, too; one in the claims folder is seen there.
        plugins = self._config.pluginmanager.get_plugins()
        files = (getattr(plugin, "__file__", None) for plugin in plugins)
        conftests = [Path(file) for file in files if file and Path(file).name == "conftest.py"]
        universes = bool(self._config.getoption("audit_universes"))
        self._verdicts = VerdictCache(cache, audit, universes, self._began, conftests)

    def find(self, item: pytest.Item, request: Request) -> Outcome | None:
        """The outcome of an item, if it is known."""
        item.stash[_known] = False
        if self._verdicts is None:
            return None
        found = self._verdicts.get(request)
        item.stash[_known] = found is not None
        return found

    def keep(self, request: Request, outcome: Outcome) -> None:
        """Keep what was judged now."""
        if self._verdicts is not None:
            self._verdicts.put(request, outcome)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call no check whose outcome is known."""
        return True if is_known(pyfuncitem) else None

    def pytest_sessionfinish(self) -> None:
        if self._verdicts is not None:
            self._verdicts.trim()


def is_known(item: pytest.Item) -> bool:
    """Whether the outcome of an item was known before."""
    return item.stash.get(_known, False)
