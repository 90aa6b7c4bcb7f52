from __future__ import annotations

import numpy as np
import pytest

from omnigrok.errors import BadInput
from omnigrok.paper.landscape import Landscape
from omnigrok.paper.trajectory import (
    Dynamics,
    Path,
    boundary_angle,
    boundary_angle_between,
    box_around,
    count_descents,
    count_humps,
    formula_time,
    points_c,
    starts,
    travel,
)

LEAN, PLACE, STEEPNESS = 0.4, 1.0, 200.0
GOAL = (float(np.exp(PLACE)), 0.0)
FAR = (float(np.exp(2.2)), 1.0)


def wall(lean: float = LEAN, steepness: float = STEEPNESS) -> Landscape:
    """A straight tilted boundary, ln w = 1 + lean m, with a steep wall on its left; exact under the
    spline, since ln l is linear.
    """
    w, m = np.geomspace(1, 12, 21), np.linspace(0, 1, 11)
    return Landscape(
        w, m, np.exp(-steepness * (np.log(w)[:, None] - PLACE - lean * m)), floor=1e-300
    )


def angle(lean: float = LEAN) -> float:
    return float(np.arctan2(1, lean))


def smooth(lean: float = LEAN, steepness: float = STEEPNESS) -> Landscape:
    """The same wall on a domain where it neither over- nor underflows, with the cubic spline."""
    w, m = np.geomspace(np.exp(0.6), np.exp(2.4), 21), np.linspace(0, 1, 11)
    floor = np.log(w)[:, None] - PLACE - lean * m
    return Landscape(
        w, m, np.exp(-steepness * floor * 0.1 - 0.9 * steepness * np.tanh(floor)), degree=3
    )


class TestWorkedExample:
    """On the wall the integrated time must be the paper's t = (L + h tan theta) / (eta gamma)."""

    @pytest.mark.parametrize("lean", [0.2, 0.4, 0.8])
    @pytest.mark.parametrize("gamma", [0.03, 1.0])
    def test_the_metric_of_the_drawing_gives_the_formula(self, lean, gamma):
        dynamics = Dynamics(gamma, metric="ln w")
        path = travel(wall(lean), FAR, GOAL, dynamics)
        assert path.outcome == "reached"
        assert formula_time(FAR, GOAL, angle(lean), dynamics) / path.time == pytest.approx(
            1, abs=0.06
        )

    def test_a_sharper_wall_and_a_smaller_goal_come_nearer(self):
        dynamics = Dynamics(0.1, metric="ln w")
        path = travel(wall(steepness=290), FAR, GOAL, dynamics, reach=(0.03, 0.004))
        assert formula_time(FAR, GOAL, angle(), dynamics) / path.time == pytest.approx(1, abs=0.02)

    def test_eq_6_itself_needs_the_tilt(self):
        dynamics = Dynamics(0.1, metric="w")
        path = travel(wall(), FAR, GOAL, dynamics)
        on_boundary = np.exp(PLACE + LEAN * np.linspace(0, 1, 101))
        tilted = formula_time(FAR, GOAL, angle(), dynamics, tilt=float((on_boundary**-2).mean()))
        assert tilted / path.time == pytest.approx(1, abs=0.06)
        assert formula_time(FAR, GOAL, angle(), dynamics) / path.time > 1.3

    def test_unequal_rates_tilt_it_too(self):
        dynamics = Dynamics(0.1, eta_d=2.0, eta_r=1.0, metric="ln w")
        path = travel(wall(), FAR, GOAL, dynamics)
        assert formula_time(FAR, GOAL, angle(), dynamics, tilt=2) / path.time == pytest.approx(
            1, abs=0.06
        )

    @pytest.mark.parametrize("metric", ["w", "ln w"])
    def test_the_path_goes_left_first_and_then_along_the_boundary(self, metric):
        path = travel(wall(), FAR, GOAL, Dynamics(0.1, metric=metric))
        u = np.log(path.w)
        free = u > PLACE + LEAN * path.m + 0.1
        assert path.m[free] == pytest.approx(1, abs=1e-3)
        assert u[~free][5:] == pytest.approx(PLACE + LEAN * path.m[~free][5:], abs=0.11)
        assert (np.diff(path.m) <= 1e-9).all()

    def test_far_from_the_boundary_the_speed_is_eta_gamma(self):
        path = travel(wall(), FAR, GOAL, Dynamics(0.1, eta_d=3.0))
        early = slice(0, np.searchsorted(-np.log(path.w), -1.8))
        slope = np.polyfit(path.t[early], np.log(path.w[early]), 1)[0]
        assert slope == pytest.approx(-0.3, rel=1e-3)

    def test_from_region_one_the_path_first_runs_downhill(self):
        path = travel(
            smooth(steepness=20), (float(np.exp(0.7)), 1.0), GOAL, Dynamics(0.01, metric="ln w")
        )
        assert path.w.max() > path.w[0]
        assert path.losses(smooth(steepness=20))[0] > path.losses(smooth(steepness=20))[-1]


def slope(values, times):
    """Exponent of the times."""
    return float(np.polyfit(np.log(values), np.log(times), 1)[0])


class TestRates:
    gammas = (0.02, 0.05, 0.1, 0.3)
    rates = (0.5, 1.0, 2.0)

    @staticmethod
    def times(*every, lean=LEAN):
        return [travel(wall(lean), FAR, GOAL, dynamics, points=2).time for dynamics in every]

    @pytest.mark.parametrize("metric", ["w", "ln w"])
    def test_time_is_inverse_in_gamma(self, metric):
        times = self.times(*(Dynamics(gamma, metric=metric) for gamma in self.gammas))
        assert slope(self.gammas, times) == pytest.approx(-1, abs=0.05)

    def test_tied_rates_only_change_the_unit_of_time(self):
        times = self.times(*(Dynamics(0.1, eta_d=rate, eta_r=rate) for rate in self.rates))
        assert slope(self.rates, times) == pytest.approx(-1, abs=1e-3)

    def test_with_eta_r_held_the_drift_gains_less(self):
        """(L + h tan theta eta_d / eta_r) / (eta_d gamma): the second term does not depend on
        eta_d.
        """
        every = [Dynamics(0.1, eta_d=rate, metric="ln w") for rate in self.rates]
        times = self.times(*every)
        expected = [
            formula_time(FAR, GOAL, angle(), dynamics, tilt=dynamics.eta_d) for dynamics in every
        ]
        assert times == pytest.approx(expected, rel=0.06)
        assert -0.6 < slope(self.rates, times) < -0.1

    def test_eta_r_moves_the_drift_alone(self):
        every = [Dynamics(0.1, eta_r=rate, metric="ln w") for rate in self.rates]
        expected = [
            formula_time(FAR, GOAL, angle(), dynamics, tilt=1 / dynamics.eta_r)
            for dynamics in every
        ]
        assert self.times(*every) == pytest.approx(expected, rel=0.06)

    def test_two_points_tell_the_time(self):
        dynamics = Dynamics(0.1)
        few, many = (travel(wall(), FAR, GOAL, dynamics, points=points) for points in (2, 500))
        assert few.time == many.time
        assert few.w[-1] == pytest.approx(many.w[-1], rel=1e-12)


class TestOutcomes:
    def test_a_boundary_that_leans_the_other_way_keeps_the_path_from_the_goal(self):
        """Negative gradients then point to larger m: the path stays at m = 1 (sizes 25 and 35 of
        Figure 6e).
        """
        path = travel(wall(lean=-0.4), FAR, GOAL, Dynamics(0.1))
        assert path.outcome == "out of time"
        assert path.time == np.inf
        assert path.m[-1] == pytest.approx(1, abs=1e-6)

    def test_without_a_wall_the_path_leaves_the_grid(self):
        flat = Landscape(np.geomspace(1, 12, 21), np.linspace(0, 1, 11), np.full((21, 11), 1e-9))
        path = travel(flat, FAR, GOAL, Dynamics(0.1))
        assert path.outcome == "left"
        assert path.time == np.inf
        assert path.w[-1] == pytest.approx(1)
        assert path.t[-1] == pytest.approx(2.2 / 0.1, rel=1e-3)

    def test_without_decay_nothing_moves_in_region_two(self):
        path = travel(wall(), FAR, GOAL, Dynamics(0.0), t_max=1e4)
        assert path.outcome == "out of time"
        assert path.w[-1] == pytest.approx(FAR[0], rel=1e-6)

    def test_a_start_at_the_goal_is_there(self):
        assert travel(wall(), GOAL, GOAL, Dynamics(0.1)).time == 0

    def test_m_never_leaves_the_grid(self):
        path = travel(
            smooth(steepness=20),
            (float(np.exp(0.7)), 0.3),
            (float(np.exp(2.3)), 0.0),
            Dynamics(0.01),
        )
        assert path.m.min() >= 0
        assert path.m[-1] == 0

    def test_m_is_held_at_its_end_and_w_settles_there(self):
        """The drift line passes the goal's box on the left; at m = 0 the path rests where slope and
        decay balance.
        """
        landscape, dynamics = wall(steepness=60), Dynamics(0.1, metric="ln w")
        path = travel(landscape, FAR, GOAL, dynamics)
        assert path.outcome == "out of time"
        assert path.m[-1] == 0
        assert float(landscape.slope(path.w[-1], 0.0)[0]) == pytest.approx(-0.1, rel=1e-3)

    def test_m_comes_away_from_its_end_when_the_slope_turns(self):
        """l = (m - .5) (ln w - 1.5): right of ln w = 1.5 m is pushed to 0, left of it to 1."""
        w, m = np.geomspace(1, 12, 31), np.linspace(0, 1, 11)
        landscape = Landscape(w, m, 5 + (m - 0.5) * (np.log(w)[:, None] - 1.5))
        path = travel(
            landscape,
            (float(np.exp(2.0)), 0.1),
            (1.5, 1.0),
            Dynamics(1.0, eta_r=3.0, metric="ln w"),
        )
        assert path.m.min() == 0
        resting = path.m == 0
        assert np.log(path.w[resting]).min() == pytest.approx(1.5, abs=0.01)
        assert path.m[-1] > 0.5

    def test_errors(self):
        with pytest.raises(BadInput, match=r"start .* lies outside"):
            travel(wall(), (100.0, 0.5), GOAL, Dynamics(0.1))
        with pytest.raises(BadInput, match=r"goal .* lies outside"):
            travel(wall(), FAR, (2.0, 3.0), Dynamics(0.1))
        kinked = Landscape(wall().w, wall().m, np.ones((21, 11)), degree=1)
        with pytest.raises(
            BadInput, match="degree 1, which has no continuous gradient; give it degree 3"
        ):
            travel(kinked, FAR, GOAL, Dynamics(0.1))
        with pytest.raises(BadInput, match="gamma = 0 needs t_max"):
            travel(wall(), FAR, GOAL, Dynamics(0.0))
        with pytest.raises(BadInput, match="metric = 'm' is not accepted; one of w, ln w"):
            Dynamics(0.1, metric="m")
        with pytest.raises(BadInput, match="eta_d above 0"):
            Dynamics(0.1, eta_d=0.0)


@pytest.mark.parametrize("metric", ["w", "ln w"])
def test_a_noisy_landscape_costs_a_moment(metric, monkeypatch):
    """Measured maps are rough: no path may cost more than a few thousand evaluations, whatever
    becomes of it.
    """
    w, m = np.linspace(6, 117, 20), np.linspace(0, 0.2, 21)
    height = -6 * (1 + np.tanh(2.5 * (np.log(w / 26)[:, None] - 3 * m)))
    landscape = Landscape(
        w, m, np.exp(height + 0.3 * np.random.default_rng(0).normal(size=height.shape))
    )
    calls = []
    velocity = Dynamics.velocity
    monkeypatch.setattr(Dynamics, "velocity", lambda *args: calls.append(1) or velocity(*args))
    points = starts(landscape, 0.05)[::4]
    outcomes = {
        travel(landscape, start, (26.0, 0.0), Dynamics(1e-3, metric=metric)).outcome
        for start in points
    }
    assert outcomes <= {"reached", "left", "out of time"}
    assert len(calls) < 5000 * len(points)


class TestGeometry:
    @pytest.mark.parametrize("lean", [0.1, 0.4, 2.0])
    def test_the_angle_of_a_straight_boundary(self, lean):
        w, m = np.geomspace(1, 30, 41), np.linspace(0, 1, 5)
        landscape = Landscape(w, m, np.exp(-9 * (np.log(w)[:, None] - 1 - lean * m)))
        assert boundary_angle(landscape, 0.05) == pytest.approx(angle(lean), rel=1e-6)

    def test_more_lean_is_a_smaller_angle_and_a_shorter_time(self):
        dynamics = Dynamics(0.1)
        assert angle(0.8) < angle(0.4)
        assert formula_time(FAR, GOAL, angle(0.8), dynamics) < formula_time(
            FAR, GOAL, angle(0.4), dynamics
        )

    def test_the_other_lean_is_above_a_right_angle(self):
        assert boundary_angle(wall(lean=-0.4), 1.0) > np.pi / 2

    def test_only_points_on_the_grid_count(self):
        w, m = np.geomspace(1, 4, 21), np.linspace(0, 1, 11)
        landscape = Landscape(w, m, np.exp(-9 * (np.log(w)[:, None] - 1 - 2 * m)))
        assert boundary_angle(landscape, 1.0) == pytest.approx(angle(2.0), rel=1e-6)
        assert np.isnan(boundary_angle(landscape, 1e-9))
        assert np.isnan(boundary_angle(landscape, 1.0, m_max=0.05))

    def test_the_grid_bounds_an_angle_on_both_sides(self):
        m = np.linspace(0, 1, 5)
        widths = []
        for points in (21, 41):
            w = np.geomspace(1, 30, points)
            found = Landscape(w, m, np.exp(-9 * (np.log(w)[:, None] - 1 - 0.4 * m)))
            low, high = boundary_angle_between(found, 0.05)
            assert low < angle(0.4) < high
            widths.append(high - low)
        assert widths[1] < 0.7 * widths[0]

    def test_an_angle_needs_two_contours_on_the_grid(self):
        assert np.isnan(boundary_angle_between(wall(), 1e-250)).all()

    def test_three_points_c_lie_half_way_to_the_right_end(self):
        landscape = smooth()
        points = points_c(landscape, 0.05)
        assert [m for _, m in points] == pytest.approx([2 / 3, 5 / 6, 1])
        for w, m in points:
            contour = np.interp(m, landscape.m, np.log(landscape.contour(0.05)))
            assert np.log(w) == pytest.approx((contour + 2.4) / 2)

    def test_there_is_no_c_where_the_contour_is_not_reached(self):
        landscape = smooth()
        stuck = Landscape(
            landscape.w, landscape.m, np.where(landscape.m > 0.85, 1.0, landscape.loss)
        )
        assert [m for _, m in points_c(stuck, 0.05)] == pytest.approx([2 / 3])
        assert points_c(stuck, 1e-300) == []

    def test_the_box_is_no_smaller_than_a_step_of_the_grid(self):
        w, m = np.geomspace(1, np.e, 6), np.linspace(0, 0.2, 5)
        landscape = Landscape(w, m, np.ones((6, 5)))
        assert box_around(landscape, (float(w[2]), 0.0), (0.05, 0.02)) == pytest.approx((0.2, 0.25))
        assert box_around(landscape, (float(w[2]), 0.0), (0.3, 0.5)) == (0.3, 0.5)

    def test_formula(self):
        dynamics = Dynamics(0.5, eta_d=2.0)
        assert formula_time((np.e, 0.5), (1.0, 0.0), np.pi / 4, dynamics) == pytest.approx(1.5)
        assert formula_time(
            (np.e, 0.5), (1.0, 0.0), np.pi / 4, dynamics, tilt=0.5
        ) == pytest.approx(1.25)

    @pytest.mark.parametrize("edge", [5.853783607482908, 0.1, 3.0, 7.7])
    def test_starts_on_the_left_edge_lie_on_the_grid(self, edge):
        # The loss is low everywhere: the contour is clipped to the edge, and exp(ln w) must not
        # miss it.
        w, m = np.linspace(edge, 3 * edge, 6), np.array([0, 0.3, 0.6, 1.0])
        landscape = Landscape(
            w, m, np.full((6, 4), 1e-3) * (1 + 0.01 * np.arange(6))[:, None], degree=3
        )
        points = starts(landscape, 0.05)
        assert len(points) == 20
        assert all(w[0] <= start[0] <= w[-1] for start in points)

    def test_twenty_stated_starts_lie_in_region_one(self):
        landscape = smooth()
        points = starts(landscape, 0.05)
        assert len(points) == len(set(points)) == 20
        for w, m in points:
            assert 0.5 <= m <= 1
            assert (
                landscape.w[0]
                < w
                < np.exp(np.interp(m, landscape.m, np.log(landscape.contour(0.05))))
            )


class TestDescents:
    @pytest.mark.parametrize(
        ("curve", "descents"),
        [
            ([5, 4, 3, 1], 1),
            ([1, 2, 3, 5], 0),
            ([5, 1, 3, 0], 2),
            ([5, 1, 4, 2, 3, 0], 3),
            ([5, 1, 1.2, 0.9, 0], 1),
            ([5, 1, 1, 1], 1),
            ([2, 2, 2], 0),
            ([5, 0, 5], 1),
            ([0, 5, 0], 1),
            ([1, 5, 2, 5], 1),
        ],
    )
    def test_counts(self, curve, descents):
        assert count_descents(curve) == descents

    def test_prominence_is_a_share_of_the_range(self):
        curve = np.array([10, 2, 3.5, 0])
        assert (
            count_descents(curve, prominence=0.1)
            == count_descents(100 * curve + 7, prominence=0.1)
            == 2
        )
        assert count_descents(curve, prominence=0.2) == 1

    @pytest.mark.parametrize(
        ("curve", "humps"),
        [([1, 2, 3], 0), ([3, 2, 1], 0), ([1, 3, 2], 1), ([1, 3, 3, 2], 1), ([1, 3, 1, 3, 1], 2)],
    )
    def test_humps(self, curve, humps):
        assert count_humps(curve) == humps

    def test_a_constant_norm_has_no_hump(self):
        assert count_humps([2.0, 2.0, 2.0]) == 0


def test_losses_along_a_path():
    landscape = smooth()
    path = Path(np.arange(2.0), np.array([3.0, 4.0]), np.array([0.1, 0.2]), "left")
    assert path.losses(landscape) == pytest.approx(
        [float(landscape.at(3.0, 0.1)), float(landscape.at(4.0, 0.2))]
    )


class TestLetGo:
    """m is held at 0 while the loss rises with m, and let go where w has fallen to the norm at
    which it does not.
    """

    def test_m_leaves_the_end_once_and_for_all(self):
        w, m = np.geomspace(np.exp(0.5), np.exp(2.5), 21), np.linspace(0, 1, 11)
        landscape = Landscape(w, m, 3 + (np.log(w)[:, None] - 1.5) * m)
        path = travel(
            landscape,
            (float(np.exp(2.0)), 0.0),
            (float(np.exp(0.6)), 0.0),
            Dynamics(0.1, metric="ln w"),
            points=50,
        )
        on_end = np.log(path.w) > 1.5
        assert path.m[on_end] == pytest.approx(0, abs=1e-6)
        assert path.m.max() > 0.5
        assert len(path.t) < 10 * 50


def test_a_path_that_has_come_to_rest_descends_once():
    rest = 0.1 + 1e-12 * np.array([0, 1, 0, 2, 0, 1, 0])
    assert count_descents(np.concatenate([np.linspace(1, 0.1, 20), rest])) == 1
    assert count_humps(np.concatenate([np.linspace(0, 1, 20), 0.9 + rest])) == 0
