"""The recorded evidence beside the claims: which curves there are for an experiment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from omnigrok.errors import EvidenceError
from omnigrok.runs.curves import Curves
from omnigrok.runs.evidence import EvidenceFile, read
from omnigrok.runs.run import Run
from omnigrok.runs.store import Environment

FOLDER = "evidence"


def name_of(experiment: str, protocol: str) -> str:
    """File name, without its ending, of the evidence of ``figure:experiment`` under a protocol."""
    return f"{experiment.replace(':', '.')}.{protocol}"


@lru_cache(maxsize=8)
def _read(path: Path) -> EvidenceFile:
    return read(path)


def recorded(folder: Path, experiment: str, protocol: str, runs: tuple[Run, ...]) -> dict[Run, tuple[Curves, Environment]] | None:
    """The recorded curves of an experiment's Runs; None where there is no evidence of it.

    Raises:
        EvidenceError: the file is damaged, or lacks a run of the experiment.
    """
    path = folder / FOLDER / f"{name_of(experiment, protocol)}.ogev"
    if not path.exists():
        return None
    file = _read(path)
    missing = [run for run in runs if run.digest not in file.curves]
    if missing:
        raise EvidenceError(
            f"{path}: {len(missing)} of {len(runs)} runs of {experiment} under {protocol} are not in it (first: seed {missing[0].seed}, alpha "
            f"{missing[0].alpha:g}); the evidence is incomplete or belongs to other settings: record it again with omnigrok evidence export"
        )
    return {run: (file.curves[run.digest], file.environments[run.digest]) for run in runs}
