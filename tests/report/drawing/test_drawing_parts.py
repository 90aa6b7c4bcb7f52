"""The parts that drawings are made of: cells, spreads, readings, and the clean-up of matplotlib's
SVG.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.report.drawing.canvas import INK, Canvas, finish, label_values, settings
from omnigrok.report.drawing.dynamics import DynamicsCurves, columns, value_text
from omnigrok.report.drawing.landscape import LandscapeCurve
from omnigrok.report.drawing.maps import HeatMap, edges, over_seeds
from omnigrok.report.drawing.reading import Reading
from omnigrok.report.drawing.times import TimesAgainst
from omnigrok.run import Run

STEP = np.array([0, 1, 10, 100])


def curves(seed: int = 0, diverged: bool = False, late: int = 10, **changes: Any) -> Curves:
    settings = {
        "task": "mnist",
        "model": "mlp",
        "n_train": 100,
        "steps": 100,
        "lr": 1e-3,
        **changes,
    }
    run = Run(seed=seed, **settings)  # type: ignore[arg-type]
    falls = np.array([1.0, 0.5, 0.1, 0.2]) * (seed + 1)
    columns = {
        "train_loss": falls,
        "test_loss": falls + 1,
        "train_acc": (STEP >= 1).astype(float),
        "test_acc": (late <= STEP).astype(float),
        "weight_norm": np.array([4.0, 3.0, 2.0, 1.0]),
    }
    return Curves(run, STEP, columns, diverged=diverged)


def grid(*members: Curves, diverging: bool = True) -> Grid:
    return Grid("tiny", {each.run: each for each in members}, diverging)


def lines(canvas: Canvas, panel: int = 0) -> list[Any]:
    return list(canvas.flat()[panel].get_lines())


def test_edges_lie_between_cells() -> None:
    assert edges(np.array([1.0, 2.0, 4.0]), log=False).tolist() == [0.5, 1.5, 3.0, 5.0]
    assert edges(np.array([1.0, 100.0]), log=True) == pytest.approx([0.1, 10.0, 1000.0])
    assert len(edges(np.array([3.0]), log=True)) == 2


def test_spread_of_seeds() -> None:
    values = np.array([[[1.0, 0.0]], [[2.0, 5.0]], [[4.0, 6.0]]])
    middle, ratio = over_seeds(values, ratio=True)
    assert middle.tolist() == [[2.0, 5.0]]
    assert ratio[0, 0] == 4
    assert np.isnan(ratio[0, 1])  # no ratio to zero
    assert over_seeds(values, ratio=False)[1].tolist() == [[3.0, 6.0]]


def test_reading_follows_the_protocol() -> None:
    one = curves()
    assert Reading()(one, "train", "paper") == pytest.approx(0.2)
    assert Reading(best_under="code")(one, "train", "code") == pytest.approx(0.1)
    assert Reading(best_under="code")(one, "train", "paper") == pytest.approx(0.2)
    assert Reading("error")(curves(late=1000), "test", "paper") == 1
    assert np.isnan(Reading()(curves(diverged=True), "train", "paper"))


def test_landscape_draws_every_seed_and_the_median() -> None:
    members = [curves(seed, alpha=alpha) for seed in range(3) for alpha in (0.1, 1.0, 10.0)]
    with settings():
        canvas = LandscapeCurve(Reading()).draw([grid(*members)], "paper", {})
    drawn = lines(canvas)
    assert len(drawn) == 2 * (3 + 1)
    assert drawn[3].get_ydata().tolist() == pytest.approx([0.4, 0.4, 0.4])  # of .2, .4, .6
    assert canvas.flat()[0].get_xscale() == "log"


def test_landscape_leaves_a_diverged_run_out() -> None:
    members = [
        curves(seed, alpha=alpha, diverged=seed == 0 and alpha == 1.0)
        for seed in range(2)
        for alpha in (0.1, 1.0)
    ]
    with settings():
        drawn = lines(LandscapeCurve(Reading()).draw([grid(*members)], "paper", {}))
    assert np.isnan(drawn[0].get_ydata()[1])
    assert drawn[2].get_ydata()[1] == pytest.approx(0.4)


def test_dynamics_panel_for_each_arm() -> None:
    members = [curves(seed, alpha=alpha) for seed in range(2) for alpha in (8.0, 1.0)]
    with settings():
        canvas = DynamicsCurves(norm=True).draw([grid(*members)], "paper", {})
    top, bottom = canvas.axes
    assert [axes.get_title() for axes in top] == ["α = 1", "α = 8"]
    assert len(top[0].get_lines()) == 4
    assert len(bottom[0].get_lines()) == 2
    assert top[0].get_lines()[0].get_xdata()[0] == 1  # step 0 has no place on a log axis


def test_dynamics_only_some_values() -> None:
    members = [curves(weight_decay=value) for value in (0.0, 0.03, 0.3)]
    with settings():
        canvas = DynamicsCurves(("weight_decay",), only={"weight_decay": (0.0, 0.3)}).draw(
            [grid(*members)], "paper", {}
        )
    assert [axes.get_title() for axes in canvas.flat()] == ["γ = 0", "γ = 0.3"]


def test_a_run_that_never_got_there_is_a_triangle_at_its_last_step() -> None:
    members = [
        curves(0, weight_decay=0.1),
        curves(0, weight_decay=1.0, late=1000),
        curves(0, weight_decay=0.0),
    ]
    with settings():
        drawn = lines(TimesAgainst(train=0).draw([grid(*members)], "paper", {}))
    triangles = [line for line in drawn if line.get_marker() == "^"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in triangles] == [(1.0, 100)]
    (median,) = [line for line in drawn if str(line.get_label()).startswith("test accuracy")]
    assert median.get_xdata().tolist() == [0.1, 1.0]  # weight decay 0 has no place on a log axis
    assert median.get_ydata()[0] == 10
    assert np.isnan(median.get_ydata()[1])


def test_a_run_that_stopped_below_the_threshold_is_a_triangle_where_it_stopped() -> None:
    whole = curves(0, weight_decay=1.0, late=1000, stop_at={"train_acc": 0.5})
    early = Curves(
        whole.run, STEP[:3], {name: values[:3] for name, values in whole.columns.items()}
    )
    with settings():
        drawn = lines(TimesAgainst(train=0).draw([grid(early)], "paper", {}))
    assert [line.get_ydata()[0] for line in drawn if line.get_marker() == "^"] == [10]


def test_map_with_a_hole() -> None:
    members = [
        curves(seed, alpha=alpha, n_train=size, diverged=alpha == 0.1 and size == 10)
        for seed in range(2)
        for alpha in (0.1, 1.0)
        for size in (10, 100)
    ]
    with settings():
        canvas = HeatMap(Reading(), "train", levels=(0.3,)).draw([grid(*members)], "paper", {})
        assert canvas.svg("x").startswith("<svg ")
    shown = canvas.flat()[0].collections[0].get_array()
    assert shown.mask.sum() == 1
    assert shown.compressed() == pytest.approx([0.3, 0.3, 0.3])


@pytest.mark.parametrize(
    ("firsts", "expected"),
    [
        ([2, 2, 2, 0.5, 0.5, 0.5], 3),
        ([1, 1, 6, 6], 2),
        ([0, 0.3], 2),
        ([1, 2, 3, 4, 5, 6], 3),
        ([1, 2, 3, 4, 5], 3),
        ([1], 1),
        ([1] * 9, 3),
    ],
)
def test_panels_side_by_side(firsts: list[float], expected: int) -> None:
    assert columns(firsts) == expected


def test_levels_of_contours_stand_on_the_colour_bar() -> None:
    members = [
        curves(seed, alpha=alpha, n_train=size)
        for seed in range(3)
        for alpha in (0.1, 1.0)
        for size in (10, 100)
    ]
    tilted = [
        Curves(each.run, STEP, {**each.columns, "train_loss": each["train_loss"] * each.run.alpha})
        for each in members
    ]
    with settings():
        canvas = HeatMap(Reading(), "train", levels=(0.1, 5.0)).draw([grid(*tilted)], "paper", {})
    (bar, *_) = [axes for axes in canvas.figure.axes if axes.get_label() == "<colorbar>"]
    marks = [
        segment[0][1]
        for part in bar.collections
        for segment in getattr(part, "get_segments", list)()
        if len(segment) == 2
    ]
    assert marks == pytest.approx([0.1], rel=1e-3)  # and not 5, which the map does not reach


def test_values_of_an_axis_are_its_labels() -> None:
    with settings():
        axes = Canvas(1, 1).flat()[0]
        axes.set_yscale("log")
        axes.set_ylim(1, 1e5)
        label_values(axes.yaxis, [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
        assert [label.get_text() for label in axes.get_yticklabels()] == ["10", "50", "200", "1000"]
        assert len(axes.yaxis.get_minorticklocs()) == 0


@pytest.mark.parametrize("late", [10, 1000])
def test_the_legend_explains_a_triangle_where_there_is_one(late: int) -> None:
    with settings():
        canvas = TimesAgainst(train=0).draw(
            [grid(curves(weight_decay=0.1, late=late))], "paper", {}
        )
        (legend,) = canvas.figure.legends
    assert (
        "not reached, at the last step" in [text.get_text() for text in legend.get_texts()]
    ) == (late == 1000)


def test_words() -> None:
    assert value_text("weight_decay", 0.03) == "γ = 0.03"
    assert value_text("constraint", "free") == "norm = free"
    assert value_text("constraint", "rescale") == "norm = held"


def test_finish() -> None:
    raw = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="x"><metadata><a '
        'href="http://x"/></metadata><style>*{}</style>'
        f'<g id="used"/><g id="other"/><path d="M 1.23456 7.89123" style="stroke: {INK}"/><use '
        'href="#used"/>'
        '<g clip-path="url(#used)"/></svg>'
    )
    text = finish(raw, "2a")
    assert text.startswith("<svg ")
    assert "http" not in text
    assert "<style" not in text
    assert 'id="2a-used"' in text
    assert 'href="#2a-used"' in text
    assert "url(#2a-used)" in text
    assert "other" not in text
    assert "stroke: currentColor" in text
    assert 'd="M 1.23 7.89"' in text


def test_text_in_a_drawing_is_escaped() -> None:
    with settings():
        canvas = Canvas(1, 1)
        canvas.flat()[0].set_title("<script>alert(1)</script>")
        text = canvas.svg("x")
    assert "<script" not in text
    assert "&lt;script" in text
