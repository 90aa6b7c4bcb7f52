"""The comparison of cheap arithmetic with float64 as a table, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch

from omnigrok.bench.precision import PrecisionRow
from omnigrok.stats import Verdict
from omnigrok.training.device import describe

HEADINGS = (
    "family",
    "arithmetic",
    "quantity",
    "mean difference [90 %]",
    "margin",
    "largest of a pair",
    "pairs",
    "one alone",
    "seeds",
    "the same",
)
WORDS = {Verdict.REPRODUCED: "yes", Verdict.REFUTED: "no", Verdict.INCONCLUSIVE: "cannot be said"}


def cells(row: PrecisionRow) -> tuple[str, ...]:
    """One row, in the order of ``HEADINGS``."""
    low, high = row.finding.ci or (math.nan, math.nan)
    assert row.finding.region is not None
    return (
        row.sweep,
        row.arithmetic,
        row.quantity,
        f"{row.finding.estimate:.2g} [{low:.2g}, {high:.2g}]",
        f"{row.finding.region.hi:g}",
        f"{row.largest:.2g}",
        str(row.pairs),
        str(row.alone),
        str(row.finding.n),
        WORDS[row.verdict],
    )


def line(row: PrecisionRow) -> str:
    """One row in Markdown."""
    return "| " + " | ".join(cells(row)) + " |"


def recorded(text: str, device: torch.device) -> dict[str, list[str]]:
    """Family to its lines in a table of this device and this torch; a table of others holds
    none.
    """
    if _made(device) not in text:
        return {}
    found: dict[str, list[str]] = {}
    for each in text.splitlines():
        family = each.split("|")[1].strip() if each.startswith("| ") else ""
        if family not in ("", HEADINGS[0]):
            found.setdefault(family, []).append(each)
    return found


def _made(device: torch.device) -> str:
    return (
        "Made by `omnigrok precision --markdown omnigrok/bench/PRECISION.md` on "
        f"{describe(device)} with torch {torch.__version__}."
    )


def markdown(table: Iterable[str], device: torch.device) -> Iterator[str]:
    """The table from its lines, with what it means."""
    yield "# Cheap arithmetic and float64"
    yield ""
    yield _made(device)
    yield (
        "Each family is trained at about the size of the smoke tier, in float64 with its loss in "
        "float64 and in the cheap arithmetic,"
    )
    yield (
        "from the same seeds. A seed's value is the mean of its pairs' differences, cheap less "
        "exact: of final losses as a share of"
    )
    yield (
        "the range of the curves, of final accuracies, of the logarithm of the times at which "
        "accuracy reaches 95 % for good, and of"
    )
    yield (
        "that of the final weight norm. The same: the 90 % interval of the mean over seeds lies "
        "inside the margin (two one-sided"
    )
    yield (
        "tests at 5 %), and in at most 5 % of the pairs one of the two alone reaches its threshold "
        "or diverges. Margins were fixed"
    )
    yield "before the first comparison."
    yield ""
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|" + "---|" * len(HEADINGS)
    yield from table
