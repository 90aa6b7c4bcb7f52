"""The readings that a claim's sentence leaves open, each judged from the same curves: a multiverse,
or specification curve.

References: Steegen et al. 2016 (multiverse analysis), Simonsohn, Simmons and Nelson 2020
(specification curve).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.case import Case, judge_again
from omnigrok.audit.document import FindingPart, UniversesPart, Word
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.sources import libraries, of_package
from omnigrok.cache import Cache
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.stats import Finding
from omnigrok.suite.schema import Claim

AFinding = TypeVar("AFinding", Finding, FindingPart)
Array = NDArray[np.float64]
Check = Callable[[Case], object]
# Beyond this ratio of largest to smallest, estimates that are all above 0 are compared in
# logarithms.
LOG_FROM = 10.0


@dataclass(frozen=True)
class Universe:
    """One combination of readings.

    Args:
        choices: level of each axis, as text.
        verdict: REPRODUCED, REFUTED or INCONCLUSIVE; ERROR where the combination cannot be judged.
        estimate, low, high: of the finding that decided; None if it has no interval.
        reason: of an ERROR.
    """

    choices: Mapping[str, str]
    verdict: Word
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Multiverse:
    """All combinations of a claim's readings, with equal weight, under one protocol."""

    claim: str
    protocol: str
    universes: tuple[Universe, ...]

    def count(self, verdict: str) -> int:
        """How many combinations have a verdict."""
        return sum(each.verdict == verdict for each in self.universes)

    @property
    def without_value(self) -> int:
        """How many combinations are INCONCLUSIVE because they have no estimate and no interval."""
        return self.summary().without_value

    def sorted(self) -> list[Universe]:
        """The specification curve: by estimate, those without one last."""
        return sorted(
            self.universes, key=lambda each: math.inf if each.estimate is None else each.estimate
        )

    def shares(self) -> dict[str, float]:
        """First-order share of the estimates' variance that each axis explains, largest first; {}
        where nothing varies.

        Var(E[estimate | level]) / Var(estimate), a first-order Sobol index: the shares of an
        additive estimate add up to 1. Combinations without an estimate are left out.
        """
        known = [
            (each, each.estimate)
            for each in self.universes
            if each.estimate is not None and math.isfinite(each.estimate)
        ]
        values = np.array([estimate for _, estimate in known], dtype=float)
        if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
            values = np.log(values)
        return first_order([each for each, _ in known], values)

    def verdict_shares(self) -> dict[str, float]:
        """The same of whether a combination is REPRODUCED: which reading decides.

        A verdict can depend on another part of the claim than the estimate that leads.
        """
        held = np.array([each.verdict == "REPRODUCED" for each in self.universes], dtype=float)
        return first_order(self.universes, held)

    def summary(self) -> UniversesPart:
        """What the audit's document keeps."""
        shares = self.shares()
        counts = Counter(each.verdict for each in self.universes)
        return UniversesPart(
            n=len(self.universes),
            reproduced=counts["REPRODUCED"],
            refuted=counts["REFUTED"],
            inconclusive=counts["INCONCLUSIVE"],
            error=counts["ERROR"],
            shares=shares,
            curve=tuple(
                (
                    each.estimate,
                    each.low,
                    each.high,
                    each.verdict,
                    ", ".join(f"{axis} {level}" for axis, level in each.choices.items()),
                )
                for each in self.sorted()
            ),
        )


def first_order(universes: Sequence[Universe], values: Array) -> dict[str, float]:
    """The share of the variance of ``values`` that each axis explains, largest first; {} where
    they do not vary.

    Args:
        values: (universes,).
    """
    total = float(values.var()) if len(values) > 1 else 0.0
    if total <= 1e-24 * max(1.0, float(np.abs(values).max(initial=0.0)) ** 2):
        return {}
    found = {}
    for axis in universes[0].choices:
        levels = np.array([each.choices[axis] for each in universes])
        means = np.array([values[levels == level].mean() for level in levels])
        found[axis] = float(((means - values.mean()) ** 2).mean() / total)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def combinations(claim: Claim) -> list[dict[str, Any]]:
    """Every combination of the levels of a claim's universes; none where it lists none."""
    axes = claim.universes
    if not axes:
        return []
    return [dict(zip(axes, levels, strict=True)) for levels in itertools.product(*axes.values())]


def label(level: Any) -> str:
    """A level as text."""
    if isinstance(level, dict):
        return "/".join(dict.fromkeys(str(value) for value in level.values()))
    if isinstance(level, list):
        return " to ".join(map(label, level))
    return f"{level:g}" if isinstance(level, float) else str(level)


def judge_universes(check: Check, case: Case) -> Multiverse:
    """Judge a claim once for every combination of its readings.

    Args:
        check: of the claim.
        case: its curves; the case itself is left as it is.
    """
    universes = []
    for chosen in combinations(case.claim):
        entry = case.claim.model_copy(update={"quantity": {**case.claim.quantity, **chosen}})
        other = replace(case, claim=entry, outcome=None, verdict_only=True, remark="")
        choices = {axis: label(level) for axis, level in chosen.items()}
        try:
            with contextlib.suppress(ClaimRefuted):
                check(other)
            judge_again(check, other)
        except (OmnigrokError, ValueError) as error:
            universes.append(Universe(choices, "ERROR", reason=str(error)))
            continue
        if other.outcome is None:
            raise BadInput(f"claim {case.claim.id}: its check gave no verdict")
        shown = leading(other.outcome.findings)
        low, high = (
            (None, None)
            if shown is None or shown.ci is None
            else (_number(end) for end in shown.ci)
        )
        estimate = None if shown is None else _number(shown.estimate)
        universes.append(Universe(choices, other.outcome.verdict.value, estimate, low, high))
    return Multiverse(case.claim.id, case.protocol, tuple(universes))


def leading(findings: Sequence[AFinding]) -> AFinding | None:
    """The finding whose estimate stands for a universe: the same in all of them, whatever
    decided.
    """
    deciding = [each for each in findings if each.decides and each.region is not None]
    return next((each for each in deciding if each.leads), deciding[0] if deciding else None)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# What was judged before


def multiverse_of(check: Check, case: Case, check_digest: str, cache: Cache | None) -> Multiverse:
    """``judge_universes``, or what it found before on the same curves, criterion, check and source.

    Args:
        check_digest: of the check's source.
        cache: of earlier results; without one all is judged.
    """
    if cache is None:
        return judge_universes(check, case)
    key = _key(case, check_digest)
    if (held := cache.get(key)) is not None:
        universes = tuple(Universe(**each) for each in held["universes"])
        return Multiverse(held["claim"], held["protocol"], universes)
    found = judge_universes(check, case)
    cache.put(key, asdict(found))
    cache.trim()
    return found


def judge_further(check: Check, case: Case, universes: bool, cache: Cache | None) -> None:
    """What follows a check's own judgement: a second one where runs have not settled and, if it is
    asked for, one for each reading of the sentence.

    Args:
        check: that has judged ``case``.
        universes: whether to judge every reading, of a claim that lists some.
        cache: of ``multiverse_of``.

    Raises:
        ClaimRefuted: as ``judge_again``.
    """
    judge_again(check, case)
    if universes and case.outcome is not None and case.role == "claim" and case.claim.universes:
        found = multiverse_of(check, case, case.digests.get("check", ""), cache)
        case.outcome = replace(case.outcome, universes=found.summary())


def _key(case: Case, check_digest: str) -> str:
    entry = json.dumps(case.claim.model_dump(mode="json"), sort_keys=True)
    parts = [entry, check_digest, case.protocol, case.tier, case.role, of_package().digest]
    parts.append(json.dumps(libraries(), sort_keys=True))
    parts += [f"{name} {curves_digest(grid)}" for name, grid in sorted(case.grids.items())]
    steps = sorted((run.digest, count) for run, count in (case.paper_steps or {}).items())
    parts.append(json.dumps([case.paper_steps is None, steps]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def curves_digest(grid: Grid) -> str:
    """SHA-256 of all curves of an experiment, 32 hex digits."""
    total = hashlib.sha256()
    for run, curves in sorted(grid.curves.items(), key=lambda pair: pair[0].digest):
        total.update(run.digest.encode() + bytes([curves.diverged]))
        total.update(np.ascontiguousarray(curves.step).tobytes())
        for name, values in sorted(curves.columns.items()):
            total.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return total.hexdigest()[:32]
