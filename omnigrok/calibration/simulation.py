"""Simulated curves of a claim's own Runs: the paper tier's grids and seeds, with made-up columns
and scatter.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.stats.comparison import Array
from omnigrok.suite.schema import Claim, Figure, Protocol
from omnigrok.suite.suite import Setting, Suite, load_suite
from omnigrok.training.calendar import log_steps

Columns = Mapping[str, NDArray[Any] | float]


class Scatter:
    """The randomness of one simulated data set.

    Args:
        rng: its source.
        times: multiplies every standard deviation: how robust is what was found to scatter that was
            estimated too small?
    """

    def __init__(self, rng: np.random.Generator, times: float = 1.0) -> None:
        self.rng = rng
        self.times = times
        self._of: dict[tuple[object, ...], float] = {}

    def shared(self, *key: object) -> float:
        """A normal number of standard deviation ``times`` that all runs with this key share, e.g.
        of a seed, or of a seed and a size.
        """
        if key not in self._of:
            self._of[key] = self.own()
        return self._of[key]

    def own(self) -> float:
        """A number of this kind that is not shared."""
        return float(self.times * self.rng.normal())

    def order(self, size: int, *key: object) -> list[int]:
        """A random order of ``size`` places that all runs with this key share."""
        draws = [self.shared("order", *key, place) for place in range(size)]
        return sorted(range(size), key=draws.__getitem__)

    def factor(self, sd: float, *key: object) -> float:
        """A log-normal factor about 1, of its own or, with a key, shared."""
        return float(np.exp(sd * (self.shared(*key) if key else self.own())))


Steps = NDArray[np.int64]
Maker = Callable[[Run, Steps, Scatter], Columns]


def arrives(step: NDArray[np.int64], at: float, low: float = 0.0, high: float = 1.0) -> Array:
    """An accuracy that is ``low`` before step ``at`` and ``high`` from there on."""
    return np.where(step >= at, high, low)


@dataclass(frozen=True)
class Simulation:
    """Simulated data of one claim.

    Args:
        effect: the columns of each experiment's runs where the claim is true, of the size that the
            paper reports or that was recorded.
        null: the same where the claim is false: the truth lies on the criterion's margin, the
            effect is replaced by its rival, each seed's effect has a random sign, or what should go
            together is permuted. Where it is empty the null is made from ``effect``:
        mechanisms: a null for each mechanism that the YAML names, instead of ``null``.
        permute: the axis over which each seed's curves are permuted ("permuted grid"); "seed"
            permutes the seeds within each setting.
        flip: an axis and two of its values that each seed exchanges or not at random ("sign
            flips").
        ends_only: experiments of which the first and the last logged step are enough.
        reads: which runs the check reads for the claim itself; the others are not made. All where
            None.
        words: what ``effect`` is, in words.
    """

    effect: Mapping[str, Maker]
    words: str
    null: Mapping[str, Maker] = field(default_factory=dict)
    mechanisms: Mapping[str, Mapping[str, Maker]] = field(default_factory=dict)
    permute: str = ""
    flip: tuple[str, Any, Any] | None = None
    ends_only: tuple[str, ...] = ()
    reads: Callable[[Run], bool] | None = None

    def makers(self, null: str | None) -> Mapping[str, Maker]:
        """Of the effect (None), of a mechanism by its name, or of the null."""
        if null is None:
            return self.effect
        return self.mechanisms.get(null) or self.null or self.effect


@lru_cache(maxsize=256)
def runs_for(
    suite: Suite, experiment: str, protocol: Protocol, seeds: int | None
) -> tuple[Run, ...]:
    """The paper tier's Runs of an experiment, with another number of seeds where one is given."""
    runs = suite.runs(experiment, Setting("paper", protocol))
    if seeds is None:
        return runs
    first = min(run.seed for run in runs)
    return tuple(
        run.replace(seed=seed) for seed in range(seeds) for run in runs if run.seed == first
    )


@lru_cache(maxsize=64)
def runs_read(
    suite: Suite,
    experiment: str,
    protocol: Protocol,
    seeds: int | None,
    reads: Callable[[Run], bool] | None,
) -> tuple[Run, ...]:
    """Those of ``runs_for`` that ``reads`` takes."""
    runs = runs_for(suite, experiment, protocol, seeds)
    return runs if reads is None else tuple(run for run in runs if reads(run))


@dataclass(frozen=True)
class Design:
    """What a claim reads in the paper tier.

    Args:
        seeds: a number of seeds; the paper tier's own where None.
        scatter: multiplies the standard deviations of the simulation.
    """

    suite: Suite
    figure: Figure
    claim: Claim
    protocol: Protocol = "paper"
    seeds: int | None = None
    scatter: float = 1.0

    @cached_property
    def seeds_used(self) -> int:
        """The most seeds of its experiments."""
        return max(len({run.seed for run in self.runs(name)}) for name in self.claim.experiments)

    def runs(self, experiment: str) -> tuple[Run, ...]:
        return runs_for(self.suite, self._full(experiment), self.protocol, self.seeds)

    def diverging(self, experiment: str) -> bool:
        return self.suite.experiment(self._full(experiment)).diverging

    def _full(self, experiment: str) -> str:
        return self.suite.experiments(self.figure, self.claim)[experiment]

    def grids(
        self, simulation: Simulation, null: str | None, rng: np.random.Generator
    ) -> dict[str, Grid]:
        """One simulated data set; ``null`` is None for the effect, or a mechanism or form of the
        YAML.
        """
        scatter = Scatter(rng, self.scatter)
        grids = {}
        makers = simulation.makers(null)
        for name in self.claim.experiments:
            maker = makers[name]
            runs = runs_read(
                self.suite, self._full(name), self.protocol, self.seeds, simulation.reads
            )
            ends_only = name in simulation.ends_only
            curves = {run: self._curves(run, maker, scatter, ends_only) for run in runs}
            if null == "permuted grid" and simulation.permute == "seed":
                curves = exchanged(curves, rng)
            elif null == "permuted grid" and simulation.permute:
                curves = permuted(curves, simulation.permute, rng)
            elif null == "sign flips" and simulation.flip is not None:
                curves = flipped(curves, *simulation.flip, rng)
            grids[name] = Grid(name, curves, self.diverging(name))
        return grids

    @staticmethod
    def _curves(run: Run, maker: Maker, scatter: Scatter, ends_only: bool) -> Curves:
        step = _ends(run.steps) if ends_only else _calendar(run)
        made = maker(run, step, scatter)
        # For the few points of most simulations np.full is most of the work.
        points = len(step)
        columns = {
            name: values if isinstance(values, np.ndarray) else np.array([values] * points, float)
            for name, values in made.items()
        }
        return Curves(run, step, columns)


@lru_cache(maxsize=64)
def _ends(steps: int) -> NDArray[np.int64]:
    return np.array([0, steps], dtype=np.int64)


@lru_cache(maxsize=2048)
def _calendar(run: Run) -> NDArray[np.int64]:
    return np.array(log_steps(run), dtype=np.int64)


def permuted(
    curves: Mapping[Run, Curves], axis: str, rng: np.random.Generator
) -> dict[Run, Curves]:
    """Each seed's curves moved among the values of ``axis``, all curves of one value together: no
    order is left along it.
    """
    values = sorted({getattr(run, axis) for run in curves})
    place: dict[int, dict[Any, Any]] = {}
    for seed in sorted({run.seed for run in curves}):
        order = rng.permutation(len(values))
        place[seed] = {values[old]: values[new] for old, new in enumerate(order)}
    by_key = {(_without(run, axis), getattr(run, axis)): run for run in curves}
    moved = {}
    for run, each in curves.items():
        target = by_key[_without(run, axis), place[run.seed][getattr(run, axis)]]
        moved[target] = Curves(target, each.step, each.columns)
    return {run: moved[run] for run in curves}


def exchanged(curves: Mapping[Run, Curves], rng: np.random.Generator) -> dict[Run, Curves]:
    """Each setting's curves moved among its seeds: no row belongs to a seed."""
    groups: dict[str, list[Run]] = {}
    for run in curves:
        groups.setdefault(_without(run, "seed"), []).append(run)
    moved = {}
    for runs in groups.values():
        for run, place in zip(runs, rng.permutation(len(runs)), strict=True):
            moved[run] = Curves(run, curves[runs[place]].step, curves[runs[place]].columns)
    return {run: moved[run] for run in curves}


def flipped(
    curves: Mapping[Run, Curves], axis: str, left: Any, right: Any, rng: np.random.Generator
) -> dict[Run, Curves]:
    """Each seed keeps its two arms or exchanges them, with even odds; a run without a partner stays
    as it is.
    """
    swap = {seed: rng.random() < 0.5 for seed in sorted({run.seed for run in curves})}
    other = {left: right, right: left}
    by_key = {(_without(run, axis), getattr(run, axis)): run for run in curves}
    result = {}
    for run, each in curves.items():
        value = getattr(run, axis)
        source = (
            by_key.get((_without(run, axis), other[value]), run)
            if swap[run.seed] and value in other
            else run
        )
        result[run] = (
            each if source is run else Curves(run, curves[source].step, curves[source].columns)
        )
    return result


@lru_cache(maxsize=65536)
def _without(run: Run, axis: str) -> str:
    """A key of all fields but ``axis``."""
    # The steps may go with the axis (longer runs at smaller decay): they are no part of the
    # setting.
    blank = 1 if axis == "n_train" else 0
    return run.replace(**{axis: blank}, steps=1).digest


def generator(seed: int, *key: object) -> np.random.Generator:
    """A source of randomness of its own for each key."""
    return np.random.default_rng([seed, zlib.crc32("|".join(map(str, key)).encode())])


def design_of(
    folder: Path, claim_id: str, seeds: int | None = None, scatter: float = 1.0
) -> Design:
    """The design of a claim under its first protocol.

    Raises:
        BadInput: there is no such claim.
    """
    suite = load_suite(folder)
    figure, claim = suite.claim(claim_id)
    return Design(suite, figure, claim, claim.protocols[0], seeds, scatter)
