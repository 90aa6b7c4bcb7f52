"""The state of one replica in the middle of a training: what a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
        carried: buffers that the model carries from one batch to the next.
    """

    weights: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]
    held: float
    step: int = 0
    logged: list[int] = field(default_factory=list)
    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    carried: dict[str, NDArray[Any]] = field(default_factory=dict)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for ``omnigrok.store.encode.encode_state``."""
        named = {
            f"column.{name}": np.asarray(values, dtype=np.float64)
            for name, values in self.columns.items()
        }
        named |= {f"carried.{name}": values for name, values in self.carried.items()}
        scalars = np.asarray([self.held, self.seconds], dtype=np.float64)
        logged = np.asarray(self.logged, dtype=np.float64)
        return {
            "weights": self.weights,
            "first": self.first,
            "second": self.second,
            "scalars": scalars,
            "logged": logged,
            **named,
        }

    @classmethod
    def from_arrays(cls, step: int, arrays: dict[str, NDArray[Any]]) -> State:
        """The inverse of ``arrays``."""
        held, seconds = (float(value) for value in arrays["scalars"])
        columns = {
            name.removeprefix("column."): list(map(float, values))
            for name, values in arrays.items()
            if name.startswith("column.")
        }
        carried = {
            name.removeprefix("carried."): values
            for name, values in arrays.items()
            if name.startswith("carried.")
        }
        logged = [int(value) for value in arrays["logged"]]
        return cls(
            arrays["weights"],
            arrays["first"],
            arrays["second"],
            held,
            step,
            logged,
            columns,
            seconds,
            carried,
        )
