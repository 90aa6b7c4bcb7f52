"""Curves laid out by seed and axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from omnigrok.audit.grid import Grid
from omnigrok.audit.measures import (
    READINGS,
    best,
    complement,
    decay_rates_by_window,
    delays,
    final,
    generalises,
    halves,
    highest,
    nearest,
    norm_at,
    rate_between,
    surface,
    time_of,
    time_table,
    value_at,
)
from omnigrok.curves import Curves
from omnigrok.errors import BadInput, Diverged
from omnigrok.run import Run
from omnigrok.stats import Region, Time

STEPS = np.arange(0, 101)


def run(seed: int, alpha: float) -> Run:
    return Run(
        task="teacher_student",
        model="mlp",
        seed=seed,
        n_train=4,
        steps=100,
        lr=0.1,
        alpha=alpha,
        log_every=1,
    )


def curves(seed: int, alpha: float, diverged: bool = False) -> Curves:
    accuracy = np.clip(STEPS / (50.0 * alpha), 0, 1)
    columns = {
        "train_acc": accuracy,
        "test_acc": accuracy**2,
        "weight_norm": 10 * np.exp(-0.01 * alpha * STEPS),
        "test_loss": 1 / (1 + STEPS) + seed,
    }
    return Curves(run(seed, alpha), STEPS, columns, diverged)


def grid(diverging: bool = False, bad: bool = False) -> Grid:
    every = [
        curves(seed, alpha, diverged=bad and seed == 1) for seed in range(3) for alpha in (0.5, 1.0)
    ]
    return Grid("toy", {each.run: each for each in every}, diverging)


def test_axes_and_tables() -> None:
    assert grid().seeds == [0, 1, 2]
    assert grid().axis("alpha") == [0.5, 1.0]
    table = grid().table(final("test_loss"), "alpha")
    assert table.shape == (3, 2)
    np.testing.assert_allclose(table, [[1 / 101 + seed] * 2 for seed in range(3)])
    assert grid().between("alpha", 0.9, 2).axis("alpha") == [1.0]


def test_where_tells_text_from_numbers_and_seeds_from_their_neighbours() -> None:
    assert grid().where(alpha=0.5 * (1 + 1e-7)).axis("alpha") == [0.5]
    assert grid().where(task="teacher_student").seeds == [0, 1, 2]
    for wanted in ({"alpha": "0.5"}, {"task": 0.5}, {"alpha": 0.5001}):
        with pytest.raises(BadInput, match="experiment toy has no run with"):
            grid().where(**wanted)
    many = {each: curves(0, 1.0) for each in (run(100_000, 1.0), run(100_001, 1.0))}
    assert Grid("toy", many).where(seed=100_001).seeds == [100_001]


def test_measures() -> None:
    one = curves(0, 1.0)
    assert best("test_loss")(one) == pytest.approx(1 / 101)
    assert complement(final("train_acc"))(one) == 0.0
    assert value_at(one, "train_acc", 25) == pytest.approx(0.5)
    assert np.isnan(value_at(one, "train_acc", 101))


def test_times() -> None:
    time = time_of(curves(0, 1.0), "train_acc", 0.8)
    assert time == Time(40.0, True, 100.0)
    assert norm_at(curves(0, 1.0), time) == pytest.approx(10 * np.exp(-0.4))
    assert np.isnan(norm_at(curves(0, 1.0), Time.never(100)))
    table = time_table(grid(), "train_acc", "alpha", [0.5, 1.0], 0.8)
    assert [[time.value for time in row] for row in table] == [[20.0, 40.0]] * 3


def test_what_is_read_as_the_reduced_loss() -> None:
    """The test loss is smallest before the training loss is, and neither is so at the last step."""
    train, test = np.abs(STEPS - 60) + 1.0, np.abs(STEPS - 30) + 1.0
    one = Curves(curves(0, 1.0).run, STEPS, {"train_loss": train, "test_loss": test})
    assert {name: measure("test_loss")(one) for name, measure in READINGS.items()} == {
        "final": 71.0,
        "smallest": 1.0,
        "at the training minimum": 31.0,
    }


def test_the_first_crossing_and_a_longer_stay() -> None:
    bumpy = curves(0, 1.0)
    bumpy = Curves(
        bumpy.run,
        STEPS,
        {"train_acc": np.where((STEPS > 80) | ((STEPS >= 20) & (STEPS < 24)), 1.0, 0.0)},
    )
    assert [
        time_of(bumpy, "train_acc", 0.95, hold).value for hold in (0, 0.05, 0.5)
    ] == pytest.approx([20, 20, np.nan], nan_ok=True)
    assert time_of(bumpy, "train_acc", 0.95, 0.2).value == 81


def test_a_delay_is_known_as_far_as_both_times_are() -> None:
    late, early, never = Time.at(50, 100), Time.at(20, 100), Time.never(100)
    assert delays([[late, never, late, early]], [[early, early, never, late]]) == [
        [Time.at(30, 100), Time.never(80), Time.never(1), Time.at(1, 100)]
    ]


def test_decay_rate_is_the_exponent_of_the_norm() -> None:
    assert rate_between(curves(0, 1.0), 10, 69) == pytest.approx(0.01)
    assert rate_between(curves(0, 1.0), 10, 12) == pytest.approx(0.01)
    assert np.isnan(rate_between(curves(0, 1.0), np.nan, 69))
    assert np.isnan(rate_between(curves(0, 1.0), 10, np.nan))
    assert np.isnan(rate_between(curves(0, 1.0), 10, 11))


def test_rates_by_window_show_where_the_norm_leaves_the_law() -> None:
    """A norm that decays at .01 up to step 40 and stays from there on."""
    one = curves(0, 1.0)
    bent = Curves(one.run, one.step, {"weight_norm": 10 * np.exp(-0.01 * np.minimum(one.step, 40))})
    windows = decay_rates_by_window(bent, 10)
    assert [window[:2] for window in windows] == [(10, 20), (20, 40), (40, 80), (80, 100)]
    assert [window[2] for window in windows] == pytest.approx([0.01, 0.01, 0, 0], abs=1e-12)
    assert rate_between(bent, 10, 40) == pytest.approx(0.01)
    assert 0 < rate_between(bent, 10, 100) < 0.005
    assert [window[:2] for window in decay_rates_by_window(bent, 30, factor=3.0)] == [
        (30, 90),
        (90, 100),
    ]


def test_windows_that_cannot_be_are_left_out_or_refused() -> None:
    one = curves(0, 1.0)
    assert decay_rates_by_window(one, np.nan) == []
    assert decay_rates_by_window(one, 99) == []
    assert np.isnan(rate_between(one, 10, np.nan))
    for start, factor in ((0, 2.0), (10, 1.0)):
        with pytest.raises(ValueError, match="a start above 0 and a factor above 1"):
            decay_rates_by_window(one, start, factor)


@pytest.mark.parametrize("measure", [final, best, highest])
def test_what_a_stopped_run_would_have_come_to_is_not_known(
    measure: Callable[[str], Callable[[Curves], float]],
) -> None:
    """Its times are known, its last value is that of the step where it stopped."""
    whole = curves(0, 1.0)
    early = Curves(
        whole.run.replace(stop_at={"test_acc": 0.2}),
        STEPS[:30],
        {name: values[:30] for name, values in whole.columns.items()},
    )
    assert early.stopped
    assert time_of(early, "test_acc", 0.2) == Time.at(23, 29)
    assert np.isnan(value_at(early, "weight_norm", 30))
    with pytest.raises(
        BadInput,
        match=r"stopped at step 29 of 100 \(stop_at: {'test_acc': 0.2}\): its final .* not known",
    ):
        measure("test_acc")(early)


def test_no_match_names_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"no run with alpha = 3; alpha: \[0\.5, 1\.0\]"):
        grid().where(alpha=3)
    with pytest.raises(BadInput, match="2 runs match"):
        grid().one(0)


def test_diverged_is_an_error_unless_expected() -> None:
    with pytest.raises(Diverged, match="diverged at step 100"):
        grid(bad=True).table(final("test_loss"), "alpha")
    table = grid(diverging=True, bad=True).table(final("test_loss"), "alpha")
    assert np.isnan(table[1]).all()
    assert np.isfinite(table[[0, 2]]).all()


def test_unknown_column() -> None:
    with pytest.raises(KeyError, match="logs no column 'loss'; it logs test_acc"):
        final("loss")(curves(0, 1.0))


def test_parts_keep_the_order_of_the_whole_and_match_several_values() -> None:
    every = [curves(seed, alpha) for alpha in (2.0, 1.0, 1.0 + 1e-7) for seed in (1, 0)]
    whole = Grid("toy", {each.run: each for each in every})
    assert list(whole.where(alpha=1.0).curves) == [each.run for each in every[2:]]
    assert list(whole.where(alpha=1.0, seed=0).curves) == [every[3].run, every[5].run]
    assert list(whole.where(seed=0, alpha=1.0).curves) == [every[3].run, every[5].run]
    assert list(whole.where().curves) == list(whole.curves)
    assert list(whole.where(seed=0).where(alpha=2.0).curves) == [every[1].run]


def test_each_seed_of_the_first_half_has_a_partner_in_the_second() -> None:
    assert halves([1, 2, 3, 4], 0) == ([1, 2, 3, 4], [3, 4, 0, 0])
    assert halves([1, 2, 3, 4, 5], 0) == ([1, 2, 3, 4, 5], [3, 4, 0, 0, 0])
    assert halves([1], None) == ([1], [None])


def test_the_nearest_value_is_the_nearest_in_log() -> None:
    assert nearest([1.0, 10.0], 3.0) == 1.0
    assert nearest([1.0, 10.0], 3.3) == 10.0
    assert nearest([0.1, 10.0], 0.9) == 0.1


def test_a_share_of_seeds_that_get_there() -> None:
    found = generalises("late", [Time.at(5.0), Time.at(6.0), Time.never(100.0)], Region(lo=0.5))
    assert found.estimate == pytest.approx(2 / 3)
    assert found.censored == 1
    assert found.name == "late: share of seeds that get there"


def test_a_surface_is_laid_out_by_seed_and_both_axes() -> None:
    every = [
        Curves(run(seed, alpha).replace(weight_decay=decay), STEPS, {"train_loss": STEPS + value})
        for seed in (0, 1)
        for alpha, decay, value in [(0.5, 0.1, 1.0), (0.5, 0.2, 2.0), (1.0, 0.1, 3.0), (1, 0.2, 4)]
    ]
    whole = Grid("toy", {each.run: each for each in every})
    found = surface(whole, final("train_loss"), "alpha", "weight_decay")
    np.testing.assert_array_equal(found, np.array([[[1.0, 2.0], [3.0, 4.0]]] * 2) + STEPS[-1])
    holed = Grid("toy", {each.run: each for each in every[1:]})
    with pytest.raises(BadInput, match="experiment toy"):
        surface(holed, final("train_loss"), "alpha", "weight_decay")
    lost = Grid("toy", {each.run: each for each in [*every[1:], replace(every[0], diverged=True)]})
    with pytest.raises(Diverged, match="experiment toy"):
        surface(lost, final("train_loss"), "alpha", "weight_decay")
