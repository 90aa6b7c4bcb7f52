"""The simulations and trials of a suite, through the hooks of its ``audit.yaml``, and the tables
that were made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omnigrok.calibration.simulation import Simulation
from omnigrok.calibration.table import power_of
from omnigrok.calibration.trial import Trial
from omnigrok.errors import BadInput
from omnigrok.spelling import did_you_mean
from omnigrok.suite.hooks import load_hook, load_module, named
from omnigrok.suite.suite import Suite

CLAIMS_TABLE = "CLAIMS.md"


def simulations_of(suite: Suite) -> Mapping[str, Simulation]:
    """A simulation for each claim that has one; none without the hook ``simulations``.

    Raises:
        BadInput: the hook cannot be imported, or is no mapping of claims to ``Simulation``.
    """
    found = load_hook(suite, "simulations")
    if found is None:
        return {}
    if not isinstance(found, Mapping) or not all(
        isinstance(each, Simulation) for each in found.values()
    ):
        raise BadInput(
            f"{named(suite, 'simulations')}: must map claims to omnigrok.calibration.Simulation"
        )
    return found


def simulated(suite: Suite, claim_id: str) -> Simulation:
    """The simulation of a claim.

    Raises:
        BadInput: there is none.
    """
    known = simulations_of(suite)
    if claim_id not in known:
        meant = did_you_mean(claim_id, known)
        accepted = (
            "omnigrok list names them" if meant else f"accepted: {', '.join(known) or 'none'}"
        )
        raise BadInput(f"claim {claim_id} has no simulation{meant}; {accepted}")
    return known[claim_id]


def trials_of(suite: Suite, detector: str | None = None) -> list[Trial]:
    """The trials of one detector, or all.

    Raises:
        BadInput: the hook ``trials`` is missing, cannot be imported or is no sequence of ``Trial``,
            or there is no such detector.
    """
    found = load_hook(suite, "trials")
    if not isinstance(found, list | tuple) or not all(isinstance(each, Trial) for each in found):
        raise BadInput(
            f"{named(suite, 'trials')}: must be a sequence of omnigrok.calibration.Trial"
        )
    chosen = [trial for trial in found if detector in (None, trial.detector)]
    if not chosen:
        names = dict.fromkeys(trial.detector for trial in found)
        raise BadInput(f"unknown detector {detector!r}; accepted: {', '.join(names)}")
    return chosen


def power_by_claim(suite: Suite) -> dict[str, str]:
    """The power of each claim's check, with its interval, from the table next to the suite's
    simulations; empty without one.

    Raises:
        BadInput: the hook's module cannot be imported.
    """
    module = load_module(suite, "simulations")
    if module is None or module.__file__ is None:
        return {}
    table = Path(module.__file__).with_name(CLAIMS_TABLE)
    return power_of(table.read_text(encoding="utf-8")) if table.is_file() else {}
