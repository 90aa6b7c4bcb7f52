"""Whole Runs trained again: what decides the verdicts, with and without them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from omnigrok.audit.case import Case
from omnigrok.audit.checks import Check, check_of
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.session import AuditSession, Options, Request
from omnigrok.curves import Curves
from omnigrok.errors import OmnigrokError
from omnigrok.run import Run
from omnigrok.stats.finding import Finding
from omnigrok.suite.suite import Suite

# That a finding of sound evidence is said to differ.
FALSE_ALARM = 0.001


@dataclass(frozen=True)
class Number:
    """A deciding finding of one claim, from recorded curves and with some Runs trained again.

    Args:
        claim, name: of the claim and of the finding.
        before, after: the estimate.
        difference: the largest between the numbers of one seed.
        accepted: so much of it; infinite where the seeds' numbers say nothing.
        same: whether the finding's own verdict is the same.
    """

    claim: str
    name: str
    before: float
    after: float
    difference: float
    accepted: float
    same: bool

    @property
    def agrees(self) -> bool:
        """Whether the verdict and the numbers of all seeds are the same, but for chance."""
        return self.same and self.difference <= self.accepted


@dataclass(frozen=True)
class Unjudged:
    """A claim that could not be judged from what is recorded, and why."""

    claim: str
    reason: str


def deciding_numbers(
    suite: Suite,
    full_name: str,
    protocol: str,
    recorded: Mapping[Run, Curves],
    again: Mapping[Run, Curves],
) -> Iterator[Number | Unjudged]:
    """Each claim that reads an experiment, judged twice: from recorded curves, and with those of
    some Runs replaced by curves that were trained again.

    The numbers of one seed may differ by what two draws of the recorded seeds would differ by, with
    a false alarm in ``FALSE_ALARM`` of the findings: rounding moves a Run no further than another
    seed does. At least 1 % is accepted.
    """
    for figure, claim in suite.readers(full_name):
        if protocol not in claim.protocols:
            continue
        try:
            check = check_of(suite.folder, figure.figure, claim.id)
            request = Request(suite, figure, claim, protocol, "claim", check)
            case = AuditSession(Options(tier="paper", replay=True), [request]).case(request)
            before = _findings(check, _with(case, recorded))
            after = _findings(check, _with(case, {**recorded, **again}))
        except OmnigrokError as error:
            yield Unjudged(claim.id, str(error))
            continue
        found = {finding.name: finding for finding in after}
        for finding in before:
            yield _number(claim.id, finding, found.get(finding.name))


def _with(case: Case, curves: Mapping[Run, Curves]) -> Case:
    grids = {
        name: Grid(
            grid.name,
            {run: curves.get(run, old) for run, old in grid.curves.items()},
            grid.diverging,
        )
        for name, grid in case.grids.items()
    }
    return replace(case, grids=grids, outcome=None)


def _findings(check: Check, case: Case) -> Sequence[Finding]:
    with contextlib.suppress(ClaimRefuted):
        check(case)
    findings = case.outcome.findings if case.outcome else ()
    return [finding for finding in findings if finding.decides]


def _number(claim: str, before: Finding, after: Finding | None) -> Number:
    if after is None:
        gone = math.nan
        return Number(claim, before.name, before.estimate, gone, math.inf, 0.0, same=False)
    old, new = (np.asarray(each.values, dtype=float) for each in (before, after))
    same = before.verdict() is after.verdict()
    if old.shape != new.shape:
        difference, accepted = math.inf, 0.0
    else:
        gaps = np.abs(new - old)[np.isfinite(old) & np.isfinite(new)]
        difference, accepted = float(gaps.max(initial=0.0)), _accepted(old)
        if not np.array_equal(np.isfinite(old), np.isfinite(new)):
            difference = math.inf
    return Number(
        claim, before.name, before.estimate, after.estimate, difference, accepted, same=same
    )


def _accepted(values: np.ndarray) -> float:
    """How far two draws of what gave these numbers lie apart, in all but ``FALSE_ALARM`` of the
    findings.
    """
    numbers = values[np.isfinite(values)]
    if len(numbers) < 3:
        return math.inf
    quantile = stats.t.ppf(1 - FALSE_ALARM / (2 * len(numbers)), len(numbers) - 1)
    spread = float(numbers.std(ddof=1)) * math.sqrt(2)
    return max(float(quantile) * spread, 0.01 * float(np.abs(numbers).max()))
