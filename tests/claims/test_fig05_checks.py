"""The checks of Figure 5 on made-up curves: a planted effect is REPRODUCED, an absent one is not,
and the control holds.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import synthetic
from omnigrok.audit.grid import Grid
from omnigrok.run import Run
from omnigrok.stats.finding import Verdict

FIGURE = "fig05_qm9"
checks = synthetic.load_checks(FIGURE)
LAST = np.array([0, 100])
VARIANCE = 64.0
TARGETS = {"train_target": 75.0, "train_target_square": 75.0**2 + VARIANCE}


def noise(run: Run, size: float) -> float:
    """A factor of a run: the same for train and test."""
    return float(
        np.exp(
            size * np.random.default_rng([run.seed, run.n_train, round(1e4 * run.alpha)]).normal()
        )
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
    name: str, columns: Callable[[Run], dict[str, object]], step: np.ndarray = synthetic.STEPS
) -> Grid:
    """The runs of the paper tier with made-up curves."""
    grid = synthetic.grid_of(
        name,
        synthetic.runs(f"{FIGURE}:{name}"),
        columns,
        step,
    )
    assert isinstance(grid, Grid)
    return grid


def landscape(mismatch: float = 10.0, rises: bool = True, halves: float = 1.0) -> dict[str, Grid]:
    """Losses are Us about alpha = 1, astronomical at alpha = 10.

    At N = 100 the test loss is ``mismatch`` times the training loss. The losses of the second half
    of the seeds are ``halves`` times as large.
    """

    def columns(run: Run) -> dict[str, object]:
        x = float(np.log10(run.alpha))
        train = (
            (halves if run.seed >= 2 else 1.0)
            * noise(run, 0.1)
            * 10 ** (1.2 * abs(x) if x < 0 else 9 * x if rises else 0.0)
        )
        return {
            **TARGETS,
            "train_loss": train,
            "test_loss": train * (mismatch if run.n_train == 100 else 1.2),
        }

    return {"landscape": made("landscape", columns, LAST)}


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_mismatch_small(tier: str) -> None:
    check = checks.test_mismatch_small
    assert verdict("fig05.mismatch-small", check, landscape(), tier=tier) is Verdict.REPRODUCED
    # A seed of the second half has no partner, and the smoke rule wants every seed.
    control = Verdict.INCONCLUSIVE if tier == "smoke" else Verdict.REFUTED
    assert verdict("fig05.mismatch-small", check, landscape(), "control", tier) is control
    if tier == "paper":
        assert (
            verdict("fig05.mismatch-small", check, landscape(halves=30.0), "control")
            is Verdict.REPRODUCED
        )
    assert verdict("fig05.mismatch-small", check, landscape(1.3), tier=tier) is Verdict.REFUTED


def test_similar_large() -> None:
    check = checks.test_similar_large
    assert verdict("fig05.similar-large", check, landscape()) is Verdict.REPRODUCED
    assert verdict("fig05.similar-large", check, landscape(), "control") is Verdict.REFUTED
    assert verdict("fig05.similar-large", check, landscape(1.2), "control") is Verdict.REPRODUCED
    assert verdict("fig05.similar-large", check, landscape(rises=False)) is Verdict.REFUTED


def test_similar_large_shows_the_unclipped_shapes() -> None:
    found = synthetic.judge(FIGURE, "fig05.similar-large", checks.test_similar_large, landscape())
    unclipped = [finding for finding in found.findings if "unclipped" in finding.name]
    assert len(unclipped) == 8
    assert not any(finding.decides for finding in unclipped)
    assert max(finding.estimate for finding in unclipped) > 1e6


def dynamics(
    drop: float = 100.0,
    at: float = 1e4,
    fits: bool = True,
    held_drops: bool = False,
    alpha: float = 3.0,
) -> dict[str, Grid]:
    """Training fits at 1,000 steps; from ``alpha`` the test loss of few data falls by ``drop`` at
    ``at``.
    """

    def columns(run: Run) -> dict[str, object]:
        wobble = noise(run, 0.1)
        groks = (
            run.alpha == alpha and run.n_train < 3000 and (run.constraint == "free" or held_drops)
        )
        fall = synthetic.sigmoid(at * wobble) if groks else np.zeros(synthetic.STEPS.size)
        fit = synthetic.sigmoid(1000 * wobble, high=1.0 if fits else 0.5)
        ratio = 1 - 0.4 * fall if run.constraint == "free" else np.ones_like(fall)
        return {
            **TARGETS,
            "train_loss": 1e3 * 1e-6**fit,
            "test_loss": 200 * wobble / drop**fall,
            "weight_norm": 50 * ratio,
        }

    return {name: made(name, columns) for name in ("dynamics", "graph_conv", "large")}


def only(grids: dict[str, Grid], *names: str) -> dict[str, Grid]:
    return {name: grids[name] for name in names}


def test_grok() -> None:
    check, names = checks.test_grok, ("dynamics", "graph_conv")
    assert verdict("fig05.grok", check, only(dynamics(), *names)) is Verdict.REPRODUCED
    assert verdict("fig05.grok", check, only(dynamics(), *names), "control") is Verdict.REFUTED
    assert (
        verdict("fig05.grok", check, only(dynamics(alpha=1.0), *names), "control")
        is Verdict.REPRODUCED
    )
    assert verdict("fig05.grok", check, only(dynamics(drop=3.0), *names)) is Verdict.REFUTED
    assert verdict("fig05.grok", check, only(dynamics(at=6e4), *names)) is Verdict.REFUTED, (
        "too late"
    )
    assert verdict("fig05.grok", check, only(dynamics(fits=False), *names)) is Verdict.REFUTED, (
        "never fitted"
    )


def test_steps_of_smoke_count_tenfold() -> None:
    assert (
        verdict(
            "fig05.grok",
            checks.test_grok,
            only(dynamics(at=2e3), "dynamics", "graph_conv"),
            tier="smoke",
        )
        is Verdict.REPRODUCED
    )


def test_a_record_that_ends_soon_after_the_fit_shows_no_absence() -> None:
    """The training set is fitted at 1,000 steps, and the record goes on to 2,000 or 4,000."""

    def cut(end: float) -> dict[str, Grid]:
        grid = dynamics()["dynamics"]
        part = {
            run: replace(
                each,
                step=each.step[each.step <= end],
                columns={
                    name: values if values.size == 1 else values[each.step <= end]
                    for name, values in each.columns.items()
                },
            )
            for run, each in grid.curves.items()
        }
        return {"dynamics": Grid("dynamics", part)}

    short, long = (
        synthetic.judge(FIGURE, "fig05.standard", checks.test_standard, cut(end)).findings[0]
        for end in (2e3, 1e4)
    )
    assert short.censored == short.n
    assert short.verdict() is Verdict.INCONCLUSIVE
    assert "end within half a decade of t_fit" in short.note
    assert (long.censored, long.verdict()) == (0, Verdict.REPRODUCED)


def test_standard() -> None:
    grids = only(dynamics(), "dynamics")
    assert verdict("fig05.standard", checks.test_standard, grids) is Verdict.REPRODUCED
    assert verdict("fig05.standard", checks.test_standard, grids, "control") is Verdict.REFUTED
    other = only(dynamics(alpha=1.0), "dynamics")
    assert verdict("fig05.standard", checks.test_standard, other) is Verdict.REFUTED
    assert verdict("fig05.standard", checks.test_standard, other, "control") is Verdict.REPRODUCED


def test_implicit() -> None:
    check = checks.test_implicit
    assert verdict("fig05.implicit", check, only(dynamics(), "dynamics")) is Verdict.REPRODUCED
    assert (
        verdict("fig05.implicit", check, only(dynamics(), "dynamics"), "control") is Verdict.REFUTED
    )
    assert (
        verdict("fig05.implicit", check, only(dynamics(alpha=1.0), "dynamics"), "control")
        is Verdict.REPRODUCED
    )
    assert (
        verdict("fig05.implicit", check, only(dynamics(held_drops=True), "dynamics"))
        is Verdict.REFUTED
    )
    assert verdict("fig05.implicit", check, only(dynamics(drop=1.0), "dynamics")) is Verdict.REFUTED


def test_no_grok_large() -> None:
    grids = only(dynamics(), "large", "dynamics")
    assert verdict("fig05.no-grok-large", checks.test_no_grok_large, grids) is Verdict.REPRODUCED
    assert (
        verdict("fig05.no-grok-large", checks.test_no_grok_large, grids, "control")
        is Verdict.REFUTED
    )
    nowhere = only(dynamics(drop=1.0), "large", "dynamics")
    assert (
        verdict("fig05.no-grok-large", checks.test_no_grok_large, nowhere, "control")
        is Verdict.REPRODUCED
    )


def test_a_drop_with_many_molecules_refutes_that_grokking_is_impossible() -> None:
    late = {
        "large": made(
            "large",
            lambda run: {
                **TARGETS,
                "train_loss": 1e3 * 1e-6 ** synthetic.sigmoid(1000),
                "test_loss": 200 / 5 ** synthetic.sigmoid(1e4 * noise(run, 0.1)),
            },
        )
    }
    late["dynamics"] = dynamics()["dynamics"]
    assert verdict("fig05.no-grok-large", checks.test_no_grok_large, late) is Verdict.REFUTED


def test_fit_is_measured_against_the_variance_of_the_targets() -> None:
    run = Run(task="qm9", model="nnconv", seed=0, n_train=100, steps=100, lr=1e-3)
    curves = synthetic.curves_of(
        run, {**TARGETS, "train_loss": np.array([9.0, 0.65, 0.63, 0.7])}, np.array([0, 10, 20, 30])
    )
    assert checks.fit_step(curves, 0.01) == 20
    assert np.isnan(checks.fit_step(curves, 1e-4))


def test_smallest_loss_under_code() -> None:
    run = Run(task="qm9", model="nnconv", seed=0, n_train=50, steps=100, lr=1e-3)
    curves = synthetic.curves_of(
        run, {"test_loss": np.array([5.0, 1.0, 2.0])}, np.array([0, 50, 100])
    )
    entry = synthetic.load_figure(synthetic.CLAIMS / f"{FIGURE}.yaml").claim("fig05.mismatch-small")
    read = {
        protocol: checks.loss(
            synthetic.Case(entry, FIGURE, protocol, "paper", "claim", {}), "test"
        )(curves)
        for protocol in ("paper", "code")
    }
    assert read == {"paper": 2.0, "code": 1.0}
