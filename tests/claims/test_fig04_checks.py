"""The checks of Figure 4 on made-up curves: a planted effect is REPRODUCED, an absent one is not,
and the control holds.
"""

from collections.abc import Callable

import numpy as np
import pytest

import synthetic
from omnigrok.audit.grid import Grid
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict

FIGURE = "fig04_imdb"
checks = synthetic.load_checks(FIGURE)
LAST = np.array([0, 100])


def noise(run: Run, size: float) -> float:
    """Of a run: the same for train and test."""
    return size * float(
        np.random.default_rng([run.seed, run.n_train, round(1e4 * run.alpha)]).normal()
    )


def verdict(
    claim: str,
    check: Callable[..., None],
    grids: dict[str, Grid],
    role: str = "claim",
    tier: str = "paper",
) -> Verdict:
    found = synthetic.judge(FIGURE, claim, check, grids, role=role, tier=tier).verdict
    assert isinstance(found, Verdict)
    return found


def made(
    name: str,
    columns: Callable[[Run], dict[str, object]],
    step: np.ndarray = synthetic.STEPS,
    figure: str = FIGURE,
) -> Grid:
    """The runs of the paper tier with made-up curves."""
    grid = synthetic.grid_of(
        name,
        synthetic.runs(f"{figure}:{name}"),
        columns,
        step,
    )
    assert isinstance(grid, Grid)
    return grid


def landscape(gap: float, halves: float = 0.0) -> dict[str, Grid]:
    """Errors are Us about alpha = 1; at N = 1k training errors are smaller by ``gap``, whatever
    alpha.

    ``halves`` is what the second half of the seeds has more of training errors.
    """

    def columns(run: Run) -> dict[str, object]:
        u = 0.1 + 0.3 * np.log10(run.alpha) ** 2
        test = u + noise(run, 0.005)
        train = test - 0.01
        if run.n_train == 1000 and gap:
            test, train = (
                0.2 + gap + noise(run, 0.01),
                0.2 + noise(run.replace(alpha=run.alpha * 3), 0.01),
            )
        if run.seed >= 2:
            train += halves
        return {"train_acc": 1 - train, "test_acc": 1 - test}

    return {"landscape": made("landscape", columns, LAST)}


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_mismatch_small(tier: str) -> None:
    check = checks.test_mismatch_small
    assert verdict("fig04.mismatch-small", check, landscape(0.25), tier=tier) is Verdict.REPRODUCED
    assert verdict("fig04.mismatch-small", check, landscape(0.0), tier=tier) is Verdict.REFUTED
    # A seed of the second half has no partner, and the smoke rule wants every seed.
    control = Verdict.INCONCLUSIVE if tier == "smoke" else Verdict.REFUTED
    assert verdict("fig04.mismatch-small", check, landscape(0.25), "control", tier) is control


def test_seeds_that_differ_fail_the_control_of_the_mismatch() -> None:
    found = verdict(
        "fig04.mismatch-small", checks.test_mismatch_small, landscape(0.25, halves=0.2), "control"
    )
    assert found is Verdict.REPRODUCED


def test_at_the_reduced_scale_no_size_is_the_full_data() -> None:
    """There test errors at N = 1k are compared with the train errors of the other seeds."""

    def errors(run: Run) -> dict[str, object]:
        return {"train_acc": 0.9 + 0.01 * run.seed, "test_acc": 0.7 if run.n_train == 1000 else 0.6}

    runs = synthetic.runs(f"{FIGURE}:landscape", "reduced")
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim("fig04.mismatch-small")
    grids = {"landscape": synthetic.grid_of("landscape", runs, errors, LAST)}
    case = synthetic.Case(entry, FIGURE, "paper", "paper", "claim", grids, scale="reduced")
    checks.test_mismatch_small(case)
    assert case.outcome is not None
    main, other = case.outcome.findings
    assert (main.decides, other.decides) == (True, False)
    assert main.values == pytest.approx([0.3 - (0.1 - 0.01 * (10 - seed) / 4) for seed in range(5)])
    assert other.values == pytest.approx([-0.1] * 5)


def test_similar_large() -> None:
    check = checks.test_similar_large
    assert verdict("fig04.similar-large", check, landscape(0.25)) is Verdict.REPRODUCED
    assert verdict("fig04.similar-large", check, landscape(0.25), "control") is Verdict.REFUTED
    alike = landscape(0.0)
    assert verdict("fig04.similar-large", check, alike, "control") is Verdict.REPRODUCED, (
        "a control that can fail"
    )
    flat = {
        "landscape": made(
            "landscape", lambda run: {"train_acc": 0.8 + noise(run, 0.01), "test_acc": 0.7}, LAST
        )
    }
    assert verdict("fig04.similar-large", check, flat) is not Verdict.REPRODUCED


def dynamics(
    rise: float = 1000, early: float = 60, final: float = 0.7, labels: bool = True
) -> dict[str, Grid]:
    """The large initialization fits at ``early`` and generalises at ``rise``, the standard one
    early.

    Without ``labels`` shuffling them makes no difference.
    """

    def columns(run: Run) -> dict[str, object]:
        wobble = 1 + noise(run, 0.05)
        if run.option("shuffle_labels") and labels:
            return {"train_acc": synthetic.sigmoid(500 * wobble, 0.5), "test_acc": 0.5}
        late = (rise if run.alpha == 6 else 20) * wobble
        return {
            "train_acc": synthetic.sigmoid(early * wobble, 0.5),
            "test_acc": synthetic.sigmoid(late, 0.5, final, sharpness=8 if run.alpha == 6 else 40),
        }

    return {name: made(name, columns) for name in ("dynamics", "shuffled")}


def test_grok() -> None:
    check = checks.test_grok
    assert verdict("fig04.grok", check, dynamics()) is Verdict.REPRODUCED
    assert verdict("fig04.grok", check, dynamics(), "control") is Verdict.REFUTED
    assert verdict("fig04.grok", check, dynamics(labels=False), "control") is Verdict.REPRODUCED
    assert verdict("fig04.grok", check, dynamics(rise=50)) is Verdict.REFUTED
    never = dynamics(final=0.5)
    assert verdict("fig04.grok", check, never) is Verdict.REFUTED, (
        "a run that never generalises does not grok"
    )


def test_grok_shows_all_arms() -> None:
    found = synthetic.judge(FIGURE, "fig04.grok", checks.test_grok, dynamics())
    shown = [finding for finding in found.findings if not finding.decides]
    assert [finding.name.partition(":")[0] for finding in shown] == [
        "alpha 6, weight decay 0",
        "alpha 1, weight decay 0",
        "alpha 1, weight decay 1",
    ]


def test_steps_of_smoke_count_tenfold() -> None:
    found = synthetic.judge(
        FIGURE, "fig04.grok", checks.test_grok, dynamics(rise=100, early=6), tier="smoke"
    )
    assert found.verdict is Verdict.REPRODUCED


def test_standard() -> None:
    only = {"dynamics": dynamics()["dynamics"]}
    check = checks.test_standard
    assert verdict("fig04.standard", check, only) is Verdict.REPRODUCED
    assert verdict("fig04.standard", check, only, "control") is Verdict.REFUTED
    at_once = {"dynamics": dynamics(rise=20)["dynamics"]}
    assert verdict("fig04.standard", check, at_once, "control") is Verdict.REPRODUCED
    never = {"dynamics": dynamics(final=0.5)["dynamics"]}
    assert verdict("fig04.standard", check, never) is Verdict.REFUTED, (
        "it must generalise early, too"
    )


@pytest.mark.parametrize(
    ("large", "small", "expected", "control"),
    [
        (5000, 5000, Verdict.REFUTED, Verdict.REFUTED),
        (330, 5000, Verdict.REPRODUCED, Verdict.REFUTED),
        (330, 330, Verdict.REPRODUCED, Verdict.REPRODUCED),
        (1e9, 1e9, Verdict.REFUTED, Verdict.REFUTED),
    ],
)
def test_no_grok_large(large: float, small: float, expected: Verdict, control: Verdict) -> None:
    def columns(run: Run) -> dict[str, object]:
        wobble = 1 + noise(run, 0.05)
        late = small if run.n_train == 1000 else large
        return {
            "train_acc": synthetic.sigmoid(300 * wobble, 0.5),
            "test_acc": synthetic.sigmoid(late * wobble, 0.5, 0.86),
        }

    grids = {name: made(name, columns) for name in ("large", "dynamics")}
    assert verdict("fig04.no-grok-large", checks.test_no_grok_large, grids) is expected
    assert verdict("fig04.no-grok-large", checks.test_no_grok_large, grids, "control") is control


FIGURES = {"long": FIGURE, "fig03_mnist:long": "fig03_mnist", "fig05_qm9:long": "fig05_qm9"}


def rise(
    cured: bool,
    there: tuple[str, ...] = ("imdb", "mnist", "qm9"),
    test: float = 4.5,
    scale: str = "full",
) -> dict[str, Grid]:
    """At the figure's steps the training loss rises at large alpha; with more it is cured or not.

    ``there`` are the tasks with a rise, ``test`` is that of the test loss, on top of a training
    loss that is cured.
    """

    def columns(run: Run) -> dict[str, object]:
        wall = 3.0 if run.alpha > 3 and run.task in there else 1.0
        late = wall if not cured else 1.0 if run.constraint == "tangent" else 1.5
        base = 20 * np.exp(noise(run, 0.05))
        train = base * np.array([5.0, wall, wall, late])
        return {"train_loss": train, "test_loss": base * (test if run.alpha > 3 else 1.0)}

    def grid(name: str, figure: str) -> Grid:
        runs = synthetic.runs(f"{figure}:long", scale)  # type: ignore[arg-type]
        longer = (
            10
            if scale == "full"
            else {"long": 1, "fig03_mnist:long": 6, "fig05_qm9:long": 10}[name]
        )
        step = np.array([0, 1, 3, max(longer, 4)]) * runs[0].steps // longer
        return synthetic.grid_of(name, runs, columns, step)  # type: ignore[no-any-return]

    return {name: grid(name, figure) for name, figure in FIGURES.items()}


def test_rise_is_optimisation() -> None:
    claim, check = "fig04.rise-is-optimisation", checks.test_rise_is_optimisation
    assert verdict(claim, check, rise(cured=True)) is Verdict.REPRODUCED
    assert verdict(claim, check, rise(cured=False)) is Verdict.REFUTED
    assert verdict(claim, check, rise(cured=True), "control") is Verdict.REFUTED
    assert verdict(claim, check, rise(cured=True, test=1.0), "control") is Verdict.REPRODUCED


def test_a_rise_that_is_not_there_is_an_unmet_premise() -> None:
    check = checks.test_rise_is_optimisation
    found = synthetic.judge(FIGURE, "fig04.rise-is-optimisation", check, rise(cured=True, there=()))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("premise not met")
    only = synthetic.judge(
        FIGURE, "fig04.rise-is-optimisation", check, rise(cured=True, there=("qm9",))
    )
    assert only.verdict is Verdict.REPRODUCED
    assert [finding.name.partition(":")[0] for finding in only.findings if finding.decides] == [
        "QM9"
    ]


def test_a_figure_without_longer_runs_is_only_shown() -> None:
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim(
        "fig04.rise-is-optimisation"
    )
    case = synthetic.Case(
        entry, FIGURE, "paper", "paper", "claim", rise(cured=True, scale="reduced"), scale="reduced"
    )
    checks.test_rise_is_optimisation(case)
    assert case.outcome is not None
    assert case.outcome.verdict is Verdict.REPRODUCED
    assert [
        finding.name.partition(":")[0] for finding in case.outcome.findings if finding.decides
    ] == ["MNIST", "QM9"]
    assert "IMDb" in {finding.name.partition(":")[0] for finding in case.outcome.findings}


def test_losses_under_one_percent_of_a_constants_make_no_rise() -> None:
    grids = rise(cured=False)
    tiny = {
        name: Grid(
            name,
            {
                run: synthetic.curves_of(
                    run, {key: each[key] * 1e-9 for key in each.columns}, each.step
                )
                for run, each in grid.curves.items()
            },
        )
        for name, grid in grids.items()
    }
    found = synthetic.judge(
        FIGURE, "fig04.rise-is-optimisation", checks.test_rise_is_optimisation, tiny
    )
    assert found.findings[0].estimate == pytest.approx(1.0)


def test_best_epoch_under_code() -> None:
    run = Run(task="imdb", model="lstm", seed=0, n_train=750, steps=100, lr=1e-3)
    curves = synthetic.curves_of(
        run, {"test_acc": np.array([0.5, 0.8, 0.6])}, np.array([0, 50, 100])
    )
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim("fig04.mismatch-small")
    read = {
        protocol: checks.error(
            synthetic.Case(entry, FIGURE, protocol, "paper", "claim", {}), "test"
        )(curves)
        for protocol in ("paper", "code")
    }
    assert read == pytest.approx({"paper": 0.4, "code": 0.2})


def test_rank_correlation_of_a_constant_curve_is_missing() -> None:
    rhos = checks.rank_correlation(
        np.array([[1.0, 2, 3], [1, 1, 1]]), np.array([[2.0, 3, 4], [1, 2, 3]])
    )
    assert rhos[0] == pytest.approx(1.0)
    assert np.isnan(rhos[1])


def test_overfitting_that_never_comes_has_no_accuracy() -> None:
    run = Run(task="imdb", model="lstm", seed=0, n_train=750, steps=100, lr=1e-3)
    curves = synthetic.curves_of(run, {"train_acc": 0.6, "test_acc": 0.5})
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim("fig04.standard")
    assert np.isnan(
        checks.around_overfitting(
            synthetic.Case(entry, FIGURE, "paper", "paper", "claim", {}), curves
        )
    ).all()
