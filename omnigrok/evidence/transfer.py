"""Results of evidence files in a run store, marked for good as imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omnigrok.evidence.layout import Result
from omnigrok.evidence.reading import EvidenceFile, read
from omnigrok.run import Run
from omnigrok.store.store import Store

IMPORTED = "imported"  # in the provenance of Curves


def import_into(store: Store, path: Path) -> int:
    """Record the results of an evidence file in a store, under the environments they were trained
    in; how many are new.

    Their provenance says from which file, with its SHA-256, they came: in every table and export
    they stay told from what was trained here.

    Raises:
        EvidenceError: the file is damaged.
        StoreError: the store cannot be written; it is as before.
    """
    file = read(path)
    return len(store.adopt(_marked(file, run) for run in file))


def _marked(file: EvidenceFile, run: Run) -> Result:
    curves, environment = file[run]
    origin = {"file": file.path.name, "sha256": file.sha256}
    return replace(curves, provenance={IMPORTED: origin, **curves.provenance}), environment


def unmarked(result: Result) -> Result:
    """A result without the mark that it was imported."""
    curves, environment = result
    provenance = {key: value for key, value in curves.provenance.items() if key != IMPORTED}
    return replace(curves, provenance=provenance), environment
