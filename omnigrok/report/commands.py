"""The commands that a page prints: what trains or judges a claim or a figure again."""

from __future__ import annotations

from omnigrok.audit.document import Row
from omnigrok.suite.schema import Tier, item_name
from omnigrok.suite.suite import Suite


def rerun_command(suite: Suite, figure: str, row: Row, replay: bool) -> str:
    """The command that judges just this claim again."""
    # What has no evidence is trained, not replayed again.
    tier = (
        " --replay"
        if replay and row.verdict != "NOT RUN"
        else " --tier paper"
        if row.tier == "paper"
        else ""
    )
    return (
        f"pytest {suite.folder.name}/test_{figure}.py -k "
        f"{item_name(row.id, row.protocol)}{tier}{_protocol_option(suite, row.protocol)}"
    )


def record_command(suite: Suite, figure: str, tier: Tier, protocol: str) -> str:
    """The command that trains what a figure is drawn from."""
    more = (" --tier paper" if tier == "paper" else "") + _protocol_option(suite, protocol)
    return f"pytest {suite.folder.name}/test_{figure}.py{more}"


def _protocol_option(suite: Suite, protocol: str) -> str:
    return "" if protocol == suite.protocols[0] else f" --protocol {protocol}"
