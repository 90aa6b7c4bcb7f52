"""The checks of the conclusions on made-up curves of other figures."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import synthetic
from omnigrok.audit.case import Case
from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import load_figure
from omnigrok.suite.suite import Setting, load_suite

FIGURE = "conclusions"
CLAIMS = synthetic.CLAIMS
checks = synthetic.load_checks(FIGURE)
CONCLUSIONS = load_figure(CLAIMS / "conclusions.yaml")


def wobble(run: Run, size: float = 0.05) -> float:
    """A factor near 1 that is the run's own."""
    key = [run.seed, run.n_train, round(1e4 * run.alpha), round(1e4 * run.weight_decay)]
    return float(np.exp(size * np.random.default_rng(key).normal()))


def runs(name: str) -> list[Run]:
    """The runs of an experiment as in the smoke tier, with ten seeds: the real figure files decide
    what a check is given.
    """
    first = [
        run for run in load_suite(CLAIMS).runs(name, Setting("smoke", "paper")) if run.seed == 0
    ]
    return [run.replace(seed=seed) for run in first for seed in range(10)]


def grid(
    name: str, columns: Callable[[Run], dict[str, Any]], step: np.ndarray | None = synthetic.STEPS
) -> Grid:
    return synthetic.grid_of(name, runs(name), columns, step)


def delayed(
    run: Run, delay: float, fit: float = 100.0, low: float = 0.1, high: float = 0.97
) -> dict[str, Any]:
    """Fits at ``fit`` and generalises after ``delay`` times that; inf never."""
    fit = fit * wobble(run)
    test = (
        synthetic.sigmoid(fit * delay, low, high)
        if math.isfinite(delay)
        else np.full(synthetic.STEPS.shape, low)
    )
    loss = 10.0 ** (2 - 3 * (test - low) / (high - low))
    train = synthetic.sigmoid(fit * 0.9, low, 1.0)
    return {
        "train_acc": train,
        "test_acc": test,
        "train_loss": 10.0 ** (2 - 6 * train),
        "test_loss": loss,
        "train_target": 0.0,
        "train_target_square": 1.0,
        "weight_norm": 1.0,
    }


def landscape(run: Run) -> dict[str, Any]:
    """A gap that opens right of alpha = .5 and closes with the data."""
    x = np.log10(run.alpha / 0.5)
    gap = max(0.0, x) * (200 / run.n_train) ** 0.5 * wobble(run)
    left = max(0.0, -x)
    train, test = 0.05 + 0.3 * left, 0.1 + 0.35 * left + 0.3 * gap
    return {"train_acc": 1 - train, "test_acc": 1 - test, "train_loss": train, "test_loss": test}


def mismatch_grids(delay: Callable[[Run], float]) -> dict[str, Grid]:
    entry = CONCLUSIONS.claim("concl.LU")
    maps = {task["landscape"] for task in entry.quantity["tasks"].values()}
    return {
        name: grid(name, landscape, None)
        if name in maps
        else grid(name, lambda run: delayed(run, delay(run)))
        for name in entry.experiments
    }


def with_gap(run: Run) -> float:
    return float(1.5 + 60 * max(0.0, np.log10(run.alpha / 0.5)) ** 2 * (200 / run.n_train) ** 0.5)


def test_lu_where_the_delay_follows_the_gap_and_where_it_does_not() -> None:
    planted = mismatch_grids(with_gap)
    found = synthetic.judge(FIGURE, "concl.LU", checks.test_lu, planted)
    assert found.verdict is Verdict.REPRODUCED
    assert found.findings[0].p is not None
    assert found.findings[0].p < 0.05
    assert (
        synthetic.judge(FIGURE, "concl.LU", checks.test_lu, planted, tier="smoke").verdict
        is Verdict.REPRODUCED
    )
    for tier in ("smoke", "paper"):
        assert (
            synthetic.judge(
                FIGURE, "concl.LU", checks.test_lu, planted, role="control", tier=tier
            ).verdict
            is not Verdict.REPRODUCED
        )
    reverse = mismatch_grids(lambda run: 100 / with_gap(run))
    assert synthetic.judge(FIGURE, "concl.LU", checks.test_lu, reverse).verdict is Verdict.REFUTED
    alone = mismatch_grids(lambda run: 5 * wobble(run, 1.0))
    assert (
        synthetic.judge(FIGURE, "concl.LU", checks.test_lu, alone).verdict is not Verdict.REPRODUCED
    )


def test_a_control_of_lu_whose_permutation_restores_the_order_is_reproduced() -> None:
    """The control permutes the delays by a fixed source; delays that it puts back in order show
    that it can fail.
    """
    planted = mismatch_grids(with_gap)
    rng = np.random.default_rng(0)
    moved = dict(planted)
    for task in CONCLUSIONS.claim("concl.LU").quantity["tasks"].values():
        case = Case(CONCLUSIONS.claim("concl.LU"), FIGURE, "paper", "paper", "claim", planted)
        gap, delay = checks.cells(case, task)
        names = np.where(
            np.isnan(gap) | np.isnan(delay), np.nan, np.arange(delay.size).reshape(delay.shape)
        )
        (places,) = checks.permuted_within(gap, names, rng)
        # A cell whose place takes over another's delay is given the delay that belongs there.
        moved |= exchanged(moved, case, task, names, places)
    assert (
        synthetic.judge(FIGURE, "concl.LU", checks.test_lu, moved, role="control").verdict
        is Verdict.REPRODUCED
    )


def exchanged(
    grids: dict[str, Grid], case: Case, task: Any, names: np.ndarray, places: np.ndarray
) -> dict[str, Grid]:
    """The curves of a task's arms moved so that cell ``places[i]`` holds what belongs to cell
    ``names[i]``.
    """
    arms = [checks.part(case, arm) for arm in task["arms"]]
    seeds = sorted({seed for arm in arms for seed in arm.seeds})
    cells = [
        (arm, alpha, size)
        for arm in arms
        for alpha, size in sorted({(run.alpha, run.n_train) for run in arm.curves})
    ]
    found = {source["from"]: dict(grids[source["from"]].curves) for source in task["arms"]}
    for row, seed in enumerate(seeds):
        for column, (arm, alpha, size) in enumerate(cells):
            if np.isnan(names[row, column]):
                continue
            to_row, to_column = divmod(int(places[row, column]), len(cells))
            to_arm, to_alpha, to_size = cells[to_column]
            source = arm.one(seed, alpha=alpha, n_train=size)
            target = to_arm.one(seeds[to_row], alpha=to_alpha, n_train=to_size).run
            for curves in found.values():
                if target in curves:
                    curves[target] = Curves(target, source.step, source.columns)
    return {name: Grid(name, curves) for name, curves in found.items()}


def test_lu_may_leave_out_what_never_generalises() -> None:
    entry = CONCLUSIONS.claim("concl.LU")
    other = entry.model_copy(update={"quantity": {**entry.quantity, "never": "left out"}})
    never = mismatch_grids(lambda run: math.inf if with_gap(run) > 35 else with_gap(run))
    case = Case(other, FIGURE, "paper", "paper", "claim", never)
    checks.test_lu(case)
    assert case.outcome is not None
    assert (case.outcome.verdict, case.outcome.findings[0].censored) == (Verdict.REPRODUCED, 0)


def test_lu_ranks_what_never_generalises_last() -> None:
    never = mismatch_grids(lambda run: math.inf if with_gap(run) > 35 else with_gap(run))
    found = synthetic.judge(FIGURE, "concl.LU", checks.test_lu, never, tier="smoke")
    assert found.verdict is Verdict.REPRODUCED
    assert found.findings[0].censored > 0


def test_what_never_fits_and_what_lies_beyond_the_landscape_is_left_out() -> None:
    task = {"fits": {"train_acc": 0.95}, "generalises": {"test_acc": 0.95}}
    run = runs("fig02_teacher_student:large")[0]
    assert math.isnan(
        checks.log_delay(synthetic.curves_of(run, {**delayed(run, 3.0), "train_acc": 0.5}), task)
    )
    assert checks.log_delay(synthetic.curves_of(run, delayed(run, math.inf)), task) == math.inf
    # A regression that stays bad has not generalised from the start: its losses have levels too.
    molecules = CONCLUSIONS.claim("concl.LU").quantity["tasks"]["QM9"]
    assert checks.log_delay(synthetic.curves_of(run, delayed(run, math.inf)), molecules) == math.inf
    assert checks.log_delay(
        synthetic.curves_of(run, delayed(run, 20.0)), molecules
    ) == pytest.approx(math.log(20), abs=0.5)
    assert math.isnan(
        checks.log_delay(
            synthetic.curves_of(run, {**delayed(run, 3.0), "train_loss": 0.5}), molecules
        )
    )
    whole = grid("fig02_teacher_student:landscape", landscape, None)
    assert checks.gap_at(whole, 0, 2.0, 100, "loss") > 0
    assert math.isnan(checks.gap_at(whole, 0, 50.0, 100, "loss"))
    assert math.isnan(checks.gap_at(whole, 0, 2.0, 250, "loss"))
    assert math.isnan(checks.gap_at(whole, 99, 2.0, 100, "loss"))


def everywhere(groks: set[str], any_scale: bool = False) -> dict[str, Grid]:
    """Each task groks from its large scale, if it is in ``groks``, and from alpha = 1 only with
    ``any_scale``.
    """

    def columns(figure: str, run: Run) -> dict[str, Any]:
        late = figure in groks and (run.alpha > 1 or any_scale)
        if figure == "fig04_imdb":
            return delayed(run, 90.0 if late else 0.9, fit=1.0 if late else 3.0, low=0.5, high=0.9)
        if figure == "fig05_qm9":
            return delayed(run, 12.0 if late else 0.9, fit=80.0)
        return delayed(run, 100.0 if late else 0.9, high=0.9)

    names = CONCLUSIONS.claim("concl.everywhere").experiments
    return {
        name: grid(name, lambda run, name=name: columns(name.partition(":")[0], run))
        for name in names
    }  # type: ignore[misc]


@pytest.mark.parametrize("missing", ["fig03_mnist", "fig04_imdb", "fig05_qm9"])
def test_everywhere_needs_all_three(missing: str) -> None:
    figures = {"fig03_mnist", "fig04_imdb", "fig05_qm9"}
    found = synthetic.judge(
        FIGURE,
        "concl.everywhere",
        checks.test_everywhere,
        everywhere(figures - {missing}),
        tier="smoke",
    )
    assert found.verdict is Verdict.REFUTED
    assert all(finding.name.startswith("fig0") for finding in found.findings)


def test_everywhere() -> None:
    planted = everywhere({"fig03_mnist", "fig04_imdb", "fig05_qm9"})
    found = synthetic.judge(
        FIGURE, "concl.everywhere", checks.test_everywhere, planted, tier="smoke"
    )
    assert found.verdict is Verdict.REPRODUCED, found.reason
    control = synthetic.judge(
        FIGURE, "concl.everywhere", checks.test_everywhere, planted, role="control", tier="smoke"
    )
    assert control.verdict is Verdict.REFUTED


def test_everywhere_reads_the_experiments_that_the_three_claims_read() -> None:
    entry = CONCLUSIONS.claim("concl.everywhere")
    for figure, claim_id in entry.quantity["parts"].items():
        own = load_figure(CLAIMS / f"{figure}.yaml").claim(claim_id).experiments
        used = {
            name.partition(":")[2] for name in entry.experiments if name.startswith(f"{figure}:")
        }
        # IMDb's own control has an experiment that the arms of alpha = 1 do not need.
        assert used <= set(own)
        assert set(own) - used <= {"shuffled"}
        assert checks.check_of(figure, claim_id).__name__.startswith("test_")


def dramatic(widths: dict[str, float]) -> dict[str, Grid]:
    def columns(figure: str, run: Run) -> dict[str, Any]:
        width = widths[figure] * wobble(run, 0.1)
        rise = np.clip((np.log10(np.maximum(synthetic.STEPS, 1)) - 2.5) / width, 0, 1)
        return {"train_acc": synthetic.sigmoid(50.0), "test_acc": 0.3 + 0.5 * rise}

    names = CONCLUSIONS.claim("concl.most-dramatic").experiments
    return {
        name: grid(name, lambda run, name=name: columns(name.partition(":")[0], run))
        for name in names
    }  # type: ignore[misc]


def test_halves_of_one_task_stay_on_their_edge_or_come_out_either_way() -> None:
    """The control of concl.most-dramatic compares 24 seeds of MNIST with one another."""

    def verdict(second_half: float) -> Verdict:
        def columns(run: Run) -> dict[str, Any]:
            width = wobble(run, 0.1) * (second_half if run.seed >= 12 else 1.0)
            return {
                "train_acc": synthetic.sigmoid(50.0),
                "test_acc": 0.3
                + 0.5 * np.clip((np.log10(np.maximum(synthetic.STEPS, 1)) - 2.5) / width, 0, 1),
            }

        names = CONCLUSIONS.claim("concl.most-dramatic").experiments
        grids = {
            name: synthetic.grid_of(
                name,
                [
                    run.replace(seed=seed)
                    for run in runs(name)
                    if run.seed == 0
                    for seed in range(24)
                ],
                columns,
            )
            for name in names
        }
        return synthetic.judge(
            FIGURE, "concl.most-dramatic", checks.test_most_dramatic, grids, role="control"
        ).verdict

    assert verdict(1.0) is Verdict.INCONCLUSIVE
    assert verdict(1.6) is Verdict.REPRODUCED
    assert verdict(0.6) is Verdict.REFUTED


def test_everywhere_is_the_conjunction_of_three_verdicts() -> None:
    found = synthetic.judge(
        FIGURE,
        "concl.everywhere",
        checks.test_everywhere,
        everywhere({"fig03_mnist", "fig04_imdb"}),
        tier="smoke",
    )
    assert found.reason.startswith("fig05.grok: ")
    assert not any(finding.premise for finding in found.findings)


def test_a_control_of_everywhere_that_groks_from_the_standard_scale_is_reproduced() -> None:
    figures = {"fig03_mnist", "fig04_imdb", "fig05_qm9"}
    found = synthetic.judge(
        FIGURE,
        "concl.everywhere",
        checks.test_everywhere,
        everywhere(figures, any_scale=True),
        role="control",
        tier="smoke",
    )
    assert found.verdict is Verdict.REPRODUCED, found.reason


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_most_dramatic(tier: str) -> None:
    def verdict(transformer: float, mnist: float, imdb: float, role: str = "claim") -> Verdict:
        grids = dramatic(
            {"fig07_transformer": transformer, "fig03_mnist": mnist, "fig04_imdb": imdb}
        )
        return synthetic.judge(
            FIGURE, "concl.most-dramatic", checks.test_most_dramatic, grids, role=role, tier=tier
        ).verdict

    assert verdict(0.3, 0.8, 1.6) is Verdict.REPRODUCED
    assert verdict(1.6, 0.8, 0.3) is Verdict.REFUTED
    assert verdict(0.3, 1.6, 0.8) is Verdict.REFUTED
    assert verdict(0.3, 0.8, 1.6, "control") is not Verdict.REPRODUCED


def test_a_task_without_a_rise_is_not_dramatic() -> None:
    grids = dramatic({"fig07_transformer": 0.3, "fig03_mnist": 0.8, "fig04_imdb": 1e3})
    found = synthetic.judge(
        FIGURE, "concl.most-dramatic", checks.test_most_dramatic, grids, tier="smoke"
    )
    assert found.verdict is Verdict.REFUTED


def representation(transformer: float, addition: float, mnist: float) -> dict[str, Grid]:
    """Delay of the transformer, and what a messy representation costs on addition and on MNIST."""

    def columns(name: str, run: Run) -> dict[str, Any]:
        if name == "fig07_transformer:free":
            return delayed(run, transformer, high=1.0)
        if name.startswith("fig03"):
            return delayed(run, 1.5, high=0.9)
        cost = (addition if name.startswith("fig06") else mnist) * run.messiness * wobble(run)
        return {
            "train_acc": 1.0,
            "test_acc": 1 - cost,
            "train_loss": 0.01,
            "test_loss": 0.1,
            "weight_norm": run.alpha,
        }

    names = CONCLUSIONS.claim("concl.representation").experiments
    return {
        name: grid(
            name,
            lambda run, name=name: columns(name, run),
            synthetic.STEPS if name.startswith(("fig07", "fig03")) else None,
        )  # type: ignore[misc]
        for name in names
    }


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_representation_is_inconclusive_at_best_and_can_be_refuted(tier: str) -> None:
    def outcome(*values: float, role: str = "claim") -> Any:
        return synthetic.judge(
            FIGURE,
            "concl.representation",
            checks.test_representation,
            representation(*values),
            role=role,
            tier=tier,
        )

    best = outcome(60.0, 0.8, 0.03)
    assert best.verdict is Verdict.INCONCLUSIVE
    assert best.findings[-1].ci == (-1.0, 1.0)
    assert outcome(3.0, 0.8, 0.03).verdict is Verdict.REFUTED
    assert outcome(60.0, 0.03, 0.8).verdict is Verdict.REFUTED
    # Half of the seeds have no partner; in the smoke tier that decides nothing.
    weak = Verdict.INCONCLUSIVE if tier == "smoke" else Verdict.REFUTED
    assert outcome(60.0, 0.8, 0.03, role="control").verdict is weak


def test_the_control_of_representation_is_not_refuted_where_the_halves_of_the_seeds_differ() -> (
    None
):
    """As the claim it is INCONCLUSIVE at best: two halves rank by nothing."""
    grids = representation(60.0, 0.8, 0.03)

    def halved(name: str, columns: Callable[[Run], dict[str, Any]]) -> Grid:
        seeds = grids[name].seeds
        return grid(
            name,
            lambda run: columns(run.replace(seed=int(run.seed in seeds[: len(seeds) // 2]))),
            synthetic.STEPS if name.startswith("fig03") else None,
        )

    grids["fig03_mnist:dynamics"] = halved(
        "fig03_mnist:dynamics", lambda run: delayed(run, 60.0 if run.seed else 1.5, high=0.9)
    )
    grids["fig08_mnist_representation:landscape"] = halved(
        "fig08_mnist_representation:landscape",
        lambda run: {
            "train_acc": 1.0,
            "test_acc": 1 - (0.8 if run.seed else 0.03) * run.messiness * wobble(run),
            "train_loss": 0.01,
            "test_loss": 0.1,
            "weight_norm": run.alpha,
        },
    )
    found = synthetic.judge(
        FIGURE, "concl.representation", checks.test_representation, grids, role="control"
    )
    *others, agreement = (each for each in found.findings if each.decides)
    assert [each.verdict() for each in others] == [Verdict.REPRODUCED] * len(others)
    assert agreement.verdict() is Verdict.INCONCLUSIVE
    assert found.verdict is Verdict.INCONCLUSIVE
