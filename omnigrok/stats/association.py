"""Rank correlations within tasks and across them: does one quantity go with another (association,
not cause)?
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from omnigrok.stats.comparison import DEFAULT_SEED, Array, mean_in_region, with_missing
from omnigrok.stats.finding import Finding, Region

PERMUTATIONS = 1999
LEAST_TASKS = 4
EXACT_UP_TO = 7

Strata = Mapping[str, tuple[ArrayLike, ArrayLike]]


def rank_correlations(x: ArrayLike, y: ArrayLike) -> Array:
    """(seeds,) Spearman's rho over the cells of each seed.

    A cell with a NaN is left out; inf in ``y`` (a censored time) ranks last, tied with others. A
    seed with fewer than two cells, or without any order in ``x`` or ``y``, has no rho: NaN.

    Args:
        x, y: (seeds, cells).
    """
    left, right = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    return np.asarray(_correlations(left, right[None])[0])


def _correlations(x: Array, many: Array) -> Array:
    """(P, seeds) rho of ``x`` (seeds, cells) with each of P arrays (P, seeds, cells) that miss the
    same cells.
    """
    rhos = np.full(many.shape[:2], math.nan)
    for seed, row in enumerate(x):
        used = ~(np.isnan(row) | np.isnan(many[0, seed]))
        if used.sum() < 2:
            continue
        left, right = stats.rankdata(row[used]), stats.rankdata(many[:, seed, used], axis=1)
        left, right = left - left.mean(), right - right.mean(axis=1, keepdims=True)
        size = np.sqrt((left**2).sum() * (right**2).sum(axis=1))
        rhos[:, seed] = np.where(size > 0, right @ left / np.where(size > 0, size, 1.0), math.nan)
    return rhos


def permuted_within(x: ArrayLike, y: ArrayLike, rng: np.random.Generator, count: int = 1) -> Array:
    """(count, seeds, cells) copies of ``y`` with the values of complete cells permuted over all
    seeds and cells of one task.
    """
    left, right = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    complete = ~(np.isnan(left) | np.isnan(right))
    many = np.where(complete, np.repeat(right[None], count, axis=0), math.nan)
    many[:, complete] = rng.permuted(np.tile(right[complete], (count, 1)), axis=1)
    return many


def stratified_correlation(
    name: str, strata: Strata, region: Region, *, level: float = 0.95, note: str = ""
) -> Finding:
    """Mean over tasks of the mean over seeds of the rank correlation over a seed's cells.

    Every task has one weight, whatever its number of seeds. The interval is Student's with the
    tasks' own variances and the degrees of freedom of the task with the fewest seeds: tasks are
    those of the audit, seeds are the sample. For a mean near .5 it covers .95 to .98 with 5 and 10
    seeds (Welch-Satterthwaite's degrees of freedom: .91 to .95); near 1, where all rhos are 1, both
    are too narrow, at no cost to a verdict at .5. The p value is the permutation test of "no
    association" with ``y`` permuted within each task. ``values``: for each seed the mean over the
    tasks that have it.

    Args:
        strata: task to (x, y), each (seeds, cells); NaN where missing, inf in y where censored.

    Raises:
        ValueError: for a task whose x and y do not match.
    """
    given = {
        task: (np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        for task, (x, y) in strata.items()
    }
    for task, (x, y) in given.items():
        if x.ndim != 2 or x.shape != y.shape:
            raise ValueError(
                f"{name}: {task}: expected two arrays (seeds, cells), got {x.shape} and {y.shape}"
            )
    rhos = {task: rank_correlations(x, y) for task, (x, y) in given.items()}
    known = {task: row[~np.isnan(row)] for task, row in rhos.items()}
    known = {task: row for task, row in known.items() if row.size}
    seeds = max((row.size for row in rhos.values()), default=0)
    table = np.array(
        [np.pad(row, (0, seeds - row.size), constant_values=math.nan) for row in rhos.values()]
    )
    values = [
        float(np.nanmean(column)) if not np.isnan(column).all() else math.nan for column in table.T
    ]
    estimate = float(np.mean([row.mean() for row in known.values()])) if known else math.nan
    left_out = [task for task in given if task not in known]
    missing = f"no order in {', '.join(left_out)}" if left_out else ""
    return Finding(
        name=name,
        estimate=estimate,
        ci=mean_of_tasks(list(known.values()), level),
        region=region,
        values=tuple(values),
        level=level,
        p=_permutation_p(given, estimate) if known else None,
        smallest_p=1 / (1 + PERMUTATIONS) if known else None,
        n=seeds,
        censored=int(sum(np.isinf(y).sum() for _, y in given.values())),
        method=(
            f"mean rank correlation of {len(known)} tasks, t interval with variances of their own, "
            "permutation test stratified by task"
        ),
        note=with_missing("; ".join(part for part in (note, missing) if part), values),
        extra={f"rho, {task}": float(row.mean()) for task, row in known.items()},
    )


def mean_of_tasks(tasks: list[Array], level: float) -> tuple[float, float]:
    """Interval of the mean of the tasks' means; a task with one seed has no variance of its own, so
    that there is none.
    """
    if not tasks or any(row.size < 2 for row in tasks):
        return math.nan, math.nan
    variance = sum(float(row.var(ddof=1)) / row.size for row in tasks)
    mean = float(np.mean([row.mean() for row in tasks]))
    df = min(row.size for row in tasks) - 1
    half = float(stats.t.ppf(0.5 + level / 2, df)) * math.sqrt(variance) / len(tasks)
    return mean - half, mean + half


def _permutation_p(strata: Mapping[str, tuple[Array, Array]], estimate: float) -> float:
    rng = np.random.default_rng(DEFAULT_SEED)
    total, tasks = np.zeros(PERMUTATIONS), np.zeros(PERMUTATIONS)
    for x, y in strata.values():
        rhos = _correlations(x, permuted_within(x, y, rng, PERMUTATIONS))
        known = (~np.isnan(rhos)).sum(axis=1)
        total += np.where(known, np.nansum(rhos, axis=1) / np.maximum(known, 1), 0.0)
        tasks += known > 0
    means = np.where(tasks > 0, total / np.maximum(tasks, 1), 0.0)
    return float((1 + (means >= estimate - 1e-12).sum()) / (1 + PERMUTATIONS))


def rank_agreement(
    name: str, x: ArrayLike, y: ArrayLike, region: Region, *, level: float = 0.95, note: str = ""
) -> Finding:
    """Spearman's rho across tasks, one value of x and one of y a task.

    Under four tasks nothing bounds it (two always agree or disagree perfectly): the interval is
    [-1, 1] and the smallest p of the permutation test, 1 / n!, says so. From four on the interval
    is Fisher's z with the standard error 1.06 / sqrt(n - 3). A seed has no value of its own.

    Args:
        x, y: (tasks,); a task with a NaN is left out.

    Raises:
        ValueError: for arrays of different shape.
    """
    left, right = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if left.ndim != 1 or left.shape != right.shape:
        raise ValueError(
            f"{name}: expected one x and one y a task, got {left.shape} and {right.shape}"
        )
    used = ~(np.isnan(left) | np.isnan(right))
    n = int(used.sum())
    rho = float(rank_correlations(left[None], right[None])[0])
    ci = (-1.0, 1.0) if not math.isnan(rho) else (math.nan, math.nan)
    if n >= LEAST_TASKS and not math.isnan(rho):
        z, half = (
            math.atanh(min(max(rho, -1 + 1e-6), 1 - 1e-6)),
            float(stats.norm.ppf(0.5 + level / 2)) * 1.06 / math.sqrt(n - 3),
        )
        ci = (math.tanh(z - half), math.tanh(z + half))
    p = None
    if 2 <= n <= EXACT_UP_TO and not math.isnan(rho):
        orders = np.array(list(permutations(right[used])))[:, None, :]
        p = float((_correlations(left[used][None], orders)[:, 0] >= rho - 1e-12).mean())
    finding = mean_in_region(name, [], region, level=level, note=note)
    return replace(
        finding,
        estimate=rho,
        ci=ci,
        p=p,
        smallest_p=None if p is None else 1 / math.factorial(n),
        n=n,
        method="Spearman across tasks, "
        + ("Fisher-z interval" if n >= LEAST_TASKS else "unbounded under four tasks"),
    )
