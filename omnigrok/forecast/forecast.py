"""What an audit would cost on this device, from a few seconds of measurement:
``pytest claims/ --plan``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from omnigrok.audit.session import AuditSession
from omnigrok.errors import OmnigrokError, OutOfMemory
from omnigrok.evidence.find import evidence_of
from omnigrok.execution.plan import StackPlan, make_plan
from omnigrok.forecast.measure import StackTime, evaluated, matrix_rate, time_stack
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.training.calendar import log_steps
from omnigrok.training.device import describe, is_out_of_memory
from omnigrok.training.identity import identity
from omnigrok.training.stackable import shape_key
from omnigrok.training.work import evaluation_operations, step_operations

# No new measurement begins later than this.
MEASURE_SECONDS = 45.0
# Seconds of steps of one stack, after it has been built and compiled.
STACK_SECONDS = 0.3
# Networks of the stack that gives a first idea of a model.
FIRST_LOOK = 8
# Where nothing of a model could be measured: this share of the matrix rate.
SHARE_OF_RATE = 0.3

Timer = Callable[[Sequence[Run], torch.device, Path, float, bool], StackTime]
Rate = Callable[[torch.device, str], float]


@dataclass(frozen=True)
class ShapePace:
    """What training costs in stacks of one shape.

    Args:
        step: seconds an operation of a step.
        evaluation: seconds an operation of an evaluation.
        start: seconds a stack before its first step.
        test_samples: what each network is tested on.
        source: "measured" or what it was computed from, and "not compiled" where the trainer might
            compile and be faster.
    """

    step: float
    evaluation: float
    start: float
    test_samples: int
    source: str


@dataclass(frozen=True)
class Cost:
    """What some Runs need; operations, stacks and seconds are those of Runs that are not recorded
    yet.

    Args:
        runs: Runs needed.
        recorded: those in the store, of this trainer, torch and device.
        evidence: those in the recorded evidence, which ``--replay`` reads.
        network_steps: optimiser steps still to take, over all networks; an upper bound, as all that
            follows, where some may stop early.
        operations: floating-point operations of their matrix products and of the evaluations.
        stacks: stacks that hold them.
        seconds: expected on this device, one process.
        floor: seconds at the measured rate of matrix products.
    """

    runs: int
    recorded: int
    evidence: int
    network_steps: int
    operations: float
    stacks: int
    seconds: float
    floor: float


@dataclass
class Forecast:
    """A plan with its cost.

    Args:
        figures: what each figure's experiments need, by the figure that defines them.
        total: all of it, every Run once.
        measured: the stacks that were timed, each with its seconds.
        paces: by ``shape_key``.
        rates: matrix rates by precision, operations a second.
        problems: what could not be planned or measured, and why.
        spent: seconds that measuring took.
    """

    figures: dict[str, Cost]
    total: Cost
    measured: list[tuple[Run, StackTime]]
    paces: Mapping[Run, ShapePace]
    rates: Mapping[str, float]
    problems: list[str]
    spent: float
    seconds_of: Mapping[Run, float] = field(default_factory=dict)

    def seconds(self, runs: Iterable[Run]) -> float:
        """Seconds expected for those of the Runs that are not recorded; others cost nothing."""
        return sum(self.seconds_of.get(run, 0.0) for run in dict.fromkeys(runs))


def evaluation_count(run: Run) -> int:
    """Logged steps, the first and the last included."""
    return len(log_steps(run))


def _needed(session: AuditSession) -> tuple[dict[str, set[Run]], set[Run], list[str]]:
    """Runs by the figure that defines them, those in the recorded evidence, and what could not be
    read.
    """
    by_figure: dict[str, set[Run]] = {}
    evidence: set[Run] = set()
    problems: dict[str, None] = {}
    for request in session.requests:
        try:
            for full_name, runs in session.experiments(request).items():
                by_figure.setdefault(full_name.partition(":")[0], set()).update(runs)
                if session.options.tier == "paper":
                    folder = request.suite.folder
                    evidence.update(evidence_of(folder, full_name, request.protocol, runs))
        except OmnigrokError as error:
            problems[str(error)] = None
    return by_figure, evidence, list(problems)


def recorded_runs(path: Path, runs: Iterable[Run], device: torch.device) -> set[Run]:
    """Those Runs that a store has from this trainer, torch and device; no store, none."""
    if not path.exists():
        return set()
    by_environment: dict[Environment, list[Run]] = {}
    for run in runs:
        by_environment.setdefault(
            Environment(identity(run), torch.__version__, describe(device)), []
        ).append(run)
    with Store(path, readonly=True) as store:
        return {
            run
            for env, part in by_environment.items()
            for found in [store.has_many(part, env)]
            for run in part
            if run.digest in found
        }


def _measure(
    stacks: Sequence[StackPlan], device: torch.device, root: Path, seconds: float, timer: Timer
) -> tuple[list[tuple[Run, StackTime]], list[str]]:
    """Time as many shapes as there is time for.

    First a small stack of each model, not compiled, short steps first, so that something is known
    of each; then whole stacks of the shapes that would take the longest, compiled.
    """
    costs: dict[Run, float] = {}
    largest: dict[Run, StackPlan] = {}
    for stack in stacks:
        key = shape_key(stack.runs[0])
        costs[key] = costs.get(key, 0.0) + stack.operations
        # Of equal stacks the one with the smallest data, which are read sooner; a step costs the
        # same.
        largest[key] = max(
            largest.get(key, stack),
            stack,
            key=lambda each: (len(each.runs), -sum(run.n_train for run in each.runs)),
        )
    ordered = sorted(costs, key=lambda key: (-costs[key], key.digest))
    first = {(key.task, key.model, key.precision): key for key in reversed(ordered)}
    queue = [
        (key, False)
        for key in sorted(
            first.values(),
            key=lambda key: len(largest[key].runs) * step_operations(largest[key].runs[0]),
        )
    ]
    measured: list[tuple[Run, StackTime]] = []
    problems: dict[str, None] = {}
    refused: set[tuple[str, str]] = set()
    begun = time.monotonic()
    while queue and not (measured and time.monotonic() - begun > seconds):
        key, compiled = queue.pop(0)
        if (key.task, key.model) in refused:
            continue
        try:
            runs = largest[key].runs if compiled else largest[key].runs[:FIRST_LOOK]
            measured.append((key, _timed(timer, runs, device, root, compiled)))
        except OmnigrokError as error:
            problems[f"{key.task} {key.model} was not measured: {error}"] = None
            refused.add((key.task, key.model))
        if not queue and not compiled:
            pace = {
                found.task + found.model: timed.step / timed.replicas / step_operations(found)
                for found, timed in measured
            }
            queue = [
                (key, True)
                for key in sorted(
                    ordered, key=lambda key: -costs[key] * pace.get(key.task + key.model, 0.0)
                )
            ]
    return measured, list(problems)


def _timed(
    timer: Timer, runs: Sequence[Run], device: torch.device, root: Path, compiled: bool
) -> StackTime:
    """The time of a stack or, as in training, of the half of it that fits into the GPU's memory.

    Raises:
        OutOfMemory: one network alone does not fit.
        OmnigrokError: from the timer.
    """
    while True:
        try:
            return timer(runs, device, root, STACK_SECONDS, compiled)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(runs) == 1:
                raise OutOfMemory("one network alone does not fit into the memory") from None
        runs = runs[: len(runs) // 2]
        torch.cuda.empty_cache()


def _test_samples(key: Run, known: int | None) -> int:
    option = key.option("n_test")
    return int(option) if isinstance(option, int) else known if known is not None else key.n_train


def _pace(
    form: Run, measured: Sequence[tuple[Run, Run, StackTime]], rate: float, kind: str = "cpu"
) -> ShapePace:
    """The pace of a shape: measured, or by operations from the likest shape that was.

    Args:
        form: a Run of the shape.
        measured: (shape_key, a Run of that shape, its time).
        rate: of matrix products.
        kind: "cpu" or "cuda".
    """
    key = shape_key(form)

    def distance(entry: tuple[Run, Run, StackTime]) -> tuple[bool, bool, bool, bool, float]:
        other = entry[1]
        size = abs(math.log(max(step_operations(form), 1.0) / max(step_operations(other), 1.0)))
        return (
            entry[0] != key,
            other.task != form.task,
            other.precision != form.precision,
            not entry[2].compiled,
            size,
        )

    same = sorted((entry for entry in measured if entry[1].model == form.model), key=distance)
    if not same:
        each = 1 / (SHARE_OF_RATE * rate)
        return ShapePace(
            each, each, 0.0, _test_samples(form, None), f"{SHARE_OF_RATE:.0%} of the matrix rate"
        )
    other_key, other, seconds = same[0]
    known = seconds.test_samples if other.task == form.task else None
    test = seconds.test_samples if other_key == key else _test_samples(form, known)
    evaluations = evaluation_operations(other, evaluated(other, seconds.test_samples), kind)
    return ShapePace(
        step=seconds.step / seconds.replicas / step_operations(other, kind),
        evaluation=seconds.evaluation / seconds.replicas / max(evaluations, 1.0),
        start=seconds.start,
        test_samples=test,
        source=_source(other_key == key, other, seconds.compiled),
    )


def _source(same: bool, other: Run, compiled: bool) -> str:
    name = "measured" if same else f"by operations from {other.task} {other.model}"
    return name if compiled else f"{name}, not compiled"


def forecast(
    session: AuditSession,
    seconds: float = MEASURE_SECONDS,
    timer: Timer = time_stack,
    rate: Rate = matrix_rate,
) -> Forecast:
    """Plan everything that a session asks for, measure what time allows, and add up. Nothing is
    trained or written.

    Args:
        seconds: no measurement of a stack begins later than this; 0 measures one stack.
        timer: times a stack.
        rate: measures the matrix rate.

    Raises:
        StoreError: the store is damaged.
    """
    begun = time.monotonic()
    device, root = session.device, session.options.data_root
    by_figure, evidence, problems = _needed(session)
    needed = {run for runs in by_figure.values() for run in runs}
    recorded = recorded_runs(session.store_path, needed, device)
    plannable, refused = _plannable(needed - recorded)
    stacks = make_plan(plannable, device.type)
    measured, unmeasured = _measure(stacks, device, root, seconds, timer)
    rates = {
        precision: rate(device, precision)
        for precision in sorted({run.precision for run in plannable} or {"float32"})
    }
    forms = {shape_key(stack.runs[0]): stack.runs[0] for stack in stacks}
    entries = [(key, forms[key], found) for key, found in measured]
    kind = device.type
    paces = {key: _pace(form, entries, rates[form.precision], kind) for key, form in forms.items()}
    seconds_of, operations_of = {}, {}
    for stack in stacks:
        pace = paces[shape_key(stack.runs[0])]
        for run in stack.runs:
            steps = run.steps * step_operations(run, kind)
            evaluations = evaluation_count(run) * evaluation_operations(
                run, evaluated(run, pace.test_samples), kind
            )
            operations_of[run] = steps + evaluations
            seconds_of[run] = (
                steps * pace.step + evaluations * pace.evaluation + pace.start / len(stack.runs)
            )

    def cost(runs: set[Run]) -> Cost:
        todo = [run for run in runs if run in seconds_of]
        wanted = set(todo)
        return Cost(
            runs=len(runs),
            recorded=len(runs & recorded),
            evidence=len(runs & evidence),
            network_steps=sum(run.steps for run in todo),
            operations=math.fsum(operations_of[run] for run in todo),
            stacks=sum(not wanted.isdisjoint(stack.runs) for stack in stacks),
            seconds=math.fsum(seconds_of[run] for run in todo),
            floor=math.fsum(operations_of[run] / rates[run.precision] for run in todo),
        )

    return Forecast(
        figures={figure: cost(by_figure[figure]) for figure in sorted(by_figure)},
        total=cost(needed),
        measured=measured,
        paces=paces,
        rates=rates,
        problems=[*problems, *refused, *unmeasured],
        spent=time.monotonic() - begun,
        seconds_of=seconds_of,
    )


def _plannable(runs: set[Run]) -> tuple[list[Run], list[str]]:
    """Runs whose model accepts their options, and why others are left out."""
    plannable: list[Run] = []
    refused: dict[str, None] = {}
    for run in sorted(runs, key=lambda each: each.digest):
        try:
            step_operations(run)
        except OmnigrokError as error:
            refused[str(error)] = None
        else:
            plannable.append(run)
    return plannable, list(refused)
