"""A Case is what a check gets: one claim (or its control) under one protocol and tier, with the curves it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted, Outcome, deciding_line
from omnigrok.audit.schema import Bounds, Claim, Protocol, Tier
from omnigrok.errors import BadInput
from omnigrok.stats.finding import Finding, Region, Verdict, conjunction

Role = Literal["claim", "control"]
ROLES: tuple[Role, ...] = ("claim", "control")


CUT_SHORT = "not REFUTED: the runs have fewer steps than the paper's"


@dataclass
class Case:
    """One claim, or its control, ready to be judged.

    Args:
        claim: its YAML entry.
        figure: name of the YAML file.
        protocol, tier, role: which of its forms.
        grids: the curves of each experiment, by the name the claim uses.
        short: experiments whose runs are too short: in the smoke tier to show that something never happens, in the paper tier to refute
            anything. Those count that the check has asked for; all, where it asked for none by name.
        verdict_only: dear sensitivity rows may be left out (calibration).
        remark: said in front of the reason, e.g. that the criterion has changed since the evidence was recorded.
    """

    claim: Claim
    figure: str
    protocol: Protocol
    tier: Tier
    role: Role
    grids: Mapping[str, Grid]
    scale: str = "full"
    reduction: str = ""
    short: frozenset[str] = frozenset()
    cost: Mapping[str, float] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    stale: int = 0
    remark: str = ""
    verdict_only: bool = False
    outcome: Outcome | None = None
    asked: set[str] = field(init=False, default_factory=set, repr=False, compare=False)

    @property
    def quantity(self) -> dict[str, Any]:
        """What to read: the claim's quantity, with the control's changes where this is the control."""
        return {**self.claim.quantity, **(self.claim.control.quantity if self.role == "control" else {})}

    def __getitem__(self, key: str) -> Any:
        """One entry of ``quantity``.

        Raises:
            BadInput: the YAML does not give it.
        """
        if key not in self.quantity:
            raise BadInput(f"claim {self.claim.id}: quantity has no key {key!r}; it has {', '.join(self.quantity)}")
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
            raise BadInput(f"claim {self.claim.id}: criterion.{name} must be above, below or inside, not {bounds!r}")
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
            raise BadInput(f"claim {self.claim.id}: criterion has no key {name!r}; it has {', '.join(self.claim.criterion)}")
        return self.claim.criterion[name]

    def grid(self, name: str | None = None) -> Grid:
        """The curves of an experiment; without a name, of the only one."""
        if name is None:
            if len(self.grids) != 1:
                raise BadInput(f"claim {self.claim.id} has the experiments {', '.join(self.grids)}: name one")
            name = next(iter(self.grids))
        if name not in self.grids:
            raise BadInput(f"claim {self.claim.id} has no experiment {name!r}; it has {', '.join(self.grids)}")
        self.asked.add(name)
        return self.grids[name]

    @property
    def is_short(self) -> bool:
        """Whether what the check has read is too short."""
        return not self.short.isdisjoint(self.asked or self.grids)

    def judge(self, findings: Sequence[Finding]) -> None:
        """Settle the verdict: the conjunction of the deciding findings, each against its region.

        Raises:
            ClaimRefuted: this is the claim (not its control) and it is REFUTED.
        """
        deciding = [finding for finding in findings if finding.decides and finding.region is not None]
        if not deciding:
            raise BadInput(f"claim {self.claim.id}: the check gave no finding with a region, so it cannot fail")
        if any(self._cannot_refute(finding) for finding in deciding):
            self.remark = "; ".join(part for part in (self.remark, CUT_SHORT) if part)
        self.settle(conjunction([self._part(finding) for finding in deciding]), tuple(findings))

    def _cannot_refute(self, finding: Finding) -> bool:
        """Whether the evidence of this claim is too short for the REFUTED of one of its parts."""
        return self.tier != "smoke" and self.is_short and self.role == "claim" and finding.verdict() is Verdict.REFUTED

    def _part(self, finding: Finding) -> Verdict:
        if self.tier != "smoke":
            return Verdict.INCONCLUSIVE if self._cannot_refute(finding) else finding.verdict()
        verdict = finding.smoke_verdict()
        # What a few seconds of training did not reach may come later.
        return Verdict.INCONCLUSIVE if verdict is Verdict.REFUTED and self.is_short and finding.censored else verdict

    def settle(self, verdict: Verdict, findings: tuple[Finding, ...] = (), reason: str = "") -> None:
        """Record the outcome; as ``judge`` raises."""
        self.outcome = Outcome(
            claim=self.claim.id,
            figure=self.figure,
            protocol=self.protocol,
            tier=self.tier,
            role=self.role,
            verdict=verdict,
            reason="; ".join(part for part in (self.remark, reason or deciding_line(findings, self.tier, verdict)) if part),
            findings=findings,
            scale=self.scale,
            reduction=self.reduction,
            cost=self.cost,
            digests=self.digests,
            stale=self.stale,
            headline=self.claim.headline,
            statement=self.claim.statement,
            place=self.claim.place,
        )
        if verdict is Verdict.REFUTED and self.role == "claim":
            raise ClaimRefuted(self.outcome.reason)
