"""What claims without evidence would cost: their Runs at full paper scale, counted from the YAML
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from omnigrok.audit.recorded import evidence_of
from omnigrok.audit.recording import figures
from omnigrok.run import Run
from omnigrok.suite.experiment import find_experiment, runs_of
from omnigrok.suite.schema import Protocol
from omnigrok.training.work import step_operations

PROTOCOL: Protocol = "paper"


def cost_rows(folder: Path, claims: Sequence[str]) -> Iterator[tuple[str, int, int, float]]:
    """(claim, Runs, network-steps, floating-point operations of their matrix products) that are not
    in the recorded evidence.

    Runs that several claims share count for each of them; ``pytest --tier paper --plan`` counts
    them once, and in hours.

    Raises:
        BadInput: a figure file is not valid.
    """
    for figure in figures(folder):
        for claim in figure.claims:
            if claim.id in claims:
                needed: dict[Run, None] = {}
                for name in claim.experiments:
                    full_name, _ = find_experiment(folder, figure, name)
                    runs = runs_of(folder, figure.figure, name, "paper", PROTOCOL)
                    recorded = evidence_of(folder, full_name, PROTOCOL, runs)
                    needed.update(dict.fromkeys(run for run in runs if run not in recorded))
                yield (
                    claim.id,
                    len(needed),
                    sum(run.steps for run in needed),
                    sum(run.steps * step_operations(run) for run in needed),
                )


def unrun_table(folder: Path, claims: Sequence[str]) -> list[str]:
    """Lines of a Markdown table, one a claim."""
    lines = ["| NOT RUN | runs | network-steps | floating-point operations |", "|---|---|---|---|"]
    return lines + [
        f"| {name} | {runs:,} | {steps:,} | {work:.1e} |"
        for name, runs, steps, work in cost_rows(folder, claims)
    ]
