"""Checks of Figure 4: sentiment of IMDb reviews with an LSTM (Section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import (
    Measure,
    complement,
    final,
    halves,
    highest,
    time_of,
    times,
    value_at,
)
from omnigrok.curves import Curves
from omnigrok.stats import (
    Finding,
    Time,
    Verdict,
    mean_in_region,
    spearman_in_region,
    time_ratio,
    u_shape,
)
from omnigrok.stats.drop import log_smooth

Array = NDArray[np.float64]


def error(case: Case, side: str) -> Measure:
    """1 - accuracy at the end, or of the best epoch as the published code reads it."""
    reading = case["reading"]
    best = reading == "best" or (reading == "protocol" and case.protocol == "code")
    return complement((highest if best else final)(f"{side}_acc"))


def sized(grid: Grid, size: str) -> Grid:
    """The part with the least or the most training reviews."""
    return grid.where(n_train=grid.axis("n_train")[0 if size == "small" else -1])


@claim("fig04.mismatch-small")
def test_mismatch_small(case: Case) -> None:
    small, large = (
        sized(case.grid(), size).between("alpha", *case["range"]) for size in ("small", "large")
    )
    both = [alpha for alpha in small.axis("alpha") if alpha in large.axis("alpha")]

    def mean_error(part: Grid, side: str, alphas: Sequence[float] | None = None) -> Array:
        return np.asarray(part.table(error(case, side), "alpha", alphas).mean(axis=1))

    def gap(part: Grid) -> Array:
        return mean_error(part, "test", both) - mean_error(part, "train", both)

    train = mean_error(small, "train")
    if case["against"] == "train":
        values: list[float] = []
        for part in (small, large):
            own, other = (
                np.array(half) for half in halves(mean_error(part, "train").tolist(), math.nan)
            )
            values += (other - own).tolist()
        name = "mean train error over alpha, one half of the seeds minus the other, at both sizes"
        case.judge([mean_in_region(name, values, case.region("gap"))])
        return
    # The other seeds' train errors are those of a set on which train and test do not differ.
    others = (train.sum() - train) / (train.size - 1)
    values = {"large": gap(small) - gap(large), "train": mean_error(small, "test") - others}
    words = {
        "large": "N = 1k minus full data",
        "train": "N = 1k, against the other seeds' train error",
    }
    main = case["minus"][case.scale]
    findings = {
        key: mean_in_region(
            f"mean error gap over alpha, {words[key]}", values[key], case.region("gap")
        )
        for key in values
    }
    case.judge([findings.pop(main), *(finding.as_sensitivity() for finding in findings.values())])


@claim("fig04.similar-large")
def test_similar_large(case: Case) -> None:
    part = sized(case.grid(), case["size"])
    alphas = part.axis("alpha")
    train, test = (part.table(error(case, side), "alpha") for side in ("train", "test"))
    rhos = rank_correlation(train, test)
    case.judge(
        [
            spearman_in_region(
                "rank correlation of train and test error over alpha",
                rhos,
                case.region("correlation"),
                places=len(alphas),
            ).as_lead(),
            *u_shape("train error over alpha", alphas, train, case["split"]),
            *u_shape("test error over alpha", alphas, test, case["split"]),
        ]
    )


def rank_correlation(left: Array, right: Array) -> list[float]:
    """Spearman's rho of each seed; NaN for a curve that does not vary."""
    return [
        float(stats.spearmanr(a, b).statistic) if np.ptp(a) and np.ptp(b) else float("nan")
        for a, b in zip(left, right, strict=True)
    ]


@claim("fig04.grok")
def test_grok(case: Case) -> None:
    hold = case["hold"]

    def both(runs: Grid) -> tuple[list[Time], list[Time]]:
        return times(runs, "train_acc", case["fit"], hold), times(
            runs, "test_acc", case["rise"], hold
        )

    early, late = both(
        case.grid(case["arm"]).where(alpha=case["alpha"], weight_decay=case["weight_decay"])
    )
    # One step of this tier in steps of the paper.
    unit = [Time.at(1 / case["pace"][case.tier])] * len(early)
    rows = []
    others = () if case["arm"] != "dynamics" or case.verdict_only else ((6, 0), (1, 0), (1, 1))
    for alpha, gamma in others:
        fit, rise = both(case.grid("dynamics").where(alpha=alpha, weight_decay=gamma))
        rows.append(
            time_ratio(
                f"alpha {alpha}, weight decay {gamma}: t_rise / t_train",
                rise,
                fit,
                case.region("ratio"),
            ).as_sensitivity()
        )
    case.judge(
        [
            time_ratio("t_rise / t_train", late, early, case.region("ratio")).as_lead(),
            time_ratio("t_train (steps)", early, unit, case.region("t_train")),
            time_ratio("t_rise (steps)", late, unit, case.region("t_rise")),
            *rows,
        ]
    )


@claim("fig04.standard")
def test_standard(case: Case) -> None:
    runs = case.grid().where(alpha=case["alpha"], weight_decay=case["weight_decay"])
    pairs = np.array([around_overfitting(case, curves) for curves in runs.each()])
    at_fit, best_after = pairs.T
    case.judge(
        [
            mean_in_region(
                "largest test accuracy after t_train minus the one at t_train",
                best_after - at_fit,
                case.region("gain"),
            ).as_lead(),
            mean_in_region("test accuracy at t_train", at_fit, case.region("early")),
        ]
    )


def around_overfitting(case: Case, curves: Curves) -> tuple[float, float]:
    """Smoothed test accuracy at t_train, and the largest one from there on; NaN where the training
    set is never fitted.
    """
    time = time_of(curves, "train_acc", case["fit"], case["hold"])
    if not time.reached:
        return float("nan"), float("nan")
    level = log_smooth(curves.step, curves["test_acc"], case["smooth"])
    after = curves.step >= time.value
    return float(level[after][0]), float(level[after].max())


@claim("fig04.no-grok-large")
def test_no_grok_large(case: Case) -> None:
    runs = case.grid(case["arm"]).where(alpha=case["alpha"], weight_decay=case["weight_decay"])

    def ratio(fit: float, test: float) -> Finding:
        late, early = (
            times(runs, "test_acc", test, case["hold"]),
            times(runs, "train_acc", fit, case["hold"]),
        )
        return time_ratio(
            f"t_test ({test:.0%}) / t_train ({fit:.0%})", late, early, case.region("ratio")
        )

    fit, test = case["fit"], case["rise"]
    others = () if case.verdict_only else ((0.55, 0.55), (0.95, 0.55), (0.95, test))
    case.judge([ratio(fit, test), *(ratio(*levels).as_sensitivity() for levels in others)])


@claim("fig04.rise-is-optimisation")
def test_rise_is_optimisation(case: Case) -> None:
    figures = [LongRuns(case, name) for name in case["figures"]]
    trained = [figure for figure in figures if figure.longer >= case["least"]]
    rising = [figure for figure in trained if case.part(figure.there) is Verdict.REPRODUCED]
    deciding = rising or trained
    premise = max(deciding, key=lambda figure: figure.there.estimate).there
    rows: list[Finding] = []
    for figure in () if case.verdict_only else figures:
        rows += [figure.there] if figure.there is not premise else []
        rows += [figure.best] if figure not in deciding else []
        rows += figure.stages()
    case.judge(
        [
            premise.as_premise(),
            *(figure.best for figure in deciding),
            *(row.as_sensitivity() for row in rows),
        ]
    )


class LongRuns:
    """The rise of a loss at the largest scales over its least of the grid, in long runs of a
    figure.

    Args:
        name: of the experiment.
    """

    def __init__(self, case: Case, name: str) -> None:
        self.case, self.grid = case, case.grid(name)
        self.words = case["figures"][name]
        self.longer = case["longer"][case.scale][name]
        self.floor = case.number("resolution") * case["chance"][name]
        # Where the runs are shorter than the longest that is asked for, their own end counts.
        steps = {min(multiple, self.longer) for multiple in case["times"]}
        self.arms = [
            (multiple, held) for held in self.grid.axis("constraint") for multiple in sorted(steps)
        ]

    @cached_property
    def there(self) -> Finding:
        """Whether the training loss rises at the figure's own steps at all."""
        return self._rise(
            "train_loss at the figure's own steps", [(1, "rescale")], "train_loss", "rise"
        )

    @cached_property
    def best(self) -> Finding:
        """The claim's column where the smallest training loss of all arms was found."""
        column = self.case["column"]
        return self._rise(f"{column} at the smallest train_loss found", self.arms, column, "cured")

    def stages(self) -> list[Finding]:
        """The claim's column in each arm by itself."""
        column = self.case["column"]
        return [
            self._rise(f"{column} at {arm[0]:g} x the steps, {arm[1]}", [arm], column, "cured")
            for arm in self.arms
        ]

    def _rise(
        self, words: str, arms: Sequence[tuple[float, str]], column: str, region: str
    ) -> Finding:
        values = rise_at(self.grid, arms, column, self.longer, self.case["largest"], self.floor)
        return mean_in_region(
            f"{self.words}: rise of {words}", values, self.case.region(region), log=True
        )


def rise_at(
    grid: Grid,
    arms: Sequence[tuple[float, str]],
    column: str,
    longer: float,
    largest: int,
    floor: float,
) -> Array:
    """(seeds,) the column at the largest scales over its smallest.

    Each scale is read in the arm with the least training loss.

    Args:
        arms: multiples of the figure's own steps, with the way of holding the norm.
        longer: how many times as long as the figure's own the runs are.
        largest: how many scales.
        floor: losses under it count as it.
    """

    def least(seed: int, alpha: float) -> float:
        read = []
        for multiple, held in arms:
            curves = grid.one(seed, alpha=alpha, constraint=held)
            step = multiple / longer * curves.run.steps
            read.append((value_at(curves, "train_loss", step), value_at(curves, column, step)))
        return max(min(read)[1], floor)

    losses = np.array([[least(seed, alpha) for alpha in grid.axis("alpha")] for seed in grid.seeds])
    return np.asarray(np.exp(np.log(losses[:, -largest:]).mean(axis=1)) / losses.min(axis=1))
