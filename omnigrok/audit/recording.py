"""From a run store to evidence files: one file an experiment and protocol, only where every run is
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from omnigrok.audit.recorded import name_of
from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.evidence.file import read, write
from omnigrok.store.encode import encode
from omnigrok.store.store import Environment, Store
from omnigrok.suite.digests import recorded_criteria
from omnigrok.suite.schema import Figure, Scale
from omnigrok.suite.suite import Setting, Suite


def export_experiment(
    store: Store, suite: Suite, figure: Figure, protocol: str | None, target: Path
) -> Iterator[tuple[Path, str]]:
    """Write the evidence of a figure's experiments; yields each file with what was done.

    A file that holds the same results already is left alone: it says under which criteria they were
    recorded.

    Raises:
        StoreError, EvidenceError: a record is damaged or a file cannot be written.
    """
    for name in figure.experiments:
        full_name = f"{figure.figure}:{name}"
        for each in suite.protocols_of(full_name):
            if protocol not in (None, each):
                continue
            path = target / f"{name_of(full_name, each)}.ogev"
            missing = []
            for scale in get_args(Scale):  # the full one first
                runs = suite.runs(full_name, Setting("paper", each, scale))
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
