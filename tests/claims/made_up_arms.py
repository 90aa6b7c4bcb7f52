"""Curves with a scatter of their own for the checks of Figures 7, 9 and 10, and what these say of
them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import synthetic
from omnigrok.audit.case import Role
from omnigrok.audit.grid import Grid
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict

STEPS = synthetic.STEPS
Columns = dict[str, Any]
Maker = Callable[[Run], Columns]


def wobble(run: Run, size: float = 0.03) -> float:
    """A factor near 1 that is the run's own."""
    key = [run.seed, run.n_train, round(1e4 * run.alpha), round(1e4 * run.weight_decay)]
    return float(np.exp(size * np.random.default_rng(key).normal()))


def slowness(run: Run, size: float = 0.2) -> float:
    """A factor near 1 that is the seed's own, whatever else the run is."""
    return float(np.exp(size * np.random.default_rng(run.seed + 1000).normal()))


def outcome(
    figure: str,
    claim: str,
    makers: dict[str, Maker],
    role: Role = "claim",
    step: np.ndarray | None = STEPS,
) -> Verdict:
    grids: dict[str, Grid] = {}
    for name, maker in makers.items():
        grids[name] = synthetic.grid_of(
            name,
            synthetic.runs(f"{figure}:{name}"),
            maker,
            step,
        )
    checks = synthetic.load_checks(figure)
    check = getattr(checks, "test_" + claim.split(".")[1].replace("-", "_").lower())
    if role == "control":
        return control(figure, claim, check, grids)
    verdict: Verdict = synthetic.judge(figure, claim, check, grids).verdict
    return verdict


def control(figure: str, claim: str, check: Callable[..., None], grids: dict[str, Grid]) -> Verdict:
    verdict: Verdict = synthetic.judge(figure, claim, check, grids, role="control").verdict
    return verdict
