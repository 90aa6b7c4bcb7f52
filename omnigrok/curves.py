"""Curves are the logged time series of one Run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.errors import BadInput
from omnigrok.run import Run


@dataclass(frozen=True)
class Curves:
    """The logged time series of one Run.

    Args:
        run: the Run that was trained.
        step: (T,) int64, the number of optimiser steps taken at each logged point, rising from 0.
            The last is ``run.steps``, or the step at which the run diverged or stopped early.
        columns: name to (T,) float64: ``train_loss``, ``test_loss``, ``train_acc``, ``test_acc``,
            ``weight_norm`` and what the task adds.
        diverged: the run ended in NaN or infinity before its last step.
        seconds: wall-clock seconds of its share of the stack.
        provenance: torch version, device, precision, the trainer's identity, date, stack size.
    """

    run: Run
    step: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    diverged: bool = False
    seconds: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if values.shape != self.step.shape:
                raise ValueError(
                    f"column {name!r} has shape {values.shape}, the step axis {self.step.shape}"
                )

    @property
    def stopped(self) -> bool:
        """Whether the run ended before ``run.steps`` because it had reached its ``stop_at``."""
        return bool(self.run.stop_at) and not self.diverged and int(self.step[-1]) < self.run.steps

    def whole(self, column: str) -> NDArray[np.float64]:
        """(T,) a column up to ``run.steps``, for a final or an extreme value.

        Raises:
            BadInput: the run stopped early, and what it would have come to is not known.
        """
        if self.stopped:
            raise BadInput(
                f"the run {self.run.digest} stopped at step {self.step[-1]} of {self.run.steps} "
                f"(stop_at: {dict(self.run.stop_at)}): "
                f"its final or extreme {column} is not known; let the experiment go on to its last "
                "step"
            )
        return self[column]

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        if column not in self.columns:
            raise KeyError(
                f"{self.run.task} logs no column {column!r}; it logs "
                f"{', '.join(sorted(self.columns))}"
            )
        return self.columns[column]
