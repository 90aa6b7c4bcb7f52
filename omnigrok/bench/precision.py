"""Whether cheap arithmetic gives the same results: each family trained in it and in float64, from
the same seeds, compared in pairs.

What is compared, and how near it must be, was fixed before the first comparison was run
(``QUANTITIES``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from omnigrok.bench.sweeps import Sweep
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.stats import Finding, Region, Verdict, mean_in_region, time_to
from omnigrok.training.stack import train

SEEDS = 12
# Equivalence by two one-sided tests at 5 %: the 90 % interval lies inside the margin.
LEVEL = 0.9
# Of the pairs in which at least one run reaches a threshold or diverges, the largest accepted share
# in which only one does.
DISAGREE = 0.05
LARGEST_STACK = 36


@dataclass(frozen=True)
class Quantity:
    """What claims read off a pair of curves, the cheap one and the exact one.

    Args:
        name: as the table shows it.
        margin: the largest difference that is none, in the unit of ``difference``.
        difference: cheap minus exact; NaN where neither has a value, inf where only one has.
        held: whether claims read it off runs at constant norm, too.
    """

    name: str
    margin: float
    difference: Callable[[Curves, Curves], float]
    held: bool = True


def _loss(column: str) -> Callable[[Curves, Curves], float]:
    def difference(cheap: Curves, exact: Curves) -> float:
        both = np.concatenate([exact["train_loss"], exact["test_loss"]])
        return float((cheap[column][-1] - exact[column][-1]) / (both.max() - both.min()))

    return difference


def _accuracy_of(curves: Curves, side: str) -> str | None:
    """The accuracy that claims read: the one of threshold .01 where there are several."""
    names = [name for name in curves.columns if name.startswith(f"{side}_acc")]
    return next((name for name in names if name.endswith("acc")), names[0] if names else None)


def _accuracy(side: str) -> Callable[[Curves, Curves], float]:
    def difference(cheap: Curves, exact: Curves) -> float:
        column = _accuracy_of(exact, side)
        return math.nan if column is None else float(cheap[column][-1] - exact[column][-1])

    return difference


def _time(side: str) -> Callable[[Curves, Curves], float]:
    def difference(cheap: Curves, exact: Curves) -> float:
        column = _accuracy_of(exact, side)
        if column is None:
            return math.nan
        first, second = (time_to(curves.step, curves[column], 0.95) for curves in (cheap, exact))
        if first.reached != second.reached:
            return math.inf
        return math.log(first.value / second.value) if first.reached else math.nan

    return difference


def _norm(cheap: Curves, exact: Curves) -> float:
    return float(math.log(cheap["weight_norm"][-1] / exact["weight_norm"][-1]))


# Claims call 1 % of a loss curve's range its floor, .02 is the least error that one tells apart,
# and the narrowest region of a ratio of times or norms ends at 10 %.
QUANTITIES = (
    Quantity("train loss / range", 0.01, _loss("train_loss")),
    Quantity("test loss / range", 0.01, _loss("test_loss")),
    Quantity("train accuracy", 0.02, _accuracy("train")),
    Quantity("test accuracy", 0.02, _accuracy("test")),
    Quantity("ln t_train", 0.05, _time("train"), held=False),
    Quantity("ln t_test", 0.05, _time("test"), held=False),
    Quantity("ln weight norm", 0.01, _norm),
)


@dataclass(frozen=True)
class PrecisionRow:
    """One quantity of one sweep in one cheap arithmetic.

    Args:
        sweep, arithmetic: what was trained; ``arithmetic`` names precision and loss precision.
        quantity: what was compared.
        finding: the mean difference over seeds, each the mean of its pairs, with its interval and
            the margin as region.
        largest: the largest difference of a pair, in size.
        pairs: compared.
        alone: pairs in which only one of the two reached its threshold, or diverged.
    """

    sweep: str
    arithmetic: str
    quantity: str
    finding: Finding
    largest: float
    pairs: int
    alone: int

    @property
    def same(self) -> bool:
        """Whether the two arithmetics give the same."""
        return self.verdict is Verdict.REPRODUCED

    @property
    def verdict(self) -> Verdict:
        """REPRODUCED: the same. REFUTED: not the same. INCONCLUSIVE: the seeds scatter too much to
        say, or reach thresholds alone.
        """
        verdict = self.finding.verdict()
        if self.alone > DISAGREE * (self.pairs + self.alone) and verdict is Verdict.REPRODUCED:
            return Verdict.INCONCLUSIVE
        return verdict


def compare(
    sweep: str, arithmetic: str, quantity: Quantity, pairs: Sequence[tuple[Curves, Curves]]
) -> PrecisionRow | None:
    """A row from pairs of curves of the same Runs, cheap and exact; None where no pair has the
    quantity.
    """
    by_seed: dict[int, list[float]] = {}
    for cheap, exact in pairs:
        difference = (
            math.inf if cheap.diverged != exact.diverged else quantity.difference(cheap, exact)
        )
        by_seed.setdefault(exact.run.seed, []).append(difference)
    every = np.array(list(itertools.chain.from_iterable(by_seed.values())))
    known = every[np.isfinite(every)]
    alone = int(np.isinf(every).sum())
    if not known.size and not alone:
        return None
    means = [_mean(values) for values in by_seed.values()]
    finding = mean_in_region(
        quantity.name, means, Region(-quantity.margin, quantity.margin), level=LEVEL
    )
    return PrecisionRow(
        sweep,
        arithmetic,
        quantity.name,
        finding,
        float(np.abs(known).max(initial=0.0)),
        known.size,
        alone,
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def arithmetics(run: Run, device: torch.device) -> list[tuple[str, str]]:
    """(precision, loss precision) that a Run may have instead of float64 throughout."""
    cheap = [("float32", "float32")]
    if run.loss != "mse":
        cheap.append(("float32", "float64"))
    if device.type == "cuda":
        cheap.append(("tf32", "float32"))
    return cheap


def _trained(runs: Sequence[Run], device: torch.device, root: Path | None) -> list[Curves]:
    """In stacks; the Runs of a sweep share a shape."""
    return [
        curves
        for start in range(0, len(runs), LARGEST_STACK)
        for curves in train(runs[start : start + LARGEST_STACK], device, root)
    ]


def measure(
    sweep: Sweep, device: torch.device, root: Path | None = None, seeds: int = SEEDS
) -> Iterator[PrecisionRow]:
    """Train a sweep in float64 and in each cheap arithmetic, and compare."""
    runs = sweep.runs(seeds)
    exact = _trained(
        [run.replace(precision="float64", loss_precision="float64") for run in runs], device, root
    )
    for precision, loss in arithmetics(sweep.run, device):
        cheap = _trained(
            [run.replace(precision=precision, loss_precision=loss) for run in runs], device, root
        )
        name = (
            precision
            if precision == loss or sweep.run.loss == "mse"
            else f"{precision}, loss {loss}"
        )
        for quantity in QUANTITIES:
            if sweep.run.constraint != "free" and not quantity.held:
                continue
            row = compare(sweep.name, name, quantity, list(zip(cheap, exact, strict=True)))
            if row is not None:
                yield row
