"""Contours of an error over scale and size."""

import math

import numpy as np
import pytest

from omnigrok.stats.censoring import censored_mean
from omnigrok.stats.contours import (
    contour_width,
    has_tip,
    one_interval,
    reordered,
    tip,
    width_beyond,
    width_trend,
    without_trend,
)
from omnigrok.stats.finding import Verdict

X = np.geomspace(0.1, 10, 5)


@pytest.mark.parametrize(
    ("curve", "slack", "expected"),
    [
        ([0.9, 0.3, 0.2, 0.3, 0.9], 0.0, True),
        ([0.9, 0.9, 0.9, 0.9, 0.9], 0.0, True),
        ([0.3, 0.9, 0.3, 0.9, 0.9], 0.0, False),
        ([0.3, 0.41, 0.3, 0.9, 0.9], 0.0, False),
        ([0.3, 0.41, 0.3, 0.9, 0.9], 0.02, True),
    ],
)
def test_one_interval(curve: list[float], slack: float, expected: bool) -> None:
    assert one_interval(curve, 0.4, slack) is expected


@pytest.mark.parametrize(
    ("lowest", "slack", "expected"),
    [
        ([0.8, 0.5, 0.3, 0.2], 0.0, True),
        ([0.3, 0.3, 0.3, 0.2], 0.0, False),
        ([0.8, 0.5, 0.5, 0.5], 0.0, False),
        ([0.8, 0.3, 0.41, 0.2], 0.0, False),
        ([0.8, 0.3, 0.41, 0.2], 0.02, True),
        ([0.8, 0.3, 0.2, 0.6], 0.02, False),
    ],
)
def test_has_tip(lowest: list[float], slack: float, expected: bool) -> None:
    assert has_tip(lowest, 0.4, slack) is expected


def test_width_is_interpolated_in_log_x() -> None:
    width, cut = contour_width(X, [0.9, 0.5, 0.1, 0.5, 0.9], 0.3)
    assert width == pytest.approx(2 * 0.5 * math.log(10) / 2)
    assert not cut
    assert contour_width(X, [0.9, 0.5, 0.1, 0.2, 0.2], 0.3)[1]
    assert contour_width(X, [0.9, 0.5, 0.4, 0.5, 0.9], 0.3) == (0.0, False)


def test_width_trend() -> None:
    rng = np.random.default_rng(0)
    widths = np.array([1.0, 1.5, 2.0, 3.0, 4.0]) * np.exp(0.05 * rng.normal(size=(10, 5)))
    uncut = np.zeros(widths.shape, dtype=bool)
    assert width_trend("w", widths, uncut).verdict() is Verdict.REPRODUCED
    assert width_trend("w", widths[:, ::-1], uncut).verdict() is Verdict.REFUTED
    assert width_trend("w", np.full((10, 5), 2.0), uncut).verdict() is Verdict.REFUTED


def test_a_cut_width_decides_nothing_that_it_cannot() -> None:
    widths, none = np.tile([1.0, 2.0, 4.0], (3, 1)), np.zeros((3, 3), dtype=bool)
    first, last = none.copy(), none.copy()
    first[:, 0], last[:, -1] = True, True
    # The first width may be larger than stated: a ratio above the floor is not known.
    assert np.isnan(width_trend("w", widths, first).values).all()
    assert width_trend("w", widths, last).values == pytest.approx([4.0] * 3)
    assert width_trend("w", widths[:, ::-1], first).values == pytest.approx([0.25] * 3)
    assert np.isnan(width_trend("w", widths[:, ::-1], last).values).all()
    assert width_trend("w", widths, last).censored == 3
    assert "3 of 9 widths are cut" in width_trend("w", widths, last).note


def test_a_cut_width_is_a_bound_whatever_it_is() -> None:
    # Three seeds of six are at least 1.2 to 1.28 times as wide.
    ratios = np.array([1.20, 1.25, 1.28, 1.35, 1.38, 1.40])
    widths = np.stack([np.ones(6), np.sqrt(ratios), ratios], axis=1)
    cut = np.zeros(widths.shape, dtype=bool)
    cut[:3, -1] = True
    found = width_trend("w", widths, cut, floor=1.3)
    assert np.isnan(found.values[:3]).all()
    expected = censored_mean(np.log(ratios), cut[:, -1])
    assert (found.estimate, *found.ci) == pytest.approx(tuple(np.exp(expected)))
    # What the floor is changes no estimate and no interval.
    other = width_trend("w", widths, cut, floor=1.1)
    assert (other.estimate, other.ci) == (found.estimate, found.ci)
    assert other.values == pytest.approx(tuple(ratios))
    # Cut at the first size the ratio is known from above.
    cut[:3] = [True, False, False]
    assert width_trend("w", widths, cut, floor=1.3).ci[1] < 1.42
    # At both ends it is not known at all.
    cut[:3] = [True, False, True]
    assert "3 of 6 seeds have no value" in width_trend("w", widths, cut, floor=1.3).note


def test_tip_lies_between_two_sizes() -> None:
    sizes = [10, 100, 1000]
    error = 1 / (1 + (np.array(sizes) / 50.0) ** 0.8)  # its logit is linear in log N
    assert tip(sizes, error, 0.5) == pytest.approx(50)
    assert math.isnan(tip(sizes, error, 0.9))
    assert math.isnan(tip(sizes, error, 0.01))


@pytest.mark.parametrize("step", [1.4, 2.0, 3.0])
def test_a_width_beyond_the_tip_does_not_depend_on_the_grid(step: float) -> None:
    sizes = 20.0 * step ** np.arange(12)
    widths = 2 * np.sqrt(np.log(np.maximum(sizes / 30, 1)))
    cut = np.zeros(sizes.size, dtype=bool)
    for times in (2, 10):
        width, flag = width_beyond(sizes, widths, cut, 30, 30 * times)
        assert width == pytest.approx(2 * math.sqrt(math.log(times)))
        assert not flag
    cut[-1] = True
    assert width_beyond(sizes, widths, cut, 30, sizes[-1])[1]
    assert width_beyond(sizes, widths, cut, 30, sizes[-1] * 1.01)[1] is False
    assert math.isnan(width_beyond(sizes, widths, cut, 30, sizes[-1] * 1.01)[0])


def test_an_order_without_trend() -> None:
    for count in range(2, 30):
        order = without_trend(count)
        assert sorted(order) == list(range(count))
        assert order[0] - order[-1] == 1
        # The ends and the alternation leave no rank correlation worth the name.
        if count >= 8:
            assert abs(np.corrcoef(order, range(count))[0, 1]) < 0.25
    np.testing.assert_array_equal(
        reordered(np.arange(6.0).reshape(2, 3), [2, 0, 1]), [[2, 0, 1], [5, 3, 4]]
    )
