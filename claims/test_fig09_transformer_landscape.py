"""Checks of Figure 9: the reduced landscape of the transformer on modular addition (Appendix B)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import best, final, time_of
from omnigrok.audit.settled import FURTHER
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


def arrivals(grid: Grid, sizes: list[int], threshold: float) -> NDArray[np.float64]:
    """(seeds, sizes): when the test accuracy arrives at the threshold and stays, at the scale at
    which it does so first, as a share of the planned steps; inf if at none.

    The runs may end early, once it has stayed there, so no accuracy is read where they end.
    """

    def arrives(curves: Curves) -> float:
        time = time_of(curves, "test_acc", threshold)
        return time.value / curves.run.steps if time.reached else np.inf

    table = [grid.where(n_train=size).table(arrives, "alpha").min(axis=1) for size in sizes]
    return np.stack(table, axis=1)


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
    arrived = arrivals(grid, sizes, case["threshold"])
    words, region = f"({case['threshold']:.0%})", case.region("fraction")
    own, half_way = (
        np.array([own_bracket(fractions, row) for row in arrived <= share]) for share in (1.0, 0.5)
    )
    change = np.zeros(len(own))
    # A seed that generalises at every fraction has no lower end that could have moved.
    np.subtract(half_way[:, 0], own[:, 0], out=change, where=np.isfinite(own[:, 0]))
    case.judge(
        [
            dose_response(
                f"training fraction at which one half of the seeds generalise {words}",
                fractions,
                np.isfinite(arrived),
                region,
            ).as_lead(),
            mean_between(
                "the seeds' own critical training fractions", own[:, 0], own[:, 1], region
            ),
            mean_between(
                "the same, moved on by twice what the second half of the steps changed",
                own[:, 0] - FURTHER * change,
                own[:, 1] - FURTHER * change,
                region,
            ),
        ]
    )
