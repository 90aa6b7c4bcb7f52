"""Recorded deviations: claims that are known not to reproduce, with the effect that was found.

``claims/deviations.yaml`` is a list of entries with the keys of ``Deviation``. An entry expects
REFUTED for exactly this claim, tier, protocol and criterion version, and only while the effect
found still overlaps the recorded interval. Every table still says REFUTED.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError, field_validator

from omnigrok.audit.outcome import Outcome
from omnigrok.errors import BadInput
from omnigrok.suite.schema import Finite, Protocol, Strict, Tier
from omnigrok.suite.yaml_file import load_yaml

FILE = "deviations.yaml"


class Deviation(Strict):
    """One known deviation from the paper.

    Args:
        claim, tier, protocol, version: what it is about.
        finding: name of the finding that is outside its region.
        interval: its interval when the deviation was recorded.
        evidence: digest of the evidence it was read from.
        why: one or two sentences for the reader.
    """

    claim: str
    tier: Tier
    protocol: Protocol
    version: int
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

    def covers(self, outcome: Outcome) -> bool:
        """Whether the outcome's finding of that name still overlaps the recorded interval."""
        for finding in outcome.findings:
            if finding.name == self.finding:
                low, high = (
                    finding.ci
                    if finding.ci is not None and outcome.tier == "paper"
                    else (min(finding.values), max(finding.values))
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
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
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
