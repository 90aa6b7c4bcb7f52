"""Every detector with its trials, and those that need none."""

from __future__ import annotations

from omnigrok.calibration import averages, durations, shapes, sizes
from omnigrok.calibration.trial import Trial
from omnigrok.errors import BadInput

TRIALS: tuple[Trial, ...] = (*averages.TRIALS, *shapes.TRIALS, *durations.TRIALS, *sizes.TRIALS)

# Functions of ``omnigrok.stats`` that give a Finding and are not calibrated, and why.
UNCALIBRATED = {
    "additive_delay": "it decides nothing: it has no region",
    "divergence.divergence": "it decides nothing: it has no region",
}


def names() -> list[str]:
    """The calibrated detectors, in the order of the table."""
    return list(dict.fromkeys(trial.detector for trial in TRIALS))


def trials(detector: str | None = None) -> list[Trial]:
    """The trials of one detector, or all.

    Raises:
        BadInput: there is no such detector.
    """
    chosen = [trial for trial in TRIALS if detector in (None, trial.detector)]
    if not chosen:
        raise BadInput(f"unknown detector {detector!r}; accepted: {', '.join(names())}")
    return chosen
