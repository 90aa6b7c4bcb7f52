"""What changed between two audits: verdicts, and effects that really moved.

An effect is compared by the numbers of its seeds: Welch's t test (on logarithms where all numbers
are positive, since ratios and times multiply), or an exact permutation test where one side has no
spread. Two audits of the same seeds on other hardware are paired, and differ by rounding that has
the same sign in every seed: a paired test would call that a change, so the unpaired one is taken,
which then errs on the side of "not moved". Holm's correction runs over all effects that are
compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from omnigrok.audit.document import Audit, FindingPart, Row
from omnigrok.errors import BadInput
from omnigrok.report.matching import aligned, plain_name
from omnigrok.stats.multiplicity import holm
from omnigrok.suite.schema import Protocol

LEVEL = 0.05
RESAMPLES = 9999
PERMUTED_AT_ONCE = 1_000_000  # numbers: some of the splits, so that memory does not grow with all
Key = tuple[str, str]


@dataclass(frozen=True)
class Effect:
    """One deciding finding in both audits.

    Args:
        name: of the finding; of both, with ; between them, where they begin at different sizes.
        p: that the seeds' numbers have one mean; None where a side has under two numbers.
        holm_p: after Holm's correction over all effects of the comparison.
        apart: whether the two intervals are disjoint; None where one is missing.
    """

    name: str
    left: FindingPart
    right: FindingPart
    p: float | None
    apart: bool | None
    holm_p: float | None = None

    @property
    def moved(self) -> bool:
        """Holm-adjusted p <= .05; without seeds' numbers, disjoint intervals."""
        return self.holm_p <= LEVEL if self.holm_p is not None else bool(self.apart)


@dataclass(frozen=True)
class Difference:
    """One claim in both audits, or in one of them (then the other row is None).

    Args:
        alone: deciding findings that the first, and the second, audit has without a counterpart in
            the other.
    """

    id: str
    protocols: tuple[str, str]
    left: Row | None
    right: Row | None
    effects: tuple[Effect, ...] = ()
    alone: tuple[tuple[FindingPart, ...], tuple[FindingPart, ...]] = ((), ())

    @property
    def verdict_changed(self) -> bool:
        return self.left is None or self.right is None or self.left.verdict != self.right.verdict

    @property
    def moved(self) -> tuple[Effect, ...]:
        return tuple(effect for effect in self.effects if effect.moved)

    @property
    def changed(self) -> bool:
        return self.verdict_changed or bool(self.moved) or any(self.alone)


def compare(
    left: Audit,
    right: Audit,
    protocols: tuple[Protocol, Protocol] | None = None,
    common: bool = False,
) -> tuple[Difference, ...]:
    """Every claim of either audit, in the order of its id.

    Args:
        protocols: compare the first audit under the one with the second under the other; None
            compares each protocol with itself.
        common: leave out claims that only one of the audits has.

    Raises:
        BadInput: the tiers differ, so that verdicts follow different rules, or there is nothing to
            compare.
    """
    if left.tier != right.tier:
        raise BadInput(
            f"the audits are of different tiers ({left.tier} and {right.tier}), whose verdicts "
            "follow different rules"
        )
    one, other = (_rows(audit, side, protocols) for side, audit in enumerate((left, right)))
    keys = sorted(one.keys() & other.keys() if common else one.keys() | other.keys())
    if not keys:
        raise BadInput("the audits have no claim to compare under these protocols")
    found = [_difference(key, one.get(key), other.get(key), protocols) for key in keys]
    tested = {
        (place, at): effect.p
        for place, each in enumerate(found)
        for at, effect in enumerate(each.effects)
        if effect.p is not None
    }
    adjusted = holm({str(key): p for key, p in tested.items()}) if tested else {}
    return tuple(_adjusted(each, place, adjusted) for place, each in enumerate(found))


def _rows(audit: Audit, side: int, protocols: tuple[Protocol, Protocol] | None) -> dict[Key, Row]:
    if protocols is None:
        return {(row.id, row.protocol): row for row in audit.claims}
    return {(row.id, ""): row for row in audit.claims if row.protocol == protocols[side]}


def _difference(
    key: Key, left: Row | None, right: Row | None, protocols: tuple[Protocol, Protocol] | None
) -> Difference:
    one, other = (
        [finding for finding in row.findings if finding.decides] if row else []
        for row in (left, right)
    )
    lines = aligned([one, other])
    effects = tuple(
        Effect(
            finding.name
            if plain_name(finding.name) == plain_name(match.name)
            else f"{finding.name}; {match.name}",
            finding,
            match,
            same_mean_p(_numbers(finding), _numbers(match)),
            _apart(finding, match),
        )
        for finding, match in lines
        if finding and match
    )
    alone: tuple[tuple[FindingPart, ...], tuple[FindingPart, ...]] = ((), ())
    if one and other:
        first, second = (
            tuple(each for line in lines if (each := line[side]) and line[1 - side] is None)
            for side in (0, 1)
        )
        alone = first, second
    return Difference(key[0], protocols or (key[1], key[1]), left, right, effects, alone)


def _adjusted(each: Difference, place: int, adjusted: dict[str, float]) -> Difference:
    effects = tuple(
        Effect(
            effect.name,
            effect.left,
            effect.right,
            effect.p,
            effect.apart,
            adjusted.get(str((place, at))),
        )
        for at, effect in enumerate(each.effects)
    )
    return replace(each, effects=effects)


def _numbers(finding: FindingPart) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(
        [value for value in finding.values if value is not None and math.isfinite(value)],
        dtype=float,
    )


def _apart(left: FindingPart, right: FindingPart) -> bool | None:
    ends = [end for finding in (left, right) for end in finding.ci or (None, None)]
    if any(end is None or math.isnan(end) for end in ends):
        return None
    low, high, other_low, other_high = (float(end) for end in ends if end is not None)
    return high < other_low or other_high < low


def same_mean_p(
    left: Sequence[float] | np.ndarray[Any, Any], right: Sequence[float] | np.ndarray[Any, Any]
) -> float | None:
    """Two-sided p that both samples have one mean (of the logarithms where all are positive); None
    with under two numbers on a side.

    Where a side has no spread Welch's variance says nothing about a seed that was not drawn: then
    the permutation test of the difference of means, exact up to 9999 splits, sampled with a fixed
    seed beyond.
    """
    one, other = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if one.size < 2 or other.size < 2:
        return None
    if min(one.min(), other.min()) > 0:
        one, other = np.log(one), np.log(other)
    tiny = 1e-12 * max(np.abs(one).max(), np.abs(other).max(), 1e-300)
    if abs(one.mean() - other.mean()) <= tiny:
        return 1.0
    if np.ptp(one) > tiny and np.ptp(other) > tiny:
        return float(stats.ttest_ind(one, other, equal_var=False).pvalue)
    done = stats.permutation_test(
        (one, other),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, PERMUTED_AT_ONCE // (one.size + other.size)),
        rng=0,
    )
    return float(done.pvalue)


def moved_text(effect: Effect) -> str:
    """Whether an effect moved, and the test that says so."""
    if effect.holm_p is None:
        return {
            True: "moved (intervals apart)",
            False: "not moved (intervals overlap)",
            None: "not tested",
        }[effect.apart]
    return (
        f"{'moved' if effect.moved else 'not moved'} (p = {effect.p:.2g}, Holm {effect.holm_p:.2g})"
    )
