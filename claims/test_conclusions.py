"""Checks of the conclusions (Section 7), from experiments of other figures."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit import Case, claim
from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import generalises, halves, time_of, times
from omnigrok.audit.outcome import ClaimRefuted, Outcome
from omnigrok.curves import Curves
from omnigrok.errors import BadInput
from omnigrok.paper.maps import best_accuracy
from omnigrok.stats import Finding, Time, conjunction, mean_in_region, share, time_ratio, time_to
from omnigrok.stats.association import (
    permuted_within,
    rank_agreement,
    rank_correlations,
    stratified_correlation,
)
from omnigrok.stats.mismatch import gap_right_of_minimum
from omnigrok.stats.rise import rise_decades
from omnigrok.suite.suite import load_suite

Array = NDArray[np.float64]
NEAR = 2.0
NOTHING_KNOWN = 1e-9


@lru_cache(maxsize=8)
def checks_of(figure: str) -> ModuleType:
    """The check module of another figure."""
    path = Path(__file__).with_name(f"test_{figure}.py")
    spec = importlib.util.spec_from_file_location(f"conclusions_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_of(figure: str, claim_id: str) -> Callable[[Case], None]:
    """The check function of another figure's claim, by its mark."""
    for value in vars(checks_of(figure)).values():
        if any(
            mark.name == "claim" and mark.args == (claim_id,)
            for mark in getattr(value, "pytestmark", [])
        ):
            return value  # type: ignore[no-any-return]
    raise BadInput(f"test_{figure}.py has no check of {claim_id}")


def part(case: Case, source: Mapping[str, Any]) -> Grid:
    """The runs of one arm; ``largest`` is an axis' largest value (the tiers differ in weight
    decay).
    """
    grid = case.grid(source["from"])
    where = {
        key: grid.axis(key)[-1] if value == "largest" else value
        for key, value in source["where"].items()
    }
    return grid.where(**where) if where else grid


# concl.LU


def arrival(curves: Curves, rule: Mapping[str, float]) -> Time:
    """When a curve arrives: an accuracy at a level, or a loss under a share of the training
    targets' variance (t_fit as in Figure 5).
    """
    ((column, level),) = rule.items()
    if column == "train_loss":
        step = checks_of("fig05_qm9").fit_step(curves, level)
        return (
            Time.never(float(curves.step[-1]))
            if math.isnan(step)
            else Time.at(max(step, 1.0), float(curves.step[-1]))
        )
    if column == "test_loss":
        variance = float(curves["train_target_square"][0] - curves["train_target"][0] ** 2)
        return time_to(curves.step, -curves[column], -level * variance)
    return time_of(curves, column, level)


def log_delay(curves: Curves, task: Mapping[str, Any], never: float = math.inf) -> float:
    """ln(t_generalise / t_fit): ``never`` where it never generalises, NaN where it never fits."""
    early, late = arrival(curves, task["fits"]), arrival(curves, task["generalises"])
    if not early.reached:
        return math.nan
    return late.log_bound - early.log_bound if late.reached else never


def gap_at(landscape: Grid, seed: int, alpha: float, size: int, kind: str) -> float:
    """The gap right of w_c up to ``alpha`` on the seed's own landscape of the nearest size; NaN
    where there is none.
    """
    nearest = min(landscape.axis("n_train"), key=lambda each: abs(math.log(each / size)))
    if seed not in landscape.seeds or not 1 / NEAR <= nearest / size <= NEAR:
        return math.nan
    runs = landscape.where(n_train=nearest)
    alphas = [each for each in runs.axis("alpha") if each > 0]
    last = [
        [float(runs.one(seed, alpha=each)[f"{side}_{kind}"][-1]) for each in alphas]
        for side in ("train", "test")
    ]
    train, test = (1.0 - np.array(row) if kind == "acc" else np.array(row) for row in last)
    return gap_right_of_minimum(alphas, train, test, alpha)


def cells(case: Case, task: Mapping[str, Any]) -> tuple[Array, Array]:
    """(seeds, cells) gaps and log delays; a cell is one scale and size of one arm."""
    landscape = case.grid(task["landscape"])
    kind = "acc" if task["gap"] == "error" else "loss"
    never = {"last": math.inf, "left out": math.nan}[case["never"]]
    arms = [part(case, arm) for arm in task["arms"]]
    seeds = sorted({seed for arm in arms for seed in arm.seeds})
    columns = []
    for arm in arms:
        for alpha, size in sorted({(run.alpha, run.n_train) for run in arm.curves}):
            row = [
                (
                    gap_at(landscape, seed, alpha, size, kind),
                    log_delay(arm.one(seed, alpha=alpha, n_train=size), task, never),
                )
                if seed in arm.seeds
                else (math.nan, math.nan)
                for seed in seeds
            ]
            columns.append(row)
    table = np.array(columns, dtype=float).transpose(2, 1, 0)
    return table[0], table[1]


@claim("concl.LU")
def test_lu(case: Case) -> None:
    strata = {name: cells(case, task) for name, task in case["tasks"].items()}
    if case["permuted"]:
        rng = np.random.default_rng(0)
        strata = {
            name: (gap, permuted_within(gap, delay, rng)[0])
            for name, (gap, delay) in strata.items()
        }
    region = case.region("rho")
    rows = [
        mean_in_region(
            f"{name}: the same, {gap.shape[1]} cells", rank_correlations(gap, delay), region
        ).as_sensitivity()
        for name, (gap, delay) in strata.items()
    ]
    case.judge(
        [
            stratified_correlation(
                "rank correlation of the gap right of w_c with the delay", strata, region
            ),
            *rows,
        ]
    )


# concl.everywhere


@claim("concl.everywhere")
def test_everywhere(case: Case) -> None:
    findings: list[Finding] = []
    outcomes: list[Outcome] = []
    for figure, claim_id in case["parts"].items():
        entry = load_suite(Path(__file__).parent).figure(figure).claim(claim_id)
        changed = entry.model_copy(
            update={"quantity": {**entry.quantity, **case["changes"].get(figure, {})}}
        )
        own = {
            name.partition(":")[2]: grid
            for name, grid in case.grids.items()
            if name.startswith(f"{figure}:")
        }
        inner = replace(case, claim=changed, figure=figure, role="claim", grids=own, outcome=None)
        with contextlib.suppress(ClaimRefuted):
            check_of(figure, claim_id)(inner)
        if inner.outcome is None:
            raise BadInput(f"the check of {claim_id} ended without a judgement")
        outcomes.append(inner.outcome)
        # A premise of a part is no premise of the whole: it has had its say in the part's verdict.
        findings += [
            replace(finding, name=f"{claim_id}: {finding.name}", premise=False)
            for finding in inner.outcome.findings
        ]
    whole = conjunction([each.verdict for each in outcomes])
    first = next(each for each in outcomes if each.verdict is whole)
    case.settle(whole, tuple(findings), f"{first.claim}: {first.reason}")


# concl.most-dramatic


def abruptness(case: Case, source: Mapping[str, Any]) -> Array:
    """(seeds,) decades of steps between 10 and 90 % of the test accuracy's rise after t_train."""
    levels = case["tail"], 1 - case["tail"]
    fits = (
        (run, time_of(run, "train_acc", case["fits"]).value) for run in part(case, source).each()
    )
    return np.array([rise_decades(run.step, run["test_acc"], start, levels) for run, start in fits])


@claim("concl.most-dramatic")
def test_most_dramatic(case: Case) -> None:
    order = case["order"]
    found = {source["task"]: abruptness(case, source) for source in order}
    rises = [
        share(
            f"{task}: seeds whose test accuracy rises after t_train",
            ~np.isnan(values),
            case.region("rises"),
        )
        for task, values in found.items()
    ]
    if case["halves"] is not None:
        # That the test accuracy rises is the claim's own part.
        rises, name = [], case["halves"]
        first, second = (np.array(half) for half in halves(found[name].tolist(), math.nan))
        pairs = [(f"{name}, one half", first, f"{name}, other half", second)]
    else:
        names = list(found)
        pairs = [(sharp, found[sharp], blunt, found[blunt]) for sharp, blunt in pairwise(names)]
    differences = []
    for sharp, left, blunt, right in pairs:
        n = min(len(left), len(right))
        name = f"log10(t90/t10) of {blunt} minus that of {sharp}"
        differences.append(mean_in_region(name, right[:n] - left[:n], case.region("difference")))
    rows = [
        mean_in_region(
            f"log10(t90/t10) of {task}", values, case.region("difference")
        ).as_sensitivity()
        for task, values in found.items()
    ]
    case.judge([*rises, *differences, *rows])


# concl.representation


def delays(case: Case, source: Mapping[str, Any]) -> tuple[list[Time], list[Time]]:
    """t_test, and t_test / t_train of each seed: known from below where it never generalises, not
    at all where it never fits.
    """
    runs = part(case, source)
    late, early = (
        times(runs, "test_acc", source["generalises"]),
        times(runs, "train_acc", source["fits"]),
    )
    ratios = []
    for after, before in zip(late, early, strict=True):
        bound = math.exp(after.log_bound - before.log_bound) if before.reached else NOTHING_KNOWN
        ratios.append(Time.at(bound) if after.reached and before.reached else Time.never(bound))
    return late, ratios


def reliance(case: Case, name: str) -> Array:
    """(seeds,) best test accuracy at the linear minus at the messiest representation."""
    grid = case.grid(name)
    low, *_, high = grid.axis("messiness")
    good, bad = (
        np.array([best_accuracy(grid, seed, m, case.protocol) for seed in grid.seeds])
        for m in (low, high)
    )
    return good - bad


def centre(ratios: Sequence[Time]) -> float:
    """Median of the bounds."""
    return float(np.median([time.log_bound for time in ratios]))


@claim("concl.representation")
def test_representation(case: Case) -> None:
    more, less = case["tasks"]
    sources = case["sources"]
    late, dramatic = delays(case, sources[more]["delay"])
    mild = delays(case, sources[less]["delay"])[1]
    ranges = [reliance(case, sources[task]["range"]) for task in (more, less)]
    if more == less:
        dramatic, mild = halves(dramatic, Time.never(1.0))
        first, second = halves(ranges[0].tolist(), math.nan)
        ranges = [np.array(first), np.array(second)]
    n, seeds = min(len(dramatic), len(mild)), min(len(part) for part in ranges)
    drama = [centre(dramatic), centre([time for time in mild if time.reached] or mild)]
    agreement = rank_agreement(
        "rank correlation over tasks of reliance on representation with delay",
        [float(np.nanmean(values)) for values in ranges],
        drama,
        case.region("agreement"),
        note="two tasks cannot show that representation is the key",
    )
    case.judge(
        [
            generalises(f"{more}, standard initialization", late, case.region("reached")),
            time_ratio(
                f"t_test / t_train at standard initialization, {more} over {less}",
                dramatic[:n],
                mild[:n],
                case.region("ratio"),
            ),
            mean_in_region(
                f"loss of test accuracy by a messy representation, {more} minus {less}",
                ranges[0][:seeds] - ranges[1][:seeds],
                case.region("range"),
            ),
            agreement,
        ]
    )
