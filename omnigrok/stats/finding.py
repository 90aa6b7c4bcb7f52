"""A Finding is what one statistic says; a Verdict is what its interval says about the criterion's
region.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace


class Verdict(enum.StrEnum):
    """The states a claim can be in. NOT_RUN means that there is no evidence; it counts as nothing
    else.
    """

    REPRODUCED = "REPRODUCED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Region:
    """The values of an estimate for which the claim holds: the interval from ``lo`` to ``hi``.

    ``closed`` says whether the ends belong to it ("inside [.9, 1.1]") or not ("lower bound > 10").
    """

    lo: float = -math.inf
    hi: float = math.inf
    closed: bool = False

    def __post_init__(self) -> None:
        if not self.lo < self.hi:
            raise ValueError(f"a region needs lo < hi, not [{self.lo}, {self.hi}]")

    def __contains__(self, value: float) -> bool:
        # An open end at infinity still holds the infinite value: "never" is later than any bound.
        if self.closed or (math.isinf(value) and value in (self.lo, self.hi)):
            return self.lo <= value <= self.hi
        return self.lo < value < self.hi

    def judge(self, ci: tuple[float, float]) -> Verdict:
        """REPRODUCED if the interval lies inside, REFUTED if it is disjoint, else INCONCLUSIVE
        (docs/statistics.md, verdict rule).
        """
        low, high = ci
        if math.isnan(low) or math.isnan(high):
            return Verdict.INCONCLUSIVE
        if low > high:
            raise ValueError(f"an interval needs low <= high, got [{low}, {high}]")
        if low in self and high in self:
            return Verdict.REPRODUCED
        below = high < self.lo or (not self.closed and high <= self.lo)
        above = low > self.hi or (not self.closed and low >= self.hi)
        return Verdict.REFUTED if below or above else Verdict.INCONCLUSIVE

    def judge_seeds(self, values: Iterable[float]) -> Verdict:
        """The smoke tier's rule: all seeds inside, all outside, or neither. A seed without a value
        (NaN) lies on no side.
        """
        known = list(values)
        if not known or any(math.isnan(value) for value in known):
            return Verdict.INCONCLUSIVE
        inside = [value in self for value in known]
        if all(inside):
            return Verdict.REPRODUCED
        return Verdict.INCONCLUSIVE if any(inside) else Verdict.REFUTED

    def __str__(self) -> str:
        if self.hi == math.inf:
            return f"> {self.lo:.4g}"
        if self.lo == -math.inf:
            return f"< {self.hi:.4g}"
        return f"inside [{self.lo:.4g}, {self.hi:.4g}]"


@dataclass(frozen=True)
class Finding:
    """What one statistic found.

    Args:
        name: what was estimated, in words a reader of the paper knows.
        estimate: the point estimate over seeds, in the unit of ``region``.
        ci: its interval at ``level``; None where only per-seed values exist (smoke tier).
        region: where the claim says the estimate lies; None for a finding that is shown but decides
            nothing.
        values: the estimate of each seed, in seed order (NaN where a seed has no value).
        p: one-sided p value of the test named in ``method``; None where there is no test.
        smallest_p: the smallest p that this n can reach.
        censored: how many of the underlying times were not reached.
        needs_p: the verdict needs p <= .05 as well as the interval (trend criteria).
        decides: False for sensitivity rows, which are shown and change no verdict.
        premise: the sentence presupposes this: unless it is REPRODUCED the claim is INCONCLUSIVE.
            It has no other say.
        leads: of several deciding findings, the one to show where all agree.
        note: one sentence for the reader, e.g. the largest range in which a law holds.
    """

    name: str
    estimate: float
    ci: tuple[float, float] | None
    region: Region | None
    values: tuple[float, ...] = ()
    level: float = 0.95
    p: float | None = None
    smallest_p: float | None = None
    n: int = 0
    censored: int = 0
    needs_p: bool = False
    decides: bool = True
    premise: bool = False
    leads: bool = False
    method: str = ""
    note: str = ""
    extra: dict[str, float] = field(default_factory=dict)

    def verdict(self) -> Verdict:
        """The paper tier's verdict on this finding alone.

        A trend (``needs_p``) is REFUTED when its interval lies outside the region whatever p says,
        and INCONCLUSIVE when p > .05.
        """
        if self.region is None or self.ci is None:
            return Verdict.INCONCLUSIVE
        verdict = self.region.judge(self.ci)
        if (
            self.needs_p
            and verdict is Verdict.REPRODUCED
            and not (self.p is not None and self.p <= 0.05)
        ):
            return Verdict.INCONCLUSIVE
        return verdict

    def smoke_verdict(self) -> Verdict:
        """The smoke tier's verdict: a rule over the seeds' values, with no p and no interval."""
        if self.region is None:
            return Verdict.INCONCLUSIVE
        return self.region.judge_seeds(self.values)

    def as_sensitivity(self, note: str = "") -> Finding:
        """The same finding, shown but without a say in the verdict."""
        return replace(self, decides=False, note=note or self.note)

    def as_premise(self) -> Finding:
        """The same finding as a premise of the claim: it enters neither the conjunction nor p."""
        return replace(self, decides=False, premise=True)

    def as_lead(self) -> Finding:
        """The same finding, shown for the claim where all deciding ones agree."""
        return replace(self, leads=True)

    def of_one_data_set(self, why: str) -> Finding:
        """The same finding where all seeds share their data, and the sentence is about data: n is
        1, without interval or p.
        """
        return replace(
            self,
            ci=(math.nan, math.nan),
            n=1,
            p=None,
            smallest_p=None,
            note="; ".join(part for part in (why, self.note) if part),
        )


def conjunction(verdicts: Iterable[Verdict]) -> Verdict:
    """REFUTED if one part is, REPRODUCED if all are, else INCONCLUSIVE; ERROR and NOT RUN go before
    all of them.
    """
    parts = list(verdicts)
    for first in (Verdict.ERROR, Verdict.NOT_RUN, Verdict.REFUTED):
        if first in parts:
            return first
    if parts and all(part is Verdict.REPRODUCED for part in parts):
        return Verdict.REPRODUCED
    return Verdict.INCONCLUSIVE
