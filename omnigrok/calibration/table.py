"""The calibration of detectors and of claims as tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from omnigrok.calibration.rates import (
    COVERAGE_SLACK,
    LARGEST_FALSE_POSITIVE,
    LEAST_POWER,
    ClaimRow,
    Rate,
    TrialRow,
)
from omnigrok.calibration.trial import SEED

HEADINGS = (
    "detector",
    "null",
    "n",
    "draws",
    "false positives",
    "effect",
    "power",
    "n for .9",
    "coverage",
    "holds",
)


def percent(rate: Rate) -> str:
    """12.3 % [11, 14]."""
    low, high = rate.ci
    return f"{100 * rate.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def cells(row: TrialRow) -> tuple[str, ...]:
    """One row, in the order of ``HEADINGS``."""
    trial = row.trial
    needed = "" if row.needed is None else str(row.needed) if row.needed else "more than 50"
    covered = (
        ""
        if row.coverage is None
        else f"{100 * row.coverage.value:.1f} of {100 * trial.level:.0f} %"
    )
    verdict = (
        "no: " + ", ".join(row.problems)
        if row.problems
        else "conservative"
        if row.conservative
        else "yes"
    )
    unit = "" if trial.unit == "seeds" else f" {trial.unit}"
    return (
        trial.detector,
        trial.null,
        f"{trial.seeds}{unit}",
        str(row.false_positive.draws),
        percent(row.false_positive),
        trial.effect,
        f"{100 * row.power.value:.1f} %",
        needed,
        covered,
        verdict,
    )


def markdown(rows: Iterable[TrialRow]) -> Iterator[str]:
    """Lines of the table with what it means."""
    slack = f"{100 * COVERAGE_SLACK:.0f}"
    yield "# Calibration of the detectors"
    yield ""
    bound = f"{100 * LARGEST_FALSE_POSITIVE:.0f} %"
    yield (
        f"Made by `omnigrok calibrate --markdown TABLE.md` (seed {SEED}). A "
        "false positive is REPRODUCED on"
    )
    yield (
        f"the null; the upper end of its 95 % interval must not exceed {bound}. Coverage, of the "
        "first interval on the effect, must reach"
    )
    yield (
        f"the nominal one less {slack} points; *conservative* is more than {slack} points above "
        "it. Where power at the paper tier's n is"
    )
    yield (
        f"under {LEAST_POWER:g} the detector says INCONCLUSIVE too often, and the next column says "
        "how many would do."
    )
    yield ""
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|" + "---|" * len(HEADINGS)
    for row in rows:
        yield "| " + " | ".join(cells(row)) + " |"


CLAIM_HEADINGS = (
    "claim",
    "null",
    "criterion",
    "simulation",
    "n",
    "draws",
    "false positives",
    "effect",
    "power",
    "n for .9",
    "holds",
)


def claim_cells(row: ClaimRow) -> tuple[str, ...]:
    """One claim on one null, in the order of ``CLAIM_HEADINGS``."""
    power = f"{100 * row.power.value:.0f} %"
    needed = "" if row.needed is None else str(row.needed) if row.needed else "not with 50"
    return (
        row.claim,
        row.null,
        row.criterion,
        row.simulation,
        str(row.seeds),
        str(row.false_positive.draws),
        percent(row.false_positive),
        row.effect,
        power,
        needed,
        row.standing,
    )


def claim_line(row: ClaimRow) -> str:
    """One line of the table of claims."""
    return "| " + " | ".join(claim_cells(row)) + " |"


def claim_lines(text: str) -> dict[tuple[str, str], str]:
    """The lines of a table of claims, by claim and null."""
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(f"| {CLAIM_HEADINGS[0]} ")
    ]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {(claim, null): line for (_, claim, null, *_), line in zip(cells, lines, strict=True)}


def power_of(text: str) -> dict[str, str]:
    """The power of each claim's check, with its interval, from a table of claims. Every null of a
    claim has the same.
    """
    column = CLAIM_HEADINGS.index("power") + 1
    return {
        claim: line.split("|")[column].strip() for (claim, _), line in claim_lines(text).items()
    }


def claims_markdown(table: Iterable[str], gaps: Sequence[str]) -> Iterator[str]:
    """The table of claims from its lines, and the claims without a line."""
    yield "# Calibration of the claims' checks"
    yield ""
    yield (
        "Made by `omnigrok calibrate --all-claims --markdown CLAIMS.md` (seed "
        f"{SEED}; or `--claim ID`, a row at a"
    )
    yield "time, with the draws that the row names). Each claim's own check, with the"
    yield (
        "criterion of its YAML entry, reads simulated curves of its own Runs (paper tier: grids, "
        "seeds, steps) under the null it names."
    )
    yield (
        "A false positive is REPRODUCED; the upper end of its 95 % interval must be under "
        f"{100 * LARGEST_FALSE_POSITIVE:.0f} %. Power is"
    )
    yield (
        "over about a tenth of the draws, for the effect in words; where it is under .9 the next "
        "column says how many seeds"
    )
    yield (
        "would do. The criterion's digest is over criterion and nulls, the simulation's over the "
        "source that makes the curves, its"
    )
    yield (
        "constants included: when either changes the row is measured again. A claim that one kind "
        "of curve fits better has a row for each"
    )
    yield "smooth mechanism that its YAML names. Holm's correction, which"
    yield (
        "makes fewer verdicts REPRODUCED, is not applied, and expensive sensitivity rows, which "
        "decide nothing, are left out."
    )
    yield "*Not shown*: the interval holds the bound, more draws would tell."
    yield ""
    yield "| " + " | ".join(CLAIM_HEADINGS) + " |"
    yield "|" + "---|" * len(CLAIM_HEADINGS)
    yield from table
    yield ""
    yield f"Gaps, claims without a row ({len(gaps)}): {', '.join(gaps) or 'none'}."
