"""The state of one replica in the middle of a training: what a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class State:
    """One replica after ``step`` optimiser steps.

    Args:
        weights, first, second: (P,) parameters and AdamW's moments.
        held: the squared norm that the constraint holds.
        step: optimiser steps taken.
        logged: the steps logged so far.
        columns: name to the values logged so far.
        seconds: seconds of training so far (this replica's share).
    """

    weights: NDArray[np.floating]
    first: NDArray[np.floating]
    second: NDArray[np.floating]
    held: float
    step: int = 0
    logged: list[int] = field(default_factory=list)
    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def arrays(self) -> dict[str, NDArray[np.floating]]:
        """Everything as arrays, for ``omnigrok.runs.encode.encode_state``."""
        named = {f"column.{name}": np.asarray(values, dtype=np.float64) for name, values in self.columns.items()}
        scalars = np.asarray([self.held, self.seconds], dtype=np.float64)
        logged = np.asarray(self.logged, dtype=np.float64)
        return {"weights": self.weights, "first": self.first, "second": self.second, "scalars": scalars, "logged": logged, **named}

    @classmethod
    def from_arrays(cls, step: int, arrays: dict[str, NDArray[np.floating]]) -> State:
        """The inverse of ``arrays``."""
        held, seconds = (float(value) for value in arrays["scalars"])
        columns = {name.removeprefix("column."): list(map(float, values)) for name, values in arrays.items() if name.startswith("column.")}
        logged = [int(value) for value in arrays["logged"]]
        return cls(arrays["weights"], arrays["first"], arrays["second"], held, step, logged, columns, seconds)
