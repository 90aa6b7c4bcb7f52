"""What is recorded for a claim, in the evidence and in a run store, and whether it still belongs to
this version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import torch

from omnigrok.evidence.find import evidence_of
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.digests import changed_since
from omnigrok.suite.schema import Claim, Figure, Protocol, Scale, Tier
from omnigrok.suite.suite import Setting, Suite
from omnigrok.training.device import describe
from omnigrok.training.identity import identity


@dataclass(frozen=True)
class ClaimState:
    """What there is of one experiment under one protocol.

    Args:
        where: "evidence", or the tier of a run store.
        runs: how many Runs the experiment has at this scale.
        current: how many of them are recorded by this trainer, torch and device.
        stale: how many are recorded by another one only.
        changed: which of "YAML entry" and "check" are not those of when the evidence was recorded.
    """

    experiment: str
    protocol: Protocol
    where: str
    scale: Scale
    runs: int
    current: int
    stale: int
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        have = self.current + self.stale
        if not have:
            text = "nothing recorded"
        elif have < self.runs:
            text = f"{have} of {self.runs} runs recorded"
        else:
            text = f"all {self.runs} runs recorded"
        parts = [text + (", reduced scale" if self.scale == "reduced" and have else "")]
        if self.stale:
            parts.append(f"{self.stale} stale (another trainer, torch or device)")
        parts += [f"the {what} has changed since" for what in self.changed]
        return f"{self.where}, {self.protocol}, {self.experiment}: {'; '.join(parts)}"


def _environment(run: Run) -> Environment:
    return Environment(identity(run), torch.__version__, describe(torch.device("cpu")))


def evidence_states(suite: Suite, figure: Figure, claim: Claim) -> Iterator[ClaimState]:
    """What the recorded evidence holds of each experiment: the full scale, if it is there.

    Raises:
        BadInput: an experiment is not valid.
        EvidenceError: a file is damaged.
    """
    for protocol in claim.protocols:
        for full_name in suite.experiments(figure, claim).values():
            found: list[ClaimState] = []
            for scale in get_args(Scale):
                runs = suite.runs(full_name, Setting("paper", protocol, scale))
                there = evidence_of(suite.folder, full_name, protocol, runs)
                current = sum(env == _environment(run) for run, env in there.items())
                changed = changed_since(suite.folder, full_name, protocol, figure.figure, claim)
                found.append(
                    ClaimState(
                        full_name,
                        protocol,
                        "evidence",
                        scale,
                        len(runs),
                        current,
                        len(there) - current,
                        changed,
                    )
                )
            yield max(
                found, key=lambda state: (state.current + state.stale) / state.runs
            )  # the first of equals, the full one


def store_states(suite: Suite, figure: Figure, claim: Claim, store: Store) -> Iterator[ClaimState]:
    """What a run store holds of each experiment, by tier; only where it holds something.

    Raises:
        BadInput: an experiment is not valid.
        StoreError: the store cannot be read.
    """
    tiers: tuple[tuple[Tier, Scale], ...] = (
        ("smoke", "full"),
        ("paper", "full"),
        ("paper", "reduced"),
    )
    for tier, scale in tiers:
        for protocol in claim.protocols:
            for full_name in suite.experiments(figure, claim).values():
                setting = Setting(tier, protocol, scale)
                runs = suite.runs(full_name, setting)
                if scale == "reduced" and suite.scale(full_name, setting)[0] == "full":
                    continue
                by_environment: dict[Environment, list[Run]] = {}
                for run in runs:
                    by_environment.setdefault(_environment(run), []).append(run)
                current = sum(
                    len(store.has_many(part, env)) for env, part in by_environment.items()
                )
                any_place = len(store.has_many(runs, None))
                if any_place:
                    yield ClaimState(
                        full_name,
                        protocol,
                        f"store, {tier} tier",
                        scale,
                        len(runs),
                        current,
                        any_place - current,
                    )
