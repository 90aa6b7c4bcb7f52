"""What was found of the claims that a drawing shows, for its annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omnigrok.audit.document import FindingPart

# By claim; under the protocol that is drawn.
Findings = Mapping[str, Sequence[FindingPart]]


def deciding(findings: Findings, claim: str, words: str) -> FindingPart | None:
    """The finding that decides a claim and has some words in its name; None without a number."""
    return next(
        (
            finding
            for finding in findings.get(claim, ())
            if finding.decides and words in finding.name and finding.estimate is not None
        ),
        None,
    )
