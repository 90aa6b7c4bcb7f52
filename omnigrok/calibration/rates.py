"""False-positive rate, power and coverage of a trial, each with its binomial interval, and the
bounds they must keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from omnigrok.calibration.trial import Sample, Trial, Truth
from omnigrok.stats import Verdict

# Bounds of the audit (docs/statistics.md): the upper end of the 95 % interval of the false-positive
# rate, power, distance from nominal coverage.
LARGEST_FALSE_POSITIVE = 0.07
LEAST_POWER = 0.9
COVERAGE_SLACK = 0.03
LADDER = (3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50)


@dataclass(frozen=True)
class Rate:
    """``hits`` of ``draws``."""

    hits: int
    draws: int

    @property
    def value(self) -> float:
        return self.hits / self.draws if self.draws else math.nan

    @property
    def ci(self) -> tuple[float, float]:
        """Clopper-Pearson interval at 95 %."""
        if not self.draws:
            return math.nan, math.nan
        exact = stats.binomtest(self.hits, self.draws).proportion_ci(0.95, method="exact")
        return float(exact.low), float(exact.high)


@dataclass(frozen=True)
class TrialRow:
    """What was measured of one trial.

    Args:
        false_positive: rate of REPRODUCED on the null.
        power: rate of REPRODUCED on the effect, at ``trial.seeds``.
        coverage: rate of intervals that hold the truth on the effect; None where the trial has no
            truth.
        needed: fewest seeds of ``LADDER`` with power .9; None where the trial's own do, 0 where
            none of the ladder does.
    """

    trial: Trial
    false_positive: Rate
    power: Rate
    coverage: Rate | None
    needed: int | None

    @property
    def problems(self) -> list[str]:
        """Bounds that do not hold. Too little power is no fault of a detector that then says
        INCONCLUSIVE: it is shown with ``needed``.
        """
        found = []
        if self.false_positive.ci[1] > LARGEST_FALSE_POSITIVE:
            found.append("false positives")
        if self.coverage is not None and self.coverage.ci[1] < self.trial.level - COVERAGE_SLACK:
            found.append("coverage")
        return found

    @property
    def conservative(self) -> bool:
        """Its interval holds the truth more often than it says, by more than the slack."""
        return self.coverage is not None and self.coverage.value > self.trial.level + COVERAGE_SLACK


def measure(trial: Trial, draws: int) -> TrialRow:
    """Simulate ``draws`` data sets of the null and as many of the effect; where power is short,
    look for the seeds that would do.
    """
    nulls = simulate(trial, "null", trial.seeds, draws)
    effects = simulate(trial, "effect", trial.seeds, draws)
    coverage = None
    if trial.truth is not None:
        truth = trial.truth
        coverage = Rate(
            sum(each.ci is not None and each.ci[0] <= truth <= each.ci[1] for each in effects),
            draws,
        )
    power = reproduced(effects)
    needed = (
        None
        if power.value >= LEAST_POWER
        else seeds_needed(
            lambda n: (
                reproduced(simulate(trial, "effect", n, max(draws // 5, 40))).value >= LEAST_POWER
            )
        )
    )
    return TrialRow(trial, reproduced(nulls), power, coverage, needed)


def simulate(trial: Trial, truth: Truth, seeds: int, draws: int) -> list[Sample]:
    """``draws`` samples with the trial's own seed of randomness."""
    rng = trial.generator(truth, seeds)
    return [trial.draw(rng, seeds, truth) for _ in range(draws)]


def reproduced(samples: Iterable[Sample]) -> Rate:
    """Rate of REPRODUCED."""
    verdicts = np.array([each.verdict is Verdict.REPRODUCED for each in samples], dtype=bool)
    return Rate(int(verdicts.sum()), verdicts.size)


def seeds_needed(has_power: Callable[[int], bool]) -> int:
    """The fewest seeds of ``LADDER`` with power .9, by bisection (power rises with n up to the
    steps of exact tests); 0 if none.
    """
    low, high = 0, len(LADDER)
    while low < high:
        middle = (low + high) // 2
        if has_power(LADDER[middle]):
            high = middle
        else:
            low = middle + 1
    return LADDER[low] if low < len(LADDER) else 0


@dataclass(frozen=True)
class ClaimRow:
    """What was measured of one claim on one null.

    Args:
        null: the form or the mechanism that its YAML names.
        criterion: digest of the YAML's criterion and nulls.
        simulation: digest of the source that simulates it.
        false_positive, power: rates of REPRODUCED on the null and on the effect.
        needed: fewest seeds with power .9; None where the paper tier's own do, 0 where 50 do not.
    """

    claim: str
    null: str
    criterion: str
    simulation: str
    effect: str
    seeds: int
    false_positive: Rate
    power: Rate
    needed: int | None = None

    @property
    def holds(self) -> bool:
        """Whether the upper end of the false-positive rate's interval is under the bound."""
        return self.false_positive.ci[1] < LARGEST_FALSE_POSITIVE

    @property
    def standing(self) -> str:
        """The same in words; with too few draws the interval may hold the bound, and nothing is
        shown.
        """
        return (
            "yes"
            if self.holds
            else "no"
            if self.false_positive.ci[0] > LARGEST_FALSE_POSITIVE
            else "not shown"
        )
