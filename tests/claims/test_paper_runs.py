"""The Runs of the paper tier are those of ``paper_runs.json``: work on the smoke tier changes none.

``python tests/claims/test_paper_runs.py`` writes the table, after the paper tier was meant to
change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from omnigrok.run import Run
from omnigrok.suite.schema import Scale
from omnigrok.suite.suite import Setting, Suite, load_suite

TABLE = Path(__file__).with_name("paper_runs.json")
ROOT = Path(__file__).parents[2]


def digest(runs: Iterable[Run]) -> str:
    """16 hex digits over the Runs' digests, in any order."""
    text = "\n".join(sorted(run.digest for run in runs))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def table(suite: Suite) -> dict[str, str]:
    """Number and digest of the Runs of each experiment, under each protocol that reads it, at each
    scale.
    """
    found = {}
    for figure in suite.figures:
        for name in figure.experiments:
            full_name = f"{figure.figure}:{name}"
            for protocol in suite.protocols_of(full_name):
                for scale in get_args(Scale):
                    runs = suite.runs(full_name, Setting("paper", protocol, scale))
                    found[f"{full_name} {protocol} {scale}"] = f"{len(runs)} {digest(runs)}"
    return found


def test_the_paper_tier_trains_the_same_runs() -> None:
    assert table(load_suite(ROOT / "claims")) == json.loads(TABLE.read_text())


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(load_suite(ROOT / "claims")), indent=1) + "\n")
