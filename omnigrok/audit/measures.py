"""What checks of several figures read off the curves: final values, times to a threshold, the norm
at a time, decay rates.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.errors import BadInput, Diverged
from omnigrok.stats import Finding, Region, Time, share, time_ratio, time_to
from omnigrok.stats.times import count_censored

Measure = Callable[[Curves], float]

# A time must hold for this share of the elapsed steps (docs/statistics.md, times).
HOLD = 0.05


def final(column: str) -> Measure:
    """The last logged value of a column: the reduced function of Eq. (1) for a run at constant
    norm.
    """
    return lambda curves: float(curves.whole(column)[-1])


def best(column: str) -> Measure:
    """The smallest logged value (published code of Figures 3, 4, 5 and 8: picked separately for
    train and test).
    """
    return lambda curves: float(np.nanmin(curves.whole(column)))


def complement(measure: Measure) -> Measure:
    """1 - accuracy: the error."""
    return lambda curves: 1.0 - measure(curves)


def at_minimiser(column: str) -> Measure:
    """A column at the logged step of the smallest training loss: the test loss at w* of Eq. (1)."""
    return lambda curves: float(curves.whole(column)[np.nanargmin(curves.whole("train_loss"))])


# What "the reduced loss" of a run at constant norm may be read as.
READINGS: dict[str, Callable[[str], Measure]] = {
    "final": final,
    "smallest": best,
    "at the training minimum": at_minimiser,
}


def time_of(curves: Curves, column: str, threshold: float = 0.95, hold: float = HOLD) -> Time:
    """t_train or t_test: the column stays at the threshold or above for 5 % of the elapsed steps.

    Args:
        hold: another share of the elapsed steps; 0 is the first crossing.
    """
    return time_to(curves.step, curves[column], threshold, hold)


def times(
    grid: Grid, column: str, threshold: float = 0.95, hold: float = HOLD, **where: Any
) -> list[Time]:
    """One time a seed."""
    return [time_of(curves, column, threshold, hold) for curves in grid.each(**where)]


def time_table(
    grid: Grid,
    column: str,
    axis: str,
    values: Sequence[Any],
    threshold: float = 0.95,
    hold: float = HOLD,
    **where: Any,
) -> list[list[Time]]:
    """(seeds, values) times."""
    columns = [times(grid, column, threshold, hold, **{axis: value}, **where) for value in values]
    return [list(row) for row in zip(*columns, strict=True)]


def delays(late: Sequence[Sequence[Time]], early: Sequence[Sequence[Time]]) -> list[list[Time]]:
    """(seeds, values) how long after its early time each late one was reached, at least 1 step.

    Where the late one was not reached the delay is known from below. Where the early one was not,
    nothing is known of it.
    """
    return [
        [_delay(*pair) for pair in zip(*rows, strict=True)]
        for rows in zip(late, early, strict=True)
    ]


def _delay(late: Time, early: Time) -> Time:
    if not early.reached:
        return Time.never(1.0)
    if late.reached:
        return Time.at(max(late.value - early.value, 1.0), late.limit)
    return Time.never(max(late.limit - early.value, 1.0))


def value_at(curves: Curves, column: str, step: float) -> float:
    """A column at an optimiser step, interpolated between logged ones; NaN beyond the record."""
    if not np.isfinite(step) or step > curves.step[-1]:
        return float("nan")
    return float(np.interp(step, curves.step, curves[column]))


def norm_at(curves: Curves, time: Time) -> float:
    """The weight norm when a time is reached; NaN where it is not."""
    return value_at(curves, "weight_norm", time.value if time.reached else float("nan"))


def rate_between(curves: Curves, start: float, end: float) -> float:
    """Least-squares rate of -ln w per step over the logged steps in [start, end].

    NaN with under 3 of them, or an end that is NaN.
    """
    window = (curves.step >= start) & (curves.step <= end)
    if window.sum() < 3:
        return float("nan")
    return float(
        -np.polyfit(curves.step[window].astype(float), np.log(curves["weight_norm"][window]), 1)[0]
    )


def decay_rates_by_window(
    curves: Curves, start: float, factor: float = 2.0
) -> list[tuple[float, float, float]]:
    """(first step, last step, rate of -ln w per step) of each window from ``start`` on.

    A window ends at ``factor`` times its start, the last one with the record. A rate over one long
    window hides where the norm leaves the law w = w0 exp(-lr gamma t) (Section 2). Windows that
    hold under 3 logged steps are left out; a start that was never reached (NaN) has no window.

    Raises:
        ValueError: windows that start at step 0 or do not grow never end.
    """
    if np.isnan(start):
        return []
    if not start > 0 or not factor > 1:
        raise ValueError(
            f"windows need a start above 0 and a factor above 1, not {start} and {factor}"
        )
    last = float(curves.step[-1])
    edges = [start]
    while edges[-1] < last:
        edges.append(min(edges[-1] * factor, last))
    rates = [
        (low, high, rate_between(curves, low, high)) for low, high in itertools.pairwise(edges)
    ]
    return [window for window in rates if np.isfinite(window[2])]


def generalises(name: str, late: Sequence[Time], region: Region) -> Finding:
    """Share of seeds whose time is reached within the record."""
    finding = share(
        f"{name}: share of seeds that get there", [time.reached for time in late], region
    )
    return replace(finding, censored=count_censored(late))


def delay(
    name: str, late: Sequence[Time], early: Sequence[Time], ratio: Region, reached: Region
) -> tuple[Finding, Finding]:
    """Delayed generalisation: t_test / t_train lies in ``ratio``, and t_test is reached at all.

    Without the second part a run that never generalises would pass for one that generalises late.
    """
    return time_ratio(f"{name}: t_test / t_train", late, early, ratio), generalises(
        name, late, reached
    )


def halves(values: Sequence[Any], missing: Any) -> tuple[list[Any], list[Any]]:
    """Each seed of the first half against one of the second: a control in which nothing differs but
    the seeds.

    Both lists are as long as ``values``; where a seed has no partner (every seed of the second
    half), ``missing`` stands in the second list, so that the smoke rule, which wants every seed,
    cannot be met by one pair.
    """
    half = len(values) // 2
    return list(values), [*values[half : 2 * half], *[missing] * (len(values) - half)]


def highest(column: str) -> Measure:
    """The largest logged value, e.g. of an accuracy (published code of Figures 3 and 4: picked
    separately for train and test).
    """
    return lambda curves: float(np.nanmax(curves.whole(column)))


def nearest(values: Sequence[float], target: float) -> Any:
    """The grid value nearest to ``target`` in log."""
    return min(values, key=lambda value: abs(float(np.log(value / target))))


def surface(grid: Grid, measure: Measure, rows: str, columns: str) -> NDArray[np.float64]:
    """(seeds, values of ``rows``, values of ``columns``) a number from each run's curves, in one
    pass: for landscapes of many runs.

    Raises:
        BadInput: a cell has no run, or several.
        Diverged: as ``Grid.one``.
    """
    axes = [grid.seeds, grid.axis(rows), grid.axis(columns)]
    places = [{value: place for place, value in enumerate(axis)} for axis in axes]
    table = np.full([len(axis) for axis in axes], np.nan)
    count = np.zeros(table.shape, dtype=int)
    for run, curves in grid.curves.items():
        key = run.seed, getattr(run, rows), getattr(run, columns)
        cell = tuple(place[part] for place, part in zip(places, key, strict=True))
        if curves.diverged and not grid.diverging:
            raise Diverged(
                f"experiment {grid.name}: the run {run.digest} (seed {run.seed}) diverged at step "
                f"{curves.step[-1]}"
            )
        table[cell] = np.nan if curves.diverged else measure(curves)
        count[cell] += 1
    if (count != 1).any():
        raise BadInput(
            f"experiment {grid.name}: {int((count != 1).sum())} cells of seed, {rows} and "
            f"{columns} do not hold one run"
        )
    return table
