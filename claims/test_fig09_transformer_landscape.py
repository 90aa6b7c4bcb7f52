"""Checks of Figure 9: the reduced landscape of the transformer on modular addition (Appendix B)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import best, final, time_of
from omnigrok.curves import Curves
from omnigrok.data.modular import MODULUS
from omnigrok.stats import dose_response, l_shape, u_shape
from omnigrok.stats.grid_step import mean_between

REDUCTIONS = {"final": (final, "last step"), "best": (best, "best of the run")}


@claim("fig09.LU")
def test_lu(case: Case) -> None:
    grid = case.grid().between("alpha", *case["range"])
    alphas, split = (
        grid.axis("alpha"),
        case.number("split" if case.tier == "paper" else "split_smoke"),
    )
    measure, words = REDUCTIONS[case["reduction"]]
    falls, turns = (grid.table(measure(case[curve]), "alpha") for curve in ("falls", "turns"))
    case.judge(
        [
            *l_shape(f"reduced training loss over alpha ({words})", alphas, falls, split),
            *u_shape(f"reduced test loss over alpha ({words})", alphas, turns, split),
        ]
    )


def reaches(grid: Grid, sizes: list[int], threshold: float) -> NDArray[np.bool_]:
    """(seeds, sizes): whether at some scale the test accuracy arrives at the threshold and stays.

    The runs may end early, once it has stayed there, so no accuracy is read where they end.
    """

    def arrives(curves: Curves) -> float:
        return time_of(curves, "test_acc", threshold).reached

    table = [grid.where(n_train=size).table(arrives, "alpha").max(axis=1) for size in sizes]
    return np.stack(table, axis=1) > 0


def own_bracket(fractions: NDArray[np.float64], row: NDArray[np.bool_]) -> tuple[float, float]:
    """Between which fractions one seed starts to generalise, as many of them failing as do; open to
    -inf and inf where it always or never does."""
    failures = int((~row).sum())
    padded = np.concatenate(([-np.inf], fractions, [np.inf]))
    return float(padded[failures]), float(padded[failures + 1])


@claim("fig09.critical")
def test_critical(case: Case) -> None:
    grid = case.grid(case["arm"])
    sizes = grid.axis("n_train")
    pairs = next(iter(grid.curves)).option("p", MODULUS) ** 2
    fractions = np.array(sizes) / pairs
    flags = reaches(grid, sizes, case["threshold"])
    words, region = f"({case['threshold']:.0%})", case.region("fraction")
    own = np.array([own_bracket(fractions, row) for row in flags])
    case.judge(
        [
            dose_response(
                f"training fraction at which one half of the seeds generalise {words}",
                fractions,
                flags,
                region,
            ).as_lead(),
            mean_between(
                "the seeds' own critical training fractions", own[:, 0], own[:, 1], region
            ),
        ]
    )
