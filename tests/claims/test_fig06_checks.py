"""The checks of Figure 6 on made-up maps: a planted effect is REPRODUCED, an absent one is not."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from made_up_maps import ALPHAS, NORM, PLACE, addition, flat, grokking, outcome, wall
from omnigrok.stats.finding import Verdict

PREMISED = [
    "fig06.test-depends-on-m",
    "fig06.wc-order",
    "fig06.path",
    "fig06.time",
    "fig06.time-eta",
    "fig06.data-size",
    "fig06.more-data-faster",
]


@pytest.mark.parametrize("role", ["claim", "control"])
@pytest.mark.parametrize("claim", PREMISED)
def test_without_a_contour_nothing_but_the_regions_is_refuted(claim, role):
    """One fact is counted once; a control on the claim's own maps says nothing either."""
    found = outcome(claim, flat, other=flat, seeds=6, sizes=TestSizes.sizes, role=role)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("premise not met: ")


def test_without_a_contour_there_are_no_regions():
    assert addition("fig06.regions", flat, seeds=6) is Verdict.REFUTED


@pytest.mark.parametrize("claim", ["fig06.path", "fig06.time", "fig06.data-size"])
def test_a_map_on_which_nothing_generalises_has_no_e(claim):
    found = outcome(claim, grokking, seeds=6, sizes=TestSizes.sizes, acc=lambda run: 0.5)
    assert (found.verdict, found.findings[0].estimate) == (Verdict.INCONCLUSIVE, 0.0)
    assert "generalising solution E" in found.reason


class TestRegions:
    def test_planted(self):
        assert addition("fig06.regions", grokking, seeds=8) is Verdict.REPRODUCED

    def test_a_slope_without_an_edge_is_refuted(self):
        def even(u, m, run):
            return 10 * float(np.exp(-1.5 * (u - np.log(13)))) + 0.01 * m, 1.0

        assert addition("fig06.regions", even, seeds=8) is Verdict.REFUTED

    def test_control(self):
        assert addition("fig06.regions", grokking, seeds=8, role="control") is Verdict.REFUTED

    def test_a_control_whose_permutation_restores_the_regions_is_reproduced(self):
        def restored(u, m, run):
            order = np.random.default_rng(run.seed).permuted(
                np.tile(np.arange(39)[:, None], (1, 5)), axis=0
            )
            place, column = round((u - np.log(NORM)) / np.log(9) * 38), round(m / 0.05)
            at = int(np.flatnonzero(order[:, column] == place)[0])
            return grokking(float(np.log(NORM * ALPHAS[at])), m, run)

        assert addition("fig06.regions", restored, seeds=8, role="control") is Verdict.REPRODUCED


class TestDependenceOnM:
    claim = "fig06.test-depends-on-m"

    def test_planted(self):
        assert addition(self.claim, grokking, seeds=8) is Verdict.REPRODUCED

    @staticmethod
    def together(u, m, run):
        """Fitted at every m from some w on, and the test loss depends on m as the training loss
        does.
        """
        train = wall(u, m)
        return train, (2 + 0.01 * run.seed) * train

    def test_losses_that_depend_alike(self):
        assert addition(self.claim, self.together, seeds=8) is Verdict.REFUTED

    def test_control(self):
        assert addition(self.claim, grokking, seeds=8, role="control") is Verdict.REFUTED

    def test_a_control_on_which_test_depends_strongly_is_reproduced(self):
        assert (
            addition(self.claim, grokking, other=grokking, seeds=8, role="control")
            is Verdict.REPRODUCED
        )


class TestOrder:
    claim = "fig06.wc-order"

    def test_planted(self):
        found = outcome(self.claim, grokking, seeds=8)
        assert found.verdict is Verdict.REPRODUCED
        # The lean of the wall over the range of m, known to two steps of the grid.
        assert found.findings[1].estimate == pytest.approx(np.exp(0.8), rel=0.06)
        assert found.findings[1].ci[0] < np.exp(0.8) < found.findings[1].ci[1]

    def test_the_other_order_is_refuted(self):
        assert addition(self.claim, partial(grokking, lean=-4.0), seeds=8) is Verdict.REFUTED

    def test_without_a_lean_nothing_is_decided(self):
        found = outcome(self.claim, partial(grokking, lean=0.0), seeds=8)
        assert found.verdict is Verdict.INCONCLUSIVE

    def test_a_lean_within_a_step_is_open_and_says_which_grid_would_decide(self):
        found = outcome(self.claim, partial(grokking, lean=0.3), seeds=8)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "they would decide" in found.findings[1].note

    def test_a_messy_representation_that_is_never_fitted_bounds_the_ratio_from_below(self):
        def stuck(u, m, run):
            train, test = grokking(u, m, run)
            return (train if m < 0.2 else 1.0), test

        found = outcome(self.claim, stuck, seeds=8)
        assert (found.verdict, found.findings[1].censored) == (Verdict.REPRODUCED, 8)
        assert found.findings[1].ci[1] == np.inf

    def test_control_stays_on_its_edge(self):
        assert addition(self.claim, grokking, seeds=8, role="control") is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(("sign", "verdict"), [(1, Verdict.REPRODUCED), (-1, Verdict.REFUTED)])
    def test_a_control_whose_halves_differ_comes_out_either_way(self, sign, verdict):
        def halved(u, m, run):
            shift = 0.5 * sign * (run.seed >= 10)
            return wall(u, m, shift=shift), 1.0

        assert addition(self.claim, halved, seeds=20, role="control") is verdict


class TestPath:
    """Norms of the network's own size. Left of the boundary the loss does not depend on m, so that
    the 1 / w^2 of Eq. (6) is no hindrance: w rises first, then m falls, and weight decay brings w
    back to E."""

    alphas, messiness, place = np.geomspace(0.45, 9, 51), np.linspace(0, 1, 11), float(np.log(12.0))

    @classmethod
    def twice(cls, u, m, run, ridge=2.0):
        right = u - cls.place - m
        train = 0.9 * np.exp(-(u - np.log(NORM * 0.45)) - 20 * max(right, 0) ** 3)
        rise = ridge * m / (1 + np.exp(-(right - 0.5) / 0.05))
        return float(train), float(
            0.05 + 1.5 * train + rise + 0.3 * (u - cls.place - 0.5) ** 2 + 0.001 * run.seed
        )

    def verdict(self, loss, **options):
        return addition(
            "fig06.path",
            loss,
            tier="smoke",
            seeds=1,
            alphas=self.alphas,
            messiness=self.messiness,
            **options,
        )

    def test_planted(self):
        assert self.verdict(self.twice) is Verdict.REPRODUCED

    def test_absent(self):
        assert self.verdict(partial(TestPath.twice, ridge=0.0)) is Verdict.REFUTED

    def test_control(self):
        assert (
            self.verdict(self.twice, other=partial(TestPath.twice, ridge=0.0), role="control")
            is Verdict.REFUTED
        )

    def test_a_control_on_which_the_test_loss_descends_twice_is_reproduced(self):
        assert self.verdict(self.twice, other=self.twice, role="control") is Verdict.REPRODUCED


class TestTime:
    """A boundary that leans by 2.3 over the range of m, so that h tan theta is small next to L."""

    far = np.geomspace(1.5, 40, 58)

    def verdict(self, claim, lean=11.5, shrunk=1.0, **options):
        def loss(u, m, run):
            return grokking(u + np.log(shrunk), m, run, lean)

        options = {"alphas": self.far, "norm": NORM / shrunk, **options}
        return addition(claim, loss, tier="smoke", seeds=1, **options)

    @pytest.mark.parametrize("claim", ["fig06.time", "fig06.time-eta"])
    def test_planted(self, claim):
        assert self.verdict(claim) is Verdict.REPRODUCED

    def test_a_steep_boundary_does_not_take_the_time_of_the_formula(self):
        assert self.verdict("fig06.time", lean=4.0) is Verdict.REFUTED

    def test_where_m_is_slow_eta_d_gains_less(self):
        assert self.verdict("fig06.time-eta", lean=4.0, shrunk=50.0) is Verdict.REFUTED

    @pytest.mark.parametrize("claim", ["fig06.time", "fig06.time-eta"])
    def test_control(self, claim):
        assert self.verdict(claim, role="control") is Verdict.REFUTED

    @pytest.mark.parametrize("claim", ["fig06.time", "fig06.time-eta"])
    def test_a_control_whose_time_is_that_of_m_is_reproduced(self, claim):
        """The boundary hardly leans and norms are near 1: h tan theta / w^2 is long next to L."""
        found = self.verdict(claim, lean=0.15, shrunk=40.0, role="control")
        assert found is Verdict.REPRODUCED

    def test_a_goal_that_is_never_reached_in_smoke_may_come_later(self):
        def elsewhere(u, m, run):
            return wall(u, m, -4.0), grokking(u, m, run)[1]

        assert addition("fig06.time", elsewhere, tier="smoke", seeds=1) is Verdict.INCONCLUSIVE


class TestSizes:
    sizes = (25, 35, 45, 55)

    @staticmethod
    def by_size(u, m, run, shift=0.8, lean=2.0):
        reaches = run.n_train >= 45
        train = wall(u, m, lean * (2 if run.n_train > 45 else 1), 0.2 if reaches else 0.2 + shift)
        return train, grokking(u, m, run)[1]

    def verdict(self, claim, loss, **options):
        return addition(claim, loss, **{"sizes": self.sizes, "seeds": 6, **options})

    def test_planted(self):
        assert self.verdict("fig06.data-size", self.by_size) is Verdict.REPRODUCED

    def test_contours_that_coincide(self):
        assert self.verdict("fig06.data-size", partial(self.by_size, shift=0.0)) is Verdict.REFUTED

    def test_contours_off_the_grid_are_far_away_from_below_alone(self):
        def never(u, m, run):
            train, test = self.by_size(u, m, run)
            return (train if run.n_train >= 45 else 1.0), test

        found = outcome("fig06.data-size", never, sizes=self.sizes, seeds=6)
        assert found.verdict is Verdict.REPRODUCED
        small = [
            finding
            for finding in found.findings
            if "of 25" in finding.name or "of 35" in finding.name
        ]
        assert [(finding.censored, finding.ci[1]) for finding in small] == [(6, np.inf)] * 2
        assert all(np.isnan(finding.estimate) for finding in small)

    def test_two_steps_off_the_contour_decide_nothing(self):
        def beyond(u, m, run):
            train, test = self.by_size(u, m, run)
            return train, test if u > PLACE + 0.41 else 1.0

        found = outcome("fig06.data-size", beyond, sizes=self.sizes, seeds=6)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "they would decide" in found.findings[-1].note

    def test_control(self):
        assert self.verdict("fig06.data-size", self.by_size, role="control") is Verdict.REFUTED

    def test_a_control_whose_splits_differ_is_reproduced(self):
        def split(u, m, run):
            return wall(u, m, shift=0.6 * (run.seed >= 3)), grokking(u, m, run)[1]

        assert self.verdict("fig06.data-size", split, role="control") is Verdict.REPRODUCED

    @staticmethod
    def faster(u, m, run, factor=2.0):
        return wall(u, m, 2.0 * (factor if run.n_train > 45 else 1) + 0.01 * run.seed), grokking(
            u, m, run
        )[1]

    @pytest.mark.parametrize(
        ("factor", "verdict"), [(2.0, Verdict.REPRODUCED), (0.3, Verdict.REFUTED)]
    )
    def test_angles(self, factor, verdict):
        found = self.verdict(
            "fig06.more-data-faster", partial(self.faster, factor=factor), sizes=(45, 55)
        )
        assert found is verdict

    def test_equal_angles_decide_nothing(self):
        found = self.verdict(
            "fig06.more-data-faster", partial(self.faster, factor=1.0), sizes=(45, 55)
        )
        assert found is not Verdict.REPRODUCED

    def test_control_of_the_angle_stays_on_its_edge(self):
        found = self.verdict("fig06.more-data-faster", self.faster, sizes=(45, 55), role="control")
        assert found is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(("sign", "verdict"), [(1, Verdict.REPRODUCED), (-1, Verdict.REFUTED)])
    def test_a_control_whose_splits_lean_apart_comes_out_either_way(self, sign, verdict):
        def halved(u, m, run):
            return wall(u, m, 3.0 + sign * (1 if run.seed >= 10 else -1)), grokking(u, m, run)[1]

        found = self.verdict(
            "fig06.more-data-faster", halved, sizes=(45, 55), seeds=20, role="control"
        )
        assert found is verdict
