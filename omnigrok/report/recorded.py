"""Where the curves of the redrawn figures come from: the evidence files, or a run store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.errors import OmnigrokError
from omnigrok.evidence.find import evidence_of, recorded
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.schema import Protocol, Scale, Tier
from omnigrok.suite.suite import Setting, Suite
from omnigrok.training.identity import identity


class NotRecorded(OmnigrokError):
    """There are no curves, or not all, of an experiment."""


@dataclass(frozen=True)
class Loaded:
    """The curves of one experiment.

    Args:
        grid: the curves.
        reduction: how its scale is reduced; "" at full scale.
        stale: how many of its runs come from another trainer, torch or device than the audit's.
    """

    grid: Grid
    reduction: str
    stale: int


@dataclass
class Recorded:
    """Finds curves for one audit.

    Args:
        suite: the claims folder.
        tier: of the audit.
        store: an open run store; None reads the evidence next to the claims.
        first_seed: of the audit's runs.
        reduced: (figure, protocol) that were judged at the reduced scale, which is then looked for
            before the full one.
        torch, device: where the audit ran; results of another place are drawn only where there are
            no others, and counted as stale.
    """

    suite: Suite
    tier: Tier
    store: Store | None = None
    torch: str = ""
    device: str = ""
    first_seed: int = 0
    reduced: frozenset[tuple[str, str]] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)
    _held: dict[tuple[str, Protocol], Loaded] = field(default_factory=dict, repr=False)

    def load(self, experiment: str, protocol: Protocol) -> Loaded:
        """The curves of ``figure:experiment``; those of one figure, whose panels share them, are
        kept.

        Raises:
            NotRecorded: a run is missing.
            OmnigrokError: the figure file, the evidence or the store is not in order.
        """
        figure_name = experiment.partition(":")[0]
        if (experiment, protocol) not in self._held:
            loaded = self._load(experiment, protocol)
            if any(known.partition(":")[0] != figure_name for known, _ in self._held):
                self._held.clear()
            self._held[experiment, protocol] = loaded
        return self._held[experiment, protocol]

    def _load(self, experiment: str, protocol: Protocol) -> Loaded:
        figure_name = experiment.partition(":")[0]
        short = ""
        # Both scales can be there: what was judged goes first.
        for scale in sorted(get_args(Scale), reverse=(figure_name, protocol) in self.reduced):
            setting = Setting(self.tier, protocol, scale, self.first_seed)
            runs = self.suite.runs(experiment, setting)
            found, stale = (
                self._from_store(runs)
                if self.store is not None
                else self._from_evidence(experiment, protocol, runs)
            )
            if len(found) == len(runs):
                self.seconds.update({run.digest: curves.seconds for run, curves in found.items()})
                _, reduction = self.suite.scale(experiment, setting)
                diverging = self.suite.experiment(experiment).diverging
                return Loaded(Grid(experiment, found, diverging), reduction, stale)
            short = short or (
                f"{len(found)} of {len(runs)} runs of {experiment} are recorded under protocol "
                f"{protocol}"
            )
        raise NotRecorded(short)

    def _from_evidence(
        self, experiment: str, protocol: str, runs: tuple[Run, ...]
    ) -> tuple[dict[Run, Curves], int]:
        if self.tier != "paper":
            return {}, 0
        there = evidence_of(self.suite.folder, experiment, protocol, runs)
        found = recorded(
            self.suite.folder, experiment, protocol, tuple(run for run in runs if run in there)
        )
        return {run: curves for run, (curves, _) in (found or {}).items()}, 0

    def _from_store(self, runs: tuple[Run, ...]) -> tuple[dict[Run, Curves], int]:
        assert self.store is not None
        by_environment: dict[Environment, list[Run]] = {}
        for run in runs:
            by_environment.setdefault(
                Environment(identity(run), self.torch, self.device), []
            ).append(run)
        found: dict[Run, Curves] = {}
        for env, part in by_environment.items():
            current = self.store.get_many(part, env)
            found.update({run: current[run.digest] for run in part if run.digest in current})
        current_runs = len(found)
        for run in runs:
            if run not in found and (older := self.store.get_stale(run)) is not None:
                found[run] = older[0]
        return {run: found[run] for run in runs if run in found}, len(found) - current_runs
