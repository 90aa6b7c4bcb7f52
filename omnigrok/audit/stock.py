"""What is recorded of every experiment, whether it has settled, and what the missing runs would
cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from omnigrok.audit.settled import Settling
from omnigrok.curves import Curves
from omnigrok.errors import OmnigrokError
from omnigrok.evidence.find import evidence_of, recorded
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.suite.experiment import paper_steps
from omnigrok.suite.schema import Protocol, Scale
from omnigrok.suite.suite import Setting, Suite
from omnigrok.training.work import step_operations

# What landscapes are read from; other columns, such as sums of targets, do not move.
COLUMNS = ("train_loss", "test_loss", "train_acc", "test_acc")
Rates = Mapping[tuple[str, str, str], float]


@dataclass(frozen=True)
class Stock:
    """One experiment under one protocol.

    Args:
        experiment: ``figure:experiment``.
        scale: the one that was asked for; else the one of which the largest share is recorded, and
            "reduced" if nothing is recorded and the YAML has one.
        runs, recorded: Runs at that scale, and those of them in the evidence or the store.
        settled, held: recorded runs at constant norm, and those of them of which losses and
            accuracies have settled.
        network_steps: of the missing runs, an upper bound where some may stop early.
        seconds: the same at the speed of recorded runs of the same network; None where there are
            none.
    """

    experiment: str
    protocol: Protocol
    scale: Scale
    runs: int
    recorded: int
    settled: int
    held: int
    network_steps: int
    seconds: float | None

    @property
    def complete(self) -> bool:
        """Whether every Run is recorded."""
        return self.recorded == self.runs


def kind(run: Run) -> tuple[str, str, str]:
    """What a speed is of: data set, architecture, precision."""
    return run.task, run.model, run.precision


def measured_rates(curves: Iterable[Curves]) -> dict[tuple[str, str, str], float]:
    """Seconds an operation of recorded runs (evaluations included), by ``kind``."""
    seconds: dict[tuple[str, str, str], float] = {}
    operations: dict[tuple[str, str, str], float] = {}
    for each in curves:
        if each.seconds > 0:
            key = kind(each.run)
            seconds[key] = seconds.get(key, 0.0) + each.seconds
            operations[key] = operations.get(key, 0.0) + float(each.step[-1]) * step_operations(
                each.run
            )
    return {key: seconds[key] / operations[key] for key in seconds if operations[key] > 0}


def stocks(
    suite: Suite, store: Store | None = None, wanted: str = "", only: Scale | None = None
) -> Iterator[Stock]:
    """Every experiment of a suite under every protocol that a claim reads it under.

    Args:
        store: also counts what this holds.
        wanted: only experiments whose ``figure:experiment`` has this text.
        only: count at this scale; if None, at the one of which the largest share is recorded.

    Raises:
        BadInput: a figure file is not valid.
        EvidenceError, StoreError: a record is damaged.
    """
    known: list[
        tuple[str, Protocol, Scale, tuple[Run, ...], dict[Run, Curves], dict[Run, int]]
    ] = []
    for figure in suite.figures:
        for name in figure.experiments:
            full_name = f"{figure.figure}:{name}"
            for protocol in suite.protocols_of(full_name):
                scales: list[tuple[Scale, tuple[Run, ...], dict[Run, Curves]]] = []
                full = suite.runs(full_name, Setting("paper", protocol))
                for scale in get_args(Scale) if only is None else (only,):
                    runs = suite.runs(full_name, Setting("paper", protocol, scale))
                    scales.append((scale, runs, _found(suite, full_name, protocol, runs, store)))
                # The first of equals is the full scale; with nothing recorded the reduced one is
                # what a CPU would train.
                scale, runs, found = max(
                    scales,
                    key=lambda entry: (
                        len(entry[2]) / len(entry[1]),
                        not entry[2] and entry[0] == "reduced",
                    ),
                )
                if scale == "reduced" and len(runs) == len(full) and set(runs) == set(full):
                    scale = "full"
                known.append(
                    (full_name, protocol, scale, runs, found, paper_steps(list(found), full))
                )
    rates = measured_rates(curves for *_, found, _ in known for curves in found.values())
    for full_name, protocol, scale, runs, found, steps in known:
        if wanted in full_name:
            as_published = suite.about.protocols[protocol].as_published
            settled, held = (0, 0) if as_published else _settled(found, steps)
            missing = [run for run in runs if run not in found] if found else list(runs)
            total = sum(run.steps for run in missing)
            yield Stock(
                full_name,
                protocol,
                scale,
                len(runs),
                len(found),
                settled,
                held,
                total,
                _seconds(missing, rates),
            )


def _found(
    suite: Suite, full_name: str, protocol: Protocol, runs: tuple[Run, ...], store: Store | None
) -> dict[Run, Curves]:
    # Asking for a Run costs its digest, and an experiment that is not recorded can have 20,000.
    there = evidence_of(suite.folder, full_name, protocol, runs)
    known = tuple(run for run in runs if run in there) if there else ()
    by_run = recorded(suite.folder, full_name, protocol, known) or {}
    found = {run: curves for run, (curves, _) in by_run.items()}
    if store is not None:
        for run in runs:
            record = None if run in found else store.get_stale(run)
            if record is not None:
                found[run] = record[0]
    return found


def _settled(found: Mapping[Run, Curves], steps: Mapping[Run, int]) -> tuple[int, int]:
    settling = Settling(found, steps)
    held = [
        run for run, curves in found.items() if run.constraint != "free" and not curves.diverged
    ]
    columns = {run: [name for name in COLUMNS if name in found[run].columns] for run in held}
    return sum(all(settling.has_settled(run, name) for name in columns[run]) for run in held), len(
        held
    )


def _seconds(runs: Iterable[Run], rates: Rates) -> float | None:
    total = 0.0
    for run in runs:
        rate = rates.get(kind(run))
        if rate is None:
            return None
        try:
            total += run.steps * step_operations(run) * rate
        except OmnigrokError:
            return None
    return total
