"""Recorded deviations: claims that are known not to reproduce, with the effect that was found; and
smoke verdicts that are known to be the opposite of what the evidence decided.

``claims/deviations.yaml`` is a list of entries with the keys of ``Deviation``. An entry expects its
verdict for exactly this claim, tier, protocol and criterion version, and only while the effect
found still overlaps the recorded interval. Every table still says that verdict.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError, field_validator, model_validator

from omnigrok.audit.outcome import Outcome
from omnigrok.errors import BadInput
from omnigrok.problems import first_problem
from omnigrok.suite.schema import Finite, Protocol, Strict, Tier
from omnigrok.suite.yaml_file import load_yaml

FILE = "deviations.yaml"


class Deviation(Strict):
    """One known deviation: from the paper, or of a smoke verdict from the evidence.

    Args:
        claim, tier, protocol, version: what it is about.
        verdict: that is expected; REPRODUCED deviates in the smoke tier alone, from evidence that
            refutes.
        finding: name of the finding that is outside its region, or inside for REPRODUCED.
        interval: its interval when the deviation was recorded.
        evidence: digest of the evidence it was read from.
        why: one or two sentences for the reader.
    """

    claim: str
    tier: Tier
    protocol: Protocol
    version: int
    verdict: Literal["REFUTED", "REPRODUCED"] = "REFUTED"
    finding: str
    interval: tuple[Finite, Finite]
    evidence: str
    why: str

    @field_validator("interval")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the interval's lower end is above its upper end")
        return value

    @model_validator(mode="after")
    def _deviates(self) -> Deviation:
        if self.verdict == "REPRODUCED" and self.tier != "smoke":
            raise ValueError("REPRODUCED is not a deviation in the paper tier")
        return self

    def covers(self, outcome: Outcome) -> bool:
        """Whether the outcome has the expected verdict, and its finding of that name still overlaps
        the recorded interval.

        Raises:
            BadInput: that finding has neither an interval nor values.
        """
        if outcome.verdict.value != self.verdict:
            return False
        for finding in outcome.findings:
            if finding.name == self.finding:
                if finding.ci is not None and outcome.tier == "paper":
                    low, high = finding.ci
                elif finding.values:
                    low, high = min(finding.values), max(finding.values)
                else:
                    raise BadInput(
                        f"{FILE}: the deviation of {self.claim} (tier {self.tier}, protocol "
                        f"{self.protocol}, version {self.version}): its finding "
                        f"{self.finding!r} has neither an interval nor values; name one that has"
                    )
                return low <= self.interval[1] and high >= self.interval[0]
        return False


@lru_cache(maxsize=16)
def load_deviations(folder: Path) -> tuple[Deviation, ...]:
    """All recorded deviations of a claims folder; none where there is no file.

    Raises:
        BadInput: the file is not a list of entries with exactly the accepted keys.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        return tuple(TypeAdapter(list[Deviation]).validate_python(load_yaml(path) or []))
    except ValidationError as error:
        where, first = first_problem(error, "extra_forbidden")
        raise BadInput(
            f"{path}: {where}: {first['msg']}; accepted keys: {', '.join(Deviation.model_fields)}"
        ) from None


def find_deviation(
    folder: Path, claim: str, tier: str, protocol: str, version: int
) -> Deviation | None:
    """The deviation recorded for exactly this claim, tier, protocol and criterion version."""
    for entry in load_deviations(folder):
        if (entry.claim, entry.tier, entry.protocol, entry.version) == (
            claim,
            tier,
            protocol,
            version,
        ):
            return entry
    return None
