"""The matrix of planted faults: every fault in every figure that it touches, and the verdicts that
it changes.

python tests/faults/fault_matrix.py FOLDER [FAULT ...]   run them on fresh stores, into FOLDER
python tests/faults/fault_matrix.py FOLDER --record      make matrix.json of what is there

A figure is touched by a fault if it trains a Run that the fault would train otherwise. Every claim
that reads such a Run is judged, without the fault and with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omnigrok.run import Run
from omnigrok.suite.suite import Setting, Suite, load_suite

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = HERE / "matrix.json"
CLEAN = "clean"

# fault: whether a Run is trained otherwise with it.
TOUCHES: dict[str, Callable[[Run], bool]] = {
    "decay_off": lambda run: run.weight_decay > 0,
    "decay_coupled": lambda run: run.weight_decay > 0,
    "projection_off": lambda run: run.constraint != "free",
    "alpha_ignored": lambda run: run.alpha != 1,
    "labels_shuffled": lambda run: True,
    "test_in_train": lambda run: True,
    "seeds_equal": lambda run: True,
    "grid_shifted": lambda run: True,
}
# (fault, figure) where no verdict of the miniatures changes: they are too short for what weight
# decay does there.
UNNOTICED = frozenset(
    {
        ("decay_off", "fig04_imdb"),
        ("decay_off", "fig07_transformer"),
        ("decay_off", "fig11_cross_entropy"),
        ("decay_coupled", "fig04_imdb"),
        ("decay_coupled", "fig07_transformer"),
        ("decay_coupled", "fig11_cross_entropy"),
    }
)
# Planted in torch's step; the native one is compiled.
IN_TORCH = ("decay_coupled", "projection_off")
Verdicts = dict[str, str]


def touched(suite: Suite, fault: str) -> dict[str, tuple[str, ...]]:
    """Figure to those of its claims that read a Run which the fault would train otherwise."""
    setting = Setting("smoke", suite.protocols[0])
    found = {}
    for figure in suite.figures:
        claims = tuple(
            claim.id
            for claim in figure.claims
            if suite.protocols[0] in claim.protocols
            and any(
                TOUCHES[fault](run)
                for name in suite.experiments(figure, claim).values()
                for run in suite.runs(name, setting)
            )
        )
        if claims and figure.experiments:
            found[figure.figure] = claims
    return found


def audit(folder: Path, fault: str, claims: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """The audit document of some claims, by figure, in a process and a store of its own.

    Args:
        fault: one of ``planted.FAULTS``, or ``CLEAN``.
    """
    target = folder / f"{fault}.json"
    environment = {
        **os.environ,
        "OMNIGROK_PLANTED": "" if fault == CLEAN else fault,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]),
    }
    if fault in IN_TORCH:
        environment["OMNIGROK_NATIVE"] = "0"
    wanted = sorted({claim for ids in claims.values() for claim in ids})
    command = [sys.executable, "-m", "pytest", *(f"claims/test_{name}.py" for name in claims)]
    command += ["-q", "-p", "planted", "-p", "no:cacheprovider", "-n", "0"]
    command += ["-k", " or ".join(wanted), "--runs", str(folder / f"{fault}.sqlite")]
    command += ["--audit-json", str(target)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if not target.exists():
        raise RuntimeError(done.stdout + done.stderr)
    return dict(json.loads(target.read_text()))


def verdicts(document: dict[str, Any]) -> Verdicts:
    """Claim to verdict."""
    return {row["id"]: row["verdict"] for row in document["claims"]}


def changed(clean: Verdicts, faulty: Verdicts, claims: tuple[str, ...]) -> dict[str, list[str]]:
    """Claim to its verdict without and with a fault, where they differ."""
    return {
        claim: [clean[claim], faulty[claim]] for claim in claims if clean[claim] != faulty[claim]
    }


def cells(folder: Path) -> dict[str, dict[str, dict[str, list[str]]]]:
    """fault to figure to what it changes there, from the audits of ``folder``."""
    suite = load_suite(ROOT / "claims")

    def read(fault: str) -> Verdicts:
        return verdicts(json.loads((folder / f"{fault}.json").read_text()))

    clean = read(CLEAN)
    return {
        fault: {
            figure: changed(clean, read(fault), claims)
            for figure, claims in touched(suite, fault).items()
        }
        for fault in TOUCHES
    }


def matrix_table(record: dict[str, Any]) -> str:
    """Markdown: one row a figure, one column a fault, the claims whose verdict it changes."""
    faults = list(record["cells"])
    figures = sorted({name for found in record["cells"].values() for name in found})
    lines = ["| figure | " + " | ".join(faults) + " |", "|---|" + "---|" * len(faults)]
    for figure in figures:
        found = [_cell(record["cells"][fault].get(figure)) for fault in faults]
        lines.append(f"| {figure.partition('_')[0]} | {' | '.join(found)} |")
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return "\n".join([*lines, "", f"Recorded on {record['date']} with {versions}."]) + "\n"


def _cell(found: dict[str, list[str]] | None) -> str:
    """Claims that become ERROR as a number, the others by name."""
    if found is None:
        return ""
    errors = sum(faulty == "ERROR" for _, faulty in found.values())
    names = [claim.partition(".")[2] for claim, (_, faulty) in found.items() if faulty != "ERROR"]
    parts = [*names, *([f"{errors} ERROR"] if errors else [])]
    return ", ".join(parts) or "none"


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    suite = load_suite(ROOT / "claims")
    if "--record" in arguments:
        versions = json.loads((folder / f"{CLEAN}.json").read_text())["versions"]
        record = {
            "date": datetime.now(UTC).date().isoformat(),
            "versions": versions,
            "cells": cells(folder),
        }
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        return
    for fault in arguments[1:] or [CLEAN, *TOUCHES]:
        audit(folder, fault, touched(suite, "grid_shifted" if fault == CLEAN else fault))


if __name__ == "__main__":
    main(sys.argv[1:])
