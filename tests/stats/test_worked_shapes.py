"""Worked examples of the shape, dose and size detectors, answered by enumeration, closed forms or
statsmodels.
"""

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from omnigrok.stats import (
    Region,
    bracket,
    critical_size,
    dose_response,
    l_shape,
    trend,
    two_lines,
    u_shape,
)
from omnigrok.stats.contours import width_trend
from omnigrok.stats.divergence import divergence
from omnigrok.stats.learning_curves import SMOOTH, broken_line, learning_curve
from omnigrok.stats.times import times_from

U = np.array([[8.0, 4, 1, 3, 9], [7, 3, 1, 4, 10], [9, 5, 2, 3, 8]])
L = np.array([[8.0, 4, 0.01, 0.01, 0.01], [7, 3, 0.02, 0.01, 0.02], [9, 5, 0.01, 0.02, 0.01]])
X = np.array([0.25, 0.5, 1.0, 2.0, 4.0])


def page(curves: np.ndarray) -> float:
    """Page's exact p by enumeration of all orders of every seed."""
    levels = curves.shape[1]
    ranks = curves.argsort(axis=1).argsort(axis=1) + 1
    weights = np.arange(1, levels + 1)
    scores = [
        int(weights @ np.array(order)) for order in itertools.permutations(range(1, levels + 1))
    ]
    totals = [sum(parts) for parts in itertools.product(scores, repeat=len(curves))]
    return sum(total >= int((ranks @ weights).sum()) for total in totals) / len(totals)


@pytest.mark.parametrize(
    "curves", [U[:, 2:], U[:, [2, 4, 3]], U[:, [4, 3, 2]]], ids=["rising", "mixed", "falling"]
)
def test_trend(curves: np.ndarray) -> None:
    found = trend("t", curves, direction="rising")
    assert found.p == pytest.approx(page(curves))
    assert found.estimate == pytest.approx(np.exp(np.mean(np.log(curves[:, -1] / curves[:, 0]))))


def test_u() -> None:
    left, left_change, right, right_change = u_shape("u", X, U, 1.0)
    assert left.p == pytest.approx(page(U[:, 2::-1]))
    assert right.p == pytest.approx(page(U[:, 2:]))
    assert left.extra["p_u"] == pytest.approx(max(page(U[:, 2::-1]), page(U[:, 2:])))
    # First seed: 7 of 8, second: 6 of 9, third: 7 of 7.
    assert left_change.values == pytest.approx((7 / 8, 6 / 9, 7 / 7))
    assert right_change.values == pytest.approx((8 / 8, 9 / 9, 6 / 7))


def test_l() -> None:
    falling, _, flat = l_shape("l", X, L, 1.0)
    assert falling.p == pytest.approx(page(L[:, 2::-1]))
    assert flat.values == pytest.approx((0.0, 0.01 / 6.99, 0.01 / 8.99))


def test_two_lines_are_an_interrupted_regression() -> None:
    x = np.arange(7.0)
    y = np.abs(x - 3) + np.array(
        [[0.1, -0.1, 0.05, 0, -0.05, 0.1, -0.1], [-0.1, 0.1, 0, 0.05, 0.1, -0.1, 0]]
    )
    found = two_lines(x, y)
    offset = np.tile(x, 2) - found.break_at
    centred = (y - y.mean(axis=1, keepdims=True)).ravel()
    fitted = []
    for high in (offset > 0, offset >= 0):  # the break belongs to the left line, to the right one
        design = np.column_stack(
            [np.ones(14), np.where(high, 0, offset), np.where(high, offset, 0), high]
        )
        fitted.append(sm.OLS(centred, design).fit(cov_type="HC3"))
    assert found.left_slope == pytest.approx(fitted[0].params[1])
    assert found.right_slope == pytest.approx(fitted[1].params[2])
    # Four coefficients and two seed means are estimated from 14 numbers.
    down, up = stats.t.cdf(fitted[0].tvalues[1], 8), stats.t.sf(fitted[1].tvalues[2], 8)
    assert found.p == pytest.approx(max(down, up))


def test_dose_response_is_a_logistic_regression() -> None:
    dose = np.array([1.0, 2, 4, 8, 16])
    flags = np.array(
        [[0, 0, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 1, 1]],
        dtype=bool,
    )
    fitted = sm.Logit(flags.ravel(), sm.add_constant(np.tile(np.log(dose), 5))).fit(disp=0)
    found = dose_response("dose", dose, flags, Region(1.0))
    assert found.estimate == pytest.approx(math.exp(-fitted.params[0] / fitted.params[1]), rel=1e-4)
    assert found.extra["slope"] == pytest.approx(fitted.params[1], rel=1e-3)


def test_separated_doses_give_their_bracket() -> None:
    flags = np.tile([False, False, True, True], (4, 1))
    assert dose_response("dose", [1, 2, 4, 8], flags, Region(1.0)).ci == pytest.approx((2, 4))


def test_bracket() -> None:
    found = bracket(
        "first", [1, 3, 10, 30], [[False, True, True, True], [False, False, True, True]]
    )
    assert found.ci == pytest.approx((1, 10))
    assert found.values == pytest.approx((3, 10))


def aicc(rss: float, points: int, parameters: int) -> float:
    return (
        points * math.log(rss / points)
        + 2 * parameters
        + 2 * parameters * (parameters + 1) / (points - parameters - 1)
    )


def test_break_against_a_learning_curve() -> None:
    n = np.geomspace(10, 10_000, 9)
    y = (
        0.9
        * np.maximum(n / 60, 1.0) ** -0.6
        * np.exp(0.02 * np.random.default_rng(0).normal(size=9))
    )
    line = broken_line(n, y)
    design = np.column_stack([np.ones(9), np.log(n), np.maximum(np.log(n / line.break_at), 0)])
    fitted = sm.OLS(np.log(y), design).fit()
    assert line.slope_above - line.slope_below == pytest.approx(fitted.params[2])
    assert line.aicc == pytest.approx(aicc(fitted.ssr, 9, 5))
    assert line.break_at == pytest.approx(60, rel=0.15)
    curve = learning_curve(n, y)
    rss = float(((np.log(y) - np.log(curve.scale * n**-curve.rate + curve.floor)) ** 2).sum())
    found = critical_size("n", n, y[None])
    assert found.extra["over floor"] == pytest.approx(aicc(rss, 9, 4) - line.aicc, abs=1e-3)
    cubic = sm.OLS(np.log(y), np.vander(np.log(n), 4)).fit()
    assert found.extra["over cubic drift"] == pytest.approx(
        aicc(cubic.ssr, 9, 5) - line.aicc, abs=1e-3
    )
    assert found.values[0] == min(found.extra[f"over {curve}"] for curve in SMOOTH)


def test_divergence_is_found_where_it_is() -> None:
    n = 128 * 2.0 ** np.arange(9)
    scatter = np.exp(0.01 * np.random.default_rng(3).normal(size=(3, 9)))
    found = divergence("t", n, times_from((1e5 * (n - 110.08) ** -0.8 + 300) * scatter, 1e9))
    assert found.estimate > 0
    assert found.extra["critical"] == pytest.approx(110.08, rel=0.05)


def test_widths_that_the_grid_cuts() -> None:
    # Uncut the ratio of the ends is 3; where the first width is cut the ratio is at most 3 and
    # nothing is known.
    widths = np.array([[1.0, 2, 3], [1, 2, 3], [1, 2, 3]])
    cut = np.zeros((3, 3), dtype=bool)
    assert width_trend("w", widths, cut).values == pytest.approx((3, 3, 3))
    cut[0, 0] = True
    values = width_trend("w", widths, cut).values
    assert math.isnan(values[0])
    assert values[1:] == pytest.approx((3, 3))
