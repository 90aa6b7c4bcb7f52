"""How often each detector of ``omnigrok.stats``, and each claim's check, errs on simulated data
that look like the paper's curves. A suite brings the simulated data with its hooks ``simulations``
and ``trials``.
"""

from omnigrok.calibration.simulation import Columns, Maker, Scatter, Simulation, Steps, arrives
from omnigrok.calibration.trial import Sample, Trial, Truth, sample_of

__all__ = [
    "Columns",
    "Maker",
    "Sample",
    "Scatter",
    "Simulation",
    "Steps",
    "Trial",
    "Truth",
    "arrives",
    "sample_of",
]
