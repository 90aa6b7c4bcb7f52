"""The table of short trajectories that says what a Run's numbers mean: every family under every
constraint.

``python tests/training/trajectories/trajectory_table.py`` writes ``table.json`` again. An entry
whose versions have not been raised is kept as it stands, and the command refuses where its numbers
are others now.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omnigrok.curves import Curves
from omnigrok.run import CONSTRAINTS, Run, freeze
from omnigrok.training import train
from omnigrok.training.identity import versions

TABLE = Path(__file__).with_name("table.json")
STEPS = {"float64": 50, "float32": 20}
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
# Float32 draws and labels may differ in their last bits on another kind of processor: a float64
# trajectory that starts so far off is held to float32's tolerance.
ROUNDED_START = 1e-6
# Digits kept: enough for the tolerance, and for a diff that can be read.
DIGITS = {"float64": 13, "float32": 8}
REGENERATE = "write the table again: python tests/training/trajectories/trajectory_table.py"
REMEDY = (
    "If nothing was meant to change, the code is at fault. If it was: raise VERSION in "
    "omnigrok/training/version.py, or in the "
    f"data or model module that changed, add a line that says what changed, and {REGENERATE}"
)


@dataclass(frozen=True)
class Family:
    """A data set with an architecture, small.

    Args:
        run: the first replica.
        second: what the second replica of the stack has instead: ragged batches, decay, drops of
            the learning rate.
        published: what the constraints of the published code have instead: its own options.
        shuffles: whether the data set has shuffled labels; ``tangent`` trains on them.
    """

    run: Run
    second: Mapping[str, Any]
    published: Mapping[str, Any]
    shuffles: bool = False


def _run(
    task: str,
    model: str,
    n_train: int,
    lr: float,
    data: Mapping[str, Any],
    network: Mapping[str, Any],
    **more: Any,
) -> Run:
    fields = {"seed": 0, "steps": 1, "log_ratio": 1.0, **more}
    return Run(
        task=task,
        model=model,
        n_train=n_train,
        lr=lr,
        data=freeze(data),
        network=freeze(network),
        **fields,
    )


IMAGES = {"source": "bundled", "n_test": 12}
FIRST_IMAGES = {**IMAGES, "subset": "first"}
PIXELS = {"widths": (784, 12, 10), "activation": "relu"}
REVIEWS = {"source": "bundled", "n_test": 10, "length": 24, "vocabulary": 60}
DROPS = {"lr_drops": (5, 12), "lr_factor": 0.5}

FAMILIES = {
    "teacher_student mlp": Family(
        _run(
            "teacher_student",
            "mlp",
            12,
            3e-3,
            {"n_test": 10},
            {"widths": (5, 8, 8, 5), "activation": "tanh"},
        ),
        {"alpha": 2.0, "weight_decay": 0.3, **DROPS},
        {"data": {"n_test": 8}},
    ),
    "mnist mlp mse": Family(
        _run("mnist", "mlp", 40, 1e-3, IMAGES, PIXELS, batch_size=16, clip=0.05),
        {"n_train": 28, "alpha": 3.0, "weight_decay": 0.3, **DROPS},
        {"data": FIRST_IMAGES, "eval_samples": 9, "clip": 0.0, "loss_precision": "float64"},
        shuffles=True,
    ),
    "mnist mlp cross_entropy": Family(
        _run("mnist", "mlp", 40, 1e-3, IMAGES, PIXELS, batch_size=16, loss="cross_entropy"),
        {"n_train": 28, "alpha": 2.0, "weight_decay": 0.3},
        {"data": FIRST_IMAGES, "clip": 0.5},
        shuffles=True,
    ),
    "mnist_representation messy_mlp": Family(
        _run(
            "mnist_representation",
            "messy_mlp",
            30,
            1e-3,
            IMAGES,
            PIXELS,
            batch_size=16,
            messiness=0.5,
        ),
        {"n_train": 20, "alpha": 2.0, "messiness": 0.9, "weight_decay": 0.1},
        {"data": FIRST_IMAGES, "network": {**PIXELS, "template": "linspace"}, "eval_samples": 9},
    ),
    "addition decoder": Family(
        _run(
            "addition",
            "decoder",
            45,
            1e-3,
            {"representation": "scalar"},
            {"hidden": (16, 16), "activation": "relu"},
        ),
        {"alpha": 2.0, "messiness": 0.1, "weight_decay": 0.5, **DROPS},
        {
            "data": {"representation": "planar", "labels": "modular", "unseen": True},
            "network": {"hidden": (16, 16), "activation": "leaky_relu_0.2"},
        },
    ),
    "modular transformer": Family(
        _run(
            "modular",
            "transformer",
            30,
            1e-3,
            {"p": 7},
            {"d_model": 16, "n_heads": 4, "d_mlp": 24},
            loss="cross_entropy",
            loss_precision="float64",
            betas=(0.9, 0.98),
        ),
        {"alpha": 0.8, "weight_decay": 1.0, **DROPS},
        {},
        shuffles=True,
    ),
    "imdb lstm": Family(
        _run(
            "imdb",
            "lstm",
            15,
            1e-3,
            REVIEWS,
            {"embedding": 8, "hidden": 8},
            batch_size=6,
            loss="binary_cross_entropy",
        ),
        {"n_train": 10, "alpha": 2.0, "weight_decay": 0.5, "seed": 1},
        {
            "data": {**REVIEWS, "sampling": "first", "stop_words": "drop", "digits": "drop"},
            "network": {"embedding": 8, "hidden": 8, "carry": True},
            "clip": 0.5,
        },
        shuffles=True,
    ),
    "qm9 nnconv": Family(
        _run(
            "qm9",
            "nnconv",
            20,
            1e-3,
            {"n_test": 8},
            {"widths": (11, 6, 4), "edge_hidden": 5, "head_hidden": 0},
            batch_size=8,
        ),
        {"alpha": 1.5, "weight_decay": 0.3, **DROPS},
        {
            "data": {"subset": "first", "n_test": 8},
            "network": {"widths": (11, 6, 4), "edge_hidden": 5, "head_hidden": 6},
        },
        shuffles=True,
    ),
    "qm9 graph_conv": Family(
        _run("qm9", "graph_conv", 20, 1e-3, {"n_test": 8}, {"widths": (11, 8, 6)}, batch_size=8),
        {"alpha": 1.5, "weight_decay": 0.3},
        {
            "data": {"subset": "first", "n_test": 8},
            "network": {"widths": (11, 8, 6), "edge_weight": "order"},
        },
        shuffles=True,
    ),
}


def stack_of(family: str, constraint: str, precision: str) -> list[Run]:
    """The Runs of one entry of the table; they train as one stack."""
    settings = FAMILIES[family]
    changes: dict[str, Any] = {
        "constraint": constraint,
        "precision": precision,
        "steps": STEPS[precision],
    }
    if constraint in ("published", "rescale_double"):
        changes |= settings.published
    if constraint == "tangent" and settings.shuffles:
        changes["data"] = {**dict(settings.run.data), "shuffle_labels": True}
    for name in ("data", "network"):
        if name in changes:
            changes[name] = freeze(changes[name])
    first = settings.run.replace(**changes)
    return [first, first.replace(**{"seed": 3, **settings.second})]


def entries(family: str) -> Iterator[tuple[str, list[Run]]]:
    """Name and Runs of every entry of a family: constraints x precisions."""
    for constraint in CONSTRAINTS:
        for precision in STEPS:
            yield f"{family}, {constraint}, {precision}", stack_of(family, constraint, precision)


def as_entry(trained: Sequence[Curves]) -> dict[str, Any]:
    """Curves of one stack as they stand in the table."""
    run = trained[0].run
    digits = DIGITS[run.precision]
    return {
        "versions": ", ".join(f"{name} {number}" for name, number in versions(run).items()),
        "step": trained[0].step.tolist(),
        **{
            name: [[float(f"{value:.{digits}g}") for value in curves[name]] for curves in trained]
            for name in sorted(trained[0].columns)
        },
    }


def difference(trained: Sequence[Curves], entry: Mapping[str, Any]) -> str | None:
    """Where Curves part from an entry of the table, in words; None where they agree within the
    tolerance of their precision.
    """
    run = trained[0].run
    if trained[0].step.tolist() != entry["step"]:
        return f"it logs the steps {trained[0].step.tolist()}, in the table {entry['step']}"
    columns = sorted(set(entry) - {"versions", "step"})
    if sorted(trained[0].columns) != columns:
        return f"it logs {', '.join(sorted(trained[0].columns))}, in the table {', '.join(columns)}"
    tolerance = TOLERANCE["float32" if starts_rounded(trained, entry) else run.precision]
    for name in columns:
        for row, (curves, old) in enumerate(zip(trained, entry[name], strict=True)):
            then, now = np.asarray(old), curves[name]
            gap = np.abs(now - then)
            apart = ~(gap <= tolerance * np.abs(then))
            if apart.any():
                at = int(apart.argmax())
                return (
                    f"replica {row}: {name} at step {curves.step[at]} is {now[at]:.13g}, in the "
                    f"table {then[at]:.13g} (relative difference "
                    f"{gap[at] / max(abs(then[at]), 1e-300):.1e}, accepted {tolerance:g})"
                )
    return None


def starts_rounded(trained: Sequence[Curves], entry: Mapping[str, Any]) -> bool:
    """Whether losses and norms start within float32's rounding of the table's, and not within
    float64's tolerance.
    """
    names = [
        name
        for name in trained[0].columns
        if name.endswith("loss") or name.startswith("weight_norm")
    ]
    then = np.array([[row[0] for row in entry[name]] for name in names])
    now = np.array([[curves[name][0] for curves in trained] for name in names])
    gap = float((np.abs(now - then) / np.abs(then)).max())
    return TOLERANCE["float64"] < gap <= ROUNDED_START


def load() -> dict[str, dict[str, Any]]:
    """The table: entries by name."""
    return dict(json.loads(TABLE.read_text()))


def dump(table: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as JSON, a column of a replica on a line."""
    blocks = []
    for name, entry in table.items():
        fields = []
        for key, value in entry.items():
            if isinstance(value, list) and isinstance(value[0], list):
                rows = ",\n   ".join(json.dumps(row, separators=(",", ":")) for row in value)
                fields.append(f"  {json.dumps(key)}: [\n   {rows}]")
            else:
                fields.append(f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}")
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(fields) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def renewed(old: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The table for today's versions; entries of unchanged versions are kept.

    Raises:
        SystemExit: such an entry has other numbers now.
    """
    new: dict[str, dict[str, Any]] = {}
    for family in FAMILIES:
        for name, runs in entries(family):
            trained = train(runs)
            new[name] = as_entry(trained)
            if name in old and old[name]["versions"] == new[name]["versions"]:
                found = difference(trained, old[name])
                if found:
                    raise SystemExit(
                        f"{name} ({old[name]['versions']}): {found}. {REMEDY}. Nothing was written."
                    )
                new[name] = dict(old[name])
    return new


if __name__ == "__main__":
    os.environ["OMNIGROK_COMPILE"] = "0"
    TABLE.write_text(dump(renewed(load() if TABLE.exists() else {})))
    sys.stdout.write(f"{TABLE}: {TABLE.stat().st_size / 1024:.0f} KiB\n")
