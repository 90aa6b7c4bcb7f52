"""From the YAML of an experiment to the list of Runs that one tier and protocol need."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnigrok.errors import BadInput
from omnigrok.run import LARGEST, Run
from omnigrok.suite.schema import Changes, Experiment, Patch, Protocol, Reduction, Scale, Tier

# The paper's largest grid has 17,640 runs. A file of a few bytes can ask for more than any memory
# holds.
LARGEST_GRID = 100_000


def axis_values(name: str, spec: Any) -> list[Any]:
    """The values of one axis: a list, ``{log: [lo, hi, n]}``, ``{linear: [lo, hi, n]}`` or
    ``{count: n}`` (0 to n - 1).

    Logarithmic grids of whole numbers (``n_train``) are rounded.

    Raises:
        BadInput: the form is none of these, its ends make no such grid, or it has more than
            ``LARGEST_GRID`` values.
    """
    if isinstance(spec, list) and spec:
        return spec
    if isinstance(spec, Mapping) and len(spec) == 1:
        (form, value), *_ = spec.items()
        if form == "count" and _whole(value):
            return list(range(_some(name, value)))
        if (
            form in ("log", "linear")
            and isinstance(value, list)
            and len(value) == 3
            and _whole(value[2])
        ):
            return _spaced(name, form, value[0], value[1], _some(name, value[2]))
    raise BadInput(
        f"sweep: {name}: {_short(spec)} is not accepted; give a list, {{log: [lo, hi, n]}}, "
        "{linear: [lo, hi, n]} or {count: n}, "
        f"with a whole number n from 1 to {LARGEST_GRID}"
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _some(name: str, n: int) -> int:
    if n > LARGEST_GRID:
        raise BadInput(
            f"sweep: {name}: {_short(n)} values are too many; accepted: 1 to {LARGEST_GRID}"
        )
    return n


def _spaced(name: str, form: str, low: Any, high: Any, n: int) -> list[Any]:
    ends = (low, high)
    if not all(
        isinstance(end, int | float) and not isinstance(end, bool) and abs(end) <= LARGEST
        for end in ends
    ):
        raise BadInput(
            f"sweep: {name}: {form} from {_short(low)} to {_short(high)} is not accepted; give two "
            "finite numbers"
        )
    if form == "log" and min(ends) <= 0:
        raise BadInput(
            f"sweep: {name}: log from {low} to {high} is not accepted; give two numbers above 0"
        )
    grid = np.geomspace(low, high, n) if form == "log" else np.linspace(low, high, n)
    if name == "n_train":
        return [round(float(x)) for x in grid]
    # Six digits keep the digest of a Run the same on every machine's libm.
    return [float(f"{x:.6g}") for x in grid]


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        target, _, option = key.partition(".")
        if option:
            merged[target] = {**merged.get(target, {}), option: value}
        elif key in ("data", "network") and isinstance(value, Mapping):
            merged[key] = {**merged.get(key, {}), **value}
        else:
            merged[key] = value
    return merged


def _patches(experiment: Experiment, tier: Tier, protocol: Protocol) -> list[Patch]:
    return [
        experiment,
        *(
            patch
            for patch in (experiment.protocols.get(protocol), experiment.tiers.get(tier))
            if patch
        ),
    ]


def _reductions(experiment: Experiment, tier: Tier, protocol: Protocol) -> list[Reduction]:
    return [patch.reduced for patch in _patches(experiment, tier, protocol) if patch.reduced]


def expand(
    experiment: Experiment, tier: Tier, protocol: Protocol, scale: Scale = "full"
) -> list[Run]:
    """All Runs of an experiment: the product of its axes and points, merged over its base.

    Raises:
        BadInput: a key is not a field of Run, a value is not accepted, or there are more than
            ``LARGEST_GRID`` runs.
    """
    base: dict[str, Any] = {}
    sweep: dict[str, Any] = {}
    points: Sequence[Mapping[str, Any]] = [{}]
    for patch in _patches(experiment, tier, protocol):
        changes: list[Changes] = [patch]
        if patch.reduced and scale == "reduced" and tier == "paper":
            changes.append(patch.reduced)
        for change in changes:
            base = _merge(base, change.base)
            sweep.update(change.sweep)
            points = points if change.points is None else change.points
    names = list(sweep)
    axes = [axis_values(name, sweep[name]) for name in names]
    if (size := math.prod(map(len, axes)) * len(points)) > LARGEST_GRID:
        raise BadInput(
            f"sweep: {' x '.join([*names, 'points'])}: {size} runs are too many; accepted: up to "
            f"{LARGEST_GRID}"
        )
    if len(points) == 1 and _independent(names):
        return _product(base, names, axes, points[0])
    runs: dict[Run, None] = {}
    for values in itertools.product(*axes):
        for point in points:
            runs[
                Run.from_dict(_merge(_merge(base, dict(zip(names, values, strict=True))), point))
            ] = None
    return list(runs)


# Whether a Run accepts one of these depends on the others.
PACE = {"steps", "log_every", "log_ratio"}


def _independent(names: Sequence[str]) -> bool:
    """Whether each axis sets a field of its own, whose values are accepted whatever the others."""
    fields = [name.partition(".")[0] for name in names]
    return len(set(fields)) == len(fields) and len(PACE.intersection(fields)) < 2


def _product(
    base: dict[str, Any], names: Sequence[str], axes: Sequence[list[Any]], point: Mapping[str, Any]
) -> list[Run]:
    """Every combination of independent axes; each value is checked once, in a Run of its own.

    A grid of Figure 6 has 20,000 runs, and checking them one by one takes seconds.
    """
    firsts = {name: axis[0] for name, axis in zip(names, axes, strict=True)}

    def run_with(values: Mapping[str, Any]) -> Run:
        return Run.from_dict(_merge(_merge(base, {**firsts, **values}), point))

    fields = [name.partition(".")[0] for name in names]
    accepted = [
        [getattr(run_with({name: value}), field) for value in axis]
        for name, field, axis in zip(names, fields, axes, strict=True)
    ]
    first = run_with({})
    combinations = dict.fromkeys(itertools.product(*accepted))
    return [first.with_accepted(dict(zip(fields, values, strict=True))) for values in combinations]


def reduction(experiment: Experiment, tier: Tier, protocol: Protocol) -> str:
    """How ``--scale reduced`` reduces an experiment, in the words of its last reduction; "" if
    there is none.
    """
    found = _reductions(experiment, tier, protocol)
    return found[-1].how if found else ""


def paper_steps(runs: Sequence[Run], full: Sequence[Run]) -> dict[Run, int]:
    """The optimiser steps that each Run has at full scale: those of the Run there that differs from
    it in the fewest settings.
    """
    by_setting: dict[tuple[object, ...], _StepsBySize] = {}
    every: _StepsBySize = {}
    for each in full:
        for sizes in (every, by_setting.setdefault(_setting(each), {})):
            by_alpha = sizes.setdefault(each.n_train, {})
            by_alpha[each.alpha] = max(each.steps, by_alpha.get(each.alpha, 0))
    found = {}
    for run in runs:
        sizes = by_setting.get(_setting(run)) or every
        away = {size: abs(math.log(size / run.n_train)) for size in sizes}
        nearest = [sizes[size] for size in sizes if away[size] == min(away.values())]
        of_alpha = [by_alpha[run.alpha] for by_alpha in nearest if run.alpha in by_alpha]
        found[run] = max(of_alpha or [max(by_alpha.values()) for by_alpha in nearest])
    return found


# By training size and alpha, the largest number of steps.
_StepsBySize = dict[int, dict[float, int]]


def _setting(run: Run) -> tuple[object, ...]:
    return run.constraint, run.loss, run.weight_decay, run.data
