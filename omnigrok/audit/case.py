"""A Case is what a check gets: one claim (or its control) under one protocol and tier, with the
curves it needs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from omnigrok.audit.document import CostPart
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted, Outcome, deciding_line, describe
from omnigrok.audit.settled import Settling
from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.stats.finding import Finding, Region, Verdict, conjunction
from omnigrok.suite.schema import Bounds, Claim, Protocol, Tier

Role = Literal["claim", "control"]
ROLES: tuple[Role, ...] = ("claim", "control")


# A control on data that lie on the edge of the criterion's region is right by chance in half of the
# cases.
EDGE_P = 0.001


@dataclass
class Case:
    """One claim, or its control, ready to be judged.

    Args:
        claim: its YAML entry.
        figure: name of the YAML file.
        protocol, tier, role: which of its forms.
        grids: the curves of each experiment, by the name the claim uses.
        paper_steps: the optimiser steps of each Run at full scale, to tell whether what is read off
            runs at constant norm has settled; None where that is not asked (smoke tier, published
            code, simulations).
        verdict_only: expensive sensitivity rows may be left out (calibration).
        curtailed: judging ends at the first finding that keeps the verdict from being REPRODUCED
            (calibration, which counts only those); what the check would find later is not asked
            for.
        remark: shown before the reason, e.g. that the YAML entry has changed since the evidence
            was recorded.
    """

    claim: Claim
    figure: str
    protocol: Protocol
    tier: Tier
    role: Role
    grids: Mapping[str, Grid]
    scale: str = "full"
    reduction: str = ""
    paper_steps: Mapping[Run, int] | None = None
    cost: CostPart = field(default_factory=CostPart)
    digests: Mapping[str, str] = field(default_factory=dict)
    stale: int = 0
    imported: int = 0
    remark: str = ""
    verdict_only: bool = False
    curtailed: bool = False
    outcome: Outcome | None = None
    _settling: dict[str, Settling] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )
    _watched: dict[str, Grid] = field(init=False, default_factory=dict, repr=False, compare=False)

    @property
    def quantity(self) -> dict[str, Any]:
        """What to read: the claim's quantity, with the control's changes where this is the
        control.
        """
        return {
            **self.claim.quantity,
            **(self.claim.control.quantity if self.role == "control" else {}),
        }

    def __getitem__(self, key: str) -> Any:
        """One entry of ``quantity``.

        Raises:
            BadInput: the YAML does not give it.
        """
        if key not in self.quantity:
            raise BadInput(
                f"claim {self.claim.id}: quantity has no key {key!r}; it has "
                f"{', '.join(self.quantity)}"
            )
        return self.quantity[key]

    def get(self, key: str, default: Any = None) -> Any:
        """One entry of ``quantity``, or the default."""
        return self.quantity.get(key, default)

    def region(self, name: str) -> Region:
        """A region of the criterion.

        Raises:
            BadInput: the YAML does not give it, or gives a plain number.
        """
        bounds = self._criterion(name)
        if not isinstance(bounds, Bounds):
            raise BadInput(
                f"claim {self.claim.id}: criterion.{name} must be above, below or inside, not "
                f"{bounds!r}"
            )
        return bounds.region()

    def number(self, name: str) -> float:
        """A plain number of the criterion: a floor or a margin.

        Raises:
            BadInput: the YAML does not give it, or gives a region.
        """
        value = self._criterion(name)
        if isinstance(value, Bounds):
            raise BadInput(f"claim {self.claim.id}: criterion.{name} must be a number")
        return float(value)

    def _criterion(self, name: str) -> Bounds | float:
        if name not in self.claim.criterion:
            raise BadInput(
                f"claim {self.claim.id}: criterion has no key {name!r}; it has "
                f"{', '.join(self.claim.criterion)}"
            )
        return self.claim.criterion[name]

    def grid(self, name: str | None = None) -> Grid:
        """The curves of an experiment; without a name, of the only one."""
        if name is None:
            if len(self.grids) != 1:
                raise BadInput(
                    f"claim {self.claim.id} has the experiments {', '.join(self.grids)}: name one"
                )
            name = next(iter(self.grids))
        if name not in self.grids:
            raise BadInput(
                f"claim {self.claim.id} has no experiment {name!r}; it has {', '.join(self.grids)}"
            )
        if self.paper_steps is None:
            return self.grids[name]
        if name not in self._watched:
            grid = self.grids[name]
            self._settling[name] = Settling(grid.curves, self.paper_steps)
            self._watched[name] = Grid(name, self._settling[name].watched(), grid.diverging)
        return self._watched[name]

    def has_settled(self, name: str, run: Run, *columns: str) -> bool:
        """Whether columns of a run at constant norm have settled; True where that is not asked.

        A check that leaves out what has not settled asks this before it reads.
        """
        self.grid(name)
        if name not in self._settling:
            return True
        return all(self._settling[name].has_settled(run, column) for column in columns)

    @property
    def cells(self) -> int:
        """Runs at constant norm that the check has read."""
        return sum(each.cells for each in self._settling.values())

    @property
    def moving(self) -> int:
        """Those of them that have not settled in a column that was read."""
        return sum(len(each.moving()) for each in self._settling.values())

    def further(self) -> Case:
        """The same case, with every value that has not settled moved on by twice its last
        change.
        """
        grids = {
            name: Grid(name, self._settling[name].further(), grid.diverging)
            if name in self._settling
            else grid
            for name, grid in self.grids.items()
        }
        return replace(self, grids=grids, paper_steps=None, outcome=None)

    def judge(self, found: Iterable[Finding]) -> None:
        """Settle the verdict: the conjunction of the deciding findings, each against its region.

        Args:
            found: the findings; a check whose later ones are expensive gives a generator.

        Raises:
            ClaimRefuted: this is the claim (not its control) and it is REFUTED.
        """
        findings: tuple[Finding, ...] = ()
        for finding in found:
            findings += (finding,)
            if self.curtailed and self._prevents(finding):
                part = Verdict.INCONCLUSIVE if finding.premise else self.part(finding)
                self.settle(part, findings)
                return
        deciding = [
            finding for finding in findings if finding.decides and finding.region is not None
        ]
        if not deciding:
            raise BadInput(
                f"claim {self.claim.id}: the check gave no finding with a region, so it cannot fail"
            )
        premises = [finding for finding in findings if finding.premise]
        if bool(premises) != bool(self.claim.premise):
            raise BadInput(
                f"claim {self.claim.id}: the YAML and the check must both have a premise, or "
                "neither"
            )
        unmet = next(
            (finding for finding in premises if self.part(finding) is not Verdict.REPRODUCED), None
        )
        if unmet is not None:
            self.settle(
                Verdict.INCONCLUSIVE, findings, f"premise not met: {describe(unmet, self.tier)}"
            )
            return
        self.settle(conjunction([self.part(finding) for finding in deciding]), findings)

    def _prevents(self, finding: Finding) -> bool:
        """Whether the verdict cannot be REPRODUCED any more."""
        counts = finding.premise or (finding.decides and finding.region is not None)
        return counts and self.part(finding) is not Verdict.REPRODUCED

    def part(self, finding: Finding) -> Verdict:
        """What one finding says in this tier and role."""
        if self.tier == "smoke":
            verdict = finding.smoke_verdict()
            # What seconds of training did not reach may come later.
            if verdict is Verdict.REFUTED and finding.censored:
                return Verdict.INCONCLUSIVE
        else:
            verdict = finding.verdict()
        if (
            verdict is Verdict.REPRODUCED
            and self.on_edge(finding)
            and not (finding.p is not None and finding.p <= EDGE_P)
        ):
            return Verdict.INCONCLUSIVE
        return verdict

    def on_edge(self, finding: Finding) -> bool:
        """Whether this is a control whose data lie on the edge of the finding's region."""
        return self.role == "control" and any(
            finding.region == self.region(name) for name in self.claim.control.edge
        )

    def settle(
        self, verdict: Verdict, findings: tuple[Finding, ...] = (), reason: str = ""
    ) -> None:
        """Record the outcome; as ``judge`` raises.

        Raises:
            BadInput: there is an outcome already, which a second one would hide.
        """
        if self.outcome is not None:
            raise BadInput(
                f"claim {self.claim.id}: its check judged twice; a check judges once, with all its "
                "findings"
            )
        self.outcome = Outcome(
            claim=self.claim.id,
            figure=self.figure,
            protocol=self.protocol,
            tier=self.tier,
            role=self.role,
            verdict=verdict,
            reason="; ".join(
                part
                for part in (self.remark, reason or deciding_line(findings, self.tier, verdict))
                if part
            ),
            findings=findings,
            scale=self.scale,
            reduction=self.reduction,
            premise=self.claim.premise,
            edge=tuple(finding.name for finding in findings if self.on_edge(finding)),
            cost=self.cost,
            digests=self.digests,
            stale=self.stale,
            imported=self.imported,
            headline=self.claim.headline,
            statement=self.claim.statement,
            place=self.claim.place,
            reported=self.claim.reported,
        )
        if verdict is Verdict.REFUTED and self.role == "claim":
            raise ClaimRefuted(self.outcome.reason)


def judge_again(check: Callable[[Case], object], case: Case) -> None:
    """Judge a second time where the verdict rests on runs that have not settled: it stands only if
    both agree.

    Args:
        check: the check that has judged ``case``.

    Raises:
        ClaimRefuted: the claim is REFUTED both times.
    """
    outcome = case.outcome
    if outcome is None or not case.cells:
        return
    moving = case.moving
    case.outcome = replace(outcome, cells=case.cells, moving=moving)
    if not moving or outcome.verdict not in (Verdict.REPRODUCED, Verdict.REFUTED):
        return
    other = case.further()
    with contextlib.suppress(ClaimRefuted):
        check(other)
    second = other.outcome.verdict if other.outcome else None
    words = f"{moving} of {case.cells} runs at constant norm have not settled"
    if second is outcome.verdict:
        reason = f"{outcome.reason}; {words}, moved on by twice their last change they say the same"
        case.outcome = replace(case.outcome, reason=reason)
    else:
        reason = (
            f"{words}: {outcome.verdict} as they ended, {second} moved on by twice their last "
            f"change; {outcome.reason}"
        )
        case.outcome = replace(case.outcome, verdict=Verdict.INCONCLUSIVE, reason=reason)
