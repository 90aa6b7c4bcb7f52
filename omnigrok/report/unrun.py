"""What claims without evidence would cost: their Runs at full paper scale, counted from the YAML
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omnigrok.evidence.find import evidence_of
from omnigrok.run import Run
from omnigrok.suite.suite import Setting, Suite
from omnigrok.training.work import step_operations


def cost_rows(suite: Suite, claims: Sequence[str]) -> Iterator[tuple[str, int, int, float]]:
    """(claim, Runs, network-steps, floating-point operations of their matrix products) that are not
    in the recorded evidence.

    Runs that several claims share count for each of them; ``pytest --tier paper --plan`` counts
    them once, and in hours.

    Raises:
        BadInput: a figure file is not valid.
    """
    protocol = suite.protocols[0]
    for figure in suite.figures:
        for claim in figure.claims:
            if claim.id in claims:
                needed: dict[Run, None] = {}
                for full_name in suite.experiments(figure, claim).values():
                    runs = suite.runs(full_name, Setting("paper", protocol))
                    recorded = evidence_of(suite.folder, full_name, protocol, runs)
                    needed.update(dict.fromkeys(run for run in runs if run not in recorded))
                yield (
                    claim.id,
                    len(needed),
                    sum(run.steps for run in needed),
                    sum(run.steps * step_operations(run) for run in needed),
                )


def unrun_table(suite: Suite, claims: Sequence[str]) -> list[str]:
    """Lines of a Markdown table, one a claim."""
    lines = ["| NOT RUN | runs | network-steps | floating-point operations |", "|---|---|---|---|"]
    return lines + [
        f"| {name} | {runs:,} | {steps:,} | {work:.1e} |"
        for name, runs, steps, work in cost_rows(suite, claims)
    ]
