"""What a landscape shows of each run: the reduced loss or error, read as the checks of that figure
read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import best, final, highest
from omnigrok.curves import Curves
from omnigrok.suite.schema import Protocol

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """A number from each run.

    Args:
        what: "loss", or "error" (1 - accuracy).
        best_under: a protocol under which the best logged value of each curve by itself is taken
            instead of the last one.
        reduce: takes the value of a column under a protocol from a run's curves, instead of both.
    """

    what: str = "loss"
    best_under: str = ""
    reduce: Callable[[Curves, str, Protocol], float] | None = None

    def __call__(self, curves: Curves, side: str, protocol: Protocol) -> float:
        """The reduced value of "train" or "test"; NaN where the run diverged."""
        if curves.diverged:
            return float("nan")
        column = f"{side}_{'acc' if self.what == 'error' else 'loss'}"
        if self.reduce is not None:
            value = self.reduce(curves, column, protocol)
        elif protocol == self.best_under:
            value = (highest if self.what == "error" else best)(column)(curves)
        else:
            value = final(column)(curves)
        return 1.0 - value if self.what == "error" else value

    def along_alpha(self, grid: Grid, side: str, protocol: Protocol) -> tuple[Array, Array]:
        """(alphas,) and (seeds, alphas) values, NaN where there is no run."""
        alphas, seeds = grid.axis("alpha"), grid.seeds
        table = np.full((len(seeds), len(alphas)), np.nan)
        for run, curves in grid.curves.items():
            table[seeds.index(run.seed), alphas.index(run.alpha)] = self(curves, side, protocol)
        return np.array(alphas), table

    def over(
        self, grid: Grid, rows: str, side: str, protocol: Protocol
    ) -> tuple[Array, Array, Array]:
        """(rows,) and (alphas,) axes and (seeds, rows, alphas) values, NaN where there is
        no run.
        """
        axis, alphas, seeds = grid.axis(rows), grid.axis("alpha"), grid.seeds
        table = np.full((len(seeds), len(axis), len(alphas)), np.nan)
        for run, curves in grid.curves.items():
            table[
                seeds.index(run.seed), axis.index(getattr(run, rows)), alphas.index(run.alpha)
            ] = self(curves, side, protocol)
        return np.array(axis, dtype=float), np.array(alphas), table

    @property
    def label(self) -> str:
        return f"reduced {self.what}"
