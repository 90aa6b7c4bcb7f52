"""Integration to the first event gives what scipy's solve_ivp gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from omnigrok.errors import Diverged
from omnigrok.paper import first_event
from omnigrok.paper.first_event import Event, to_first_event

Array = np.ndarray


def spiral(fall: float) -> tuple[Event, Event]:
    """Two events of a spiral: its first coordinate falls through 0, its radius through ``fall``."""
    return lambda u, v: u, lambda u, v: u**2 + v**2 - fall


@given(st.floats(0.2, 5.0), st.floats(0.01, 1.5), st.floats(0.05, 0.9), st.sampled_from([2, 50]))
@settings(max_examples=40, deadline=None)
def test_it_is_solve_ivp(turn: float, decay: float, fall: float, points: int) -> None:
    def velocity(t: float, y: Array) -> tuple[float, float]:
        u, v = y.tolist()
        return -decay * u - turn * v, turn * u - decay * v

    events = spiral(fall)
    terminal = [lambda t, y, event=event: event(*y.tolist()) for event in events]
    for event in terminal:
        event.terminal, event.direction = True, -1  # type: ignore[attr-defined]
    start = np.array([1.0, 0.0])
    known = solve_ivp(
        velocity,
        (0.0, 3.0),
        start,
        method="LSODA",
        events=terminal,
        dense_output=True,
        rtol=1e-5,
        atol=1e-7,
    )
    found = to_first_event(velocity, (0.0, 3.0), start, events, points)
    places = np.linspace(0, len(known.t) - 1, points)
    t = np.interp(places, np.arange(len(known.t)), known.t)
    hit = [place for place, times in enumerate(known.t_events) if len(times)]
    assert found.event == (hit[0] if hit else None)
    np.testing.assert_array_equal(found.t, t)
    np.testing.assert_array_equal(found.y, known.sol(t))
    np.testing.assert_array_equal(found.end, known.y[:, -1])


def test_the_first_of_two_events_in_one_step_ends_it() -> None:
    found = to_first_event(
        lambda t, y: (-1.0, 0.0),
        (0.0, 10.0),
        np.array([1.0, 0.0]),
        (lambda u, v: u - 0.2, lambda u, v: u - 0.3),
        2,
    )
    assert found.event == 1
    assert found.t[-1] == pytest.approx(0.7)


def test_an_event_without_a_root_is_tried_with_other_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def without_root(*given: object) -> float:
        tried.append(given)
        raise ValueError("f(a) and f(b) must have different signs")

    monkeypatch.setattr(first_event, "_root", without_root)
    with pytest.raises(Diverged, match=r"from t = 0 the integrator found no root of its events"):
        to_first_event(
            lambda t, y: (-1.0, 0.0),
            (0.0, 10.0),
            np.array([1.0, 0.0]),
            (lambda u, v: u - 0.2,),
            2,
        )
    assert len(tried) == len(first_event.TOLERANCES)
