"""A trial of one detector: simulated data in which a claim is false, others in which it is true,
and what the detector says.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from omnigrok.stats import Finding, Verdict, conjunction

# Fixed in the first commit that showed the table.
SEED = 20230301
Truth = Literal["null", "effect"]


@dataclass(frozen=True)
class Sample:
    """What a detector said on one simulated data set: its verdict, and its interval where it has
    one.
    """

    verdict: Verdict
    ci: tuple[float, float] | None = None


def sample_of(findings: Sequence[Finding]) -> Sample:
    """The conjunction of the deciding findings, with the first one's interval."""
    return Sample(
        conjunction(
            each.verdict() for each in findings if each.decides and each.region is not None
        ),
        findings[0].ci,
    )


@dataclass(frozen=True)
class Trial:
    """One row of the calibration table.

    Args:
        detector: a public function of ``omnigrok.stats``, or the module and the function.
        null: data on which the claim is false, in words; where there is a margin, the truth lies
            exactly on it.
        effect: data on which it is true, of the size that the paper reports or that was recorded.
        seeds: seeds of the paper tier.
        draw: simulates ``seeds`` seeds of either and asks the detector.
        truth: what the (first) interval should hold under ``effect``; None if there is no such
            value.
        level: its nominal level.
        unit: what a unit of replication is called.
    """

    detector: str
    null: str
    effect: str
    seeds: int
    draw: Callable[[np.random.Generator, int, Truth], Sample]
    truth: float | None = None
    level: float = 0.95
    unit: str = "seeds"

    def generator(self, truth: str, seeds: int) -> np.random.Generator:
        """Its own source of randomness, whatever other rows there are and in whatever order."""
        name = f"{self.detector}|{self.null}|{truth}|{seeds}"
        return np.random.default_rng([SEED, zlib.crc32(name.encode())])
