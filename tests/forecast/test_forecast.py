from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from omnigrok.audit.session import AuditSession, Options, Request
from omnigrok.curves import Curves
from omnigrok.errors import DataMissing
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.forecast import forecast as module
from omnigrok.forecast.forecast import (
    SHARE_OF_RATE,
    Forecast,
    evaluation_count,
    forecast,
    recorded_runs,
)
from omnigrok.forecast.measure import StackTime, evaluated
from omnigrok.forecast.text import duration, lines
from omnigrok.run import Run
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Store
from omnigrok.suite.suite import load_suite
from omnigrok.training.work import evaluation_operations, step_operations

CPU = torch.device("cpu")
YAML = """\
figure: {figure}
title: Toy
place: nowhere
experiments:
  tiny:
    base:
      {{task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 12, data: {{n_test: 8}},
       network: {{widths: [2, 4, 2], activation: tanh}}}}
    sweep: {{seed: {{count: 3}}, alpha: [0.5, 2.0]}}
  {extra}
claims:
"""
WIDE = """wide:
    base:
      {task: teacher_student, model: mlp, n_train: 8, lr: 1.0e-3, steps: 20, data: {n_test: 8},
       network: {widths: [2, 40, 2], activation: tanh}}
    sweep: {seed: {count: 2}}"""
IMAGES = """images:
    base:
      {task: mnist, model: mlp, n_train: 30, lr: 1.0e-3, steps: 20,
       data: {source: bundled, n_test: 8},
       network: {widths: [784, 4, 10], activation: tanh}}
    sweep: {seed: {count: 2}}"""
CLAIM = """\
  - id: {id}
    statement: the mean of three numbers is above zero
    place: nowhere
    criterion: {{mean: {{above: 0}}}}
    quantity: {{values: [1.0]}}
    experiments: {experiments}
    control: {{why: these numbers are below zero, quantity: {{values: [-1.0]}}}}
    "null": sign flips
"""


class Claims:
    """A claims folder with two figures, and sessions on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "runs.sqlite"
        self.write("one", WIDE, {"one.a": "[tiny]", "one.b": "[tiny, wide]"})
        self.write("two", IMAGES, {"two.a": "[images, 'one:tiny']"})

    def write(self, figure: str, extra: str, claims: dict[str, str]) -> None:
        text = YAML.format(figure=figure, extra=extra) + "".join(
            CLAIM.format(id=id, experiments=names) for id, names in claims.items()
        )
        (self.folder / f"{figure}.yaml").write_text(text)
        (self.folder / f"test_{figure}.py").touch()

    def request(self, claim: str) -> Request:
        suite = load_suite(self.folder)
        return Request(suite, *suite.claim(claim), "paper", "claim", print)

    def session(self, *claims: str) -> AuditSession:
        return AuditSession(Options(runs=self.store), [self.request(claim) for claim in claims])


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path)


class Timer:
    """Says that every step of a network takes a second, and remembers what it was asked."""

    def __init__(self, start: float = 100.0) -> None:
        self.start = start
        self.asked: list[tuple[Sequence[Run], bool]] = []

    def __call__(
        self, runs: Sequence[Run], device: torch.device, root: Path, seconds: float, compiled: bool
    ) -> StackTime:
        """Without compiling, four times as long."""
        self.asked.append((runs, compiled))
        return StackTime(
            len(runs),
            self.start,
            (1.0 if compiled else 4.0) * len(runs),
            0.5 * len(runs),
            8,
            compiled,
        )


def rate(device: torch.device, precision: str) -> float:
    return 1e3


def test_seconds_are_steps_evaluations_and_starts(claims: Claims) -> None:
    found = forecast(claims.session("one.a"), timer=Timer(), rate=rate)
    (run, *_) = found.seconds_of
    logged = evaluation_count(run)
    assert logged == 13  # every step at first, and step 0
    assert found.total.seconds == pytest.approx(6 * (12 + 0.5 * logged) + 100)
    assert (found.total.runs, found.total.network_steps, found.total.stacks) == (6, 72, 1)
    operations = 12 * step_operations(run) + logged * evaluation_operations(run, evaluated(run, 8))
    assert found.total.operations == pytest.approx(6 * operations)
    assert found.total.floor == pytest.approx(6 * operations / 1e3)
    assert found.seconds([run, run]) == pytest.approx(found.total.seconds / 6)


def test_shared_runs_count_once_and_belong_to_the_figure_that_defines_them(claims: Claims) -> None:
    found = forecast(claims.session("one.a", "one.b", "two.a"), timer=Timer(), rate=rate)
    assert {name: cost.runs for name, cost in found.figures.items()} == {"one": 8, "two": 2}
    assert found.total.runs == 10
    assert found.total.seconds == pytest.approx(
        sum(cost.seconds for cost in found.figures.values())
    )
    assert found.total.stacks == 3


def test_what_a_claim_costs_is_what_it_lacks(claims: Claims) -> None:
    session = claims.session("one.a", "one.b")
    found = forecast(session, timer=Timer(), rate=rate)
    a, b = (found.seconds(session.runs(claims.request(claim))) for claim in ("one.a", "one.b"))
    assert 0 < a < b == pytest.approx(found.total.seconds)


def record(store: Store, runs: Sequence[Run]) -> None:
    executor = Executor(store, LocalEngine(CPU, Path()), [])
    for run in runs:
        env = executor.environment(run)
        tokens = Leases(store).acquire([run], env, new_owner(), 60)
        store.put(Curves(run, torch.arange(2).numpy(), {}), env, tokens[run.digest])


def test_recorded_runs_cost_nothing(claims: Claims) -> None:
    session = claims.session("one.a")
    runs = session.runs(claims.request("one.a"))
    with Store(claims.store) as store:
        record(store, runs[:4])
    assert recorded_runs(claims.store, runs, CPU) == set(runs[:4])
    found = forecast(session, timer=Timer(), rate=rate)
    assert (found.total.runs, found.total.recorded, found.total.network_steps) == (6, 4, 24)
    assert found.seconds(runs[:4]) == 0.0
    assert found.seconds(runs) == found.total.seconds


def test_all_recorded_needs_no_measurement(claims: Claims) -> None:
    session = claims.session("one.a")
    with Store(claims.store) as store:
        record(store, session.runs(claims.request("one.a")))
    timer = Timer()
    found = forecast(session, timer=timer, rate=rate)
    assert not timer.asked
    assert (found.total.seconds, found.total.stacks) == (0.0, 0)


def test_planning_makes_no_store(claims: Claims) -> None:
    forecast(claims.session("one.a"), timer=Timer(), rate=rate)
    assert not claims.store.exists()


def test_each_model_on_each_task_is_measured_first_then_compiled_where_most_time_goes(
    claims: Claims,
) -> None:
    session = claims.session("one.b", "two.a")
    timer = Timer()
    found = forecast(session, timer=timer, rate=rate)
    asked = [
        (runs[0].task, runs[0].option("widths")[1], compiled) for runs, compiled in timer.asked
    ]
    assert asked[:2] == [("teacher_student", 40, False), ("mnist", 4, False)]
    assert sorted(asked[2:]) == [
        ("mnist", 4, True),
        ("teacher_student", 4, True),
        ("teacher_student", 40, True),
    ]
    assert asked[2] == ("mnist", 4, True)
    assert {pace.source for pace in found.paces.values()} == {"measured"}


def test_what_there_was_no_time_for_follows_by_operations(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same task's network where there is one, and it says so."""
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    timer = Timer()
    found = forecast(claims.session("one.b", "two.a"), seconds=15, timer=timer, rate=rate)
    assert [compiled for _, compiled in timer.asked] == [False, False]
    sources = {
        (key.task, key.option("widths")[1]): pace.source for key, pace in found.paces.items()
    }
    assert sources == {
        ("teacher_student", 40): "measured, not compiled",
        ("mnist", 4): "measured, not compiled",
        ("teacher_student", 4): "by operations from teacher_student mlp, not compiled",
    }
    wide, narrow = (
        next(key for key in found.paces if key.option("widths")[1] == width and key.task != "mnist")
        for width in (40, 4)
    )
    assert found.paces[wide].step == found.paces[narrow].step
    text = list(lines(found, Options(), CPU))
    assert (
        sum(line.startswith("measured: ") and line.endswith("not compiled") for line in text) == 2
    )
    assert "not measured, by operations from teacher_student mlp, not compiled: 1 shape" in text


def test_the_first_look_is_at_a_few_networks_and_the_second_at_the_whole_stack(
    claims: Claims,
) -> None:
    claims.write("one", WIDE.replace("count: 2", "count: 30"), {"one.b": "[wide]"})
    timer = Timer()
    forecast(claims.session("one.b"), timer=timer, rate=rate)
    assert [(len(runs), compiled) for runs, compiled in timer.asked] == [
        (module.FIRST_LOOK, False),
        (30, True),
    ]


def test_however_short_the_time_one_stack_is_measured(claims: Claims) -> None:
    timer = Timer()
    forecast(claims.session("one.b", "two.a"), seconds=-1.0, timer=timer, rate=rate)
    assert len(timer.asked) == 1


def test_what_cannot_be_measured_is_said_and_taken_from_the_matrix_rate(claims: Claims) -> None:
    def timer(
        runs: Sequence[Run], device: torch.device, root: Path, seconds: float, compiled: bool
    ) -> StackTime:
        raise DataMissing("mnist: not here; fetch it")

    found = forecast(claims.session("two.a"), timer=timer, rate=rate)
    assert found.problems == [
        f"{task} mlp was not measured: mnist: not here; fetch it"
        for task in ("teacher_student", "mnist")
    ]
    assert {pace.source for pace in found.paces.values()} == {"30% of the matrix rate"}
    assert found.total.seconds == pytest.approx(found.total.floor / SHARE_OF_RATE)


@pytest.mark.parametrize(("fits", "measured"), [(5, 3), (2, 1), (0, 0)])
def test_what_does_not_fit_into_the_memory_is_timed_in_halves(
    claims: Claims, fits: int, measured: int
) -> None:
    def timer(
        runs: Sequence[Run], device: torch.device, root: Path, seconds: float, compiled: bool
    ) -> StackTime:
        if len(runs) > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return StackTime(len(runs), 0.0, 1.0, 1.0, 8, compiled)

    found = forecast(claims.session("one.a"), timer=timer, rate=rate)
    assert {timed.replicas for _, timed in found.measured} == ({measured} if measured else set())
    missing = [
        problem
        for problem in found.problems
        if "was not measured: one network alone does not fit into the memory" in problem
    ]
    assert len(missing) == (not measured)
    assert found.total.seconds > 0


def test_an_error_that_is_not_one_of_memory_is_no_forecast(claims: Claims) -> None:
    def timer(
        runs: Sequence[Run], device: torch.device, root: Path, seconds: float, compiled: bool
    ) -> StackTime:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        forecast(claims.session("one.a"), timer=timer, rate=rate)


def test_a_setting_that_is_not_accepted_is_said_and_the_others_are_planned(claims: Claims) -> None:
    claims.write("bad", WIDE.replace("widths: [2, 40, 2]", "widths: 7"), {"bad.a": "[wide]"})
    claims.write("worse", WIDE.replace("steps: 20", "steps: 0"), {"worse.a": "[wide]"})
    found = forecast(claims.session("one.a", "bad.a", "worse.a"), timer=Timer(), rate=rate)
    assert found.total.network_steps == 72
    assert any("widths" in problem for problem in found.problems)
    assert any("worse.yaml" in problem and "steps" in problem for problem in found.problems)
    text = list(lines(found, Options(), CPU))
    assert sum(line.startswith("NOT INCLUDED") for line in text) == 2


# The text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0123, "0.012 s"),
        (1, "1 s"),
        (59.4, "59.4 s"),
        (90, "1.5 min"),
        (5400, "1.5 h"),
        (86400 * 44.4, "44.4 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_figure_has_a_line_and_no_line_is_too_long(claims: Claims) -> None:
    found: Forecast = forecast(claims.session("one.b", "two.a"), timer=Timer(), rate=rate)
    text = list(lines(found, Options(), CPU))
    assert all(len(line) <= 120 for line in text)
    assert [line.split()[0] for line in text if line.startswith(("one", "two", "total"))] == [
        "one",
        "two",
        "total,",
    ]
    assert any("1e-06 GFLOP/s in float32" in line for line in text)
    assert sum(line.startswith("measured: ") for line in text) == 5


@pytest.mark.parametrize(("stops", "count"), [("", 0), (", stop_at: {test_acc: 0.9}", 1)])
def test_runs_that_may_stop_early_are_an_upper_bound(
    claims: Claims, stops: str, count: int
) -> None:
    claims.write(
        "one", WIDE.replace("steps: ", f"steps: 10{stops}, log_every: ", 1), {"one.b": "[wide]"}
    )
    found = forecast(claims.session("one.b"), timer=Timer(), rate=rate)
    assert found.total.network_steps == 10 * found.total.runs
    assert sum(line.startswith("at most: ") for line in lines(found, Options(), CPU)) == count


# As a user sees it

TOY_CHECKS = """\
from omnigrok.audit import Case, claim


@claim("one.a")
def test_a(case: Case) -> None:
    raise AssertionError("trained")


@claim("one.b")
def test_b(case: Case) -> None:
    raise AssertionError("trained")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    folder = pytester.path / "claims"
    folder.mkdir()
    Claims(folder)
    (folder / "test_one.py").write_text(TOY_CHECKS)
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = error\n")
    pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n')
    return folder


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("claims", "-p", "no:cacheprovider", *args)


def test_plan_prints_a_forecast_runs_no_test_and_ends_well(
    pytester: pytest.Pytester, project: Path
) -> None:
    result = run(pytester, "--plan", "--tier", "paper", "--protocol", "all", "-n", "0")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*paper tier, scale full, cpu*",
            "figure *",
            "one  *8 *",
            "total, each run once *8 *",
            "measured: *",
        ]
    )
    result.stdout.no_fnmatch_line("*trained*AssertionError*")
    assert not (pytester.path / ".omnigrok").exists()


def test_plan_is_for_the_selected_claims(pytester: pytest.Pytester, project: Path) -> None:
    result = run(pytester, "--plan", "-k", "one.a")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*smoke tier*", "total, each run once *6 *"])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (["--replay"], "judges nothing"),
        (["--audit-json", "a.json"], "judges nothing"),
        (["-n", "2"], "leave -n out"),
    ],
)
def test_plan_refuses_what_contradicts_it(
    pytester: pytest.Pytester, project: Path, other: list[str], message: str
) -> None:
    result = run(pytester, "--plan", *other)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*"])
