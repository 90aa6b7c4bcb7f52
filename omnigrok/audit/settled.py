"""Whether what a check reads off runs at constant weight norm has settled, and where it would be if
it moved on.

A reduced loss (Eq. 1) is a minimum over the sphere. A run that still moves when it ends has not
found it, so a verdict on such runs is judged a second time, at the values that they are heading
for.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.run import Run

Array = NDArray[np.float64]

# Medians over the two last halvings of a run that differ by less have settled.
RELATIVE = 0.05
# The same as a share of the column's range: 1 for an accuracy, that of the curve over alpha for a
# loss.
RESOLUTION = 0.01
# A run must have at least this share of the paper's steps.
LEAST_STEPS = 0.25
# The second judgement adds this many times the last change.
FURTHER = 2.0


class Watched(Mapping[str, Array]):
    """The columns of one run, noting which are read; ``items`` notes nothing.

    Args:
        columns: name to (T,) values.
        read: where the names go.
    """

    def __init__(self, columns: Mapping[str, Array], read: set[str]) -> None:
        self._columns, self._read = columns, read

    def __getitem__(self, name: str) -> Array:
        self._read.add(name)
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def items(self) -> ItemsView[str, Array]:
        """The columns without noting them."""
        return self._columns.items()


def is_accuracy(column: str) -> bool:
    """Whether a column holds a share of right answers, from 0 to 1."""
    return "_acc" in column


def last_change(step: NDArray[np.int64], values: Array) -> tuple[float, float]:
    """Medians of what was logged over (T/4, T/2] and over (T/2, T], T being the last step.

    Where nothing was logged in the earlier part, the last value before it stands for it.
    """
    end = float(step[-1])
    late = values[step > end / 2]
    early = values[(step > end / 4) & (step <= end / 2)]
    if not early.size:
        early = values[step <= end / 2][-1:]
    return float(np.median(early)), float(np.median(late))


@dataclass(frozen=True)
class Settling:
    """The runs of one experiment, some of them at constant weight norm.

    Args:
        curves: by Run.
        paper_steps: the optimiser steps of each Run at the paper's full scale.
    """

    curves: Mapping[Run, Curves]
    paper_steps: Mapping[Run, int]
    read: dict[Run, set[str]] = field(default_factory=dict, repr=False)

    def watched(self) -> dict[Run, Curves]:
        """The same curves, noting which columns of which constrained runs a check reads."""
        found = {}
        for run, each in self.curves.items():
            if run.constraint == "free" or each.diverged:
                found[run] = each
            else:
                columns = self.read.setdefault(run, set())
                found[run] = replace(each, columns=Watched(each.columns, columns))
        return found

    @property
    def cells(self) -> int:
        """Constrained runs that were read."""
        return sum(bool(columns) for columns in self.read.values())

    def moving(self) -> dict[Run, Set[str]]:
        """The columns that were read and have not settled, by Run."""
        found: dict[Run, Set[str]] = {}
        for run, columns in self.read.items():
            loose = {name for name in columns if not self.has_settled(run, name)}
            if loose:
                found[run] = loose
        return found

    def has_settled(self, run: Run, column: str) -> bool:
        """Whether one column of one run has settled."""
        each = self.curves[run]
        ended_early = (
            each.step[-1] < run.steps
        )  # by its own rule: its accuracies had stayed where they were
        if not ended_early and each.step[-1] < LEAST_STEPS * self.paper_steps.get(run, run.steps):
            return False
        early, late = last_change(each.step, each.columns[column])
        change = abs(late - early)
        if not np.isfinite(change):
            return False
        return change < RELATIVE * max(abs(late), abs(early)) or change <= RESOLUTION * self._range(
            run, column
        )

    def further(self) -> dict[Run, Curves]:
        """All curves; what was read and has not settled ends at its value plus twice its last
        change.

        The second half of the run is bent linearly towards that value, which is clipped to the
        column's range.
        """
        moved = dict(self.curves)
        for run, columns in self.moving().items():
            each = self.curves[run]
            bent = {name: self._bent(each, name) for name in columns}
            moved[run] = replace(each, columns={**dict(each.columns.items()), **bent})
        return moved

    def _bent(self, each: Curves, column: str) -> Array:
        values = each.columns[column]
        early, late = last_change(each.step, values)
        end = float(each.step[-1])
        ramp = np.clip((each.step - end / 2) / (end / 2), 0.0, 1.0)
        low, high = self._limits(column)
        return np.asarray(
            np.where(ramp > 0, np.clip(values + FURTHER * (late - early) * ramp, low, high), values)
        )

    def _limits(self, column: str) -> tuple[float, float]:
        """0 and 1 for an accuracy; from the smallest value that any run has logged on for
        everything else.
        """
        if is_accuracy(column):
            return 0.0, 1.0
        if column not in self._smallest:
            every = [
                each.columns[column] for each in self.curves.values() if column in each.columns
            ]
            self._smallest[column] = min(
                float(np.nanmin(values)) for values in every if np.isfinite(values).any()
            )
        return self._smallest[column], np.inf

    @cached_property
    def _smallest(self) -> dict[str, float]:
        return {}

    def _range(self, run: Run, column: str) -> float:
        """1 for an accuracy. For a loss the range of the curve over alpha that the run belongs to.

        A loss above that of the smallest scale, where a network is close to predicting nothing,
        counts as that. A curve of one scale has the range that it was logged over.
        """
        if is_accuracy(column):
            return 1.0
        key = (_without_alpha(run), column)
        if key not in self._ranges:
            members = sorted(
                (each for each in self._arms[key[0]] if each.alpha > 0), key=lambda each: each.alpha
            )
            if len(members) > 1:
                last = np.array([self.curves[each].columns[column][-1] for each in members])
                last = last[np.isfinite(last)]
            else:
                last = self.curves[run].columns[column]
                last = last[np.isfinite(last)]
            self._ranges[key] = float(last[0] - last.min()) if last.size else 0.0
        return self._ranges[key]

    @cached_property
    def _ranges(self) -> dict[tuple[tuple[object, ...], str], float]:
        return {}

    @cached_property
    def _arms(self) -> dict[tuple[object, ...], list[Run]]:
        arms: dict[tuple[object, ...], list[Run]] = {}
        for run in self.curves:
            arms.setdefault(_without_alpha(run), []).append(run)
        return arms


def _without_alpha(run: Run) -> tuple[object, ...]:
    return (
        run.task,
        run.model,
        run.seed,
        run.n_train,
        run.messiness,
        run.weight_decay,
        run.loss,
        run.constraint,
        run.data,
        run.network,
    )
