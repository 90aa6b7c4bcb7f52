"""When a Run that may end early ends: once its accuracies have held for a fifth of the steps taken.

A time to generalise is the first step after which an accuracy stays at its threshold for 5 % of the
elapsed steps, 10 % where the log is coarse (Sections 3 and 4 read t_train and t_test like that). A
run that waits for a quarter more than that first step has shown it, for every threshold up to its
level.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from omnigrok.errors import BadInput
from omnigrok.run import Run

Values = Sequence[float] | NDArray[np.float64]


def stops_at(run: Run, step: Sequence[int], columns: Mapping[str, Values], point: int) -> bool:
    """Whether the run ends at a logged point: every column of ``stop_at`` is at its level or above
    at each logged step of the last fifth, and at the last one before that fifth begins.

    Args:
        run: never ends early if its ``stop_at`` is empty.
        step: (T,) logged steps, rising from 0; later ones than ``point`` do not count.
        columns: name to (T,) logged values. NaN is below every level.
        point: index of the logged step.

    Raises:
        BadInput: the task logs no column of that name.
    """
    if not run.stop_at:
        return False
    begin = bisect_right(step, 4 * int(step[point]) // 5, hi=point) - 1
    if begin < 0:
        return False
    # Compared as it is recorded, so that a record ends where its own numbers say.
    recorded = np.float64 if run.wide else np.float32
    for name, level in run.stop_at:
        if name not in columns:
            raise BadInput(
                f"Run: stop_at: {run.task} logs no column {name!r}; it logs "
                f"{', '.join(sorted(columns))}"
            )
        if not all(
            float(recorded(columns[name][each])) >= level for each in range(point, begin - 1, -1)
        ):
            return False
    return True


def end_of(run: Run, step: Sequence[int], columns: Mapping[str, Values]) -> int | None:
    """The index of the logged point at which the run ends early; None if nothing logged ends it."""
    if not run.stop_at:
        return None
    return next((point for point in range(len(step)) if stops_at(run, step, columns, point)), None)
