"""What a session has to train: recorded runs are not planned, checkpoints shorten the plan, and
every ending reaches the whole.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.execution.plan import StackPlan
from omnigrok.execution.tally import Tally
from omnigrok.run import Run

FORM = Run(task="teacher_student", model="mlp", seed=0, n_train=10, steps=100, lr=1e-2)


def stack(cost: float, *runs: Run) -> StackPlan:
    steps = sum(run.steps for run in runs)
    return StackPlan(runs, steps, steps * cost)


CHEAP, DEAR = (
    tuple(FORM.replace(seed=seed, model=model) for seed in range(3))
    for model in ("mlp", "transformer")
)


@pytest.fixture
def tally() -> Tally:
    both = Tally()
    both.plan([stack(1.0, *CHEAP), stack(999.0, *DEAR)], [*CHEAP, *DEAR])
    return both


def test_the_share_goes_by_operations_not_by_steps(tally: Tally) -> None:
    tally.advance(CHEAP, 100, dict.fromkeys(CHEAP, 100))
    now = tally.progress(3.0, "x")
    assert (now.runs_done, now.runs_planned, now.steps_done, now.steps_planned) == (3, 6, 300, 600)
    assert now.share == pytest.approx(0.001)
    assert (now.seconds, now.label) == (3.0, "x")


def test_what_is_recorded_is_not_planned() -> None:
    tally = Tally()
    tally.plan([stack(1.0, *CHEAP), stack(1.0, *DEAR)], DEAR)
    assert (tally.runs_planned, tally.steps_planned) == (3, 300)
    tally.advance(DEAR, 50, {})
    assert tally.progress(1.0, "").share == pytest.approx(0.5)


def test_a_checkpoint_shortens_the_plan(tally: Tally) -> None:
    tally.resume(CHEAP, 80)
    assert tally.steps_planned == 600 - 240
    tally.advance(CHEAP, 100, dict.fromkeys(CHEAP, 100))
    assert tally.steps_done == 60
    tally.advance(DEAR, 100, dict.fromkeys(DEAR, 100))
    assert tally.progress(1.0, "").share == 1.0


def test_halves_of_a_stack_that_did_not_fit_begin_again(tally: Tally) -> None:
    tally.advance(DEAR, 60, {})
    tally.resume(DEAR[:1], 40)  # the last checkpoint: 20 steps are trained again
    assert tally.steps_planned == 620
    tally.advance(DEAR[:1], 100, {DEAR[0]: 100})
    assert tally.steps_done == 180 + 60


def test_a_run_that_ends_before_its_limit_needs_no_more_steps(tally: Tally) -> None:
    tally.advance(CHEAP, 50, {CHEAP[0]: 30})
    assert tally.steps_done == 30 + 50 + 50
    assert tally.steps_planned == 600 - 70
    assert tally.runs_done == 1


def test_nothing_planned() -> None:
    assert Tally().progress(1.0, "").share == 0.0


@given(
    cuts=st.lists(st.integers(1, 99), max_size=6),
    ends=st.lists(st.integers(1, 100), min_size=3, max_size=3),
    held=st.integers(0, 50),
)
def test_whatever_happens_the_whole_is_reached(cuts: list[int], ends: list[int], held: int) -> None:
    tally = Tally()
    tally.plan([stack(7.0, *CHEAP)], CHEAP)
    tally.resume(CHEAP, held)
    active = dict(zip(CHEAP, (max(end, held) for end in ends), strict=True))
    shares = []
    for step in [*sorted(cut for cut in cuts if cut >= held), 100]:
        ended = {run: end for run, end in active.items() if end <= step}
        tally.advance(list(active), step, ended)
        active = {run: end for run, end in active.items() if run not in ended}
        shares.append(tally.progress(1.0, "").share)
    assert tally.runs_done == tally.runs_planned == 3
    assert tally.steps_done == tally.steps_planned
    assert shares == sorted(shares)
    assert held == 50 or shares[-1] == pytest.approx(1.0) or tally.steps_planned == 0
