from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from omnigrok.audit.data_checks import check_curves
from omnigrok.curves import Curves
from omnigrok.errors import DataCheckFailed
from omnigrok.run import Run
from omnigrok.training.calendar import log_steps
from omnigrok.training.stopping import end_of

RUN = Run(task="made_up", model="none", seed=0, n_train=5, steps=100, lr=1e-3)


def curves(run: Run = RUN, numbers: int | None = None) -> Curves:
    """Curves on the grid of their Run; ``numbers`` is the seed of the losses, by default the Run's
    own.
    """
    step = np.array(log_steps(run))
    rng = np.random.default_rng(run.seed if numbers is None else numbers)
    columns = {
        name: rng.random(len(step)) for name in ("train_loss", "test_loss", "train_acc", "test_acc")
    }
    columns["weight_norm"] = np.ones(len(step))
    return Curves(run, step, columns)


def altered(column: str, value: float) -> Curves:
    found = curves()
    found.columns[column][3] = value
    return found


def cut(whole: Curves, points: int, diverged: bool = False) -> Curves:
    columns = {name: values[:points] for name, values in whole.columns.items()}
    return Curves(whole.run, whole.step[:points], columns, diverged)


def test_sound_curves_pass() -> None:
    check_curves(
        [curves(RUN.replace(seed=seed, alpha=alpha)) for seed in range(3) for alpha in (0.5, 1.0)]
    )
    check_curves([])


# The logging grid


@pytest.mark.parametrize("shift", [1, -1])
def test_a_shifted_grid_is_found(shift: int) -> None:
    found = curves()
    with pytest.raises(
        DataCheckFailed, match=f"run {RUN.digest}: its time axis is not the logging grid"
    ):
        check_curves([dataclasses.replace(found, step=found.step + shift)])


def test_a_run_that_may_end_early_ends_where_its_accuracy_has_stayed() -> None:
    run = RUN.replace(stop_at={"test_acc": 0.9}, log_every=1)
    late = curves(run)
    late.columns["test_acc"][:] = np.where(late.step >= 20, 1.0, 0.0)
    end = end_of(run, late.step.tolist(), late.columns)
    assert end is not None
    assert 20 < late.step[end] < run.steps
    check_curves([cut(late, end + 1)])
    for points in (end, end + 2):
        with pytest.raises(DataCheckFailed, match="its time axis is not the logging grid"):
            check_curves([cut(late, points)])


def test_the_grid_of_other_settings_is_found() -> None:
    other = curves(RUN.replace(log_every=10))
    with pytest.raises(DataCheckFailed, match="logging grid"):
        check_curves([dataclasses.replace(other, run=RUN)])


def test_curves_that_end_early_are_found() -> None:
    with pytest.raises(DataCheckFailed, match="logging grid"):
        check_curves([cut(curves(), 10)])


def stopping(points: int, reached: int = 5) -> Curves:
    """Curves of a Run that stops, whose accuracy is at the level from a logged point on, cut after
    ``points``.
    """
    whole = curves(RUN.replace(stop_at={"test_acc": 0.9}))
    whole.columns["test_acc"][:] = np.arange(len(whole.step)) >= reached
    return cut(whole, points)


def test_curves_that_stop_where_their_run_says_pass() -> None:
    """From step 5 on, step 7 is the first whose last fifth begins at 5 or later."""
    check_curves([stopping(8)])


@pytest.mark.parametrize("points", [7, 9, len(log_steps(RUN))])
def test_curves_that_stop_elsewhere_are_found(points: int) -> None:
    with pytest.raises(DataCheckFailed, match="logging grid of its settings, up to its end"):
        check_curves([stopping(points)])


def test_curves_that_never_reach_their_level_are_whole() -> None:
    points = len(log_steps(RUN))
    check_curves([stopping(points, reached=points)])
    with pytest.raises(DataCheckFailed, match="logging grid"):
        check_curves([stopping(points - 1, reached=points)])


def test_diverged_curves_may_end_early() -> None:
    check_curves([cut(curves(), 10, diverged=True)])


def test_diverged_curves_are_on_the_grid_all_the_same() -> None:
    found = cut(curves(), 10, diverged=True)
    with pytest.raises(DataCheckFailed, match="logging grid"):
        check_curves([dataclasses.replace(found, step=found.step + 1)])


# Accuracies


@pytest.mark.parametrize("column", ["train_acc", "test_acc"])
@pytest.mark.parametrize("value", [-0.01, 1.01, 97.0])
def test_an_accuracy_out_of_range_is_found(column: str, value: float) -> None:
    with pytest.raises(DataCheckFailed, match=f"column {column} leaves"):
        check_curves([altered(column, value)])


@pytest.mark.parametrize("value", [0.0, 1.0, 1 + 1e-7, -1e-7])
def test_an_accuracy_on_the_edge_passes(value: float) -> None:
    check_curves([altered("test_acc", value)])


def test_curves_without_accuracies_pass() -> None:
    found = curves()
    columns = {name: found[name] for name in ("train_loss", "weight_norm")}
    check_curves([dataclasses.replace(found, columns=columns)])


# Losses and norms


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("test_loss", np.nan, "test_loss is not finite, though the run did not diverge"),
        ("train_loss", np.inf, "train_loss is not finite"),
        ("weight_norm", np.inf, "weight_norm is not finite"),
        ("test_acc", np.nan, "test_acc is not finite"),
        ("train_loss", -1e-3, "train_loss is negative"),
    ],
)
def test_numbers_that_no_training_gives(column: str, value: float, message: str) -> None:
    found = altered(column, value)
    with pytest.raises(DataCheckFailed, match=message):
        check_curves([found])
    if not np.isfinite(value):
        check_curves([dataclasses.replace(found, diverged=True)])


def test_a_test_set_that_is_empty_passes() -> None:
    found = curves()
    for name in ("test_loss", "test_acc"):
        found.columns[name][:] = np.nan
    check_curves([found])


def test_a_column_that_every_run_logs_is_missed() -> None:
    found = curves()
    del found.columns["weight_norm"]
    with pytest.raises(DataCheckFailed, match="it has no column weight_norm"):
        check_curves([found])


@pytest.mark.parametrize("norm", [1e-4, 30.0])
def test_a_norm_that_is_held_moves_by_no_more_than_a_thousandth(norm: float) -> None:
    found = curves(RUN.replace(constraint="rescale"))
    found.columns["weight_norm"][:] = norm
    found.columns["weight_norm"][-1] *= 1 - 0.9e-3
    check_curves([found])
    found.columns["weight_norm"][-1] = norm * (1 - 1.1e-3)
    with pytest.raises(DataCheckFailed, match="its norm was not held"):
        check_curves([found])
    check_curves([dataclasses.replace(found, diverged=True)])
    check_curves([dataclasses.replace(found, run=RUN)])


# Seeds


@pytest.mark.parametrize("column", ["train_loss", "test_loss"])
@pytest.mark.parametrize("factor", [1.0, 1 + 1e-12])
def test_one_loss_under_two_seeds_is_found(column: str, factor: float) -> None:
    one, other = curves(RUN), curves(RUN.replace(seed=1))
    other.columns[column][:] = one[column] * factor
    with pytest.raises(DataCheckFailed, match="the seed was ignored"):
        check_curves([one, other])


def test_equal_numbers_under_two_seeds_are_found() -> None:
    one, other = RUN, RUN.replace(seed=1)
    with pytest.raises(
        DataCheckFailed,
        match=rf"runs {one.digest} \(seed 0\) and {other.digest} \(seed 1\) .* seed was ignored",
    ):
        check_curves([curves(one), curves(other, numbers=0)])
    with pytest.raises(DataCheckFailed, match="the seed was ignored"):
        check_curves([curves(other, numbers=0), curves(one)])


def test_equal_numbers_under_other_settings_are_not_the_seeds_fault() -> None:
    """A rescaled weight decay that does nothing, for one: not for this rule to judge."""
    check_curves([curves(RUN), curves(RUN.replace(weight_decay=0.1), numbers=0)])


def test_every_network_of_alpha_0_is_the_same() -> None:
    run = RUN.replace(alpha=0.0)
    check_curves([curves(run), curves(run.replace(seed=1), numbers=0)])


def test_the_same_curves_given_twice_pass() -> None:
    """Two experiments of one claim may share Runs; an iterator is read once."""
    found = curves()
    check_curves(iter([found, found]))
