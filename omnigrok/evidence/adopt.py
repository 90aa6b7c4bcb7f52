"""Evidence that another trainer recorded, taken over for today's versions once a sample of it
has been verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omnigrok.errors import EvidenceError
from omnigrok.evidence.layout import Result
from omnigrok.evidence.listing import Entry
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.verify import Comparison
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.training.identity import identity

# Digests of source by which records were known before there were versions, of the very code that
# the table of trajectories of version 1 was made from (commit 889495a). They say nothing of
# libraries, so QM9 is not among them.
FIRST = {
    ("teacher_student", "mlp"): "a996dea12284d4f3",
    ("mnist", "mlp"): "26b9078eb7aea26f",
    ("mnist_representation", "messy_mlp"): "5f6ffa49e5bf85c0",
    ("addition", "decoder"): "e623fdf85ebdd485",
    ("modular", "transformer"): "2e5bed13bc9f0738",
    ("imdb", "lstm"): "aeba4b235bcde1a4",
}


def is_first(file: EvidenceFile) -> bool:
    """Whether every Run of an evidence file was trained by the code of version 1 itself, and that
    is what it would be trained by today.
    """
    return bool(file) and all(map(_is_first, file.entries.values()))


def _is_first(entry: Entry) -> bool:
    task, model = entry.run.task, entry.run.model
    return (
        FIRST.get((task, model)) == entry.environment.identity
        and identity(entry.run) == f"trainer 1, {task} 1, {model} 1"
    )


def adopt(path: Path, verified: Sequence[Comparison], steps: int, seed: int) -> dict[str, str]:
    """Rewrite the environments of an evidence file: every Run is trained by what ``identity`` says
    today.

    Curves, their provenance, torch and device stay as they were recorded. The file's ``meta`` gets
    an entry in its list ``adopted``: the identities before and after, and why: the Runs verified
    and what was found, column by column, or the file ``is_first``.

    Args:
        path: the file.
        verified: Runs of the file, trained again; may be empty where the file ``is_first``.
        steps: how many of their first steps.
        seed: that drew them.

    Returns:
        The identities before, each with the one that takes its place; empty where the file is up to
        date and was left alone.

    Raises:
        EvidenceError: the file is damaged, nothing was verified, or a Run does not agree; nothing
            was written.
        BadInput: as ``identity``.
    """
    file = read(path)
    failed = [each for each in verified if not each.agrees]
    if failed or not (verified or is_first(file)):
        why = (
            f"{failed[0].worst.name} of run {failed[0].run.digest} differs"
            if failed
            else "no Run was trained again"
        )
        raise EvidenceError(f"evidence {path}: not adopted: {why}")
    results: dict[Run, Result] = {}
    changed: dict[str, str] = {}
    for run, (curves, env) in file.items():
        now = replace(env, identity=identity(run))
        results[run] = curves, now
        if now != env:
            changed[env.identity] = now.identity
    if changed:
        meta = {key: value for key, value in file.meta.items() if key != "date"}
        entry: dict[str, Any] = {"identities": changed, "recorded": file.meta["date"]}
        if verified:
            runs = [each.run.digest for each in verified]
            entry |= {"steps": steps, "seed": seed, "runs": runs, "columns": summary(verified)}
        else:
            entry["why"] = "trained by the code that the table of version 1 was made from"
        write(path, results, meta={**meta, "adopted": [*meta.get("adopted", []), entry]})
    return changed


def summary(verified: Sequence[Comparison]) -> dict[str, dict[str, Any]]:
    """By column, over all Runs: points compared, the largest difference, the largest share of what
    is accepted and the step of it, and the first step from which on drift by rounding was
    accepted."""
    rows: dict[str, dict[str, Any]] = {}
    for name in sorted({column.name for each in verified for column in each.columns}):
        columns = [column for each in verified for column in each.columns if column.name == name]
        worst = max(columns, key=lambda column: column.share)
        drifts = [column.drifts for column in columns if column.drifts is not None]
        rows[name] = {
            "points": sum(column.points for column in columns),
            "difference": float(f"{max(column.difference for column in columns):.2g}"),
            "share": float(f"{worst.share:.2g}"),
            "step": worst.step,
            "drifts": min(drifts, default=None),
        }
    return rows
