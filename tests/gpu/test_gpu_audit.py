"""A smoke audit on a GPU, alone and with two workers that share it, ends with verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).parents[2]


@pytest.mark.real_card
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_smoke_audit_of_figure_2(tmp_path: Path, workers: str) -> None:
    audit = tmp_path / "audit.json"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "--gpu",
        "--tier",
        "smoke",
        "-k",
        "fig02",
        "-n",
        workers,
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path / "runs.sqlite"), "--audit-json", str(audit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(audit.read_text())
    assert document["device"] == torch.cuda.get_device_name()
    verdicts = {
        claim["verdict"] for claim in document["claims"] if claim["id"].startswith("fig02.")
    }
    assert "REPRODUCED" in verdicts
    assert verdicts <= {"REPRODUCED", "REFUTED", "INCONCLUSIVE"}
