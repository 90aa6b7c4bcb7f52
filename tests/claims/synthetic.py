"""Synthetic curves for unit tests of checks: grids of made-up Curves, and the verdict of a check on
them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from controls_seen import note
from omnigrok.audit.case import Case, Role
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted, Outcome
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.suite.schema import Protocol, Scale, Tier, load_figure
from omnigrok.suite.suite import Setting, load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
STEPS = np.unique(np.concatenate(([0], np.geomspace(1, 1e5, 600).astype(int), [100_000])))

Columns = Mapping[str, Any]


def runs(full_name: str, scale: Scale = "full", protocol: Protocol = "paper") -> tuple[Run, ...]:
    """The paper tier's Runs of ``figure:experiment``."""
    return load_suite(CLAIMS).runs(full_name, Setting("paper", protocol, scale))


def load_checks(figure: str) -> ModuleType:
    """The check module of a figure (claims/ is no package)."""
    name = f"claims_under_test_{figure}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, CLAIMS / f"test_{figure}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def curves_of(run: Run, columns: Columns, step: np.ndarray = STEPS) -> Curves:
    """Curves in which a number stands for a constant column."""
    full = {
        name: np.broadcast_to(np.asarray(values, dtype=float), step.shape).copy()
        for name, values in columns.items()
    }
    return Curves(run, step.astype(np.int64), full)


def grid_of(
    name: str,
    runs: Iterable[Run],
    columns: Callable[[Run], Columns],
    step: np.ndarray | None = STEPS,
) -> Grid:
    """A Grid whose curves are a function of the Run; without ``step`` they are logged at its first
    and last step.
    """
    return Grid(
        name,
        {
            run: curves_of(run, columns(run), np.array([0, run.steps]) if step is None else step)
            for run in runs
        },
    )


def sigmoid(
    at: float,
    low: float = 0.0,
    high: float = 1.0,
    sharpness: float = 40.0,
    step: np.ndarray = STEPS,
) -> np.ndarray:
    """A curve that goes from ``low`` to ``high`` at step ``at``, as a logistic in log10 step."""
    return low + (high - low) / (
        1 + np.exp(-np.clip(sharpness * (np.log10(np.maximum(step, 1)) - np.log10(at)), -500, 500))
    )


def judge(
    figure: str,
    claim_id: str,
    check: Callable[[Case], None],
    grids: Mapping[str, Grid],
    role: Role = "claim",
    protocol: Protocol = "paper",
    tier: Tier = "paper",
) -> Outcome:
    """The outcome of a check on made-up grids."""
    entry = load_figure(CLAIMS / f"{figure}.yaml").claim(claim_id)
    case = Case(claim=entry, figure=figure, protocol=protocol, tier=tier, role=role, grids=grids)
    with contextlib.suppress(ClaimRefuted):
        check(case)
    assert case.outcome is not None
    if role == "control":
        note(claim_id, case.outcome)
    return case.outcome
