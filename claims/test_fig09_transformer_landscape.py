"""Checks of Figure 9: the reduced landscape of the transformer on modular addition (Appendix B)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import Measure, best, final
from omnigrok.data.modular import MODULUS
from omnigrok.stats import Finding, dose_response, l_shape, mean_in_region, u_shape


@claim("fig09.LU")
def test_lu(case: Case) -> None:
    grid = case.grid().between("alpha", *case["range"])
    alphas, split = grid.axis("alpha"), case.number("split" if case.tier == "paper" else "split_smoke")

    def found(measure: Callable[[str], Measure], how: str) -> list[Finding]:
        falls, turns = (grid.table(measure(case[curve]), "alpha") for curve in ("falls", "turns"))
        return [
            *l_shape(f"reduced training loss over alpha ({how})", alphas, falls, split),
            *u_shape(f"reduced test loss over alpha ({how})", alphas, turns, split),
        ]

    case.judge([*found(final, "last step"), *(finding.as_sensitivity() for finding in found(best, "best of the run"))])


def reaches(grid: Grid, sizes: list[int], threshold: float) -> NDArray[np.bool_]:
    """(seeds, sizes): whether at some scale the test accuracy ends at the threshold or above."""
    accuracy = [grid.where(n_train=size).table(final("test_acc"), "alpha").max(axis=1) for size in sizes]
    return np.stack(accuracy, axis=1) >= threshold


@claim("fig09.critical")
def test_critical(case: Case) -> None:
    grid = case.grid(case["arm"])
    sizes = grid.axis("n_train")
    pairs = next(iter(grid.curves)).option("p", MODULUS) ** 2
    fractions = [size / pairs for size in sizes]

    def pooled(threshold: float) -> Finding:
        name = f"training fraction at which one half of the seeds generalise ({threshold:.0%})"
        return dose_response(name, fractions, reaches(grid, sizes, threshold), case.region("fraction"))

    main = pooled(case["threshold"])
    own = [value if 0 < value < math.inf else math.nan for value in main.values]
    case.judge(
        [
            main,
            mean_in_region("the seeds' own critical training fractions", own, case.region("fraction"), log=True),
            *(pooled(level).as_sensitivity() for level in (0.5, 0.8, 0.9)),
        ]
    )
