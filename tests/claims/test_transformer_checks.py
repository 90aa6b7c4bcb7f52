"""The checks of Figures 7, 9 and 10 on made-up curves: an effect that is there, one that is not,
and the controls.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import synthetic
from omnigrok.audit.case import Case, Role
from omnigrok.audit.grid import Grid
from omnigrok.audit.outcome import ClaimRefuted, Outcome
from omnigrok.audit.summary import is_neutral
from omnigrok.run import Run
from omnigrok.stats import Time
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import load_figure

STEPS, sigmoid = synthetic.STEPS, synthetic.sigmoid
FIG07, FIG09, FIG10 = "fig07_transformer", "fig09_transformer_landscape", "fig10_time_vs_decay"
ENDS = None
Columns = dict[str, Any]
Maker = Callable[[Run], Columns]


def wobble(run: Run, size: float = 0.03) -> float:
    """A factor near 1 that is the run's own."""
    key = [run.seed, run.n_train, round(1e4 * run.alpha), round(1e4 * run.weight_decay)]
    return float(np.exp(size * np.random.default_rng(key).normal()))


def slowness(run: Run, size: float = 0.2) -> float:
    """A factor near 1 that is the seed's own, whatever else the run is."""
    return float(np.exp(size * np.random.default_rng(run.seed + 1000).normal()))


def outcome(
    figure: str,
    claim: str,
    makers: dict[str, Maker],
    role: Role = "claim",
    step: np.ndarray | None = STEPS,
) -> Verdict:
    grids: dict[str, Grid] = {}
    for name, maker in makers.items():
        grids[name] = synthetic.grid_of(
            name,
            synthetic.runs(f"{figure}:{name}"),
            maker,
            step,
        )
    checks = synthetic.load_checks(figure)
    check = getattr(checks, "test_" + claim.split(".")[1].replace("-", "_").lower())
    if role == "control":
        return control(figure, claim, check, grids)
    verdict: Verdict = synthetic.judge(figure, claim, check, grids).verdict
    return verdict


def control(figure: str, claim: str, check: Callable[..., None], grids: dict[str, Grid]) -> Verdict:
    verdict: Verdict = synthetic.judge(figure, claim, check, grids, role="control").verdict
    return verdict


# Figure 7


def accuracies(run: Run, fit: float, late: float) -> Columns:
    return {
        "train_acc": sigmoid(fit * wobble(run)),
        "test_acc": sigmoid(late * wobble(run)) if late < np.inf else 0.01,
        "weight_norm": 42.0,
    }


def hump(run: Run) -> Columns:
    """Grokking with the norm of Figure 7a; without weight decay neither."""
    if run.weight_decay == 0:
        return {**accuracies(run, 150, np.inf), "weight_norm": 1 + 0.3 * sigmoid(1000)}
    late = 9000 * wobble(run)
    bump = np.exp(-2 * (np.log10(np.maximum(STEPS, 1)) - 3) ** 2)
    norm = 1 + wobble(run) * 0.4 * bump - bump[0] * 0.4 - 0.3 * sigmoid(late)
    return {"train_acc": sigmoid(150), "test_acc": sigmoid(late), "weight_norm": norm}


def early_peak(run: Run) -> Columns:
    """The norm peaks before the training set is fitted."""
    return {**hump(run), "train_acc": sigmoid(5000)}


def test_the_norm_humps() -> None:
    assert outcome(FIG07, "fig07.norm-hump", {"free": hump}) is Verdict.REPRODUCED


def test_the_norm_never_falls_without_decay() -> None:
    assert outcome(FIG07, "fig07.norm-hump", {"free": hump}, "control") is Verdict.REFUTED


def test_a_norm_that_humps_without_decay_too() -> None:
    makers: dict[str, Maker] = {"free": lambda run: hump(run.replace(weight_decay=1.0))}
    assert outcome(FIG07, "fig07.norm-hump", makers, "control") is Verdict.REPRODUCED


@pytest.mark.parametrize(
    "maker", [early_peak, lambda run: accuracies(run, 150, 9000)], ids=["peak too early", "flat"]
)
def test_a_norm_without_that_hump(maker: Maker) -> None:
    assert outcome(FIG07, "fig07.norm-hump", {"free": maker}) is Verdict.REFUTED


def tracked(run: Run, follows: float = 1.0) -> Columns:
    """The norm peaks a little earlier at larger decay and falls under its start at t_test **
    follows.
    """
    late = 2000 / run.weight_decay * slowness(run)
    fall = 2000 * (late / 2000) ** follows * wobble(run)
    bump = sigmoid(100, 0, 0.3) * (1 - sigmoid(300 * run.weight_decay**-0.1, 0, 0.3))
    return {
        "train_acc": sigmoid(150),
        "test_acc": sigmoid(late),
        "weight_norm": 1 + bump - 0.5 * sigmoid(fall) + 1e-9 * (STEPS > 0),
    }


def test_the_fall_of_the_norm_tracks() -> None:
    assert outcome_tracks(tracked) is Verdict.REPRODUCED


def test_a_fall_of_its_own_does_not_track() -> None:
    assert outcome_tracks(lambda run: tracked(run, 0.1)) is Verdict.REFUTED


def test_the_peak_of_the_norm_does_not_track_although_its_ranks_do() -> None:
    assert outcome_tracks(tracked, "control") is Verdict.REFUTED


def test_a_peak_that_comes_with_the_test_accuracy_tracks() -> None:
    def late_peak(run: Run) -> Columns:
        late = 2000 / run.weight_decay * slowness(run)
        return {
            "train_acc": sigmoid(150),
            "test_acc": sigmoid(late),
            "weight_norm": 1 + 0.3 * sigmoid(0.9 * late) - 0.6 * sigmoid(1.1 * late),
        }

    assert outcome_tracks(late_peak, "control") is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.4, Verdict.REPRODUCED), (2.0, Verdict.REFUTED), (0.5, Verdict.REFUTED)],
)
def test_the_fall_comes_when_the_test_accuracy_does(factor: float, verdict: Verdict) -> None:
    """Its slope on t_test is 1 at any factor: only the ratio tells."""

    def shifted(run: Run) -> Columns:
        late = 1000 / run.weight_decay * slowness(run)
        return {
            "train_acc": sigmoid(150),
            "test_acc": sigmoid(late),
            "weight_norm": 1 + 0.3 * sigmoid(20) - 0.6 * sigmoid(factor * late),
        }

    assert outcome_tracks(shifted) is verdict


def test_a_norm_that_has_not_fallen_is_not_imputed() -> None:
    """At every weight decay the record ends above the initial norm: all that is known is a
    bound.
    """

    def never(run: Run) -> Columns:
        return {**tracked(run), "weight_norm": 1 + 0.3 * sigmoid(20)}

    found = outcome_of_tracks(never)
    ratio, slope = found.findings[:2]
    assert ratio.censored == len(ratio.values) == 10
    assert slope.verdict() is Verdict.INCONCLUSIVE
    assert np.isnan(slope.values).all()


def outcome_tracks(maker: Maker, role: Role = "claim") -> Verdict:
    verdict: Verdict = outcome_of_tracks(maker, role).verdict
    return verdict


def outcome_of_tracks(maker: Maker, role: Role = "claim") -> Outcome:
    grid = synthetic.grid_of(
        "transformer",
        synthetic.runs(f"{FIG10}:transformer"),
        maker,
    )
    check = synthetic.load_checks(FIG07).test_norm_tracks
    return synthetic.judge(
        FIG07, "fig07.norm-tracks", check, {"fig10_time_vs_decay:transformer": grid}, role=role
    )


def test_ranks_leave_out_what_was_cut() -> None:
    never = Time.never(100)
    pairs = [
        (Time.at(1), Time.at(10)),
        (Time.at(2), Time.at(20)),
        (Time.at(3), Time.at(30)),
        (never, Time.at(30)),
        (never, never),
    ]
    rank_correlation = synthetic.load_checks(FIG07).rank_correlation
    assert rank_correlation(pairs) == pytest.approx(1)
    assert np.isnan(rank_correlation(pairs[1:]))


def degrok(run: Run, held: float = 1.1, free: float = 50.0) -> Columns:
    return accuracies(run, 150, 150 * (held if run.constraint == "rescale" else free))


ARMS = ("free", "held", "others")


def test_degrok_by_constraint() -> None:
    assert (
        outcome(FIG07, "fig07.degrok-constraint", dict.fromkeys(ARMS, degrok)) is Verdict.REPRODUCED
    )


def test_the_arms_exchanged_do_not_degrok() -> None:
    assert (
        outcome(FIG07, "fig07.degrok-constraint", dict.fromkeys(ARMS, degrok), "control")
        is Verdict.REFUTED
    )


def test_the_arms_exchanged_degrok_where_the_constraint_delays() -> None:
    arms: dict[str, Maker] = dict.fromkeys(ARMS, lambda run: degrok(run, held=50.0, free=1.1))
    assert outcome(FIG07, "fig07.degrok-constraint", arms, "control") is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("held", "free"),
    [(50, 50), (1.1, 1.1), (np.inf, 50)],
    ids=["both late", "both together", "held never"],
)
def test_no_degrok(held: float, free: float) -> None:
    arms = dict.fromkeys(ARMS, lambda run: degrok(run, held, free))
    assert outcome(FIG07, "fig07.degrok-constraint", arms) is Verdict.REFUTED


# Figure 9


def landscape(run: Run, rise: float = 1.0) -> Columns:
    """Training loss: an L with its break under .8; test loss: a U with its bottom at .8 if ``rise``
    is not 0.
    """
    x = np.log(run.alpha / 0.8)
    train = 4.5 * (1 - np.exp(x)) * wobble(run) + 1e-5 if x < 0 else 1e-5
    return {
        "train_loss": train,
        "test_loss": 0.05 + 3 * wobble(run) * abs(min(x, 0)) + rise * 8 * wobble(run) * max(x, 0),
    }


def test_lu() -> None:
    assert outcome(FIG09, "fig09.LU", {"landscape": landscape}, step=ENDS) is Verdict.REPRODUCED


def test_lu_swapped() -> None:
    assert (
        outcome(FIG09, "fig09.LU", {"landscape": landscape}, "control", step=ENDS)
        is Verdict.REFUTED
    )


def test_the_losses_exchanged_swap_claim_and_control() -> None:
    def exchanged(run: Run) -> Columns:
        falls, turns = landscape(run).values()
        return {"train_loss": turns, "test_loss": falls}

    arms = {"landscape": exchanged}
    assert outcome(FIG09, "fig09.LU", arms, "control", step=ENDS) is Verdict.REPRODUCED
    assert outcome(FIG09, "fig09.LU", arms, step=ENDS) is Verdict.REFUTED


def test_two_ls_are_no_lu() -> None:
    assert (
        outcome(FIG09, "fig09.LU", {"landscape": lambda run: landscape(run, 0.0)}, step=ENDS)
        is Verdict.REFUTED
    )


def dose(run: Run, critical: float) -> Columns:
    """Generalises at alpha = .57 and .8 from about a fraction on; with permuted labels never."""
    works = (
        run.n_train / 113**2 > critical * wobble(run.replace(n_train=1, alpha=1.0), 0.05)
        and 0.5 < run.alpha < 1
    )
    return {"test_acc": 0.99 if works and not run.option("shuffle_labels") else 0.02}


def critical_at(fraction: float) -> dict[str, Maker]:
    return dict.fromkeys(("fractions", "shuffled"), lambda run: dose(run, fraction))


@pytest.mark.parametrize(
    ("fraction", "verdict"),
    [(0.25, Verdict.REPRODUCED), (0.37, Verdict.REFUTED), (0.8, Verdict.REFUTED)],
)
def test_critical(fraction: float, verdict: Verdict) -> None:
    assert outcome(FIG09, "fig09.critical", critical_at(fraction), step=ENDS) is verdict


def test_critical_with_permuted_labels() -> None:
    assert (
        outcome(FIG09, "fig09.critical", critical_at(0.25), "control", step=ENDS) is Verdict.REFUTED
    )


def test_permuted_labels_that_generalise_all_the_same() -> None:
    def leaks(run: Run) -> Columns:
        return {"test_acc": 0.99 if run.n_train / 113**2 > 0.26 else 0.02}

    arms = {"fractions": leaks, "shuffled": leaks}
    assert outcome(FIG09, "fig09.critical", arms, "control", step=ENDS) is Verdict.REPRODUCED


def reduced_critical(fraction: float, role: Role = "claim") -> Any:
    """The same on the fractions of the reduced scale, which end where the region does."""
    grids = {
        name: synthetic.grid_of(
            name,
            synthetic.runs(f"{FIG09}:{name}", "reduced"),
            maker,
            ENDS,
        )
        for name, maker in critical_at(fraction).items()
    }
    return synthetic.judge(
        FIG09, "fig09.critical", synthetic.load_checks(FIG09).test_critical, grids, role=role
    )


@pytest.mark.parametrize(
    ("fraction", "verdict"),
    [(0.25, Verdict.REPRODUCED), (0.1, Verdict.INCONCLUSIVE), (0.8, Verdict.INCONCLUSIVE)],
)
def test_five_fractions_hold_the_bracket_or_leave_it_open(
    fraction: float, verdict: Verdict
) -> None:
    found = reduced_critical(fraction)
    assert found.verdict is verdict
    assert found.findings[1].censored == (0 if verdict is Verdict.REPRODUCED else 8)


def test_the_permuted_labels_of_the_reduced_scale_can_be_refuted() -> None:
    assert reduced_critical(0.25, "control").verdict is Verdict.REFUTED


def test_a_seed_s_own_fraction_lies_between_two_of_the_grid() -> None:
    own = synthetic.load_checks(FIG09).own_bracket
    fractions = np.array([0.2, 0.25, 0.3])
    assert own(fractions, np.array([False, True, True])) == (0.2, 0.25)
    # As many fail as there are below: luck at one fraction does not move it further.
    assert own(fractions, np.array([True, False, True])) == (0.2, 0.25)
    assert own(fractions, np.array([True, True, True])) == (-np.inf, 0.2)
    assert own(fractions, np.array([False, False, False])) == (0.3, np.inf)


def test_an_accuracy_that_comes_and_goes_has_not_arrived() -> None:
    step = np.array([0, 40, 60, 80, 100])
    flash = np.array([0.02, 0.02, 0.99, 0.02, 0.02])

    def brief(run: Run) -> Columns:
        return {"test_acc": flash if run.n_train / 113**2 < 0.26 else 0.99}

    arms = {"fractions": brief, "shuffled": brief}
    assert outcome(FIG09, "fig09.critical", arms, step=step) is Verdict.REPRODUCED


def test_lu_of_the_best_values() -> None:
    """A run that ends worse than it once was is judged by what the universe asks for."""
    entry = load_figure(synthetic.CLAIMS / f"{FIG09}.yaml").claim("fig09.LU")
    best = entry.model_copy(update={"quantity": {**entry.quantity, "reduction": "best"}})

    def ends_flat(run: Run) -> Columns:
        return {name: np.array([value, 1.0]) for name, value in landscape(run).items()}

    runs = synthetic.runs(f"{FIG09}:landscape")
    grid = synthetic.grid_of("landscape", runs, ends_flat, ENDS)
    verdicts = []
    for claim in (entry, best):
        case = Case(claim, FIG09, "paper", "paper", "claim", {"landscape": grid})
        with contextlib.suppress(ClaimRefuted):
            synthetic.load_checks(FIG09).test_lu(case)
        assert case.outcome is not None
        verdicts.append(case.outcome.verdict)
    assert verdicts == [Verdict.REFUTED, Verdict.REPRODUCED]


# Figure 10


def power(
    run: Run, slope: float, at_one: float, seed: float = 0.0, jitter: float = 0.03
) -> Columns:
    late = at_one * run.weight_decay**slope * slowness(run, seed) * wobble(run, jitter)
    return {
        "train_acc": sigmoid(200 * wobble(run)),
        "test_acc": sigmoid(late) if late < 8e4 else 0.3,
    }


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.REPRODUCED), (-0.6, Verdict.REFUTED)]
)
def test_transformer_inverse(slope: float, verdict: Verdict) -> None:
    assert (
        outcome(
            FIG10, "fig10.transformer-inverse", {"transformer": lambda run: power(run, slope, 3000)}
        )
        is verdict
    )


def test_transformer_inverse_holds_with_censored_times() -> None:
    assert (
        outcome(
            FIG10, "fig10.transformer-inverse", {"transformer": lambda run: power(run, -1, 6000)}
        )
        is Verdict.REPRODUCED
    )


def test_transformer_time_to_fit() -> None:
    assert (
        outcome(
            FIG10,
            "fig10.transformer-inverse",
            {"transformer": lambda run: power(run, -1, 3000)},
            "control",
        )
        is Verdict.REFUTED
    )


def sides_exchanged(slope: float, at_one: float) -> Maker:
    """The training accuracy arrives when the test accuracy should."""

    def maker(run: Run) -> Columns:
        columns = power(run, slope, at_one)
        return {"train_acc": columns["test_acc"], "test_acc": columns["train_acc"]}

    return maker


def test_a_time_to_fit_that_goes_as_one_over_weight_decay() -> None:
    assert (
        outcome(
            FIG10,
            "fig10.transformer-inverse",
            {"transformer": sides_exchanged(-1, 3000)},
            "control",
        )
        is Verdict.REPRODUCED
    )
    assert (
        outcome(FIG10, "fig10.mnist-inverse", {"mnist": sides_exchanged(-1, 2000)}, "control")
        is Verdict.REPRODUCED
    )


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.INCONCLUSIVE), (-0.6, Verdict.REFUTED)]
)
def test_less_than_two_decades_can_refute_but_not_show_it(slope: float, verdict: Verdict) -> None:
    """The reduced scale's weight decays, .2 to 5."""
    runs = synthetic.runs(f"{FIG10}:transformer", "reduced")
    grids = {
        "transformer": synthetic.grid_of("transformer", runs, lambda run: power(run, slope, 3000))
    }
    check = synthetic.load_checks(FIG10).test_transformer_inverse
    found = synthetic.judge(FIG10, "fig10.transformer-inverse", check, grids)
    assert found.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert found.reason.startswith("decades of weight decay that were tested: 1.4 [1.4, inf]")


def test_a_slope_that_changes_is_not_inverse() -> None:
    def bent(run: Run) -> Columns:
        return power(run, -0.7 if run.weight_decay > 0.5 else -1.3, 1500)

    assert outcome(FIG10, "fig10.transformer-inverse", {"transformer": bent}) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("seed", "jitter", "role", "verdict"),
    [
        (0.4, 0.1, "claim", Verdict.REPRODUCED),
        (0.0, 0.3, "claim", Verdict.REFUTED),
        (0.4, 0.1, "control", Verdict.REFUTED),
    ],
)
def test_seed_offset(seed: float, jitter: float, role: Role, verdict: Verdict) -> None:
    assert (
        outcome(
            FIG10,
            "fig10.seed-offset",
            {"transformer": lambda run: power(run, -1, 2000, seed, jitter)},
            role,
        )
        is verdict
    )


def test_seed_offset_in_rows_that_were_permuted() -> None:
    """Who is slow changes with weight decay as the control permutes the seeds, so that its rows are
    slow throughout.
    """
    runs = synthetic.runs(f"{FIG10}:transformer")
    gammas, seeds = sorted({run.weight_decay for run in runs}), sorted({run.seed for run in runs})
    places = synthetic.load_checks(FIG10).mixed(
        np.tile(np.arange(len(seeds), dtype=float)[:, None], len(gammas))
    )

    def moved(run: Run) -> Columns:
        row = int(np.flatnonzero(places[:, gammas.index(run.weight_decay)] == run.seed)[0])
        return power(run, -1, 2000 * float(np.exp(0.1 * row)), 0.0)

    assert (
        outcome(FIG10, "fig10.seed-offset", {"transformer": moved}, "control") is Verdict.REPRODUCED
    )
    assert outcome(FIG10, "fig10.seed-offset", {"transformer": moved}) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, Verdict.REPRODUCED), (-0.5, Verdict.REFUTED)]
)
def test_mnist_inverse(slope: float, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-inverse", {"mnist": lambda run: power(run, slope, 2000)})
        is verdict
    )


def test_mnist_time_to_fit() -> None:
    assert (
        outcome(
            FIG10, "fig10.mnist-inverse", {"mnist": lambda run: power(run, -1, 2000)}, "control"
        )
        is Verdict.REFUTED
    )


def delayed(run: Run, low: float, b: float = 500.0) -> Columns:
    """50 / weight decay + b inside the range, and ``low`` times that below it."""
    late = (
        (50 / run.weight_decay + b)
        * (1.0 if run.weight_decay >= 0.05 else low)
        * slowness(run)
        * wobble(run)
    )
    return {"train_acc": sigmoid(200), "test_acc": sigmoid(late)}


def low_and_inside(curves: Callable[[Run], Columns]) -> dict[str, Callable[[Run], Columns]]:
    return {"mnist": curves, "mnist_low": curves}


@pytest.mark.parametrize(
    ("low", "verdict"),
    [(0.2, Verdict.REPRODUCED), (1.5, Verdict.REFUTED), (1.0, Verdict.INCONCLUSIVE)],
)
def test_mnist_low(low: float, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-low", low_and_inside(lambda run: delayed(run, low))) is verdict
    )


def test_mnist_low_is_open_where_runs_are_cut() -> None:
    def cut(run: Run) -> Columns:
        return (
            power(run, -1, 3000)
            if run.weight_decay >= 0.05
            else {"train_acc": 1.0, "test_acc": 0.5}
        )

    assert outcome(FIG10, "fig10.mnist-low", low_and_inside(cut)) is Verdict.INCONCLUSIVE


def test_mnist_low_reports_the_lowest_weight_decays() -> None:
    """They do not decide: a time that is late at .003 leaves the claim as it is."""

    def late(run: Run) -> Columns:
        return delayed(run, 3.0 if run.weight_decay < 0.005 else 0.2)

    found = outcome_of_low(late)
    assert found.verdict is Verdict.REPRODUCED
    assert {finding.name.rpartition(" ")[2]: finding.decides for finding in found.findings} == {
        "0.01": True,
        "0.03": True,
        "0.001": False,
        "0.003": False,
    }


def outcome_of_low(maker: Maker, role: Role = "claim") -> Outcome:
    grids = {
        name: synthetic.grid_of(
            name,
            synthetic.runs(f"{FIG10}:{name}"),
            maker,
        )
        for name in ("mnist", "mnist_low")
    }
    return synthetic.judge(
        FIG10, "fig10.mnist-low", synthetic.load_checks(FIG10).test_mnist_low, grids, role=role
    )


@pytest.mark.parametrize("low", [0.2, 1.0])
def test_times_simulated_from_the_law_are_neutral(low: float) -> None:
    """The control is on the region's edge whatever the times at low weight decay are, and closer to
    it than the claim.
    """
    found = outcome_of_low(lambda run: delayed(run, low), "control")
    assert found.verdict is Verdict.INCONCLUSIVE
    claim = outcome_of_low(lambda run: delayed(run, low))
    rows = [each.row() for each in (claim, found)]
    assert is_neutral(*rows) == (low == 0.2)


@pytest.mark.parametrize(("factor", "verdict"), [(0.3, Verdict.REPRODUCED), (3.0, Verdict.REFUTED)])
def test_simulated_times_that_leave_the_law_would_be_seen(
    factor: float, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = synthetic.load_checks(FIG10)
    honest = checks.simulated

    def biased(found: Any, delay: bool) -> Any:
        drawn = honest(found, delay)
        return replace(
            drawn,
            low={
                gamma: [Time.at(factor * time.value) for time in row]
                for gamma, row in drawn.low.items()
                if gamma > 0.005
            },
        )

    monkeypatch.setattr(checks, "simulated", biased)
    assert outcome_of_low(lambda run: delayed(run, 0.2), "control").verdict is verdict


def spoils(run: Run, from_decay: float) -> Columns:
    return {"train_acc": (0.2 if run.weight_decay >= from_decay else 0.99) + 0.001 * run.seed / 10}


@pytest.mark.parametrize(
    ("from_decay", "role", "verdict"),
    [
        (10, "claim", Verdict.REPRODUCED),
        (100, "claim", Verdict.REPRODUCED),
        (1000, "claim", Verdict.REFUTED),
        (10, "control", Verdict.REFUTED),
    ],
)
def test_mnist_high(from_decay: float, role: Role, verdict: Verdict) -> None:
    assert (
        outcome(FIG10, "fig10.mnist-high", {"mnist": lambda run: spoils(run, from_decay)}, role)
        is verdict
    )


def test_mnist_high_where_the_second_half_of_the_seeds_fits_worse() -> None:
    makers: dict[str, Maker] = {"mnist": lambda run: {"train_acc": 0.9 if run.seed >= 5 else 0.99}}
    assert outcome(FIG10, "fig10.mnist-high", makers, "control") is Verdict.REPRODUCED


def test_mnist_high_is_open_where_the_seeds_disagree() -> None:
    makers: dict[str, Maker] = {"mnist": lambda run: spoils(run, 30 if run.seed % 2 else 1000)}
    assert outcome(FIG10, "fig10.mnist-high", makers) is Verdict.INCONCLUSIVE
