"""Simulated data of each claim, one module a figure."""

from __future__ import annotations

from omnigrok.calibration import Simulation
from omnigrok.paper.simulations import (
    conclusions,
    fig02,
    fig03,
    fig04,
    fig05,
    fig06,
    fig07,
    fig08,
    fig09,
    fig10,
    fig11,
)

SIMULATIONS: dict[str, Simulation] = {
    **fig02.SIMULATIONS,
    **fig03.SIMULATIONS,
    **fig04.SIMULATIONS,
    **fig05.SIMULATIONS,
    **fig06.SIMULATIONS,
    **fig07.SIMULATIONS,
    **fig08.SIMULATIONS,
    **fig09.SIMULATIONS,
    **fig10.SIMULATIONS,
    **fig11.SIMULATIONS,
    **conclusions.SIMULATIONS,
}
