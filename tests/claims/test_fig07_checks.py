"""The checks of Figure 7 on made-up curves: an effect that is there, one that is not, and the
controls.
"""

import numpy as np
import pytest

import synthetic
from made_up_arms import Columns, Maker, outcome, slowness, wobble
from omnigrok.audit.case import Role
from omnigrok.audit.outcome import Outcome
from omnigrok.run import Run
from omnigrok.stats import Time
from omnigrok.stats.finding import Verdict

STEPS, sigmoid = synthetic.STEPS, synthetic.sigmoid
FIG07 = "fig07_transformer"
FIG10 = "fig10_time_vs_decay"


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


def never_overfits(run: Run) -> Columns:
    """The test accuracy moves before the training set is fitted."""
    return {**hump(run), "train_acc": sigmoid(9000)}


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


def test_a_network_that_never_overfits_says_nothing_of_its_norm_meanwhile() -> None:
    found = outcome(FIG07, "fig07.norm-hump", {"free": never_overfits})
    assert found is Verdict.INCONCLUSIVE


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
