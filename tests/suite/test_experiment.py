"""From YAML to Runs."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.suite.experiment import (
    LARGEST_GRID,
    axis_values,
    expand,
    paper_steps,
    reduction,
)
from omnigrok.suite.schema import Experiment, Protocol, Scale, Tier
from omnigrok.suite.suite import Setting, load_suite

CLAIMS = Path(__file__).parents[2] / "claims"
SUITE = load_suite(CLAIMS)
BASE: dict[str, Any] = {
    "task": "teacher_student",
    "model": "mlp",
    "n_train": 8,
    "lr": 0.1,
    "steps": 5,
    "network": {"widths": [2, 2]},
}
FIELDS = {field.name for field in dataclasses.fields(Run)}


STOPPING: list[tuple[Tier, Protocol]] = [("paper", "paper"), ("paper", "code"), ("smoke", "paper")]


def test_product_of_axes_and_points() -> None:
    experiment = Experiment(
        base=BASE,
        sweep={"seed": {"count": 2}, "alpha": [1.0, 2.0]},
        points=[{"weight_decay": 0.0}, {"weight_decay": 1.0, "steps": 7}],
    )
    runs = expand(experiment, "paper", "paper")
    assert len(runs) == len(set(runs)) == 8
    assert {(run.weight_decay, run.steps) for run in runs} == {(0.0, 5), (1.0, 7)}


def test_patches_in_order() -> None:
    experiment = Experiment.model_validate(
        {
            "base": {**BASE, "seed": 0, "data": {"a": 1, "b": 2}},
            "protocols": {"code": {"base": {"steps": 50, "data": {"b": 3}}}},
            "tiers": {"smoke": {"base": {"steps": 2, "data.a": 9}}},
        }
    )
    (run,) = expand(experiment, "smoke", "code")
    assert (run.steps, dict(run.data)) == (2, {"a": 9, "b": 3})
    (run,) = expand(experiment, "paper", "code")
    assert (run.steps, dict(run.data)) == (50, {"a": 1, "b": 3})


def test_runs_that_stop_are_set_in_the_base_and_undone_by_a_patch() -> None:
    experiment = Experiment.model_validate(
        {
            "base": {**BASE, "seed": 0, "stop_at": {"test_acc": 0.95, "train_acc": 1}},
            "tiers": {"smoke": {"base": {"stop_at": {}}}},
            "protocols": {"code": {"base": {"stop_at.test_acc": 0.8}}},
        }
    )
    stops = [dict(expand(experiment, tier, protocol)[0].stop_at) for tier, protocol in STOPPING]
    assert stops == [{"test_acc": 0.95, "train_acc": 1.0}, {"test_acc": 0.8, "train_acc": 1.0}, {}]


def test_a_reduction_belongs_to_the_patch_it_stands_in() -> None:
    experiment = Experiment.model_validate(
        {
            "base": {**BASE, "seed": 0, "steps": 100},
            "sweep": {"alpha": [1.0, 2.0, 4.0]},
            "reduced": {
                "base": {"steps": 30},
                "sweep": {"alpha": [1.0, 4.0]},
                "how": "30 steps, 2 scales",
            },
            "protocols": {
                "code": {"base": {"steps": 10}, "sweep": {"alpha": [3.0]}},
                "corrected": {
                    "base": {"constraint": "tangent"},
                    "reduced": {"base": {"steps": 20}, "how": "20 steps, 2 scales"},
                },
            },
            "tiers": {"smoke": {"base": {"steps": 2}}},
        }
    )

    def found(protocol: Protocol, scale: Scale, tier: Tier = "paper") -> list[tuple[int, float]]:
        return [(run.steps, run.alpha) for run in expand(experiment, tier, protocol, scale)]

    assert (
        found("paper", "full") == found("corrected", "full") == [(100, 1.0), (100, 2.0), (100, 4.0)]
    )
    assert found("paper", "reduced") == [(30, 1.0), (30, 4.0)]
    assert found("corrected", "reduced") == [(20, 1.0), (20, 4.0)]
    assert found("code", "reduced") == found("code", "full") == [(10, 3.0)]
    assert found("paper", "reduced", "smoke") == [(2, 1.0), (2, 2.0), (2, 4.0)]
    assert reduction(experiment, "paper", "paper") == "30 steps, 2 scales"
    assert reduction(experiment, "paper", "corrected") == "20 steps, 2 scales"


def test_what_the_published_code_takes_anyway_is_no_reduction(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(
        """
figure: toy
title: t
place: p
claims: []
experiments:
  e:
    base: {task: addition, model: decoder, n_train: 10, lr: 0.01, seed: 0, steps: 100}
    sweep: {alpha: [1.0, 2.0]}
    reduced: {base: {steps: 30}, how: 30 steps}
    protocols: {code: {base: {steps: 10}, reduced: {base: {steps: 10}, how: none}}}
    tiers: {smoke: {base: {steps: 2}}}
"""
    )
    suite = load_suite(tmp_path)
    assert suite.scale("toy:e", Setting("paper", "paper", "reduced")) == ("reduced", "30 steps")
    assert suite.scale("toy:e", Setting("paper", "code", "reduced")) == ("full", "")
    assert suite.scale("toy:e", Setting("paper", "paper")) == ("full", "")
    assert suite.scale("toy:e", Setting("smoke", "paper", "reduced")) == ("full", "")


def test_the_papers_steps_of_a_reduced_run_are_those_of_the_nearest_full_one() -> None:
    run = Run.from_dict({**BASE, "seed": 0, "constraint": "rescale", "data": {}, "network": {}})
    small, large = run.replace(n_train=100, steps=1000), run.replace(n_train=3000, steps=3000)
    free = run.replace(constraint="free", n_train=100, steps=9)
    reduced = [
        run.replace(n_train=90, steps=10, seed=4),
        run.replace(n_train=2000, steps=20, alpha=3.0),
    ]
    assert list(paper_steps(reduced, [small, large, free]).values()) == [1000, 3000]


def test_sweep_over_an_option() -> None:
    experiment = Experiment(base={**BASE, "seed": 0}, sweep={"data.p": [3, 5]})
    assert [run.option("p") for run in expand(experiment, "paper", "paper")] == [3, 5]


@given(low=st.floats(1e-3, 1), factor=st.floats(1.5, 1e3), n=st.integers(2, 30))
def test_log_axis(low: float, factor: float, n: int) -> None:
    values = axis_values("alpha", {"log": [low, low * factor, n]})
    assert len(values) == n
    assert values == sorted(values)
    assert math.isclose(values[0], low, rel_tol=1e-5)
    assert math.isclose(values[-1], low * factor, rel_tol=1e-5)


def test_sizes_are_whole() -> None:
    assert axis_values("n_train", {"log": [10, 60000, 28]})[:4] == [10, 14, 19, 26]


@pytest.mark.parametrize(
    "spec",
    [
        3,
        [],
        {},
        {"log": [1, 2]},
        {"count": 0},
        {"count": 2.5},
        {"step": [1, 2, 3]},
        {"log": [1, 2, 3], "count": 3},
    ],
)
def test_bad_axis(spec: Any) -> None:
    with pytest.raises(BadInput, match=r"sweep: alpha: .*is not accepted; give a list"):
        axis_values("alpha", spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"count": 1_000_000_000}, r"1000000000 values are too many; accepted: 1 to 100000"),
        ({"log": [1, 10, 1_000_000_000]}, r"too many; accepted: 1 to 100000"),
        ({"linear": [1, 10, 10**30]}, r"too many; accepted: 1 to 100000"),
        (
            {"log": [1, 10, 1e9]},
            r"is not accepted; give a list.* with a whole number n from 1 to 100000",
        ),
        ({"log": [1, 10, -3]}, r"is not accepted; give a list"),
        ({"linear": [1, 10, True]}, r"is not accepted; give a list"),
        ({"log": [0, 10, 3]}, r"log from 0 to 10 is not accepted; give two numbers above 0"),
        ({"log": [-1, -10, 3]}, r"give two numbers above 0"),
        ({"log": ["a", 10, 3]}, r"log from 'a' to 10 is not accepted; give two finite numbers"),
        ({"linear": [math.nan, 10, 3]}, r"give two finite numbers"),
        ({"linear": [0, math.inf, 3]}, r"give two finite numbers"),
        ({"linear": [0, 10**400, 3]}, r"give two finite numbers"),
        ("x" * 10_000, r"'x{199}\.\.\. is not accepted"),
    ],
)
def test_an_axis_that_is_too_large_or_no_grid(spec: Any, message: str) -> None:
    began = time.process_time()
    with pytest.raises(BadInput, match=rf"^sweep: alpha: .*{message}"):
        axis_values("alpha", spec)
    assert time.process_time() - began < 1


def test_a_product_that_is_too_large() -> None:
    axes = {
        name: {"count": 1000}
        for name in ("seed", "n_train", "batch_size", "log_every", "eval_samples", "alpha")
    }
    experiment = Experiment(base=BASE, sweep=axes)
    with pytest.raises(
        BadInput,
        match=(
            r"sweep: seed x n_train x .* x points: 1000000000000000000 runs are too many; "
            r"accepted: up to 100000"
        ),
    ):
        expand(experiment, "paper", "paper")


@pytest.mark.parametrize(
    "sweep",
    [
        "seed: {count: 1000000000}",
        "alpha: {log: [1, 10, 1.0e+9]}",
        "alpha: {linear: [1, 10, 1000000000]}",
    ],
)
def test_a_stranger_s_grid_names_file_key_and_what_is_accepted(tmp_path: Path, sweep: str) -> None:
    claim = (
        "{id: toy.a, statement: s, place: p, experiments: [e], criterion: {x: 1}, control: {why: "
        "w}, 'null': sign flips}"
    )
    text = (
        f"figure: toy\ntitle: t\nplace: p\nexperiments: {{e: {{sweep: {{{sweep}}}}}}}\n"
        f"claims: [{claim}]\n"
    )
    (tmp_path / "toy.yaml").write_text(text)
    with pytest.raises(
        BadInput, match=rf"toy\.yaml: experiments\.e: sweep: {sweep[:5].strip(':')}.* 1 to 100000$"
    ):
        load_suite(tmp_path).runs("toy:e", Setting("smoke", "paper"))


numbers = (
    st.integers(-(10**12), 10**12)
    | st.just(10**400)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=3)
)
specs = (
    numbers
    | st.lists(numbers, max_size=4)
    | st.dictionaries(
        st.sampled_from(["log", "linear", "count"]),
        numbers | st.lists(numbers, min_size=2, max_size=4),
        max_size=2,
    )
)


@given(
    base=st.dictionaries(st.sampled_from(sorted(FIELDS)), numbers | st.lists(numbers, max_size=2)),
    name=st.sampled_from(sorted(FIELDS)),
    spec=specs,
)
def test_fuzz_settings(
    tmp_path_factory: pytest.TempPathFactory, base: dict[str, Any], name: str, spec: Any
) -> None:
    figure = {
        "figure": "toy",
        "title": "t",
        "place": "p",
        "experiments": {"e": {"base": {**BASE, "seed": 0, **base}, "sweep": {name: spec}}},
        "claims": [
            {
                "id": "toy.a",
                "statement": "s",
                "place": "p",
                "experiments": ["e"],
                "criterion": {},
                "control": {"why": "w"},
                "null": "sign flips",
            }
        ],
    }
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "toy.yaml").write_text(yaml.safe_dump(figure))
    with contextlib.suppress(BadInput):  # any other exception fails the test
        assert 1 <= len(load_suite(folder).runs("toy:e", Setting("smoke", "paper"))) <= LARGEST_GRID


def test_unknown_key_names_the_file(tmp_path: Path) -> None:
    claim = (
        "{id: toy.a, statement: s, place: p, experiments: [e], criterion: {x: 1}, control: {why: "
        "w}, 'null': sign flips}"
    )
    (tmp_path / "toy.yaml").write_text(
        "figure: toy\ntitle: t\nplace: p\nexperiments: {e: {base: {tusk: 1}}}\nclaims: "
        f"[{claim}]\n"
    )
    with pytest.raises(
        BadInput, match=r"toy\.yaml: experiments\.e: Run: unknown key 'tusk'; accepted: task, model"
    ):
        load_suite(tmp_path).runs("toy:e", Setting("smoke", "paper"))


def test_every_experiment_of_the_project_expands() -> None:
    for figure in SUITE.figures:
        for claim in figure.claims:
            for protocol in claim.protocols:
                for name in SUITE.experiments(figure, claim).values():
                    smoke = SUITE.runs(name, Setting("smoke", protocol))
                    paper = SUITE.runs(name, Setting("paper", protocol))
                    assert len({run.seed for run in smoke}) <= 3
                    assert len({run.seed for run in paper}) >= 5, f"{claim.id} {name}"
                    assert sum(run.steps for run in smoke) < sum(run.steps for run in paper)
                    reduced = SUITE.runs(name, Setting("paper", protocol, "reduced"))
                    # Under `code` all seeds train on the first images: for a claim about data that
                    # is one data set.
                    one = (name, protocol) == ("fig03_mnist:critical", "code")
                    assert len({run.seed for run in reduced}) >= (1 if one else 5), (
                        f"{claim.id} {name}"
                    )
                    assert sum(run.steps for run in reduced) <= sum(run.steps for run in paper)


def test_a_replication_has_seeds_of_its_own_and_is_else_the_same() -> None:
    first = SUITE.runs("fig02_teacher_student:landscape", Setting("smoke", "paper"))
    again = SUITE.runs("fig02_teacher_student:landscape", Setting("smoke", "paper", first_seed=100))
    assert {run.seed for run in again} == {100, 101, 102}
    assert [run.replace(seed=run.seed - 100) for run in again] == list(first)


AXES: dict[str, list[Any]] = {
    "seed": [0, 3],
    "alpha": [1.0, 2.0, 2.0],
    "n_train": [4, 8],
    "network.widths": [[2, 2], [2, 3, 2]],
    "data.noise": [0.0, 0.5],
    "steps": [5, 7],
    "log_every": [0, 2],
}


@given(st.lists(st.sampled_from(sorted(AXES)), unique=True), st.booleans())
def test_a_grid_of_independent_axes_is_its_runs_one_by_one(names: list[str], fixed: bool) -> None:
    base, sweep = {**BASE, "seed": 1}, {name: AXES[name] for name in names}
    point = {"alpha": 4.0, "network.widths": [2, 5, 2]} if fixed else {}
    # A point that is given twice goes the other way, Run by Run.
    quick, slow = (
        expand(Experiment(base=base, sweep=sweep, points=[point] * count), "paper", "paper")
        for count in (1, 2)
    )
    assert [run.as_dict() for run in quick] == [run.as_dict() for run in slow]
    assert [run.digest for run in quick] == [run.digest for run in slow]


sizes_and_scales = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([0.5, 1.0, 2.0]), st.integers(1, 5)),
    min_size=1,
    max_size=6,
)


@given(sizes_and_scales, sizes_and_scales)
def test_steps_at_full_scale_are_those_of_the_nearest_run(
    reduced: list[tuple[int, float, int]], full: list[tuple[int, float, int]]
) -> None:
    def run(n_train: int, alpha: float, steps: int) -> Run:
        own = {"seed": 0, "n_train": n_train, "alpha": alpha, "steps": steps}
        return Run.from_dict({**BASE, **own})

    runs, there = ([run(*values) for values in each] for each in (reduced, full))
    found = paper_steps(runs, there)
    for each in runs:
        nearest = min(
            there,
            key=lambda other: (
                abs(math.log(other.n_train / each.n_train)),
                other.alpha != each.alpha,
                -other.steps,
            ),
        )
        assert found[each] == nearest.steps
