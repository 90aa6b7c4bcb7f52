"""The checks of Figure 3 on made-up dynamics and times: a planted effect is REPRODUCED, one that is
absent is not.
"""

import numpy as np
import pytest

import synthetic
from made_up_mnist import base, seeded
from omnigrok.audit.case import Case
from omnigrok.audit.grid import Grid
from omnigrok.run import Run
from omnigrok.stats import Time
from omnigrok.stats.finding import Verdict

FIGURE = "fig03_mnist"
checks = synthetic.load_checks(FIGURE)
TIERS = ["smoke", "paper"]


def dynamics(
    name: str,
    late: dict[float, float],
    size: int = 1000,
    gamma: float = 0.01,
    decay: float = 1.0,
    end: float = 0.88,
) -> Grid:
    """Train accuracy arrives at step 100, test accuracy at ``late[alpha]`` times that; w decays at
    ``decay`` times lr gamma.
    """

    def columns(run: Run) -> dict[str, np.ndarray]:
        fit = 100 * float(np.exp(0.1 * seeded(run).normal()))
        return {
            "train_acc": synthetic.sigmoid(fit, 0.1),
            "test_acc": synthetic.sigmoid(fit * late[run.alpha], 0.3, end),
            "weight_norm": 90 * np.exp(-decay * run.lr * run.weight_decay * synthetic.STEPS),
        }

    runs = [
        base(seed=s, n_train=size, alpha=a, weight_decay=gamma) for s in range(10) for a in late
    ]
    return synthetic.grid_of(name, runs, columns)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("late", "end", "expected"),
    [
        (300.0, 0.88, Verdict.REPRODUCED),
        (2.0, 0.88, Verdict.REFUTED),
        (300.0, 0.7, Verdict.REFUTED),
        (1e5, 0.88, Verdict.REFUTED),
    ],
)
def test_grok(late: float, end: float, expected: Verdict, tier: str) -> None:
    grids = {"dynamics": dynamics("dynamics", {1.0: 1.1, 8.0: late}, end=end)}
    if tier == "smoke" and (late > 1e4 or end < 0.8):
        expected = Verdict.INCONCLUSIVE  # what seconds of training did not reach may come later
    assert (
        synthetic.judge(FIGURE, "fig03.grok", checks.test_grok, grids, tier=tier).verdict
        is expected
    )
    control = Verdict.INCONCLUSIVE if tier == "smoke" and end < 0.8 else Verdict.REFUTED
    assert (
        synthetic.judge(FIGURE, "fig03.grok", checks.test_grok, grids, "control", tier=tier).verdict
        is control
    )


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        (200.0, 5.0, Verdict.REPRODUCED),
        (1e6, 5.0, Verdict.REPRODUCED),
        (200.0, 150.0, Verdict.REFUTED),
        (200.0, 1e6, Verdict.REFUTED),
        (5.0, 200.0, Verdict.REFUTED),
    ],
)
def test_degrok_dynamics(small: float, large: float, expected: Verdict, tier: str) -> None:
    grids = {
        "dynamics": dynamics("dynamics", {1.0: 1.1, 8.0: small}),
        "dynamics_large": dynamics("dynamics_large", {1.0: 1.1, 8.0: large}, size=8192),
    }
    check = checks.test_degrok_dynamics
    if tier == "smoke" and large > 1e4:
        expected = Verdict.INCONCLUSIVE
    assert (
        synthetic.judge(FIGURE, "fig03.degrok-dynamics", check, grids, tier=tier).verdict
        is expected
    )
    assert (
        synthetic.judge(FIGURE, "fig03.degrok-dynamics", check, grids, "control", tier=tier).verdict
        is Verdict.REFUTED
    )


def test_the_controls_of_the_dynamics_can_fail() -> None:
    late = dynamics("dynamics", {1.0: 300.0, 8.0: 300.0})
    assert (
        synthetic.judge(
            FIGURE, "fig03.grok", checks.test_grok, {"dynamics": late}, "control"
        ).verdict
        is Verdict.REPRODUCED
    )
    grids = {
        "dynamics": late,
        "dynamics_large": dynamics("dynamics_large", {1.0: 5.0, 8.0: 5.0}, size=8192),
    }
    found = synthetic.judge(
        FIGURE, "fig03.degrok-dynamics", checks.test_degrok_dynamics, grids, "control"
    )
    assert found.verdict is Verdict.REPRODUCED


def test_a_delay_is_censored_where_it_never_generalises_and_unknown_where_it_never_fits() -> None:
    never = dynamics("dynamics", {8.0: 1e7})
    assert not any(time.reached for time in checks.delays(never, 0.8, 0.95))
    assert all(time.limit > 500 for time in checks.delays(never, 0.8, 0.95))
    assert checks.delays(never, 0.8, 1.1) == [None] * 10


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("decay", "expected"),
    [(1.0, Verdict.REPRODUCED), (0.5, Verdict.REFUTED), (1.5, Verdict.REFUTED)],
)
def test_decay(decay: float, expected: Verdict, tier: str) -> None:
    grids = {
        "dynamics": dynamics("dynamics", {1.0: 1.1, 8.0: 800.0}, decay=decay),
        "no_decay": dynamics("no_decay", {8.0: 1e6}, gamma=0.0),
    }
    assert (
        synthetic.judge(FIGURE, "fig03.decay", checks.test_decay, grids, tier=tier).verdict
        is expected
    )
    assert (
        synthetic.judge(
            FIGURE, "fig03.decay", checks.test_decay, grids, "control", tier=tier
        ).verdict
        is Verdict.REFUTED
    )


def test_decay_that_needs_no_weight_decay_fails_the_control() -> None:
    grids = {
        "dynamics": dynamics("dynamics", {8.0: 800.0}),
        "no_decay": dynamics("no_decay", {8.0: 800.0}),
    }
    assert (
        synthetic.judge(FIGURE, "fig03.decay", checks.test_decay, grids, "control").verdict
        is Verdict.REPRODUCED
    )


def test_the_rate_of_decay_is_shown_by_windows() -> None:
    def columns(run: Run) -> dict[str, np.ndarray]:
        late = np.minimum(synthetic.STEPS, 3e4)
        return {
            "train_acc": synthetic.sigmoid(95.0),
            "test_acc": synthetic.sigmoid(2.5e4, 0.3),
            "weight_norm": 90 * np.exp(-1e-5 * late),
        }

    grid = synthetic.grid_of(
        "dynamics", [base(seed=s, alpha=8.0, weight_decay=0.01) for s in range(3)], columns
    )
    found = synthetic.judge(
        FIGURE, "fig03.decay", checks.test_decay, {"dynamics": grid, "no_decay": grid}
    )
    windows = found.findings[1:]
    assert found.findings[0].estimate == pytest.approx(1.0)
    assert not any(finding.decides for finding in windows)
    assert windows[0].estimate == pytest.approx(1.0)
    assert windows[-1].estimate == pytest.approx(0.0, abs=1e-9), (
        "after step 30,000 the norm stands still"
    )


def over_size(
    late: object, last: float = 0.9, fit: object = lambda size: 50 * (size / 128) ** 0.3
) -> dict[str, Grid]:
    """t_train is ``fit(N)``; test accuracy leaves its plateau of .3 at ``late(N)``."""

    def columns(run: Run) -> dict[str, np.ndarray]:
        scatter = float(np.exp(0.05 * seeded(run).normal()))
        fits, at = fit(run.n_train), late(run.n_train)  # type: ignore[operator]
        return {
            "train_acc": synthetic.sigmoid(fits * scatter, 0.1),
            "test_acc": np.maximum(
                synthetic.sigmoid(fits / 2, 0.1, 0.3), synthetic.sigmoid(at * scatter, 0.0, last)
            ),
        }

    sizes = [int(n) for n in 128 * 2 ** np.arange(9)]
    runs = [
        base(seed=s, n_train=n, alpha=9.0, weight_decay=g)
        for s in range(4)
        for g in (0.01, 0.1)
        for n in sizes
    ]
    return {"time_vs_size": synthetic.grid_of("time_vs_size", runs, columns)}


def diverging(size: float) -> float:
    return 1e5 * (size - 100) ** -0.8 + 500


@pytest.mark.parametrize("tier", TIERS)
def test_time_vs_n(tier: str) -> None:
    planted = over_size(diverging)
    assert (
        synthetic.judge(
            FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, planted, tier=tier
        ).verdict
        is Verdict.REPRODUCED
    )
    assert (
        synthetic.judge(
            FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, planted, "control", tier=tier
        ).verdict
        is Verdict.REFUTED
    )
    for absent in (lambda size: 1e5 * size**-0.3, lambda size: 500 + 0.1 * size):
        found = synthetic.judge(
            FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, over_size(absent), tier=tier
        )
        assert found.verdict is Verdict.REFUTED


def test_a_time_to_fit_that_diverges_fails_the_control() -> None:
    grids = over_size(diverging, fit=diverging)
    assert (
        synthetic.judge(FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, grids, "control").verdict
        is Verdict.REPRODUCED
    )


def test_a_size_that_never_generalises_is_censored_and_counts_for_the_bend() -> None:
    found = synthetic.judge(
        FIGURE,
        "fig03.time-vs-N",
        checks.test_time_vs_n,
        over_size(lambda n: 1e9 if n == 128 else diverging(n)),
    )
    bend = found.findings[0]
    assert bend.censored == 4
    assert np.isinf(bend.values).all()
    assert found.verdict is not Verdict.REFUTED


def test_arrival_needs_a_rise_after_the_fit() -> None:
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim("fig03.time-vs-N")
    case = Case(claim=entry, figure=FIGURE, protocol="paper", tier="paper", role="claim", grids={})
    run = base()

    def time(plateau: float, last: float, fits: float = 50.0) -> tuple[Time, bool]:
        test = np.where(synthetic.STEPS < 5000, plateau, last)
        return checks.arrival(
            case, synthetic.curves_of(run, {"train_acc": synthetic.sigmoid(fits), "test_acc": test})
        )

    def step(plateau: float, last: float) -> float:
        found, known_from_above = time(plateau, last)
        assert not known_from_above
        return float(found.value)

    assert step(0.3, 0.9) == pytest.approx(5000, rel=0.03)
    assert step(0.9, 0.95) == pytest.approx(5000, rel=0.03)
    for low in (time(0.3, 0.4), time(0.3, 0.2)):
        assert (low[0].reached, low[1]) == (False, False)
    unfitted = time(0.3, 0.9, fits=1e7)
    assert (unfitted[0].reached, unfitted[1]) == (False, True)
    early, known_from_above = time(0.9, 0.9)
    assert known_from_above
    assert 50 < early.value < 100


def test_sizes_that_generalise_as_they_fit_do_not_bend_the_time() -> None:
    """A power law of N, but from 1,024 on the test accuracy is high when the set is fitted."""
    law = lambda size: 1e5 * size**-0.3 if size < 1024 else 0.1  # noqa: E731
    found = synthetic.judge(
        FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, over_size(law, fit=lambda size: 50)
    )
    bend = found.findings[0]
    assert bend.censored == 8
    assert found.verdict is not Verdict.REPRODUCED


def test_what_happens_at_large_sizes_is_not_the_bend() -> None:
    grids = over_size(lambda size: max(1e5 * size**-0.3, 10 * size if size > 3000 else 0))
    found = synthetic.judge(FIGURE, "fig03.time-vs-N", checks.test_time_vs_n, grids)
    assert found.verdict is Verdict.REFUTED
