"""The parts that drawings are made of: cells, spreads, readings, and the clean-up of matplotlib's
SVG.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omnigrok.audit.document import FindingPart, RegionPart
from omnigrok.audit.grid import Grid
from omnigrok.curves import Curves
from omnigrok.report.drawing.canvas import (
    INK,
    Canvas,
    finish,
    label_values,
    power_text,
    settings,
    share_axes,
)
from omnigrok.report.drawing.dynamics import DynamicsCurves, columns, value_text
from omnigrok.report.drawing.heat_maps import HeatMap, edges, over_seeds
from omnigrok.report.drawing.reading import Reading
from omnigrok.report.drawing.reduced_losses import LandscapeCurve
from omnigrok.report.drawing.scaling import TimesAgainst
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
        canvas = LandscapeCurve(Reading()).draw([grid(*members)], "paper", {}, {})
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
        drawn = lines(LandscapeCurve(Reading()).draw([grid(*members)], "paper", {}, {}))
    assert np.isnan(drawn[0].get_ydata()[1])
    assert drawn[2].get_ydata()[1] == pytest.approx(0.4)


def test_dynamics_panel_for_each_arm() -> None:
    members = [curves(seed, alpha=alpha) for seed in range(2) for alpha in (8.0, 1.0)]
    with settings():
        canvas = DynamicsCurves(norm=True).draw([grid(*members)], "paper", {}, {})
    top, bottom = canvas.axes
    assert [axes.get_title() for axes in top] == ["α = 1", "α = 8"]
    assert len(top[0].get_lines()) == 4
    assert len(bottom[0].get_lines()) == 2
    assert top[0].get_lines()[0].get_xdata()[0] == 1  # step 0 has no place on a log axis


def test_dynamics_only_some_values() -> None:
    members = [curves(weight_decay=value) for value in (0.0, 0.03, 0.3)]
    with settings():
        canvas = DynamicsCurves(("weight_decay",), only={"weight_decay": (0.0, 0.3)}).draw(
            [grid(*members)], "paper", {}, {}
        )
    assert [axes.get_title() for axes in canvas.flat()] == ["γ = 0", "γ = 0.3"]


def test_a_run_that_never_got_there_is_a_triangle_at_its_last_step() -> None:
    members = [
        curves(0, weight_decay=0.1),
        curves(0, weight_decay=1.0, late=1000),
        curves(0, weight_decay=0.0),
    ]
    with settings():
        drawn = lines(TimesAgainst(train=0).draw([grid(*members)], "paper", {}, {}))
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
        drawn = lines(TimesAgainst(train=0).draw([grid(early)], "paper", {}, {}))
    assert [line.get_ydata()[0] for line in drawn if line.get_marker() == "^"] == [10]


def test_map_with_a_hole() -> None:
    members = [
        curves(seed, alpha=alpha, n_train=size, diverged=alpha == 0.1 and size == 10)
        for seed in range(2)
        for alpha in (0.1, 1.0)
        for size in (10, 100)
    ]
    with settings():
        canvas = HeatMap(Reading(), "train", levels=(0.3,)).draw([grid(*members)], "paper", {}, {})
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
        canvas = HeatMap(Reading(), "train", levels=(0.1, 5.0)).draw(
            [grid(*tilted)], "paper", {}, {}
        )
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
            [grid(curves(weight_decay=0.1, late=late))], "paper", {}, {}
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


def exponent(part: str, estimate: float, **more: Any) -> FindingPart:
    return FindingPart(
        name=f"exponent of t_test: {part}",
        estimate=estimate,
        ci=(estimate - 0.1, estimate + 0.1),
        region=RegionPart(lo=-1.15, hi=-0.85, text="inside [-1.15, -0.85]"),
        **{"decides": True, **more},
    )


def slopes(axes: Any) -> dict[str, float]:
    """Slope in log-log of every line that the legend calls a half."""
    found = {}
    for line in axes.get_lines():
        name, _, _ = str(line.get_label()).partition(":")
        if name.endswith("half"):
            x, y = np.log(line.get_xdata()), np.log(line.get_ydata())
            found[name] = float((y[-1] - y[0]) / (x[-1] - x[0]))
    return found


def test_the_exponents_that_decide_are_drawn_over_their_halves() -> None:
    members = [
        curves(seed, weight_decay=decay, late=10) for decay in (0.1, 0.3, 1.0) for seed in range(2)
    ]
    found = {
        "a.b": [
            exponent("whole range", -0.8),
            exponent("lower half", -0.9),
            exponent("upper half", -0.7),
            exponent("upper half", 5.0, decides=False),
        ]
    }
    with settings():
        canvas = TimesAgainst(train=0, fits="a.b").draw([grid(*members)], "paper", {}, found)
    assert slopes(canvas.flat()[0]) == pytest.approx({"lower half": -0.9, "upper half": -0.7})
    (legend,) = canvas.figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert "the claim's exponents, inside [-1.15, -0.85]" in texts
    assert "upper half: -0.7 [-0.8, -0.6]" in texts
    assert canvas.said == ["lines with the exponents that decide"]


def test_without_a_verdict_no_line_is_drawn_and_none_is_described() -> None:
    members = [curves(weight_decay=decay, late=10) for decay in (0.1, 0.3, 1.0)]
    with settings():
        canvas = TimesAgainst(train=0, fits="a.b").draw([grid(*members)], "paper", {}, {})
    assert slopes(canvas.flat()[0]) == {}
    assert canvas.said == []


def test_norms_have_an_axis_of_their_own_range_and_the_ratio_that_decides() -> None:
    members = [curves(seed, weight_decay=decay) for decay in (0.1, 1.0) for seed in range(3)]
    ratio = FindingPart(
        name="largest / smallest",
        estimate=1.5,
        ci=(1.2, 1.8),
        decides=True,
        region=RegionPart(hi=1.1, text="< 1.1"),
    )
    with settings():
        canvas = TimesAgainst(norm=True, spread="a.b").draw(
            [grid(*members)], "paper", {}, {"a.b": [ratio]}
        )
    norms = canvas.flat()[1]
    assert norms.get_ylim()[0] > 0
    assert "1.5 [1.2, 1.8], should be < 1.1" in norms.get_title()


def test_norms_of_runs_that_never_got_there_are_left_out() -> None:
    members = [curves(weight_decay=0.1), curves(weight_decay=1.0, late=1000)]
    with settings():
        canvas = TimesAgainst(norm=True).draw([grid(*members)], "paper", {}, {})
    line = canvas.flat()[1].get_lines()[-1]
    assert line.get_xdata().tolist() == [0.1]


def test_the_places_that_decide_stand_above_the_landscape() -> None:
    members = [curves(seed, alpha=alpha) for seed in range(3) for alpha in (0.1, 1.0, 10.0)]
    bottom = FindingPart(
        name="bottom of the U",
        estimate=0.8,
        ci=(0.7, 0.9),
        decides=True,
        region=RegionPart(lo=0.5, hi=2.0, text="inside [0.5, 2]"),
    )
    with settings():
        canvas = LandscapeCurve(Reading(), places={"a.b": "bottom", "c.d": "break"}).draw(
            [grid(*members)], "paper", {}, {"a.b": [bottom]}
        )
    (text,) = canvas.flat()[0].texts
    assert text.get_text() == "bottom 0.8 [0.7, 0.9]"
    region, interval, estimate, upright = canvas.flat()[0].get_lines()[-4:]
    assert list(region.get_xdata()) == [0.5, 2.0]
    assert list(interval.get_xdata()) == [0.7, 0.9]
    assert list(estimate.get_xdata()) == [0.8]
    assert list(upright.get_xdata()) == [0.8, 0.8]
    assert "bottom" in canvas.said[0]
    assert "break" not in canvas.said[0]


def test_the_times_that_grokking_is_about() -> None:
    groks = [curves(seed, alpha=8.0) for seed in range(3)]
    fails = [curves(seed, alpha=1.0, late=1000) for seed in range(3)]
    with settings():
        canvas = DynamicsCurves(reach=(0.95, 0.95)).draw([grid(*groks, *fails)], "paper", {}, {})
    small, large = canvas.flat()
    assert [text.get_text() for text in small.texts] == ["test: not reached"]
    assert [text.get_text() for text in large.texts] == ["×10"]
    upright = [line for line in large.get_lines() if list(line.get_ydata()) == [0, 1]]
    assert [line.get_xdata()[0] for line in upright] == [1, 10]


def test_the_range_of_the_seeds_has_colours_of_its_own() -> None:
    members = [
        curves(seed, alpha=alpha, n_train=size, late=1 if alpha > 0.5 else 1000)
        for seed in range(2)
        for alpha in (0.1, 1.0)
        for size in (10, 100)
    ]
    members[0] = Curves(
        members[0].run, STEP, {**members[0].columns, "test_acc": np.array([0.0, 0.0, 0.0, 0.02])}
    )
    with settings():
        canvas = HeatMap(Reading("error"), "test").draw([grid(*members)], "paper", {}, {})
    middle, spread = (axes.collections[0] for axes in canvas.flat())
    assert middle.get_clim() == (0, 1)
    assert spread.get_clim() == (0, pytest.approx(0.02))


def test_contours_are_labelled_and_described_where_they_are_drawn() -> None:
    def canvas(level: float) -> Canvas:
        members = [
            curves(seed, alpha=alpha, n_train=size)
            for seed in range(2)
            for alpha in (0.1, 0.5, 1.0)
            for size in (10, 50, 100)
        ]
        tilted = [
            Curves(
                each.run, STEP, {**each.columns, "train_loss": each["train_loss"] * each.run.alpha}
            )
            for each in members
        ]
        return HeatMap(Reading(), "train", levels=(level,)).draw([grid(*tilted)], "paper", {}, {})

    with settings():
        there, absent = canvas(0.1), canvas(5.0)
    assert [text.get_text() for text in there.flat()[0].texts] == ["0.1"]
    assert there.said == ["white lines, also on the colour bar, at 0.1"]
    assert absent.said == []
    assert list(absent.flat()[0].texts) == []


def test_drawings_of_several_protocols_share_their_axes() -> None:
    with settings():
        one, other, tiny = Canvas(1, 1), Canvas(1, 1), Canvas(1, 1)
        for canvas, width, height in ((one, 10.0, 1.0), (other, 8.0, 3.0), (tiny, 0.1, 2.0)):
            canvas.flat()[0].set_xlim(0, width)
            canvas.flat()[0].set_ylim(0, height)
        share_axes([one, other])
        assert one.flat()[0].get_xlim() == other.flat()[0].get_xlim() == (0, 10)
        # A third of the height would be left: too little to see anything.
        assert one.flat()[0].get_ylim() == (0, 1)
        share_axes([other, tiny])
        assert tiny.flat()[0].get_xlim() == (0, 0.1)
        assert tiny.flat()[0].get_ylim() == (0, 3)


def test_maps_of_several_protocols_share_their_colours() -> None:
    def canvas(factor: float) -> Canvas:
        members = [
            Curves(each.run, STEP, {**each.columns, "train_loss": each["train_loss"] * factor})
            for seed in range(2)
            for alpha in (0.1, 1.0)
            for size in (10, 100)
            for each in [curves(seed, alpha=alpha, n_train=size, lr=0.1 * alpha + size / 1000)]
        ]
        tilted = [
            Curves(
                each.run, STEP, {**each.columns, "train_loss": each["train_loss"] * each.run.alpha}
            )
            for each in members
        ]
        return HeatMap(Reading(), "train").draw([grid(*tilted)], "paper", {}, {})

    with settings():
        one, other = canvas(1.0), canvas(100.0)
        low, high = one.flat()[0].collections[0].get_clim()
        share_axes([one, other])
    for each in (one, other):
        assert each.flat()[0].collections[0].get_clim() == pytest.approx((low, 100 * high))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (200.0, "200"),
        (0.01, "0.01"),
        (1e4, "10⁴"),
        (1e-5, "10⁻⁵"),
        (3e6, "3·10⁶"),
        (0.001, "0.001"),
        (1e-14, "10⁻¹⁴"),
    ],
)
def test_powers_of_ten(value: float, text: str) -> None:
    assert power_text(value) == text


def test_ticks_of_logarithmic_axes_are_text() -> None:
    with settings():
        canvas = Canvas(1, 1)
        canvas.flat()[0].set_yscale("log")
        canvas.flat()[0].set_ylim(1e-7, 1e3)
        svg = canvas.svg("x")
    assert ">10⁻⁷</text>" in svg
    assert ">0.1</text>" in svg
    assert "mathdefault" not in svg
