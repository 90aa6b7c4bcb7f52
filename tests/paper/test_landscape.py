from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.errors import BadInput, Diverged, EvidenceError
from omnigrok.paper.landscape import Landscape, Solution, from_runs, generalising_solution

W = np.geomspace(1, 10, 13)
M = np.linspace(0, 1, 6)


def wall(w=W, m=M, steepness=4.0, lean=0.5, place=0.5, **options):
    """l = exp(-steepness (ln w - place - lean m)): straight contours, ln w = place + lean m where l
    = 1.
    """
    u = np.log(w)[:, None]
    return Landscape(w, m, np.exp(-steepness * (u - place - lean * m)), **options)


@pytest.mark.parametrize("degree", [1, 3])
def test_an_exponential_wall_is_interpolated_exactly(degree):
    landscape = wall(degree=degree)
    w, m = np.array([1.3, 4.4, 9.9]), np.array([0.11, 0.55, 0.93])
    expected = np.exp(-4 * (np.log(w) - 0.5 - 0.5 * m))
    assert landscape.at(w, m) == pytest.approx(expected, rel=1e-9)
    by_log_w, by_m = landscape.slope(w, m)
    assert by_log_w == pytest.approx(-4 * expected, rel=1e-6)
    assert by_m == pytest.approx(2 * expected, rel=1e-6)


def test_outside_the_grid_the_edge_counts():
    landscape = wall()
    assert float(landscape.at(100.0, 2.0)) == pytest.approx(float(landscape.at(10.0, 1.0)))
    assert landscape.slope(100.0, 2.0)[0] == pytest.approx(landscape.slope(10.0, 1.0)[0])


def test_slope_agrees_with_finite_differences():
    rng = np.random.default_rng(0)
    landscape = Landscape(W, M, np.exp(rng.normal(size=(13, 6))))
    w, m, step = 3.3, 0.42, 1e-6
    by_log_w, by_m = landscape.slope(w, m)
    along_w = (landscape.at(w * np.exp(step), m) - landscape.at(w * np.exp(-step), m)) / (2 * step)
    along_m = (landscape.at(w, m + step) - landscape.at(w, m - step)) / (2 * step)
    assert float(by_log_w) == pytest.approx(float(along_w), rel=1e-6)
    assert float(by_m) == pytest.approx(float(along_m), rel=1e-6)


def test_losses_of_zero_are_floored():
    loss = np.ones((13, 6))
    loss[-1] = 0
    assert float(Landscape(W, M, loss, degree=1).at(10.0, 0.0)) == pytest.approx(1e-12)


class TestContour:
    def test_of_a_wall_is_its_line(self):
        assert np.log(wall().contour(1.0)) == pytest.approx(0.5 + 0.5 * M)
        assert np.log(wall().contour(0.05)) == pytest.approx(0.5 + 0.5 * M - np.log(0.05) / 4)

    def test_is_linear_in_log_w(self):
        loss = np.ones((3, 2))
        loss[1:] = np.exp(-2)
        contour = Landscape(np.exp([0.0, 1, 2]), np.array([0.0, 1]), loss, degree=1).contour(
            np.exp(-0.5)
        )
        assert np.log(contour) == pytest.approx([0.25, 0.25])

    def test_takes_the_first_crossing_and_counts_all(self):
        loss = np.array([[2.0, 2.0], [0.5, 2.0], [2.0, 2.0], [0.5, 0.5]])
        landscape = Landscape(np.exp([0.0, 1, 2, 3]), np.array([0.0, 1]), loss, degree=1)
        assert np.log(landscape.contour(1.0)) == pytest.approx([0.5, 2.5])
        assert landscape.crossings(1.0).tolist() == [3, 1]

    def test_off_the_grid(self):
        loss = np.array([[2.0, 0.2], [2.0, 0.1]])
        landscape = Landscape(np.array([1.0, 2]), np.array([0.0, 1]), loss, degree=1)
        assert landscape.contour(1.0).tolist() == [np.inf, 0]
        assert landscape.crossings(1.0).tolist() == [0, 0]


def test_gradients_are_larger_left_of_the_contour():
    left, right = wall().gradient_sizes(0.05)
    assert len(left) + len(right) == 13 * 6
    assert np.median(left) > 10 * np.median(right)


def test_gradient_sizes_of_a_plane():
    w = np.array([1.0, 2, 3])
    loss = 10 - 3 * w[:, None] + 4 * np.array([0.0, 1])
    left, right = Landscape(w, np.array([0.0, 1]), loss, degree=1).gradient_sizes(6.0)
    assert np.concatenate([left, right]) == pytest.approx(np.full(6, 5.0))


def test_permuting_w_destroys_the_order_but_keeps_the_values():
    landscape = wall()
    control = landscape.permuted_w(0)
    assert np.array_equal(np.sort(control.loss, axis=0), np.sort(landscape.loss, axis=0))
    left, right = control.gradient_sizes(0.05)
    assert not np.array_equal(control.loss, landscape.loss)
    assert np.array_equal(control.loss, landscape.permuted_w(0).loss)
    assert control.crossings(0.05).max() > 1
    assert np.median(left) < 10 * np.median(right)


def test_range_over_m():
    loss = np.array([[1.0, 1.0], [0.5, 0.7]])
    assert Landscape(
        np.array([1.0, 2]), np.array([0.0, 1]), loss, degree=1
    ).range_over_m() == pytest.approx([0, 0.2])


def test_smoothing_keeps_the_inside_of_a_wall():
    assert wall().smoothed(1).log_loss[6, 2] == pytest.approx(wall().log_loss[6, 2], abs=0.15)
    rough = Landscape(W, M, np.exp(np.random.default_rng(0).normal(size=(13, 6))))
    assert rough.smoothed(1).log_loss.std() < 0.6 * rough.log_loss.std()


class TestGeneralisingSolution:
    """On a wall whose column m = 0 falls to .05 within the grid."""

    train = Landscape(W, M, np.where(W[:, None] < W[3], 1.0, 0.01) + 0 * M)
    accuracy = Landscape(W, M, np.where(W[:, None] < W[9], 0.9, 0.8).astype(np.float32) + 0 * M)

    @staticmethod
    def best_at(at: int) -> Landscape:
        return Landscape(W, M, np.abs(np.log(W)[:, None] - np.log(W[at])) + 0.1 + M)

    def test_is_the_smallest_test_loss_among_the_cells_that_fit_and_generalise(self):
        for best, cell in ((4, 4), (0, 3), (12, 8)):
            found = generalising_solution(self.train, self.best_at(best), self.accuracy, 0.05)
            assert found == Solution(W[cell], 0, W[cell - 1], W[cell + 1])
            assert found.point == (W[cell], 0)

    def test_at_the_end_of_the_grid_it_may_lie_beyond(self):
        fits = Landscape(W, M, np.full((13, 6), 0.01))
        first = generalising_solution(fits, self.best_at(0), self.accuracy, 0.05)
        assert (first.low, first.high) == (0, W[1])
        last = generalising_solution(fits, self.best_at(12), self.accuracy, 0.05, 0.5)
        assert (last.low, last.high) == (W[11], np.inf)

    def test_there_is_none_where_nothing_fits_or_generalises(self):
        test = self.best_at(4)
        assert generalising_solution(self.train, test, self.accuracy, 0.001) is None
        assert generalising_solution(self.train, test, self.accuracy, 0.05, 0.95) is None


def test_a_unit_of_m_changes_the_axis_alone():
    found = wall().with_unit_of_m(0.5)
    assert found.m == pytest.approx(2 * M)
    assert found.loss == pytest.approx(wall().loss)
    assert found.slope(3.0, 0.8)[1] == pytest.approx(0.5 * wall().slope(3.0, 0.4)[1])


class TestFromRuns:
    def columns(self):
        alpha, m = (
            axis.ravel() for axis in np.meshgrid([0.0, 0.5, 1, 2], [0.0, 0.5, 1], indexing="ij")
        )
        return alpha, m, np.exp(-alpha + m), 13.0 * alpha

    def test_order_does_not_matter_and_alpha_0_is_left_out(self):
        columns = self.columns()
        order = np.random.default_rng(0).permutation(len(columns[0]))
        landscape = from_runs(*(column[order] for column in columns), degree=1)
        assert landscape.w.tolist() == [6.5, 13, 26]
        assert landscape.m.tolist() == [0, 0.5, 1]
        assert landscape.loss == pytest.approx(
            np.exp(-np.array([[0.5], [1], [2]]) + np.array([0.0, 0.5, 1]))
        )

    def test_a_norm_that_depends_on_m_is_refused(self):
        alpha, m, loss, norm = self.columns()
        with pytest.raises(BadInput, match="norm must be the same at each m"):
            from_runs(alpha, m, loss, norm * (0.9 + 0.2 * m), degree=1)

    def test_a_short_axis_lowers_the_degree(self):
        assert from_runs(*self.columns()).degree == 2

    def test_missing_and_double_runs(self):
        columns = self.columns()
        with pytest.raises(EvidenceError, match="alpha = 2, m = 1 has 0 runs, not 1"):
            from_runs(*(column[:-1] for column in columns))
        with pytest.raises(EvidenceError, match="alpha = 2, m = 1 has 2 runs, not 1"):
            from_runs(*(np.append(column, column[-1]) for column in columns))

    def test_bad_columns(self):
        alpha, m, loss, norm = self.columns()
        with pytest.raises(BadInput, match="one length"):
            from_runs(alpha, m, loss[:-1], norm)
        with pytest.raises(BadInput, match="norm must rise with alpha"):
            from_runs(alpha, m, loss, 20 - norm)
        loss[4] = np.nan
        with pytest.raises(Diverged, match=r"loss at w = 6.5, m = 0.5 is nan"):
            from_runs(alpha, m, loss, norm, degree=1)


def test_bad_grids():
    with pytest.raises(BadInput, match="w must rise and hold at least 4 values"):
        Landscape(W[:3], M, np.ones((3, 6)))
    with pytest.raises(BadInput, match="m must rise"):
        Landscape(W, M[::-1], np.ones((13, 6)))
    with pytest.raises(BadInput, match="w must be above 0"):
        Landscape(W - 1, M, np.ones((13, 6)))
    with pytest.raises(BadInput, match=r"loss has shape \(6, 13\), its axes \(13, 6\)"):
        Landscape(W, M, np.ones((6, 13)))
    with pytest.raises(Diverged, match=r"is -1\.0"):
        Landscape(W, M, -np.ones((13, 6)))


@given(st.floats(0.2, 40), st.floats(-0.5, 1.5))
def test_slope_at_a_point_is_slope(w: float, m: float) -> None:
    for found in (wall(), wall(degree=2), Landscape(W, M, 1 + np.sin(W)[:, None] ** 2 + M**2)):
        by_log_w, by_m = found.slope(w, m)
        assert found.slope_at(w, m) == pytest.approx(
            (float(by_log_w), float(by_m)), rel=1e-9, abs=1e-12
        )
