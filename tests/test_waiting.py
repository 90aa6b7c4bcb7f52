"""Threads that wait sleep, unless the user wants otherwise; torch reads that when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Says what the environment holds when torch is first asked for.
PROBE = """
import importlib, os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            sys.stdout.flush()
            os._exit(0)
sys.meta_path.insert(0, Finder())
importlib.import_module(sys.argv[1])
print("torch was not imported")
"""


@pytest.mark.parametrize("module", ["omnigrok.plugin.plugin", "omnigrok.cli.status"])
@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, "passive"),
        ({"OMP_WAIT_POLICY": "active"}, "active"),
        ({"GOMP_SPINCOUNT": "1000"}, "None"),
    ],
)
def test_the_policy_is_set_before_torch_is_loaded(
    module: str, own: dict[str, str], found: str
) -> None:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    }
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, **own},
    )
    assert done.stdout.strip() == found
