"""The verdict of an item whose worker died: ERROR, made by the controller, since no one else is
left to say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.plugin.node_id import parse
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import Tier


def crashed(report: pytest.TestReport, folders: Iterable[Path], tier: Tier) -> Outcome | None:
    """The outcome of an item that a worker of pytest-xdist died on; None for any other report.

    Args:
        report: as the controller gets it.
        folders: what its node id may be relative to: pytest's root folder, or the one it was
            started in.
        tier: of this audit.
    """
    if not report.failed or report.when in ("setup", "call", "teardown"):
        return None
    item = parse(report.nodeid, folders)
    if item is None:
        return None
    claim = item.suite.figure(item.figure).claim(item.claim)
    reason = (
        f"its worker crashed ({' '.join(report.longreprtext.split())}); what was trained is saved: "
        "run the same command again"
    )
    return Outcome.without_findings(
        claim,
        item.figure,
        item.protocol,
        tier,
        item.role,
        Verdict.ERROR,
        reason,
    )
