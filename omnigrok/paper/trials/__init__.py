"""Every detector of ``omnigrok.stats`` with its trials, at the scatter of this paper's curves, and
those that need none.
"""

from __future__ import annotations

from omnigrok.calibration import Trial
from omnigrok.paper.trials import averages, durations, shapes, sizes

TRIALS: tuple[Trial, ...] = (*averages.TRIALS, *shapes.TRIALS, *durations.TRIALS, *sizes.TRIALS)

# Functions of ``omnigrok.stats`` that give a Finding and are not calibrated, and why.
UNCALIBRATED = {
    "additive_delay": "it decides nothing: it has no region",
    "divergence.divergence": "it decides nothing: it has no region",
}
