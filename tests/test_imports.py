"""Every module can be imported first: none needs another to have been imported before it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import omnigrok

PACKAGE = Path(omnigrok.__file__).parent
# Packages that scripts and templates of other people's folders are in.
ELSEWHERE = ("template",)
# Imports what takes long and is not of this package, then forks for each module: 250 fresh
# interpreters would take minutes.
NURSERY = """
import importlib, os, sys, traceback
for name in ("torch", "scipy.stats", "scipy.optimize", "pyarrow.parquet", "pydantic", "click",
             "pytest", "yaml", "rich.progress"):
    importlib.import_module(name)
assert not any(name.partition(".")[0] == "omnigrok" for name in sys.modules)
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            print(name, traceback.format_exc(), flush=True)
            os._exit(1)
        os._exit(0)
    os.waitpid(child, 0)
print("end")
"""


def modules() -> list[str]:
    """All of the package, by name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if not set(parts) & set(ELSEWHERE) and parts[-1] != "__main__":
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork: run it on Linux or macOS")
def test_each_module_is_imported_alone() -> None:
    names = modules()
    assert len(names) > 200
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", NURSERY, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("end\n", 0), done.stderr
