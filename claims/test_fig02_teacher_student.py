"""Checks of Figure 2: teacher-student regression (Sections 2 and 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import (
    READINGS,
    decay_rates_by_window,
    delay,
    delays,
    final,
    generalises,
    norm_at,
    rate_between,
    surface,
    time_of,
    time_table,
    times,
    value_at,
)
from omnigrok.curves import Curves
from omnigrok.stats import (
    Finding,
    Region,
    Time,
    Verdict,
    additive_delay,
    argmin,
    equivalent,
    exponent,
    knee,
    l_shape,
    largest_range,
    mean_in_region,
    share,
    slope_equivalent,
    time_ratio,
    u_shape,
    widest_range,
)
from omnigrok.stats.comparison import Array
from omnigrok.stats.crossing import Crossing, last_fall

# The accuracy column of each theta: the protocol's own, the other protocol's, and the text's on the
# Euclidean norm.
COLUMNS = {
    "own": {"paper": "acc", "code": "acc_code"},
    "other": {"paper": "acc_code", "code": "acc"},
    "euclid": {"paper": "acc_euclid", "code": "acc_euclid"},
}


def score(case: Case) -> str:
    """The accuracy column that is read."""
    return COLUMNS[case["score"]][case.protocol]


def sensitivity(case: Case) -> list[tuple[str, float]]:
    """Other readings of "accuracy reaches 95 %": the other thetas, and 80 and 90 %.

    There are none if only the verdict is asked for.
    """
    if case.verdict_only:
        return []
    other = [
        (COLUMNS[name][case.protocol], case["threshold"])
        for name in COLUMNS
        if name != case["score"]
    ]
    return [*other, *((score(case), level) for level in (0.8, 0.9))]


def decays(case: Case, grid: Grid) -> list[float]:
    low, high = case["range"]
    return grid.between("weight_decay", low, high).axis("weight_decay")


def reduced(case: Case, grid: Grid) -> tuple[list[float], Array]:
    """The scales, and (seeds, scales) what is read as the reduced loss."""
    return grid.axis("alpha"), surface(
        grid, READINGS[case["reading"]](case["curve"]), "n_train", "alpha"
    )[:, 0]


@claim("fig02.train-L")
def test_train_l(case: Case) -> None:
    alphas, losses = reduced(case, case.grid())
    losses = losses + case["offset"]
    case.judge(
        [
            knee(
                "break of the L (alpha)",
                alphas,
                losses,
                case.number("knee_fraction"),
                region=case.region("knee"),
            ).as_lead(),
            *l_shape("reduced loss over alpha", alphas, losses, case["split"]),
        ]
    )


@claim("fig02.test-U")
def test_test_u(case: Case) -> None:
    alphas, losses = reduced(case, case.grid())
    case.judge(
        [
            argmin("bottom of the U (alpha)", alphas, losses, case.region("argmin")).as_lead(),
            *u_shape("reduced loss over alpha", alphas, losses, case["split"], cap=case["cap"]),
        ]
    )


@claim("fig02.no-reg")
def test_no_reg(case: Case) -> None:
    runs = case.grid(case["arm"]).where(weight_decay=case["weight_decay"])

    def overfits(column: str, threshold: float) -> Finding:
        train, test = (
            times(runs, f"{side}_{column}", threshold, case["hold"]) for side in ("train", "test")
        )
        stuck = [fit.reached and not late.reached for fit, late in zip(train, test, strict=True)]
        return share(
            f"seeds that fit and never generalise ({column}, {threshold:.0%})",
            stuck,
            case.region("share"),
        )

    rows = [overfits(column, level).as_sensitivity() for column, level in sensitivity(case)]
    case.judge([overfits(score(case), case["threshold"]), *rows])


@claim("fig02.grok")
def test_grok(case: Case) -> None:
    runs = case.grid(case["arm"]).where(weight_decay=case["weight_decay"])

    def found(column: str, threshold: float) -> tuple[Finding, Finding]:
        late, early = (
            times(runs, f"{side}_{column}", threshold, case["hold"]) for side in ("test", "train")
        )
        return delay(
            f"{column}, {threshold:.0%}", late, early, case.region("ratio"), case.region("reached")
        )

    rows = [
        finding.as_sensitivity()
        for column, level in sensitivity(case)
        for finding in found(column, level)
    ]
    case.judge([*found(score(case), case["threshold"]), *rows])


@claim("fig02.large-reg")
def test_large_reg(case: Case) -> None:
    grid = case.grid()

    def found(column: str, threshold: float) -> tuple[Finding, Finding]:
        side = f"{case['side']}_{column}"
        slow, fast = (
            times(grid.where(weight_decay=case[arm]), side, threshold, case["hold"])
            for arm in ("slow", "fast")
        )
        return (
            time_ratio(
                f"t at weight decay .03 / t at 1 ({column}, {threshold:.0%})",
                slow,
                fast,
                case.region("ratio"),
            ),
            generalises("weight decay 1", fast, case.region("reached")),
        )

    rows = [found(column, level)[0].as_sensitivity() for column, level in sensitivity(case)]
    case.judge([*found(score(case), case["threshold"]), *rows])


@claim("fig02.small-init")
def test_small_init(case: Case) -> None:
    grid = case.grid(case["arm"])
    column, level, hold = score(case), case["threshold"], case["hold"]
    findings: list[Finding] = []
    for gamma in case["decays"]:
        runs = grid.where(weight_decay=gamma)
        late, early = (times(runs, f"{side}_{column}", level, hold) for side in ("test", "train"))
        findings.append(
            time_ratio(
                f"t_test / t_train at weight decay {gamma:g}", late, early, case.region("ratio")
            )
        )
    table = time_table(grid, f"test_{column}", "weight_decay", case["decays"], level, hold)
    findings.append(
        slope_equivalent(
            "slope of log t_test on log weight decay",
            case["decays"],
            table,
            case.number("slope_margin"),
        )
    )
    without = times(grid.where(weight_decay=0.0), f"test_{column}", level, hold)
    findings.append(
        time_ratio(
            "t_test at weight decay 0 / at .03",
            without,
            [row[0] for row in table],
            case.region("no_decay"),
        )
    )
    case.judge(findings)


@claim("fig02.train-flat")
def test_train_flat(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)

    def slope(column: str, threshold: float) -> Finding:
        table = time_table(
            grid, f"{case['side']}_{column}", "weight_decay", gammas, threshold, case["hold"]
        )
        name = f"slope of log t_{case['side']} on log weight decay ({column}, {threshold:.0%})"
        return slope_equivalent(name, gammas, table, case.number("slope_margin"))

    rows = [slope(column, level).as_sensitivity() for column, level in sensitivity(case)]
    case.judge([slope(score(case), case["threshold"]), *rows])


@claim("fig02.inverse")
def test_inverse(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    region = case.region("exponent")

    def table(column: str, threshold: float) -> list[list[Time]]:
        """(seeds, weight decays) times, or delays after the training accuracy."""
        sides = [case["side"], "train"] if case["clock"] == "delay" else [case["side"]]
        read = [
            time_table(grid, f"{side}_{column}", "weight_decay", gammas, threshold, case["hold"])
            for side in sides
        ]
        return delays(*read) if len(read) == 2 else read[0]

    def slopes(column: str, threshold: float) -> tuple[Finding, ...]:
        name = f"exponent of t_{case['side']} on weight decay ({column}, {threshold:.0%})"
        return exponent(name, gammas, table(column, threshold), region, estimator=case["estimator"])

    findings = [*slopes(score(case), case["threshold"])]
    main = table(score(case), case["threshold"])
    if not case.verdict_only and any(time.reached for row in main for time in row):
        held = largest_range(gammas, main, region)
        words = (
            f"1/gamma holds from {held[0]:g} to {held[1]:g}"
            if held
            else "1/gamma holds on no range of three points"
        )
        findings.append(
            additive_delay("AIC of a/gamma minus AIC of a/gamma + b", gammas, main).as_sensitivity(
                words
            )
        )
    findings += [
        finding.as_sensitivity()
        for column, level in sensitivity(case)
        for finding in slopes(column, level)[:1]
    ]
    case.judge(findings)


@claim("fig02.norm-at-grok")
def test_norm_at_grok(case: Case) -> None:
    grid = case.grid()
    gammas = decays(case, grid)
    region = Region(1 / case.region("spread").hi, case.region("spread").hi)

    def norm(gamma: float, seed: int, column: str, threshold: float) -> float:
        run = grid.one(seed, weight_decay=gamma)
        if case["when"] == "fixed":
            return value_at(run, "weight_norm", case["fixed_step"] * run.run.steps)
        return norm_at(run, time_of(run, f"test_{column}", threshold, case["hold"]))

    def norms(column: str, threshold: float) -> Array:
        """(seeds, weight decays)."""
        return np.array(
            [[norm(gamma, seed, column, threshold) for gamma in gammas] for seed in grid.seeds]
        )

    def spread(found: Array, words: str) -> Finding:
        return equivalent(
            f"largest / smallest norm over weight decays ({words})",
            found.max(axis=1) / found.min(axis=1),
            region,
            log=True,
        )

    main = norms(score(case), case["threshold"])
    findings = [spread(main, f"{score(case)}, {case['threshold']:.0%}")]
    if not case.verdict_only:
        held = widest_range(
            gammas, lambda cut: spread(main[:, cut], "").verdict() is Verdict.REPRODUCED
        )
        if held:
            first, last = (gammas.index(end) for end in held)
            row = spread(main[:, first : last + 1], f"{held[0]:g} to {held[1]:g}")
            findings.append(
                row.as_sensitivity("the largest contiguous range of weight decay in which it holds")
            )
        else:
            findings[0] = replace(findings[0], note="holds on no range of three weight decays")
        findings += [
            spread(norms(*other), f"{other[0]}, {other[1]:.0%}").as_sensitivity()
            for other in readings_of_a_time(case)
        ]
    case.judge(findings)


def readings_of_a_time(case: Case) -> list[tuple[str, float]]:
    """As ``sensitivity``; a norm at a fixed step hangs on no accuracy."""
    return [] if case["when"] == "fixed" else sensitivity(case)


@claim("fig02.decay")
def test_decay(case: Case) -> None:
    runs = case.grid().where(weight_decay=case["weight_decay"]).each()
    nominal = [curves.run.lr * case["nominal"] for curves in runs]
    fits, arrivals = (
        [
            time_of(curves, f"{side}_{score(case)}", case["threshold"], case["hold"])
            for curves in runs
        ]
        for side in ("train", "test")
    )
    rate = {"least squares": rate_between, "ends": rate_of_ends}[case["fit"]]
    rates = [
        rate(curves, fit.value, late.value if late.reached else late.limit) / law
        for curves, fit, late, law in zip(runs, fits, arrivals, nominal, strict=True)
    ]
    never = sum(not late.reached for late in arrivals)
    note = (
        f"in {never} of {len(runs)} seeds the test accuracy never arrives: to the end of the record"
        if never
        else ""
    )
    findings = [
        mean_in_region(
            "rate of ln w / (lr gamma) from t_train to t_test",
            rates,
            case.region("rate"),
            note=note,
        )
    ]
    if not case.verdict_only:
        findings += by_window(
            runs,
            max((fit.value for fit in fits if fit.reached), default=math.nan),
            nominal,
            case.region("rate"),
        )
    case.judge(findings)


def rate_of_ends(curves: Curves, start: float, end: float) -> float:
    """Rate of -ln w per step between two steps, from the norm at both."""
    return math.log(
        value_at(curves, "weight_norm", start) / value_at(curves, "weight_norm", end)
    ) / (end - start)


def by_window(
    runs: list[Curves], start: float, nominal: list[float], region: Region
) -> list[Finding]:
    """The rate over its nominal value by windows of a factor 2, from where every seed has
    fitted.
    """
    windows: dict[tuple[float, float], list[float]] = {}
    for curves, law in zip(runs, nominal, strict=True):
        for first, last, rate in decay_rates_by_window(curves, start):
            windows.setdefault((first, last), []).append(rate / law)
    rows = [
        mean_in_region(
            f"the same in steps {first:.0f} to {last:.0f}", rates, region
        ).as_sensitivity()
        for (first, last), rates in sorted(windows.items())
    ]
    return [
        replace(
            row,
            note="" if row.estimate in region else f"outside {str(region).removeprefix('inside ')}",
        )
        for row in rows
    ]


def critical_norms(case: Case, straight: bool) -> dict[int, Crossing]:
    """w_c of each seed: where its reduced test accuracy falls under the threshold, by ln w."""
    landscape = case.grid("landscape_fine")
    norms, accuracies = (
        surface(landscape, final(column), "n_train", "alpha")[:, 0]
        for column in ("weight_norm", f"test_{score(case)}")
    )
    samples = next(int(run.option("n_test")) for run in landscape.curves)
    return {
        seed: last_fall(norm, accuracy, case["threshold"], samples, straight=straight)
        for seed, norm, accuracy in zip(landscape.seeds, norms, accuracies, strict=True)
    }


def forecast(start: float, critical: Crossing, rate: float) -> Time:
    """When a norm that decays from ``start`` at ``rate`` a step is at w_c.

    The grid holds the start: a w_c above the grid lies above the start too, and is passed at once.
    One under the grid is passed later than the grid's first norm. A norm that is not known (NaN)
    forecasts nothing.
    """
    if math.isnan(critical.high):
        return Time.never(1.0)
    if critical.low == 0:
        return Time.never(max(math.log(start / critical.high) / rate, 1.0))
    return Time.at(max(math.log(start / critical.at) / rate, 1.0) if critical.on_grid else 1.0)


@claim("fig02.predict")
def test_predict(case: Case) -> None:
    dynamics = case.grid("large")
    from_landscape = case["w_c"] == "landscape"
    ways = (
        [critical_norms(case, straight) for straight in (False, True)] if from_landscape else [{}]
    )
    findings = []
    for gamma in decays(case, dynamics):
        by_logit, *straight = (ratio_of_times(case, dynamics, gamma, critical) for critical in ways)
        findings.append(reaching(by_logit, straight[0]) if straight else by_logit)
    case.judge(findings)


def ratio_of_times(
    case: Case, dynamics: Grid, gamma: float, critical: Mapping[int, Crossing]
) -> Finding:
    """Predicted over measured t_test at one weight decay.

    For a seed that is not in ``critical``, w_c is its norm at t_train.
    """
    column, level, hold = score(case), case["threshold"], case["hold"]
    predicted, measured = [], []
    for curves in dynamics.where(weight_decay=gamma).each():
        at_fit = norm_at(curves, time_of(curves, f"train_{column}", level, hold))
        w_c = critical.get(curves.run.seed, Crossing(at_fit, at_fit, at_fit))
        predicted.append(forecast(float(curves["weight_norm"][0]), w_c, curves.run.lr * gamma))
        measured.append(time_of(curves, f"test_{column}", level, hold))
    return time_ratio(
        f"predicted / measured t_test at weight decay {gamma:g}",
        predicted,
        measured,
        case.region("ratio"),
    )


def reaching(one: Finding, other: Finding) -> Finding:
    """The first finding with an interval that also holds the second's: two interpolations."""
    ends = [finding.ci or (math.nan, math.nan) for finding in (one, other)]
    p = None if one.p is None or other.p is None else max(one.p, other.p)
    return replace(
        one,
        ci=(min(low for low, _ in ends), max(high for _, high in ends)),
        p=p,
        note="; ".join(
            part
            for part in (
                one.note,
                f"{other.estimate:.3g} where the accuracy itself is linear in ln w",
            )
            if part
        ),
    )
