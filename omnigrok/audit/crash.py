"""The verdict of an item whose worker died: ERROR, made by the controller, since nobody else is left to say it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.audit.schema import PROTOCOLS, Protocol, Tier, load_figure
from omnigrok.stats.finding import Verdict

# The ids that the plugin gives: claim, protocol, and whether it is the control.
ITEM = re.compile(
    r"(?P<path>[^:]+)::.*\[(?P<claim>[a-z0-9]+\.[A-Za-z0-9-]+?)-(?P<protocol>%s)(?P<control>-control)?\]" % "|".join(PROTOCOLS)  # noqa: UP031
)


def crashed(report: pytest.TestReport, root: Path, tier: Tier) -> Outcome | None:
    """The outcome of an item that a worker of pytest-xdist died on; None for any other report.

    Args:
        report: as the controller gets it.
        root: pytest's root folder, which node ids are relative to.
        tier: of this audit.
    """
    match = ITEM.fullmatch(report.nodeid)
    if not report.failed or report.when in ("setup", "call", "teardown") or match is None:
        return None
    path = root / match["path"]
    figure = path.stem.removeprefix("test_")
    claim = load_figure(path.with_name(f"{figure}.yaml")).claim(match["claim"])
    protocol: Protocol = next(each for each in PROTOCOLS if each == match["protocol"])
    reason = f"its worker crashed ({' '.join(report.longreprtext.split())}); what was trained is saved: run the same command again"
    return Outcome(
        claim.id, figure, protocol, tier, "control" if match["control"] else "claim", Verdict.ERROR, reason,
        headline=claim.headline, statement=claim.statement, place=claim.place,
    )  # fmt: skip
