"""Twenty thousand runs, about those of Figure 6's finest grid, are kept, checked and read in
little memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import omnigrok
from omnigrok.evidence import Result
from omnigrok.evidence.writing import write
from omnigrok.run import Run
from omnigrok.store.store import Store

RUNS, POINTS = 20_000, 51
NAMES = [f"column_{number}" for number in range(10)]
MOST = 200  # MB
# Each says how many MB it took more than its imports.
READ = """
file = read(Path(sys.argv[2]))
kept = {run: file[run][0] for run in file}
"""
PROBLEMS = """
with Store(Path(sys.argv[1])) as store:
    kept = store.problems()
assert kept == []
"""
FRAME = """
import json, resource, sys
from pathlib import Path
from omnigrok.evidence.reading import read
from omnigrok.store.store import Store
def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = used()
{}
print(json.dumps([before, used() - before]))
"""


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, results_of: Callable[..., dict[Run, Result]]
) -> Path:
    path = tmp_path_factory.mktemp("many")
    results = {
        run: (replace(curves, columns=dict.fromkeys(NAMES, curves["test_loss"])), environment)
        for run, (curves, environment) in results_of(RUNS, POINTS).items()
    }
    write(path / "many.parquet", results, meta={"experiment": "made:up"})
    with Store(path / "runs.sqlite") as store:
        store.adopt(results.values())
    return path


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory as Linux gives it")
@pytest.mark.parametrize("work", [READ, PROBLEMS], ids=["read", "problems"])
def test_it_takes_little_memory(folder: Path, work: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(omnigrok.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FRAME.format(work), folder / "runs.sqlite", folder / "many.parquet"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    _, more = json.loads(done.stdout)
    assert more < MOST
