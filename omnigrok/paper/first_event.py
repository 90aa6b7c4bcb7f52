"""Integration of two equations until the first of several events, by LSODA.

The steps and roots are those of ``scipy.integrate.solve_ivp`` with ``method="LSODA"``, dense output
and terminal events of falling sign. Events are plain numbers here, and what lies between two steps
is interpolated only where it is asked for; solve_ivp spends most of a short step on both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import LSODA, DenseOutput, OdeSolution
from scipy.optimize import brentq

from omnigrok.errors import Diverged

Array = NDArray[np.float64]
Velocity = Callable[[float, Array], tuple[float, float]]
Event = Callable[[float, float], float]
# Tolerances of a root, as those of solve_ivp.
ROOT = 4 * float(np.finfo(float).eps)
# Times change by 1e-4 between the first and a hundredth of it, at half the cost. LSODA's
# interpolant can miss a step's end by a rounding, so that an event at that very end has no root:
# then other steps are tried.
TOLERANCES = (1e-5, 3e-6, 3e-5)


@dataclass(frozen=True, eq=False)
class Stretch:
    """A solution up to its first event, or to the end of time.

    Args:
        t: (points,) evenly spread over the integrator's own steps, first and last included.
        y: (2, points) the solution there.
        end: (2,) where it ended.
        event: index of the event that ended it; None where none did.
    """

    t: Array
    y: Array
    end: Array
    event: int | None


def to_first_event(
    velocity: Velocity, span: tuple[float, float], y: Array, events: Sequence[Event], points: int
) -> Stretch:
    """Integrates from ``y`` until an event, a function of the two coordinates, falls through 0.

    Args:
        velocity: (t, (2,) y) to the two derivatives.
        span: first and last time.
        points: how many to return, 2 or more; 2 cost least.

    Raises:
        Diverged: no tolerance gave a root of an event, or the integrator gave up.
    """
    for rtol in TOLERANCES:
        try:
            return _integrate(velocity, span, y, events, points, rtol)
        except ValueError as error:
            if "different signs" not in str(error):
                raise
    raise Diverged(f"trajectory: from t = {span[0]:.4g} the integrator found no root of its events")


def _integrate(
    velocity: Velocity,
    span: tuple[float, float],
    y: Array,
    events: Sequence[Event],
    points: int,
    rtol: float,
) -> Stretch:
    solver = LSODA(velocity, span[0], y, span[1], rtol=rtol, atol=1e-7)
    before = [event(*y.tolist()) for event in events]
    times: list[float] = [span[0]]
    pieces: list[DenseOutput] = []
    end: Array = solver.y
    ended: int | None = None
    while ended is None and solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise Diverged(f"trajectory: the integrator stopped at t = {solver.t:.4g}: {message}")
        last, now = float(solver.t), solver.y.tolist()
        after = [event(*now) for event in events]
        fallen = [
            place
            for place, (old, new) in enumerate(zip(before, after, strict=True))
            if old >= 0 >= new
        ]
        # The first and the last piece hold the two ends of a stretch.
        piece = (
            solver.dense_output()
            if fallen or points > 2 or not pieces or solver.status == "finished"
            else pieces[0]
        )
        if fallen:
            last, ended = min(
                (_root(events[place], piece, solver.t_old, solver.t), place) for place in fallen
            )
        if len(times) == 1 or times[-1] != last:
            times.append(last)
            pieces.append(piece)
            end = solver.y if ended is None else piece(last)
        elif points == 2:
            # An event at the very end of the step before, whose piece was not kept.
            pieces[-1] = piece
        before = after
    every = np.array(times)
    t = np.interp(np.linspace(0, len(every) - 1, points), np.arange(len(every)), every)
    return Stretch(t, OdeSolution(every, pieces, alt_segment=True)(t), end, ended)


def _root(event: Event, piece: DenseOutput, low: float, high: float) -> float:
    return float(brentq(lambda t: event(*piece(t).tolist()), low, high, xtol=ROOT, rtol=ROOT))
