"""The time that is left: not said before it can be known, and near the truth from then on."""

from __future__ import annotations

import pytest

from omnigrok.execution.tally import Progress
from omnigrok.plugin.pace import SHORTEST, STEADY, Pace


def at(seconds: float, share: float) -> Progress:
    return Progress(0, 1, 0, 1, seconds, "", share)


def told(marks: list[tuple[float, float]]) -> list[float | None]:
    pace = Pace()
    spans = [pace.left(at(*mark)) for mark in marks]
    assert all(span[0] <= span[1] <= STEADY * span[0] + 1e-9 for span in spans if span)
    return [None if span is None else span[0] for span in spans]


def test_a_steady_rate() -> None:
    left = told([(second, second / 1000) for second in range(5, 1005, 5)])
    assert all(each is None for each in left[:3])
    assert left[3:] == pytest.approx([1000 - second for second in range(20, 1005, 5)])


def test_nothing_is_said_while_the_first_step_compiles() -> None:
    """A minute for the first step, then a thousandth of the work each second: the guess of that
    minute was hours too long.
    """
    marks = [(60.0, 1e-6), *((60.0 + second, second / 1000) for second in range(10, 1001, 10))]
    left = told(marks)
    true = [1060 - seconds for seconds, _ in marks]
    assert left[0] is None
    said = [(guess, truth) for guess, truth in zip(left, true, strict=True) if guess is not None]
    assert len(said) > 80
    assert all(guess <= 1.5 * truth + 30 for guess, truth in said)


def test_a_rate_that_changes_silences_it_until_it_is_steady_again() -> None:
    slow = [(second, second * 1e-5) for second in range(10, 210, 10)]
    fast = [(200 + second, 0.002 + second * 1e-3) for second in range(10, 810, 10)]
    left = told([*slow, *fast])
    assert left[len(slow) - 1] == pytest.approx(200 / 0.002 * 0.998)
    assert left[len(slow) + 3] is None
    assert left[len(slow) + 60] is not None


@pytest.mark.parametrize(
    "marks",
    [
        [(0.0, 0.0), (100.0, 0.0), (1000.0, 0.0)],
        [(100.0, 0.5)],
        [(SHORTEST / 3, 0.1), (SHORTEST * 0.9, 0.3)],
    ],
    ids=["no step yet", "one report", "too early"],
)
def test_what_is_not_enough(marks: list[tuple[float, float]]) -> None:
    assert told(marks) == [None] * len(marks)


def test_the_end_is_the_end() -> None:
    assert told([(1.0, 1.0)]) == [0.0]


@pytest.mark.parametrize(
    ("factor", "said"),
    [(STEADY * 0.99, True), (STEADY * 1.01, False), (0.99 / STEADY, False), (1.01 / STEADY, True)],
)
def test_how_steady_it_must_be(factor: float, said: bool) -> None:
    assert (told([(50.0, 0.05), (100.0, 0.1 / factor)])[-1] is not None) == said
