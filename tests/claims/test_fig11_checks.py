"""The checks of Figures 11 and 12 on made-up curves: a planted effect is REPRODUCED, an absent one
is not.
"""

from dataclasses import replace

import numpy as np
import pytest

import synthetic
from omnigrok.audit.grid import Grid
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict

FIGURE = "fig11_cross_entropy"
checks = synthetic.load_checks(FIGURE)
WIDE = np.geomspace(0.1, 1000, 13)
NARROW = WIDE[:7]
LAST = np.array([0, 100])


def noise(run: Run, size: float) -> float:
    return 1 + size * float(
        np.random.default_rng([run.seed, run.n_train, round(1e4 * run.alpha)]).normal()
    )


def base(**fields: object) -> Run:
    return Run(
        **{
            "task": "mnist",
            "model": "mlp",
            "seed": 0,
            "n_train": 200,
            "steps": 100_000,
            "lr": 1e-3,
            **fields,
        }
    )  # type: ignore[arg-type]


def landscape(
    loss: str, width: float, closes: bool = True, seeds: int = 10, other: float = 0.0
) -> Grid:
    """Train error falls until alpha = 1; test error is a U of that half-width in decades.

    It is shallower the more data there are. ``other`` is the half-width of the second half of the
    seeds, where it is not the same.
    """
    sizes, alphas = ([200, 1000, 60000], WIDE) if loss == "cross_entropy" else ([200, 1000], NARROW)

    def columns(run: Run) -> dict[str, float]:
        x = np.log10(run.alpha)
        train = 0.9 * max(0.0, -x) ** 0.5 if run.alpha < 0.999 else 0.0
        depth = (200 / run.n_train) ** 0.5 if closes else 1.0
        own = other if other and run.seed >= seeds // 2 else width
        right = 0.7 * (1 - np.exp(-((max(x, 0.0) / own) ** 2))) * depth
        test = min(0.95, 0.1 * depth + 0.85 * max(0.0, -x) ** 0.5 + right * noise(run, 0.02))
        return {"train_acc": 1 - train, "test_acc": 1 - test}

    runs = [
        base(seed=s, n_train=n, alpha=float(a), loss=loss)
        for s in range(seeds)
        for n in sizes
        for a in alphas
    ]
    return synthetic.grid_of(f"landscape_{loss}", runs, columns, LAST)


def both(ce: Grid, mse: Grid, precise: bool = True) -> dict[str, Grid]:
    grids = {"landscape_ce": ce, "landscape_mse": mse}
    return {**grids, "landscape_ce_float64": ce.where(n_train=200)} if precise else grids


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_lu(tier: str) -> None:
    ce = {"landscape_ce": landscape("cross_entropy", 1.0)}
    assert (
        synthetic.judge(FIGURE, "fig11.ce-LU", checks.test_ce_lu, ce, tier=tier).verdict
        is Verdict.REPRODUCED
    )
    assert (
        synthetic.judge(
            FIGURE, "fig11.ce-LU", checks.test_ce_lu, ce, role="control", tier=tier
        ).verdict
        is Verdict.REFUTED
    )
    swapped = landscape("cross_entropy", 1.0)
    other = {
        run: synthetic.curves_of(
            run, {"train_acc": each["test_acc"], "test_acc": each["train_acc"]}, each.step
        )
        for run, each in swapped.curves.items()
    }
    grids = {"landscape_ce": Grid("landscape_ce", other)}
    assert (
        synthetic.judge(
            FIGURE, "fig11.ce-LU", checks.test_ce_lu, grids, role="control", tier=tier
        ).verdict
        is Verdict.REPRODUCED
    )
    flat = {"landscape_ce": landscape("cross_entropy", 1e6)}
    assert (
        synthetic.judge(FIGURE, "fig11.ce-LU", checks.test_ce_lu, flat, tier=tier).verdict
        is Verdict.REFUTED
    )


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_broader(tier: str) -> None:
    def verdict(ce: float, mse: float, role: str = "claim") -> Verdict:
        grids = both(landscape("cross_entropy", ce), landscape("mse", mse))
        return synthetic.judge(
            FIGURE, "fig11.ce-broader", checks.test_ce_broader, grids, role=role, tier=tier
        ).verdict

    assert verdict(1.5, 0.5) is Verdict.REPRODUCED
    assert verdict(0.5, 1.0) is Verdict.REFUTED
    assert verdict(0.5, 0.5) is not Verdict.REPRODUCED
    assert verdict(1.5, 0.5, "control") is Verdict.INCONCLUSIVE, "neutral on the edge"


def test_the_control_of_broader_is_reproduced_only_at_p_below_one_in_a_thousand() -> None:
    def control(seeds: int) -> Verdict:
        wider = landscape("cross_entropy", 1.5, seeds=seeds, other=0.7)
        grids = both(wider, landscape("mse", 0.5, seeds=seeds))
        return synthetic.judge(
            FIGURE, "fig11.ce-broader", checks.test_ce_broader, grids, role="control"
        ).verdict

    assert control(24) is Verdict.REPRODUCED
    assert control(10) is Verdict.INCONCLUSIVE, "5 pairs cannot reach that"


def test_both_losses_are_read_on_the_scales_of_both() -> None:
    ce, mse = landscape("cross_entropy", 1.5), landscape("mse", 0.5)
    coarse = Grid(
        "landscape_mse", {run: each for run, each in mse.curves.items() if run.alpha != NARROW[4]}
    )
    assert checks.common(0.1, 100, ce, coarse) == pytest.approx(
        [alpha for alpha in NARROW if alpha != NARROW[4]]
    )
    found = synthetic.judge(FIGURE, "fig11.ce-broader", checks.test_ce_broader, both(ce, coarse))
    fewer = Grid(
        "landscape_ce",
        {
            run: each
            for run, each in ce.curves.items()
            if run.alpha in checks.common(0.1, 100, ce, coarse)
        },
    )
    again = synthetic.judge(FIGURE, "fig11.ce-broader", checks.test_ce_broader, both(fewer, coarse))
    assert [each.values for each in found.findings] == [each.values for each in again.findings]


def test_the_loss_in_float64_is_a_sensitivity_row() -> None:
    found = synthetic.judge(
        FIGURE,
        "fig11.ce-broader",
        checks.test_ce_broader,
        both(landscape("cross_entropy", 1.5), landscape("mse", 0.5)),
    )
    assert [finding.decides for finding in found.findings] == [True, True, False]
    assert found.findings[2].values == found.findings[0].values


def test_a_zone_that_the_grid_cuts_is_a_lower_bound_or_nothing() -> None:
    wide = both(landscape("cross_entropy", 1e6), landscape("mse", 0.5))
    found = synthetic.judge(FIGURE, "fig11.ce-broader", checks.test_ce_broader, wide)
    assert found.verdict is Verdict.REPRODUCED
    assert found.findings[0].censored == 10
    swapped = both(landscape("cross_entropy", 0.5), landscape("mse", 1e6))
    assert (
        synthetic.judge(FIGURE, "fig11.ce-broader", checks.test_ce_broader, swapped).verdict
        is not Verdict.REPRODUCED
    )


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_milder(tier: str) -> None:
    def verdict(ce: Grid, role: str = "claim") -> Verdict:
        grids = both(ce, landscape("mse", 0.4), precise=False)
        return synthetic.judge(
            FIGURE, "fig11.ce-milder", checks.test_ce_milder, grids, role=role, tier=tier
        ).verdict

    planted = landscape("cross_entropy", 2.0)
    assert verdict(planted) is Verdict.REPRODUCED
    assert verdict(planted, "control") is Verdict.INCONCLUSIVE, "neutral on the edge"
    assert verdict(landscape("cross_entropy", 2.0, closes=False)) is Verdict.REFUTED
    assert verdict(landscape("cross_entropy", 0.2)) is Verdict.REFUTED


def test_the_control_of_milder_can_fail() -> None:
    grids = both(
        landscape("cross_entropy", 2.0, seeds=24, other=0.3),
        landscape("mse", 0.4, seeds=24),
        precise=False,
    )
    found = synthetic.judge(FIGURE, "fig11.ce-milder", checks.test_ce_milder, grids, role="control")
    assert found.verdict is Verdict.REPRODUCED
    assert [finding.decides for finding in found.findings] == [True, False, False]
    other = both(
        landscape("cross_entropy", 0.3, seeds=24, other=2.0),
        landscape("mse", 0.4, seeds=24),
        precise=False,
    )
    assert (
        synthetic.judge(
            FIGURE, "fig11.ce-milder", checks.test_ce_milder, other, role="control"
        ).verdict
        is Verdict.REFUTED
    )


def plateau(
    level: float, leaves: float, end: float, fits: float = 30.0, everywhere: bool = False
) -> dict[str, Grid]:
    """From alpha = 100, or ``everywhere``, test accuracy is ``level`` until ``leaves``, then
    ``end``.
    """

    def columns(run: Run) -> dict[str, np.ndarray]:
        early = synthetic.sigmoid(fits * 0.8, 0.1, level)
        late = (run.alpha > 1 or everywhere) and run.weight_decay == 0.1
        test = (
            np.maximum(early, synthetic.sigmoid(leaves, 0.0, end))
            if late
            else synthetic.sigmoid(15.0, 0.1, 0.74)
        )
        return {"train_acc": synthetic.sigmoid(fits * 0.8, 0.1, 1.0), "test_acc": test}

    runs = [
        base(seed=s, alpha=a, weight_decay=g, loss="cross_entropy")
        for s in range(10)
        for a in (1.0, 100.0)
        for g in (0.0, 0.01, 0.1, 1.0)
    ]
    return {"plateau": synthetic.grid_of("plateau", runs, columns)}


def test_plateau_at_one_weight_decay() -> None:
    planted = plateau(0.35, 2e4, 0.75)
    found = synthetic.judge(FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, planted)
    assert found.verdict is Verdict.REPRODUCED
    assert "0.1" in found.findings[0].name
    assert found.findings[0].level == pytest.approx(1 - 0.05 / 4)
    assert (
        synthetic.judge(
            FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, planted, role="control"
        ).verdict
        is Verdict.REFUTED
    )
    always = plateau(0.35, 2e4, 0.75, everywhere=True)
    assert (
        synthetic.judge(
            FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, always, role="control"
        ).verdict
        is Verdict.REPRODUCED
    )


@pytest.mark.parametrize(
    ("level", "leaves", "end"),
    [(0.6, 2e4, 0.75), (0.35, 60.0, 0.75), (0.35, 2e4, 0.9), (0.35, 1e7, 0.75)],
)
def test_no_plateau(level: float, leaves: float, end: float) -> None:
    found = synthetic.judge(
        FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, plateau(level, leaves, end)
    )
    assert found.verdict is Verdict.REFUTED


def test_a_train_set_that_is_never_fitted_has_no_plateau_after_it() -> None:
    found = synthetic.judge(
        FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, plateau(0.35, 2e4, 0.75, fits=1e8)
    )
    assert found.verdict is Verdict.REFUTED


def scales(first: dict[str, float]) -> dict[str, Grid]:
    """From that scale on a loss generalises after 200 times its fitting time, below it at once."""

    def columns(run: Run) -> dict[str, np.ndarray]:
        fit = 100.0 * noise(run, 0.02)
        late = fit * (200 if run.alpha >= first[run.loss] else 1.2)
        return {
            "train_acc": synthetic.sigmoid(fit, 0.1),
            "test_acc": synthetic.sigmoid(late, 0.3, 0.88),
        }

    runs = [
        base(seed=s, n_train=1000, alpha=a, loss=loss, weight_decay=0.1)
        for s in range(10)
        for loss in ("mse", "cross_entropy")
        for a in (3.0, 10.0, 30.0, 100.0)
    ]
    return {"scales": synthetic.grid_of("scales", runs, columns)}


@pytest.mark.parametrize("tier", ["smoke", "paper"])
@pytest.mark.parametrize(
    ("mse", "ce", "verdict"),
    [
        (10.0, 100.0, Verdict.REPRODUCED),
        (10.0, 30.0, Verdict.REPRODUCED),
        (10.0, 10.0, Verdict.INCONCLUSIVE),
        (30.0, 10.0, Verdict.REFUTED),
        (10.0, 1e3, Verdict.REFUTED),
        (1e3, 10.0, Verdict.REFUTED),
    ],
)
def test_needs_alpha(mse: float, ce: float, verdict: Verdict, tier: str) -> None:
    grids = scales({"mse": mse, "cross_entropy": ce})
    if tier == "smoke" and max(mse, ce) > 100:
        verdict = Verdict.INCONCLUSIVE  # what seconds of training did not reach may come later
    assert (
        synthetic.judge(
            FIGURE, "fig12.needs-alpha", checks.test_needs_alpha, grids, tier=tier
        ).verdict
        is verdict
    )


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (30.0, 30.0, Verdict.INCONCLUSIVE),
        (10.0, 100.0, Verdict.REFUTED),
        (100.0, 10.0, Verdict.REPRODUCED),
    ],
)
def test_needs_alpha_control(first: float, second: float, verdict: Verdict) -> None:
    """Each half of the seeds groks from a scale of its own on."""
    early, late = (
        scales({"mse": 3.0, "cross_entropy": scale})["scales"] for scale in (first, second)
    )
    curves = {run: (early if run.seed < 5 else late).curves[run] for run in early.curves}
    found = synthetic.judge(
        FIGURE,
        "fig12.needs-alpha",
        checks.test_needs_alpha,
        {"scales": Grid("scales", curves)},
        role="control",
    )
    assert found.verdict is verdict


def test_one_late_seed_of_the_squared_error_does_not_refute_what_the_others_leave_open() -> None:
    open_, late = (scales({"mse": at, "cross_entropy": 10.0})["scales"] for at in (10.0, 30.0))
    curves = {run: (late if run.seed == 0 else open_).curves[run] for run in open_.curves}
    found = synthetic.judge(
        FIGURE, "fig12.needs-alpha", checks.test_needs_alpha, {"scales": Grid("scales", curves)}
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.findings[0].verdict() is Verdict.INCONCLUSIVE


def test_a_scale_that_does_not_generalise_in_time_is_not_known_to_be_without_grokking() -> None:
    """The mean squared error groks from 10 on; cross-entropy at 100, and 30 is not reached."""
    grid = scales({"mse": 10.0, "cross_entropy": 100.0})["scales"]
    known = synthetic.judge(
        FIGURE, "fig12.needs-alpha", checks.test_needs_alpha, {"scales": grid}
    ).findings[0]
    curves = {
        run: replace(each, columns={**each.columns, "test_acc": np.full(each.step.size, 0.3)})
        if (run.loss, run.alpha) == ("cross_entropy", 30.0)
        else each
        for run, each in grid.curves.items()
    }
    found = synthetic.judge(
        FIGURE, "fig12.needs-alpha", checks.test_needs_alpha, {"scales": Grid("scales", curves)}
    ).findings[0]
    assert known.ci[0] == pytest.approx(3)
    assert found.ci[0] == pytest.approx(1)


def test_a_seed_that_still_moves_at_the_end_is_neither_a_plateau_nor_none() -> None:
    grid = plateau(0.35, 2e4, 0.75)["plateau"]
    curves = {
        run: replace(
            each,
            columns={
                **each.columns,
                "test_acc": np.minimum(each["test_acc"], 0.35 + 0.4 * each.step / each.step[-1]),
            },
        )
        for run, each in grid.curves.items()
    }
    found = synthetic.judge(
        FIGURE, "fig12.ce-plateau", checks.test_ce_plateau, {"plateau": Grid("plateau", curves)}
    )
    moving = [each for each in found.findings if "still move" in each.note]
    assert moving
    assert all(each.ci == (0, 1) for each in moving)
    # Nothing is known at one weight decay, and at the others no seed has it.
    assert found.findings[0] in moving
    assert found.verdict is Verdict.INCONCLUSIVE


def test_milder_shows_the_largest_gaps_which_decide_nothing() -> None:
    grids = {
        "landscape_ce": landscape("cross_entropy", 1.5),
        "landscape_mse": landscape("mse", 0.5),
    }
    found = synthetic.judge(FIGURE, "fig11.ce-milder", checks.test_ce_milder, grids)
    (peak,) = [each for each in found.findings if "largest gap" in each.name]
    assert not peak.decides
    assert peak.estimate < 1


def test_a_control_in_which_nothing_groks_decides_nothing() -> None:
    grids = scales({"mse": 1e3, "cross_entropy": 1e3})
    found = synthetic.judge(
        FIGURE, "fig12.needs-alpha", checks.test_needs_alpha, grids, role="control"
    )
    assert found.verdict is Verdict.INCONCLUSIVE
