"""Verdicts and numbers in words, as all reports write them."""

from __future__ import annotations

from omnigrok.audit.document import FindingPart, Word

VERDICTS: tuple[Word, ...] = ("REPRODUCED", "REFUTED", "INCONCLUSIVE", "ERROR", "NOT RUN")
# What a control's verdict means: where the sentence is false its check must refute it.
CONTROLS = {
    "REFUTED": "holds",
    "INCONCLUSIVE": "weak",
    "REPRODUCED": "broken",
    "ERROR": "error",
    "NOT RUN": "not run",
}
WITH_EVIDENCE = VERDICTS[:4]
MARKS = {"REPRODUCED": "✓", "REFUTED": "✗", "INCONCLUSIVE": "?", "ERROR": "!", "NOT RUN": "–"}


def number(value: float | None, digits: int = 3) -> str:
    """So many digits; "none" where there is no number."""
    return "none" if value is None else f"{value:.{digits}g}"


def effect_text(finding: FindingPart | None, digits: int = 3) -> str:
    """Estimate with interval, or the range of the seeds in the smoke tier."""
    if finding is None:
        return ""
    if finding.ci is not None and all(bound is None for bound in finding.ci):
        return (
            "no value"
            if finding.estimate is None
            else f"{number(finding.estimate, digits)}, no interval"
        )
    if finding.ci is not None:
        estimate, low, high = (number(value, digits) for value in (finding.estimate, *finding.ci))
        return f"{estimate} [{low}, {high}]"
    values = [value for value in finding.values if value is not None]
    if not values:
        return "no value" if finding.estimate is None else number(finding.estimate, digits)
    return " to ".join(dict.fromkeys(f"{end(values):.3g}" for end in (min, max)))


def duration(seconds: float) -> str:
    """Seconds in a unit that a person reads."""
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


TERMS = {
    "region": "Where the claim says that the effect lies: its criterion, fixed before the runs.",
    "interval": "Where the effect over seeds lies: 95 % confidence, 90 % for claims of equality.",
    "p": "Probability of such data, or more extreme ones, if the effect lay outside the region.",
    "smallest p": "The least p that so few seeds can give.",
    "Holm": "Holm's correction: headline claims are judged as one family, so that a single lucky p "
    "is not enough.",
    "n": "Seeds: independent training runs of the same setting.",
    "censored": "Runs that had not reached the threshold when they ended; nothing is imputed.",
    "control": "The same check on data where the sentence is false; there it must refute.",
    "protocol": "One reading of the paper's settings, such as those of its published code.",
    "reduced scale": "Fewer steps, sizes or seeds than the paper's; marked ~.",
    "readings": "Combinations of choices that the sentence leaves open, each judged by itself.",
    "premise": "What the sentence presupposes; where it is not met the claim stays open.",
    "stale": "Curves of another version of the trainer or of torch, or of another device: marked "
    "with *.",
}
