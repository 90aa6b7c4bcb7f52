"""Simulated data of each claim, one module a figure; a claim that is not here has no calibration of its own."""

from __future__ import annotations

from omnigrok.calibration.claims import fig02, fig03, fig04, fig07, fig09, fig10, fig11
from omnigrok.calibration.simulation import Simulation

SIMULATIONS: dict[str, Simulation] = {
    **fig02.SIMULATIONS,
    **fig03.SIMULATIONS,
    **fig04.SIMULATIONS,
    **fig07.SIMULATIONS,
    **fig09.SIMULATIONS,
    **fig10.SIMULATIONS,
    **fig11.SIMULATIONS,
}
