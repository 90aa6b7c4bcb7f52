"""Many claims at once: Holm decides among the headline claims, Benjamini-Hochberg is shown over the
whole audit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's (1979) step-down adjusted p values, in the order given; controls the family-wise
    error.

    A claim without p (NaN) counts as p = 1: leaving it out would shrink the family that was fixed
    beforehand. Which claims are the family is the caller's to fix
    (``omnigrok.audit.summary.family``).

    Raises:
        ValueError: for a p outside [0, 1].
    """
    values = _checked(p)
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, name in enumerate(sorted(values, key=values.__getitem__)):
        running = max(running, min(1.0, (len(values) - rank) * values[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in p}


def benjamini_hochberg(p: Mapping[str, float]) -> dict[str, float]:
    """Benjamini & Hochberg's (1995) adjusted p values, in the order given; NaN counts as 1. Changes
    no verdict.

    Raises:
        ValueError: for a p outside [0, 1].
    """
    values = _checked(p)
    if not values:
        return {}
    adjusted = stats.false_discovery_control(np.array(list(values.values())), method="bh")
    return dict(zip(values, adjusted.tolist(), strict=True))


def _checked(p: Mapping[str, float]) -> dict[str, float]:
    values = {name: 1.0 if math.isnan(value) else float(value) for name, value in p.items()}
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: a p value lies in [0, 1], not {value}")
    return values
