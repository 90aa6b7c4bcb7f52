"""Checks of Figure 5: polarizability of QM9 molecules with a graph network (Section 4)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import Measure, best, final, halves, value_at
from omnigrok.curves import Curves
from omnigrok.stats import Finding, Region, Time, mean_in_region, share, time_ratio, u_shape
from omnigrok.stats.drop import largest_fall

Array = NDArray[np.float64]
# The factor of a seed that never fits its training set.
NO_FALL = Time.never(1.0)


def loss(case: Case, side: str) -> Measure:
    """The loss at the end, or the smallest one as the published code reads it."""
    reading = case["reading"]
    smallest = reading == "best" or (reading == "protocol" and case.protocol == "code")
    return (best if smallest else final)(f"{side}_loss")


def sized(grid: Grid, size: str) -> Grid:
    """The part with the fewest or the most training molecules."""
    return grid.where(n_train=grid.axis("n_train")[0 if size == "small" else -1])


def log_mean(case: Case, size: str, side: str) -> Array:
    """(seeds,) mean over the scales in ``range`` of log10 of a loss."""
    part = sized(case.grid(), size).between("alpha", *case["range"])
    return np.asarray(np.log10(part.table(loss(case, side), "alpha")).mean(axis=1))


def log_gap(case: Case, size: str) -> Array:
    """(seeds,) mean over the scales in ``range`` of log10(test / train)."""
    return log_mean(case, size, "test") - log_mean(case, size, "train")


@claim("fig05.mismatch-small")
def test_mismatch_small(case: Case) -> None:
    if case["against"] == "train":
        values: list[float] = []
        for size in ("small", "large"):
            own, other = (
                np.array(half) for half in halves(log_mean(case, size, "train").tolist(), math.nan)
            )
            values += (other - own).tolist()
        name = (
            "mean log10 of the training losses of one half of the seeds over those of the other, "
            "at both sizes"
        )
        case.judge([mean_in_region(name, values, case.region("gap"))])
        return
    small, large = (log_gap(case, size) for size in ("small", "large"))
    case.judge(
        [
            mean_in_region(
                "mean log10(test / train), N = 100 minus N = 3000",
                small - large,
                case.region("gap"),
            ),
            mean_in_region(
                "mean log10(test / train) at N = 100 alone", small, case.region("gap")
            ).as_sensitivity(),
        ]
    )


@claim("fig05.similar-large")
def test_similar_large(case: Case) -> None:
    part = sized(case.grid(), case["size"])
    alphas = part.axis("alpha")
    # No loss is worse than that of a constant.
    constant = part.table(variance, "alpha")
    findings = [
        mean_in_region(
            "mean log10(test / train)", log_gap(case, case["size"]), case.region("gap")
        ).as_lead()
    ]
    for side in ("train", "test"):
        table = part.table(loss(case, side), "alpha")
        findings += u_shape(
            f"{side} loss over alpha", alphas, np.minimum(table, constant), case["split"]
        )
        if not case.verdict_only:
            rows = u_shape(f"{side} loss over alpha, unclipped", alphas, table, case["split"])
            findings += [finding.as_sensitivity() for finding in rows]
    case.judge(findings)


def variance(curves: Curves) -> float:
    """Of the training targets."""
    return float(curves["train_target_square"][0] - curves["train_target"][0] ** 2)


def fit_step(curves: Curves, fraction: float) -> float:
    """The first logged step with a training loss under ``fraction`` of the training targets'
    variance; NaN if there is none.
    """
    under = np.flatnonzero(curves["train_loss"] < fraction * variance(curves))
    return float(curves.step[under[0]]) if under.size else float("nan")


def falls(case: Case, runs: Grid) -> tuple[list[Time], Array]:
    """Factors and (seeds,) steps of the largest fall of the test loss after t_fit.

    A record that ends within a factor ``width`` of t_fit is too short for a fall: it gives a factor
    that is known from below. A seed that never fits has none.
    """
    factors, steps = [], []
    for curves in runs.each():
        fit = fit_step(curves, case["fit"])
        factor, step = largest_fall(
            curves.step, curves["test_loss"], fit, case["width"], case["smooth"]
        )
        if math.isnan(factor):
            factors.append(NO_FALL)
        else:
            short = curves.step[-1] < fit * case["width"]
            factors.append(Time.never(factor) if short else Time.at(factor))
        steps.append(step)
    return factors, np.array(steps)


def fall(name: str, factors: list[Time], region: Region) -> Finding:
    """The geometric mean of the factors, those known from below as times not reached."""
    words = f"{name}: largest fall of the test loss within half a decade after t_fit"
    known = [factor is not NO_FALL for factor in factors]
    against = [Time.at(1.0) if each else NO_FALL for each in known]
    short = sum(not factor.reached for factor in factors) - known.count(False)
    note = f"{short} of {len(factors)} records end within half a decade of t_fit" if short else ""
    found = time_ratio(words, factors, against, region, note=note)
    kind = found.method.removeprefix("geometric mean of paired ratios, ")
    return replace(found, censored=short, method=f"geometric mean, {kind}")


@claim("fig05.grok")
def test_grok(case: Case) -> None:
    def found(name: str, runs: Grid) -> list[Finding]:
        factors, steps = falls(case, runs)
        steps = steps * case["pace"][case.tier]
        return [
            fall(name, factors, case.region("fall")),
            mean_in_region(f"{name}: step of that fall", steps, case.region("at"), log=True),
            share(
                f"{name}: seeds that fit the training set",
                [factor is not NO_FALL for factor in factors],
                case.region("fitted"),
            ),
        ]

    free = case.grid("dynamics").where(constraint="free", alpha=case["alpha"])
    plain = case.grid("graph_conv").where(alpha=case["alpha"])
    rows = [] if case.verdict_only else found("plain graph convolutions", plain)
    case.judge(
        [
            *found("edge-conditioned convolutions", free),
            *(finding.as_sensitivity() for finding in rows),
        ]
    )


@claim("fig05.standard")
def test_standard(case: Case) -> None:
    runs = case.grid().where(constraint="free", alpha=case["alpha"])
    case.judge([fall(f"alpha = {case['alpha']}", falls(case, runs)[0], case.region("fall"))])


@claim("fig05.implicit")
def test_implicit(case: Case) -> None:
    runs = case.grid().where(alpha=case["alpha"])
    free = runs.where(constraint="free")
    factors, steps = falls(case, free)
    norms = [
        value_at(curves, "weight_norm", step) / float(curves["weight_norm"][0])
        for curves, step in zip(free.each(), steps, strict=True)
    ]
    held, _ = falls(case, runs.where(constraint="rescale"))
    case.judge(
        [
            fall("free", factors, case.region("fall")),
            mean_in_region("w at the fall / w at the start", norms, case.region("norm"), log=True),
            fall("at constant norm", held, case.region("held")),
        ]
    )


@claim("fig05.no-grok-large")
def test_no_grok_large(case: Case) -> None:
    runs = case.grid(case["arm"]).where(constraint="free", alpha=case["alpha"])
    case.judge([fall(case["arm"], falls(case, runs)[0], case.region("fall"))])
