"""Planted faults: with each, claims that are REPRODUCED without it no longer are, or are ERROR, on
a fresh store.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURE = "claims/test_fig02_teacher_student.py"
# fault: the smoke claims that are REPRODUCED without it, and REFUTED or INCONCLUSIVE with it (a
# time that seconds of training no longer reach may come later)
REFUTES = {
    "decay_off": ("fig02.grok", "fig02.large-reg"),
    "decay_coupled": ("fig02.grok", "fig02.large-reg", "fig02.train-flat"),
    "alpha_ignored": ("fig02.grok",),
    "labels_shuffled": ("fig02.grok", "fig02.large-reg"),
}
# fault of bookkeeping: a claim that becomes ERROR, and what the message says
ERRORS = {
    "test_in_train": ("fig02.test-U", "in the training set and in the test set"),
    "seeds_equal": ("fig02.test-U", "the seed was ignored"),
    "grid_shifted": ("fig02.test-U", "not the logging grid"),
    "projection_off": ("fig02.test-U", "its norm was not held"),
}


@lru_cache(maxsize=32)
def audit(folder: Path, fault: str, claims: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """claim to (verdict, reason) of a smoke audit in a process and a store of its own."""
    target = folder / f"{fault or 'clean'}.json"
    # Faults of the step are planted in torch's; the native one is compiled.
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    environment = {
        **os.environ,
        "OMNIGROK_PLANTED": fault,
        "OMNIGROK_NATIVE": "0",
        "PYTHONPATH": path,
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        FIGURE,
        "-q",
        "-p",
        "planted",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
    ]
    command += [
        "-k",
        " or ".join(claims),
        "--runs",
        str(folder / f"{fault or 'clean'}.sqlite"),
        "--audit-json",
        str(target),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert target.exists(), done.stdout + done.stderr
    return {
        row["id"]: (row["verdict"], row["reason"])
        for row in json.loads(target.read_text())["claims"]
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


def check(folder: Path, fault: str, trained: tuple[str, ...]) -> None:
    every = tuple(sorted({claim for claims in REFUTES.values() for claim in claims}))
    clean, broken = audit(folder, "", every), audit(folder, fault, trained)
    for claim in REFUTES[fault]:
        assert clean[claim][0] == "REPRODUCED", clean[claim]
        assert broken[claim][0] in ("REFUTED", "INCONCLUSIVE"), broken[claim]


@pytest.mark.parametrize("fault", REFUTES)
def test_fault_refutes(folder: Path, fault: str) -> None:
    check(folder, fault, REFUTES[fault])


@pytest.mark.slow
@pytest.mark.parametrize("fault", REFUTES)
def test_fault_refutes_with_all_claims_of_the_figure(tmp_path: Path, fault: str) -> None:
    """The whole matrix: claims trained together come to the same verdicts, and no fault makes an
    honest claim of another.
    """
    check(tmp_path, fault, ("fig02",))


@pytest.mark.parametrize("fault", ERRORS)
def test_fault_of_bookkeeping_is_an_error(folder: Path, fault: str) -> None:
    claim, message = ERRORS[fault]
    verdict, reason = audit(folder, fault, (claim,))[claim]
    assert verdict == "ERROR"
    assert message in reason
