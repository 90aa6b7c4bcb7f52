"""How often the check of a claim says REPRODUCED on simulated data of its own null, and of the
effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from omnigrok.audit.case import Case
from omnigrok.audit.checks import check_of
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.calibration.rates import LEAST_POWER, ClaimRow, Rate, seeds_needed
from omnigrok.calibration.registry import simulated
from omnigrok.calibration.simulation import Design, Simulation, design_of, generator
from omnigrok.calibration.source import simulation_digest
from omnigrok.calibration.trial import SEED
from omnigrok.errors import BadInput
from omnigrok.stats import Verdict

# Draws of the effect.
LEAST_DRAWS = 10


def ask(
    design: Design,
    simulation: Simulation,
    null: str | None,
    rng: np.random.Generator,
    curtailed: bool = False,
) -> Verdict:
    """The verdict of the claim's own check on one simulated data set, by the paper tier's rules and
    before Holm's correction.

    The null "control arm" is the claim's control on the data of the effect. A curtailed verdict is
    REPRODUCED where the whole one is, and only there; it may be REFUTED where that is INCONCLUSIVE,
    or the other way round.
    """
    case = Case(
        claim=design.claim,
        figure=design.figure.figure,
        protocol=design.protocol,
        tier="paper",
        role="control" if null == "control arm" else "claim",
        grids=design.grids(simulation, null, rng),
        verdict_only=True,
        curtailed=curtailed,
    )
    with contextlib.suppress(ClaimRefuted):
        check_of(design.suite.folder, design.figure.figure, design.claim.id)(case)
    if case.outcome is None:
        raise BadInput(f"claim {design.claim.id}: its check gave no verdict")
    return case.outcome.verdict


def rate(design: Design, null: str | None, draws: int) -> Rate:
    """Rate of REPRODUCED over ``draws`` simulated data sets; the randomness is the claim's own."""
    return Rate(sum(_reproduced(design, null, draws)), draws)


def has_power(design: Design, draws: int) -> bool:
    """Whether ``rate`` on the effect is LEAST_POWER or above: as soon as the draws left can change
    that no more, none is made.
    """
    reproduced = missed = 0
    for each in _reproduced(design, None, draws):
        reproduced, missed = reproduced + each, missed + (not each)
        if Rate(draws - missed, draws).value < LEAST_POWER:
            return False
        if Rate(reproduced, draws).value >= LEAST_POWER:
            return True
    return False


def _reproduced(design: Design, null: str | None, draws: int) -> Iterator[bool]:
    """Whether each of the simulated data sets is REPRODUCED."""
    rng = generator(SEED, design.claim.id, null, design.seeds)
    simulation = simulated(design.suite, design.claim.id)
    for _ in range(draws):
        yield ask(design, simulation, null, rng, curtailed=True) is Verdict.REPRODUCED


def measure_claim(folder: Path, claim_id: str, draws: int) -> list[ClaimRow]:
    """A row for each of the claim's nulls: false positives on it, and power at the paper tier's
    seeds.

    Power is measured over a tenth of the draws, but 10 at least.

    Raises:
        BadInput: an unknown claim, or one without a simulation.
    """
    design = design_of(folder, claim_id)
    simulation = simulated(design.suite, claim_id)
    fewer = max(draws // 10, LEAST_DRAWS)
    power = rate(design, None, fewer)
    needed = None if power.value >= LEAST_POWER else seeds_for(folder, claim_id, fewer)
    return [
        ClaimRow(
            claim=claim_id,
            null=null,
            criterion=design.claim.criterion_digest,
            simulation=simulation_digest(design.suite, claim_id),
            effect=simulation.words,
            seeds=design.seeds_used,
            false_positive=rate(design, null, draws),
            power=power,
            needed=needed,
        )
        for null in design.claim.nulls
    ]


def measure_claims(
    folder: Path, claim_ids: Sequence[str], draws: int, jobs: int = 1
) -> Iterator[ClaimRow]:
    """``measure_claim`` of each claim in ``jobs`` processes, as they end: each claim has randomness
    of its own.

    Raises:
        BadInput: as ``measure_claim``.
    """
    if jobs == 1:
        for name in claim_ids:
            yield from measure_claim(folder, name, draws)
        return
    # Not forked: the libraries' threads do not survive it.
    pool = ProcessPoolExecutor(min(jobs, max(len(claim_ids), 1)), mp_context=get_context("spawn"))
    try:
        for done in as_completed(
            [pool.submit(measure_claim, folder, name, draws) for name in claim_ids]
        ):
            yield from done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def power_at(
    folder: Path, claim_id: str, seeds: Sequence[int], draws: int, scatter: float = 1.0
) -> dict[int, Rate]:
    """Power of a claim's check for numbers of seeds, with ``scatter`` times the simulation's
    scatter.

    Raises:
        BadInput: as ``measure_claim``.
    """
    design = design_of(folder, claim_id, scatter=scatter)
    return {n: rate(replace(design, seeds=n), None, draws) for n in seeds}


def seeds_for(folder: Path, claim_id: str, draws: int, scatter: float = 1.0) -> int:
    """The fewest seeds with power .9; 0 where 50 are too few."""
    design = design_of(folder, claim_id, scatter=scatter)
    return seeds_needed(lambda n: has_power(replace(design, seeds=n), draws))
