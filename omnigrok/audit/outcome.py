"""How a judgement leaves a check: an Outcome that is recorded, and the exception that
pytest sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from omnigrok.audit.document import (
    CostPart,
    FindingPart,
    ItemRow,
    RegionPart,
    Role,
    UniversesPart,
)
from omnigrok.errors import BadInput
from omnigrok.printable import harmless
from omnigrok.problems import first_problem
from omnigrok.stats.finding import Finding, Verdict
from omnigrok.suite.schema import Claim, Tier


class ClaimRefuted(AssertionError):
    """The interval of a finding lies outside the criterion's region."""


class ClaimInconclusive(AssertionError):
    """Raised with ``--strict-verdicts`` where a claim is neither reproduced nor refuted."""


class ControlReproduced(AssertionError):
    """A control, where the sentence is false, came out REPRODUCED: the claim's check proves
    nothing.
    """


class DeviationMoved(AssertionError):
    """A recorded deviation no longer covers the effect that was found."""


@dataclass(frozen=True)
class Outcome:
    """The verdict on one claim, or on its control, under one protocol and tier.

    Args:
        claim, figure, protocol, tier, role: what was judged; role is "claim" or "control".
        verdict: of the whole conjunction.
        reason: one line for a person.
        findings: all that was computed, deciding ones first.
        scale, reduction: "reduced" and how, where the grid or the steps are not the paper's.
        cost: runs, steps and seconds that the evidence took, and how many of the runs other claims
            share.
        digests: of the claim's YAML entry and of the check's source.
        stale: runs that come from another trainer, torch or device.
        imported: runs that came into the store as files.
        unfinished: NOT RUN only because the ``--budget`` was spent; the same command goes on.
        premise: what the sentence presupposes, in words; "" for most.
        edge: names of a control's findings whose data lie on the edge of the region.
        cells, moving: runs at constant norm that were read, and those of them that have not
            settled.
        universes: where they were asked for.
        deviation: why, if this verdict was recorded as a deviation.
    """

    claim: str
    figure: str
    protocol: str
    tier: Tier
    role: Role
    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    scale: str = "full"
    reduction: str = ""
    cost: CostPart = field(default_factory=CostPart)
    digests: Mapping[str, str] = field(default_factory=dict)
    stale: int = 0
    imported: int = 0
    headline: bool = False
    statement: str = ""
    place: str = ""
    reported: str = ""
    unfinished: bool = False
    premise: str = ""
    edge: tuple[str, ...] = ()
    cells: int = 0
    moving: int = 0
    universes: UniversesPart | None = None
    deviation: str = ""

    def __post_init__(self) -> None:
        # It may quote an exception of anybody's code.
        object.__setattr__(self, "reason", harmless(self.reason))

    @classmethod
    def without_findings(
        cls,
        claim: Claim,
        figure: str,
        protocol: str,
        tier: Tier,
        role: Role,
        verdict: Verdict,
        reason: str,
        unfinished: bool = False,
    ) -> Outcome:
        """ERROR or NOT RUN: nothing was computed."""
        return cls(
            claim.id,
            figure,
            protocol,
            tier,
            role,
            verdict,
            reason,
            headline=claim.headline,
            statement=claim.statement,
            place=claim.place,
            reported=claim.reported,
            unfinished=unfinished,
        )

    def row(self) -> ItemRow:
        """What the process that judged it sends.

        Raises:
            BadInput: a finding has a value that the document does not take; the message names both.
        """
        return ItemRow(
            id=self.claim,
            figure=self.figure,
            protocol=self.protocol,
            tier=self.tier,
            role=self.role,
            verdict=self.verdict.value,
            reason=self.reason,
            findings=tuple(finding_part(finding, self.tier) for finding in self.findings),
            scale=self.scale,
            reduction=self.reduction,
            cost=self.cost,
            digests=dict(self.digests),
            stale=self.stale,
            imported=self.imported,
            headline=self.headline,
            statement=self.statement,
            place=self.place,
            reported=self.reported,
            unfinished=self.unfinished,
            premise=self.premise,
            edge=self.edge,
            cells=self.cells,
            moving=self.moving,
            universes=self.universes,
            deviation=self.deviation,
        )


def finding_part(finding: Finding, tier: str) -> FindingPart:
    """One finding for the document. The smoke tier has values and a rule, but no p and no
    interval.

    Raises:
        BadInput: the document does not take one of its values.
    """
    try:
        return _part(finding, tier)
    except ValidationError as error:
        where, first = first_problem(error)
        raise BadInput(f"finding {finding.name!r}: {where}: {first['msg']}") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(f"finding {finding.name!r}: {error}") from error


def _part(finding: Finding, tier: str) -> FindingPart:
    smoke = tier == "smoke"
    region = finding.region
    verdict = finding.smoke_verdict() if smoke else finding.verdict()
    return FindingPart(
        name=harmless(finding.name),
        estimate=finding.estimate,
        ci=None if smoke else finding.ci,
        p=None if smoke else finding.p,
        n=finding.n,
        censored=finding.censored,
        level=finding.level,
        smallest_p=None if smoke else finding.smallest_p,
        region=None
        if region is None
        else RegionPart(lo=region.lo, hi=region.hi, closed=region.closed, text=str(region)),
        values=tuple(finding.values),
        verdict=verdict.value
        if region is not None and (finding.decides or finding.premise)
        else None,
        decides=finding.decides and region is not None,
        premise=finding.premise,
        leads=finding.leads,
        method=harmless(finding.method),
        note=harmless(finding.note),
        extra={harmless(key): value for key, value in finding.extra.items()},
    )


def describe(finding: Finding, tier: str) -> str:
    """One line: name, estimate, interval or seeds' values, criterion."""
    if tier == "smoke":
        shown = ", ".join(f"{value:.3g}" for value in finding.values)
        where = f"seeds {shown}"
    else:
        low, high = finding.ci or (math.nan, math.nan)
        where = f"{finding.estimate:.3g} [{low:.3g}, {high:.3g}]" + (
            f", p = {finding.p:.2g}" if finding.p is not None else ""
        )
    criterion = (
        f", criterion {finding.region}" if finding.region is not None and finding.decides else ""
    )
    return f"{finding.name}: {where}{criterion}"


def deciding_line(findings: Sequence[Finding], tier: str, verdict: Verdict) -> str:
    """The finding that decided: the leading one where all agree, else the first whose own verdict
    is the whole's.
    """
    deciding = [each for each in findings if each.decides and each.region is not None]
    own = [
        each
        for each in deciding
        if (each.smoke_verdict() if tier == "smoke" else each.verdict()) is verdict
    ]
    shown = next((each for each in own if each.leads), None) or next(iter(own or deciding), None)
    return describe(shown, tier) if shown else ""
