"""The tests of tests/gpu that need no real kernels pass on the simulated card, so that they are not
written blind.

Two families stand for all: ``test_families`` has the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("messy", "addition", "transformer", "lstm", "nnconv", "graph-conv", "tangent")


def test_the_gpu_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-p", "simcuda.plugin", "-n", "0", "-q"]
    chosen = ["-m", "gpu and not slow and not real_card", "-k", f"not ({' or '.join(LEFT_OUT)})"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/simulated_cuda")])
    done = subprocess.run(
        [*command, *chosen, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert "passed" in last
    assert "skipped" not in last, last
