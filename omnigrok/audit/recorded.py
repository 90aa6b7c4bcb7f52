"""The recorded evidence beside the claims: which curves there are for an experiment."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence.file import EvidenceFile, read
from omnigrok.run import Run
from omnigrok.store.store import Environment
from omnigrok.suite.digests import changes
from omnigrok.suite.schema import Claim

FOLDER = "evidence"


def name_of(experiment: str, protocol: str) -> str:
    """File name, without its ending, of the evidence of ``figure:experiment`` under a protocol."""
    return f"{experiment.replace(':', '.')}.{protocol}"


@lru_cache(maxsize=8)
def _read(path: Path) -> EvidenceFile:
    return read(path)


def recorded(
    folder: Path, experiment: str, protocol: str, runs: tuple[Run, ...]
) -> dict[Run, tuple[Curves, Environment]] | None:
    """The recorded curves of an experiment's Runs; None where there is no evidence of it.

    Raises:
        EvidenceError: the file is damaged, or lacks a run of the experiment.
    """
    file = _file(folder, experiment, protocol)
    if file is None:
        return None
    missing = [run for run in runs if run.digest not in file.curves]
    if missing:
        first = (
            f"seed {missing[0].seed}, alpha {missing[0].alpha:g}, weight decay "
            f"{missing[0].weight_decay:g}"
        )
        raise EvidenceError(
            f"{file.path}: {len(missing)} of {len(runs)} runs of {experiment} under {protocol} are "
            f"not in it (first: {first}); the "
            "evidence is incomplete or belongs to other settings: record it again with omnigrok "
            "evidence export"
        )
    return {run: (file.curves[run.digest], file.environments[run.digest]) for run in runs}


def holds(
    folder: Path, experiment: str, protocol: str, wanted: tuple[Run, ...], rather: tuple[Run, ...]
) -> bool:
    """Whether the recorded evidence of an experiment has all Runs ``wanted``, and not all of those
    that one would ``rather`` have.
    """
    file = _file(folder, experiment, protocol)
    if file is None:
        return False
    return all(run.digest in file.curves for run in wanted) and not all(
        run.digest in file.curves for run in rather
    )


def evidence_of(folder: Path, experiment: str, protocol: str, runs: tuple[Run, ...]) -> set[Run]:
    """Those Runs of an experiment that its recorded evidence holds.

    Raises:
        EvidenceError: the file is damaged.
    """
    file = _file(folder, experiment, protocol)
    return set() if file is None else {run for run in runs if run.digest in file.curves}


def changed_since(
    folder: Path, experiment: str, protocol: str, figure: str, claim: Claim
) -> tuple[str, ...]:
    """Which of a claim's "criterion" and "check" differ from those that stood when its evidence was
    recorded.

    Raises:
        BadInput: the check cannot be read.
        EvidenceError: the file is damaged.
    """
    file = _file(folder, experiment, protocol)
    return () if file is None else changes(file.meta, folder, figure, claim)


def _file(folder: Path, experiment: str, protocol: str) -> EvidenceFile | None:
    path = folder / FOLDER / f"{name_of(experiment, protocol)}.ogev"
    return _read(path) if path.exists() else None
