"""The curves of one experiment, laid out by seed and by the axes that were swept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.errors import BadInput, Diverged
from omnigrok.run import Run


def value_of(run: Run, name: str) -> Any:
    """What a Run has for an axis: a field, or an option of its data set or network ("data.noise",
    or "noise" alone); None where it has no such option.
    """
    if hasattr(run, name) and name not in ("data", "network"):
        return getattr(run, name)
    return run.option(name.partition(".")[2] or name)


def same(left: Any, right: Any) -> bool:
    """Whether two values of an axis are one: integers exactly, other numbers to 1e-5."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right  # a seed of 100,000 is not the next one
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-5, abs_tol=1e-12)
    return bool(left == right)


def _within(value: float, low: float, high: float) -> bool:
    """Whether low <= value <= high, for numbers that are not integers to 1e-6."""
    slack = 0.0 if isinstance(value, int) else 1e-6
    return low * (1 - slack) <= value <= high * (1 + slack)


class Grid:
    """Curves of one experiment.

    Args:
        name: of the experiment.
        curves: by Run.
        diverging: a diverged run is data (its values are NaN), not an error.
    """

    def __init__(self, name: str, curves: Mapping[Run, Curves], diverging: bool = False) -> None:
        self.name = name
        self.curves = dict(curves)
        self.diverging = diverging
        # Runs by value of a field, filled when asked for: checks pick single runs out of thousands.
        self._by_value: dict[str, dict[Any, dict[Run, None]]] = {}
        self._whole: set[str] = set()  # fields all of whose values are integers
        self._equal_to: dict[tuple[str, type, Any], list[dict[Run, None]]] = {}

    def _index(self, name: str) -> dict[Any, dict[Run, None]]:
        if name not in self._by_value:
            groups: dict[Any, dict[Run, None]] = {}
            for run in self.curves:
                groups.setdefault(value_of(run, name), {})[run] = None
            self._by_value[name] = groups
            if all(isinstance(each, int) for each in groups):
                self._whole.add(name)
        return self._by_value[name]

    def _groups(self, name: str, value: Any) -> list[dict[Run, None]]:
        key = name, type(value), value
        if key not in self._equal_to:
            index = self._index(name)
            if isinstance(value, int) and name in self._whole:  # one of thousands of seeds
                found = [index[value]] if value in index else []
            else:
                found = [group for each, group in index.items() if same(each, value)]
            self._equal_to[key] = found
        return self._equal_to[key]

    def where(self, **values: Any) -> Grid:
        """The part with these values, e.g. ``alpha=2.0``; integers match exactly, other numbers to
        1e-5.

        Raises:
            BadInput: no run matches.
        """
        runs: dict[Run, None] | None = None
        for key, value in values.items():
            groups = self._groups(key, value)
            found = (
                groups[0]
                if len(groups) == 1
                else {run: None for run in self.curves if any(run in group for group in groups)}
            )
            few, many = (found, runs) if runs is None or len(found) < len(runs) else (runs, found)
            runs = found if many is None else {run: None for run in few if run in many}
        kept = self.curves if runs is None else {run: self.curves[run] for run in runs}
        if not kept:
            wanted = ", ".join(f"{key} = {value}" for key, value in values.items())
            raise BadInput(
                f"experiment {self.name} has no run with {wanted}; "
                + "; ".join(f"{key}: {self.axis(key)}" for key in values)
            )
        return Grid(self.name, kept, self.diverging)

    def between(self, name: str, low: float, high: float) -> Grid:
        """The part whose ``name`` lies in [low, high]."""
        inside = [value for value in self.axis(name) if _within(value, low, high)]
        return Grid(
            self.name,
            {run: each for run, each in self.curves.items() if value_of(run, name) in inside},
            self.diverging,
        )

    def axis(self, name: str) -> list[Any]:
        """The values that a field or option takes, sorted."""
        return sorted(self._index(name))

    @property
    def seeds(self) -> list[int]:
        """The seeds, sorted."""
        return self.axis("seed")

    def one(self, seed: int, **values: Any) -> Curves:
        """The only curves with these values.

        Raises:
            BadInput: none or several match.
            Diverged: the run ended in NaN and the experiment does not expect that.
        """
        found = list(self.where(seed=seed, **values).curves.values())
        if len(found) != 1:
            raise BadInput(
                f"experiment {self.name}: {len(found)} runs match seed = {seed}, {values}; name "
                "one more axis"
            )
        if found[0].diverged and not self.diverging:
            raise Diverged(
                f"experiment {self.name}: the run {found[0].run.digest} (seed {seed}, {values}) "
                f"diverged at step {found[0].step[-1]}"
            )
        return found[0]

    def per_seed(self, measure: Callable[[Curves], float], **values: Any) -> NDArray[np.float64]:
        """(seeds,) a number from each seed's curves; NaN for a diverged run where the experiment
        expects those.
        """
        chosen = [self.one(seed, **values) for seed in self.seeds]
        return np.array([float("nan") if curves.diverged else measure(curves) for curves in chosen])

    def table(
        self, measure: Callable[[Curves], float], axis: str, values: Iterable[Any] | None = None
    ) -> NDArray[np.float64]:
        """(seeds, values of ``axis``) a number from each run's curves."""
        chosen = self.axis(axis) if values is None else list(values)
        return np.stack([self.per_seed(measure, **{axis: value}) for value in chosen], axis=1)

    def each(self, **values: Any) -> list[Curves]:
        """The curves of all seeds with these values, in seed order."""
        return [self.one(seed, **values) for seed in self.seeds]
