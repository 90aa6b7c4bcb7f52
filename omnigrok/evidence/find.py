"""The recorded evidence next to the claims: which curves there are for an experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omnigrok.errors import EvidenceError
from omnigrok.evidence.layout import SUFFIX, Result
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.run import Run
from omnigrok.store.store import Environment

FOLDER = "evidence"


@lru_cache(maxsize=8)
def _read(path: Path) -> EvidenceFile:
    return read(path)


def recorded(
    folder: Path, experiment: str, protocol: str, runs: tuple[Run, ...]
) -> dict[Run, Result] | None:
    """The recorded curves of an experiment's Runs; None where there is no evidence of it.

    Raises:
        EvidenceError: the file is damaged, or lacks a run of the experiment.
    """
    file = _file(folder, experiment, protocol)
    if file is None:
        return None
    missing = [run for run in runs if run not in file]
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
    wanted = set(runs)
    found = {run: file[run] for run in file if run in wanted}  # each part is decoded once
    return {run: found[run] for run in runs}


def holds(
    folder: Path, experiment: str, protocol: str, wanted: tuple[Run, ...], rather: tuple[Run, ...]
) -> bool:
    """Whether the recorded evidence of an experiment has all Runs ``wanted``, and not all of those
    that one would ``rather`` have.
    """
    file = _file(folder, experiment, protocol)
    if file is None:
        return False
    return all(run in file for run in wanted) and not all(run in file for run in rather)


def evidence_of(
    folder: Path, experiment: str, protocol: str, runs: tuple[Run, ...]
) -> dict[Run, Environment]:
    """Those Runs of an experiment that its recorded evidence holds, and where they were trained.

    Raises:
        EvidenceError: the file is damaged.
    """
    file = _file(folder, experiment, protocol)
    if file is None:
        return {}
    return {run: file.entries[run].environment for run in runs if run in file}


def meta_of(folder: Path, experiment: str, protocol: str) -> Mapping[str, Any] | None:
    """What the exporter of an experiment's evidence has added; None where there is no evidence.

    Raises:
        EvidenceError: the file is damaged.
    """
    file = _file(folder, experiment, protocol)
    return None if file is None else file.meta


def files_digest(folder: Path, experiments: Iterable[str], protocol: str) -> str:
    """16 hex digits over the names and bytes of the evidence files of ``figure:name`` experiments;
    "" where there is none. Nothing in them is read as evidence.

    Raises:
        EvidenceError: a file cannot be read.
    """
    paths = sorted({path_of(folder / FOLDER, each, protocol) for each in experiments})
    found = [f"{path.name} {_bytes_digest(path)}" for path in paths if path.exists()]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16] if found else ""


def _bytes_digest(path: Path) -> str:
    try:
        status = path.stat()
        return _digest_of(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error}") from error


@lru_cache(maxsize=1024)
def _digest_of(path: Path, size: int, changed: int) -> str:
    """Several claims read one file: it is hashed once as long as it stays."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_of(folder: Path, experiment: str, protocol: str) -> Path:
    """The evidence file of ``figure:experiment`` under a protocol, in a folder of such files."""
    return folder / f"{experiment.replace(':', '.')}.{protocol}{SUFFIX}"


def _file(folder: Path, experiment: str, protocol: str) -> EvidenceFile | None:
    path = path_of(folder / FOLDER, experiment, protocol)
    return _read(path) if path.exists() else None
