"""From a run store to evidence files: one file an experiment and protocol, only where every run is
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from omnigrok.audit.recorded import name_of
from omnigrok.curves import Curves
from omnigrok.errors import BadInput, EvidenceError
from omnigrok.evidence.file import read, write
from omnigrok.store.encode import encode
from omnigrok.store.store import Environment, Store
from omnigrok.suite.digests import recorded_criteria
from omnigrok.suite.experiment import runs_of
from omnigrok.suite.folder import figure_files, id_in_two_files
from omnigrok.suite.schema import Claim, Figure, Protocol, Scale, load_figure


def figures(folder: Path) -> list[Figure]:
    """All figure files of a claims folder, by name.

    Raises:
        BadInput: there is none, one is not valid, or a claim stands in two of them.
    """
    paths = figure_files(folder)
    if not paths:
        raise BadInput(f"{folder}: holds no figure file (NAME.yaml beside test_NAME.py)")
    found = [load_figure(path) for path in paths]
    if problem := id_in_two_files(found):
        raise BadInput(f"{folder}: {problem}")
    return found


def readers(every: Iterable[Figure], figure: Figure, experiment: str) -> list[tuple[Figure, Claim]]:
    """The claims of any figure, each with its figure, that read an experiment of ``figure``, by its
    name or by ``figure:name``.
    """
    full = f"{figure.figure}:{experiment}"
    return [
        (each, claim)
        for each in every
        for claim in each.claims
        if full in claim.experiments
        or (each.figure == figure.figure and experiment in claim.experiments)
    ]


def protocols_of(figure: Figure, experiment: str, every: Iterable[Figure] = ()) -> list[Protocol]:
    """The protocols under which some claim of the figure, or of ``every``, reads the experiment."""
    used = {
        protocol
        for _, claim in readers((figure, *every), figure, experiment)
        for protocol in claim.protocols
    }
    return [protocol for protocol in get_args(Protocol) if protocol in used]


def export_experiment(
    store: Store, folder: Path, figure: Figure, protocol: str | None, target: Path
) -> Iterator[tuple[Path, str]]:
    """Write the evidence of a figure's experiments; yields each file with what was done.

    A file that holds the same results already is left alone: it says under which criteria they were
    recorded.

    Raises:
        StoreError, EvidenceError: a record is damaged or a file cannot be written.
    """
    every = figures(folder)
    for name in figure.experiments:
        for each in protocols_of(figure, name, every):
            if protocol not in (None, each):
                continue
            path = target / f"{name_of(f'{figure.figure}:{name}', each)}.ogev"
            missing = []
            for scale in get_args(Scale):  # the full one first
                runs = runs_of(folder, figure.figure, name, "paper", each, scale)
                found = [store.get_stale(run) for run in runs]
                results = [record for record in found if record is not None]
                if len(results) == len(runs):
                    break
                missing.append(f"{len(results)} of {len(runs)} runs recorded")
            else:
                yield path, f"left out: {' (full), '.join(missing)} (reduced)"
                continue
            if _is_written(path, results):
                yield path, f"as it was, {len(runs)} runs"
                continue
            criteria = recorded_criteria(
                folder, {claim.id: owner for owner, claim in readers(every, figure, name)}
            )
            write(
                path,
                results,
                meta={
                    "experiment": f"{figure.figure}:{name}",
                    "protocol": each,
                    "scale": scale,
                    **criteria,
                },
            )
            size = sum(part.stat().st_size for part in path.parent.glob(path.stem + "*"))
            yield path, f"written, {len(runs)} runs, {size / 1024:.0f} KiB"


def _is_written(path: Path, results: Iterable[tuple[Curves, Environment]]) -> bool:
    """Whether a file holds these very results; a damaged one does not."""
    if not path.exists():
        return False
    try:
        there = read(path)
    except EvidenceError:
        return False
    return {
        digest: (encode(curves), there.environments[digest])
        for digest, curves in there.curves.items()
    } == {curves.run.digest: (encode(curves), env) for curves, env in results}
