"""Does the trainer of today begin as the recorded one did? A sample of recorded Runs, trained again for their first steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from omnigrok.runs.curves import Curves
from omnigrok.runs.run import Run
from omnigrok.training.shape import shape_key
from omnigrok.training.stack import train

# Replicas drift apart in the last bits of float32 (STATISTICS.md); over 100 steps that stays far below this.
TOLERANCE = 1e-3
# Smaller values than this share of a column's largest are rounding.
DUST = 1e-6


@dataclass(frozen=True)
class Comparison:
    """A recorded Run against its first steps trained again.

    Args:
        run: the recorded one.
        points: logged steps that both have.
        difference: largest difference of a loss or a weight norm, relative to its recorded value.
    """

    run: Run
    points: int
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether the two are the same but for rounding."""
        return self.points > 1 and self.difference <= TOLERANCE


def sample(runs: Sequence[Run], count: int) -> list[Run]:
    """``count`` Runs, by digest: the choice is nobody's, and the same for everybody."""
    return sorted(runs, key=lambda run: run.digest)[:count]


def compare(recorded: Curves, again: Curves) -> Comparison:
    """The steps that both have logged; accuracies, which jump by one sample, are left out."""
    _, here, there = np.intersect1d(recorded.step, again.step, return_indices=True)
    largest = 0.0
    for name, values in recorded.columns.items():
        if name.endswith("loss") or name == "weight_norm":
            old, new = values[here].astype(float), again[name][there].astype(float)
            scale = np.maximum(np.abs(old), DUST * np.abs(old).max(initial=0.0))
            gap = np.abs(new - old)
            largest = max(largest, float(np.divide(gap, scale, out=np.where(gap > 0, np.inf, 0.0), where=scale > 0).max(initial=0.0)))
    return Comparison(recorded.run, len(here), largest)


def retrain(recorded: Sequence[Curves], steps: int, device: torch.device, root: Path) -> list[Comparison]:
    """Train Runs again for their first ``steps`` steps and compare.

    Raises:
        DataMissing, BadInput: as ``omnigrok.training.train``.
    """
    stacks: dict[Run, list[Curves]] = {}
    for curves in recorded:
        stacks.setdefault(shape_key(curves.run), []).append(curves)
    found = []
    for members in stacks.values():
        again = train([curves.run.replace(steps=min(steps, curves.run.steps)) for curves in members], device, root)
        found += [compare(old, new) for old, new in zip(members, again, strict=True)]
    return found
