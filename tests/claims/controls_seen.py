"""Whether the tests of this folder have shown each claim's control in a world in which it is
REFUTED, or neutral on an edge, and in one in which it is REPRODUCED: no control is constant.

A plugin of ``tests/conftest.py``: ``synthetic.judge`` notes what it gives, xdist's workers send
their notes, and a session that ran the whole folder fails for a control that lacks one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from omnigrok.audit.outcome import Outcome
from omnigrok.stats import Verdict
from omnigrok.suite.suite import load_suite

FOLDER = Path(__file__).parent
CLAIMS = FOLDER.parents[1] / "claims"
HOLDS, FAILS = "holds", "fails"
KEY = "controls_seen"
# Two tasks, and two halves of seeds, rank by nothing: claim and control are INCONCLUSIVE at best.
NEVER_REPRODUCED = "concl.representation"
# Claim to what its control has done, in this process.
_seen: dict[str, set[str]] = {}


def note(claim: str, outcome: Outcome) -> None:
    """Remember what a control did."""
    best = Verdict.INCONCLUSIVE if claim == NEVER_REPRODUCED else Verdict.REPRODUCED
    if outcome.verdict is best:
        _seen.setdefault(claim, set()).add(FAILS)
    elif outcome.verdict is Verdict.REFUTED or outcome.edge:
        _seen.setdefault(claim, set()).add(HOLDS)


def lacking(claims: Iterable[str], seen: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Claims whose control was not seen in both worlds, and which are missing."""
    missing = {claim: sorted({HOLDS, FAILS} - {*seen.get(claim, ())}) for claim in claims}
    return {claim: worlds for claim, worlds in missing.items() if worlds}


class ControlsSeen:
    """Gathers the notes of all processes and fails the session where one is missing."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seen: dict[str, set[str]] = {}
        self.missing: dict[str, list[str]] = {}
        # Whether all tests of this folder were collected, and none left out by -k, -m or --lf.
        self.whole = self.chosen = False

    def _add(self, seen: Mapping[str, Iterable[str]]) -> None:
        for claim, worlds in seen.items():
            self.seen.setdefault(claim, set()).update(worlds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        seen, whole = getattr(node, "workeroutput", {}).get(KEY, ({}, False))
        self._add(seen)
        self.whole |= whole

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self.chosen |= any(
            FOLDER in item.path.parents and not item.get_closest_marker("slow") for item in items
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.whole = not self.chosen and {*FOLDER.glob("test_*.py")} <= {
            item.path for item in session.items
        }

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workeroutput"):
            seen = {claim: sorted(each) for claim, each in _seen.items()}
            self.config.workeroutput[KEY] = seen, self.whole
            return
        self._add(_seen)
        if session.testsfailed or session.shouldstop or not self.whole:
            return
        claims = [claim.id for figure in load_suite(CLAIMS).figures for claim in figure.claims]
        self.missing = lacking(claims, self.seen)
        if self.missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for claim, worlds in self.missing.items():
            terminalreporter.write_line(
                f"no test of tests/claims shows a world in which the control of {claim} "
                f"{' and one in which it '.join(worlds)}",
                red=True,
            )
