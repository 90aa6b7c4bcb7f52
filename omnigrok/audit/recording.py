"""From a run store to evidence files: one file an experiment and protocol, and where runs are
missing only if that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from omnigrok.errors import BadInput, EvidenceError
from omnigrok.evidence.find import path_of
from omnigrok.evidence.layout import Result, equal
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.evidence.transfer import unmarked
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.suite.digests import recorded_criteria
from omnigrok.suite.schema import Figure, Scale
from omnigrok.suite.suite import Setting, Suite

REFUSED = "refused:"  # begins what is said of a file that was not replaced


def export_experiment(
    store: Store,
    suite: Suite,
    figure: Figure,
    protocol: str | None,
    target: Path,
    partial: bool = False,
    force: bool = False,
) -> Iterator[tuple[Path, str]]:
    """Write the evidence of a figure's experiments; yields each file with what was done.

    A file that holds the same results already is left alone: it says under which criteria they were
    recorded, and that they were not imported where that is so. One of the full scale is not
    replaced by the reduced one. What a file says of its adoption stays as long as some of its
    results do.

    Args:
        partial: where runs are missing, write those that are there, of the scale of which most is
            recorded.
        force: replace the full scale by the reduced one too.

    Raises:
        StoreError, EvidenceError: a record is damaged or a file cannot be written.
    """
    for name in figure.experiments:
        full_name = f"{figure.figure}:{name}"
        for each in suite.protocols_of(full_name):
            if protocol not in (None, each):
                continue
            path = path_of(target, full_name, each)
            found: list[tuple[Scale, int, list[Run]]] = []
            for scale in get_args(Scale):
                wanted = suite.runs(full_name, Setting("paper", each, scale))
                there = store.has_many(wanted, None)
                found.append((scale, len(wanted), [run for run in wanted if run.digest in there]))
            # The first of equals is the full scale.
            scale, asked, runs = max(found, key=lambda entry: len(entry[2]) / entry[1])
            if len(runs) < asked and not (partial and runs):
                counts = (f"{len(have)} of {of} runs recorded ({name})" for name, of, have in found)
                yield path, f"left out: {', '.join(counts)}"
                continue
            results = _Newest(store, runs)
            count = f"{_count(runs, asked)}, {scale} scale"
            older = _older(path)
            same = [] if older is None else [run for run in results if _holds(older, run, results)]
            if older is not None and len(same) == len(older) == len(results):
                yield path, f"as it was, {count}"
                continue
            held = {} if older is None else older.meta
            fuller = (held.get("scale"), scale) == ("full", "reduced")
            if fuller and not force and not set(older or ()) <= set(runs):
                yield path, f"{REFUSED} holds the full scale, and the store the reduced one"
                continue
            criteria = recorded_criteria(
                suite.folder, {claim.id: owner for owner, claim in suite.readers(full_name)}
            )
            write(
                path,
                results,
                meta={
                    "experiment": full_name,
                    "protocol": each,
                    "scale": scale,
                    **criteria,
                    **({"adopted": held["adopted"]} if same and "adopted" in held else {}),
                },
            )
            yield path, f"written, {count}, {path.stat().st_size / 1024:.0f} KiB"


def _count(runs: Sequence[Run], asked: int) -> str:
    return f"{len(runs)} runs" if len(runs) == asked else f"{len(runs)} of {asked} runs"


class _Newest(Mapping[Run, Result]):
    """The newest results of Runs that a store has, read when asked for."""

    def __init__(self, store: Store, runs: Iterable[Run]) -> None:
        self._store, self._runs = store, dict.fromkeys(runs)

    def __getitem__(self, run: Run) -> Result:
        found = self._store.get_stale(run) if run in self._runs else None
        if found is None:
            raise KeyError(run)
        return found

    def __contains__(self, run: object) -> bool:
        return run in self._runs

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)


def _older(path: Path) -> EvidenceFile | None:
    """The file that would be replaced; None without one, or for a damaged one."""
    try:
        return read(path) if path.exists() else None
    except EvidenceError:
        return None


def _holds(older: EvidenceFile, run: Run, results: Mapping[Run, Result]) -> bool:
    """Whether a file has this very result of a Run, or that which it was imported from."""
    if run not in older:
        return False
    try:
        held, found = older[run], results[run]
    except EvidenceError:
        return False
    return equal(held, found) or equal(held, unmarked(found))


def asked_for(suite: Suite, file: EvidenceFile) -> list[Run]:
    """Those Runs of an evidence file that the claims folder itself asks for: nothing else of
    somebody's file is trained.

    Raises:
        BadInput: there is none, or the file names no experiment of the suite.
    """
    name, protocol = (file.meta.get(key) for key in ("experiment", "protocol"))
    home = str(name).partition(":")[0]
    if home not in suite.names or protocol not in suite.protocols:
        raise BadInput(
            f"{file.path}: it is evidence of experiment {name!r:.100} under protocol "
            f"{protocol!r:.100}, and {suite.folder} has no such experiment: name its claims folder "
            "with --claims"
        )
    settings = [Setting("paper", protocol, scale) for scale in get_args(Scale)]
    wanted = {run for setting in settings for run in suite.runs(str(name), setting)}
    found = [run for run in file if run in wanted]
    if not found:
        raise BadInput(f"{file.path}: {name} of {suite.folder} asks for none of its runs")
    return found
