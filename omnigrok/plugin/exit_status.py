"""The exit status: a smoke verdict is a failure only if the recorded evidence says the opposite,
and no ERROR is a success.
docs/exit-status.md has the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from omnigrok.audit.document import Row
from omnigrok.suite.schema import Tier

OK, FAILED, INTERRUPTED = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.INTERRUPTED,
)


@dataclass(frozen=True)
class Ended:
    """All that is known of how a session ended.

    Args:
        status: that pytest and other plugins have come to.
        failures: reports that pytest counts as failed (``session.testsfailed``).
        refutations: those among them that failed by nothing but the verdict REFUTED of a claim.
        cut: why pytest or a plugin stopped the session early (``session.shouldfail``,
            ``shouldstop``); "" if none did.
        partial: what is missing of the audit (``Completeness.partial``).
        stopped: whether claims are missing for another reason than the ``--budget``.
        rows: one a claim and protocol.
        strict: whether INCONCLUSIVE is a failure.
        opposite: claims whose smoke verdict is the opposite of the recorded evidence's.
    """

    status: int
    tier: Tier
    failures: int
    refutations: int
    cut: str
    partial: str
    stopped: bool
    rows: Sequence[Row]
    strict: bool = False
    opposite: Sequence[str] = ()


def settle(ended: Ended) -> tuple[int, str]:
    """The exit status, and why it is not the one that the verdicts alone would give ("" if it is).

    A failed session becomes a success only in the smoke tier, and only if every failure is a
    claim's REFUTED, each with its control and none the opposite of the evidence's verdict, in an
    audit that is whole. Whatever else failed it, or is not known, leaves it failed.
    """
    verdicts = {row.verdict for row in ended.rows}
    if ended.status == OK:
        if ended.stopped:
            return INTERRUPTED, ended.partial
        if "ERROR" in verdicts:
            return FAILED, "a claim is ERROR"
        if ended.strict and "INCONCLUSIVE" in verdicts:
            return FAILED, "--strict-verdicts: a claim is INCONCLUSIVE"
        return (FAILED, _says(ended)) if ended.opposite else (OK, "")
    by_verdict = (
        ended.refutations > 0 and ended.failures == ended.refutations and "ERROR" not in verdicts
    )
    if ended.status != FAILED or ended.tier != "smoke" or not by_verdict:
        return ended.status, ""
    alone = [
        row.id
        for row in ended.rows
        if row.verdict == "REFUTED" and row.control.verdict == "NOT RUN"
    ]
    reasons = (
        ended.cut,
        ended.partial,
        f"without its control: {', '.join(alone)}" if alone else "",
    )
    why = "; ".join(reason for reason in reasons if reason)
    if why:
        return FAILED, f"REFUTED fails a smoke audit that is not whole: {why}"
    return (FAILED, _says(ended)) if ended.opposite else (OK, "")


def _says(ended: Ended) -> str:
    return f"the opposite of what the recorded evidence decided: {', '.join(ended.opposite)}"
