"""Checks of Figure 4: sentiment of IMDb reviews with an LSTM (Section 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.quantities import Measure, delay, generalises, time_of, times, value_at
from omnigrok.runs.curves import Curves
from omnigrok.stats import Finding, Time, mean_in_region, share, spearman_in_region, time_ratio, u_shape
from omnigrok.stats.drop import log_smooth

Array = NDArray[np.float64]


def error(case: Case, side: str) -> Measure:
    """1 - accuracy at the end, or of the best epoch as the published code reads it."""
    column = f"{side}_acc"
    if case.protocol == "code":
        return lambda curves: 1.0 - float(np.nanmax(curves[column]))
    return lambda curves: 1.0 - float(curves[column][-1])


def sized(grid: Grid, size: str) -> Grid:
    """The part with the least or the most training reviews."""
    return grid.where(n_train=grid.axis("n_train")[0 if size == "small" else -1])


@claim("fig04.mismatch-small")
def test_mismatch_small(case: Case) -> None:
    def gap(size: str) -> Array:
        part = sized(case.grid(), size)
        train = part.table(error(case, "train"), "alpha")
        # Train against train: the next seed's.
        other = np.roll(train, 1, axis=0) if case["against"] == "train" else part.table(error(case, "test"), "alpha")
        return np.asarray((other - train).mean(axis=1))

    small, large = gap("small"), gap("large")
    case.judge(
        [
            mean_in_region("mean error gap over alpha, N = 1k minus full data", small - large, case.region("gap")),
            mean_in_region("mean error gap at N = 1k alone", small, case.region("gap")).as_sensitivity(),
        ]
    )


@claim("fig04.similar-large")
def test_similar_large(case: Case) -> None:
    part = sized(case.grid(), case["size"])
    alphas = part.axis("alpha")
    train, test = (part.table(error(case, side), "alpha") for side in ("train", "test"))
    case.judge(
        [
            spearman_in_region(
                "rank correlation of train and test error over alpha", rank_correlation(train, test), case.region("correlation")
            ),
            *u_shape("train error over alpha", alphas, train, case["split"]),
            *u_shape("test error over alpha", alphas, test, case["split"]),
        ]
    )


def rank_correlation(left: Array, right: Array) -> list[float]:
    """Spearman's rho of each seed; a curve without any variation has none."""
    return [float(stats.spearmanr(a, b).statistic) if np.ptp(a) and np.ptp(b) else float("nan") for a, b in zip(left, right, strict=True)]


@claim("fig04.grok")
def test_grok(case: Case) -> None:
    runs = case.grid(case["arm"]).where(alpha=case["alpha"], weight_decay=case["weight_decay"])
    early, late = times(runs, "train_acc", case["fit"]), times(runs, "test_acc", case["rise"])
    # One step of this tier in steps of the paper.
    unit = [Time.at(1 / case["pace"][case.tier])] * len(early)
    rows = []
    for alpha, gamma in ((6, 0), (1, 0), (1, 1)) if case["arm"] == "dynamics" else ():
        other = case.grid("dynamics").where(alpha=alpha, weight_decay=gamma)
        fit, rise = times(other, "train_acc", case["fit"]), times(other, "test_acc", case["rise"])
        rows.append(time_ratio(f"alpha {alpha}, weight decay {gamma}: t_rise / t_train", rise, fit, case.region("ratio")).as_sensitivity())
    case.judge(
        [
            *delay("test accuracy 55 %", late, early, case.region("ratio"), case.region("reached")),
            time_ratio("t_train (steps)", early, unit, case.region("t_train")),
            time_ratio("t_rise (steps)", late, unit, case.region("t_rise")),
            *rows,
        ]
    )


@claim("fig04.standard")
def test_standard(case: Case) -> None:
    runs = case.grid().where(alpha=case["alpha"], weight_decay=case["weight_decay"])
    pairs = np.array([around_overfitting(curves, case["fit"], case["smooth"]) for curves in runs.each()])
    at_fit, best_after = pairs.T
    early = np.where(np.isnan(at_fit), np.nan, at_fit >= case["rise"])
    case.judge(
        [
            mean_in_region("largest test accuracy after t_train minus the one at t_train", best_after - at_fit, case.region("gain")),
            share("seeds that generalise by t_train", early, case.region("early")),
        ]
    )


def around_overfitting(curves: Curves, fit: float, smooth: float) -> tuple[float, float]:
    """Smoothed test accuracy at t_train, and the largest one from there on; NaN where the training set is never fitted."""
    time = time_of(curves, "train_acc", fit)
    if not time.reached:
        return float("nan"), float("nan")
    level = log_smooth(curves.step, curves["test_acc"], smooth)
    after = curves.step >= time.value
    return float(level[after][0]), float(level[after].max())


@claim("fig04.no-grok-large")
def test_no_grok_large(case: Case) -> None:
    runs = case.grid(case["arm"]).where(alpha=case["alpha"], weight_decay=case["weight_decay"])

    def ratio(fit: float, test: float) -> Finding:
        late, early = times(runs, "test_acc", test), times(runs, "train_acc", fit)
        return time_ratio(f"t_test ({test:.0%}) / t_train ({fit:.0%})", late, early, case.region("ratio"))

    level = case["level"]
    case.judge(
        [
            ratio(level, level),
            generalises(f"test accuracy {level:.0%}", times(runs, "test_acc", level), case.region("reached")),
            *(ratio(fit, test).as_sensitivity() for fit, test in ((0.55, 0.55), (0.95, 0.55), (0.95, level))),
        ]
    )


@claim("fig04.rise-is-optimisation")
def test_rise_is_optimisation(case: Case) -> None:
    own, molecules = case.grid("long"), case.grid("fig05_qm9:long")
    rise, cured = case.region("rise"), case.region("cured")
    arms = [(times_steps, held) for held in own.axis("constraint") for times_steps in case["shares"]]
    findings = [
        mean_in_region("rise at the figure's own steps", rise_at(case, own, [(1, "rescale")]), rise, log=True),
        mean_in_region("rise of the smallest loss found", rise_at(case, own, arms), cured, log=True),
    ]
    for name, grid in (("IMDb", own), ("QM9", molecules)):
        for arm in arms:
            values = rise_at(case, grid, [arm])
            findings.append(mean_in_region(f"{name}: rise at {arm[0]} x the steps, {arm[1]}", values, cured, log=True).as_sensitivity())
    findings.append(
        mean_in_region("QM9: rise of the smallest loss found", rise_at(case, molecules, arms), cured, log=True).as_sensitivity()
    )
    case.judge(findings)


def rise_at(case: Case, grid: Grid, arms: list[tuple[int, str]]) -> Array:
    """(seeds,) the column at the largest scales over its smallest, each scale read in the arm with the least training loss."""

    def least(seed: int, alpha: float) -> float:
        read = []
        for multiple, held in arms:
            curves = grid.one(seed, alpha=alpha, constraint=held)
            step = case["shares"][multiple] * curves.run.steps
            read.append((value_at(curves, "train_loss", step), value_at(curves, case["column"], step)))
        return min(read)[1]

    losses = np.array([[least(seed, alpha) for alpha in grid.axis("alpha")] for seed in grid.seeds])
    return np.asarray(np.exp(np.log(losses[:, -case["largest"] :]).mean(axis=1)) / losses.min(axis=1))
