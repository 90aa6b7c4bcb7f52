"""Does today's trainer begin as the recorded one did? A sample of recorded Runs, trained again for
their first steps.

Rounding makes two trainings of one Run in float32 drift apart within hundreds of steps. How far is
measured, not guessed: every such Run is trained in float64 as well, and a recorded column may
differ from today's by ``DRIFT`` times the gap that rounding has made between the two, or by the
tolerance of its kind where that is more. A Run in float64 has its tolerance alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.training.stack import Stack
from omnigrok.training.stackable import shape_key

# Relative difference of a loss, a norm or another continuous column, by precision.
TOLERANCE = {"float32": 1e-3, "tf32": 1e-3, "float64": 1e-6}
# Difference of an accuracy: so much, or one sample.
SHARE = 0.01
# The gap to float64 is one draw of what rounding does, and the recorded Run, rounded by another
# build or stack, is a second one.
DRIFT = 10.0
# Smaller values than this share of a column's largest are rounding.
DUST = 1e-6


@dataclass(frozen=True)
class Column:
    """One column of a recorded Run against the same steps trained again.

    Args:
        name: of the column.
        points: logged steps compared.
        difference: the largest, relative to the recorded value; for accuracies absolute.
        step: where the difference is largest, as a share of what is accepted there.
        share: that share; above 1 the two do not agree.
        drifts: the first logged step from which on drift by rounding is accepted instead of the
            tolerance; None if that never happens.
    """

    name: str
    points: int
    difference: float
    step: int
    share: float
    drifts: int | None

    @property
    def agrees(self) -> bool:
        """Whether the two are the same but for rounding."""
        return self.share <= 1


@dataclass(frozen=True)
class Comparison:
    """A recorded Run against its first steps trained again, column by column."""

    run: Run
    columns: tuple[Column, ...]

    @property
    def points(self) -> int:
        """Logged steps compared."""
        return min((column.points for column in self.columns), default=0)

    @property
    def worst(self) -> Column:
        """The column that is nearest to what is accepted, or furthest beyond it."""
        return max(self.columns, key=lambda column: column.share)

    @property
    def agrees(self) -> bool:
        """Whether every column agrees, at more than one step."""
        return self.points > 1 and all(column.agrees for column in self.columns)


def sample(runs: Sequence[Run], count: int, seed: int) -> list[Run]:
    """``count`` of the Runs, drawn by ``seed``, whatever their order."""
    ordered = sorted(runs, key=lambda run: run.digest)
    return random.Random(seed).sample(ordered, min(count, len(ordered)))  # noqa: S311


def compare(recorded: Curves, again: Curves, tests: int, exact: Curves) -> Comparison:
    """A recorded Run against today's training of it, and that one against float64.

    Args:
        recorded: what was recorded.
        again: its first steps, trained again.
        tests: samples of its test set.
        exact: the same in float64; ``again`` itself accepts no drift.

    A column that only one of the first two has differs without limit.
    """
    _, here, there = np.intersect1d(recorded.step, again.step, return_indices=True)
    # One that diverged early has fewer points than the others.
    _, there_too, twin = np.intersect1d(again.step[there], exact.step, return_indices=True)
    here, there = here[there_too], there[there_too]
    steps = recorded.step[here]
    tolerance = TOLERANCE[recorded.run.precision]
    found = []
    for name in sorted({*recorded.columns, *again.columns}):
        if name not in recorded.columns or name not in again.columns:
            found.append(Column(name, len(steps), float("inf"), 0, float("inf"), None))
            continue
        old, new, other = recorded[name][here], again[name][there], exact[name][twin]
        prefix, _, kind = name.partition("_")
        if kind.startswith("acc"):
            samples = recorded.run.n_train if prefix == "train" else tests
            sample_share = 1.01 / min(samples, recorded.run.eval_samples or samples)
            least = max(SHARE, sample_share)
            gap, drift = np.abs(new - old), np.abs(other - new)
            # Samples jump one by one: that none has jumped in float64 bounds nothing once the loss
            # itself drifts.
            unsteady = _drifts(
                again[f"{prefix}_loss"][there], exact[f"{prefix}_loss"][twin], tolerance
            )
            drift = np.where(unsteady, np.maximum(drift, sample_share), drift)
        else:
            least = tolerance
            gap, drift = _relative(new, old), _relative(other, new)
        accepted = np.maximum(least, DRIFT * np.maximum.accumulate(drift))
        share = np.where(gap > 0, gap / accepted, 0.0)
        worst = int(share.argmax()) if len(share) else 0
        drifts = steps[accepted > least]
        found.append(
            Column(
                name,
                len(steps),
                float(gap.max(initial=0.0)),
                int(steps[worst]) if len(steps) else 0,
                float(share.max(initial=0.0)),
                int(drifts[0]) if len(drifts) else None,
            )
        )
    return Comparison(recorded.run, tuple(found))


def _drifts(
    new: NDArray[np.float64], exact: NDArray[np.float64], tolerance: float
) -> NDArray[np.bool_]:
    """Where drift by rounding has passed the tolerance."""
    drift: NDArray[np.bool_] = DRIFT * np.maximum.accumulate(_relative(exact, new)) > tolerance
    return drift


def _relative(new: NDArray[np.float64], old: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences relative to ``old``, 0 where both are the same, also NaN or infinite; infinite
    where only one is.
    """
    scale = np.maximum(np.abs(old), DUST * np.abs(old[np.isfinite(old)]).max(initial=0.0))
    same = (new == old) | (np.isnan(new) & np.isnan(old))
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.abs(new - old) / scale
    return np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))


def _silent(line: str) -> None:
    """Says nothing."""


def retrain(
    recorded: Sequence[Curves],
    steps: int,
    device: torch.device,
    root: Path,
    told: Callable[[str], None] = _silent,
) -> list[Comparison]:
    """Train Runs again for their first ``steps`` steps and compare, in the order given; in float64
    too only where drift must be measured.

    Args:
        told: gets a line before each stack that is trained; some take minutes.

    Raises:
        DataMissing, BadInput: as ``omnigrok.training.train``.
    """
    shortened = [curves.run.replace(steps=min(steps, curves.run.steps)) for curves in recorded]
    again = _train(shortened, device, root, told)
    found = [
        compare(old, *again[run], again[run][0])
        for old, run in zip(recorded, shortened, strict=True)
    ]
    unsure = [run for run, each in zip(shortened, found, strict=True) if not each.agrees]
    exact = _train([run.replace(precision="float64") for run in unsure], device, root, told)
    return [
        each
        if each.agrees
        else compare(old, *again[run], exact[run.replace(precision="float64")][0])
        for each, old, run in zip(found, recorded, shortened, strict=True)
    ]


def train_whole(
    runs: Sequence[Run],
    device: torch.device,
    root: Path,
    told: Callable[[str], None] = _silent,
) -> dict[Run, Curves]:
    """Curves of whole Runs; ``told`` as in ``retrain``.

    Raises:
        DataMissing, BadInput: as ``omnigrok.training.train``.
    """
    return {run: curves for run, (curves, _) in _train(runs, device, root, told).items()}


def _train(
    runs: Sequence[Run], device: torch.device, root: Path, told: Callable[[str], None]
) -> dict[Run, tuple[Curves, int]]:
    """Curves and the number of test samples of each Run, in as few stacks as there are shapes."""
    stacks: dict[Run, list[Run]] = {}
    for run in dict.fromkeys(runs):
        stacks.setdefault(shape_key(run), []).append(run)
    trained: dict[Run, tuple[Curves, int]] = {}
    for place, members in enumerate(stacks.values(), start=1):
        first = members[0]
        told(
            f"training {place} of {len(stacks)}: {len(members)} x {first.task} {first.model}, "
            f"{max(run.steps for run in members)} steps, {first.precision}"
        )
        stack = Stack(members, device, root)
        tests = dict(zip(members, stack.replicas.samples.test_real.sum(1).tolist(), strict=True))
        trained.update({curves.run: (curves, tests[curves.run]) for curves in stack.advance()})
    return trained
