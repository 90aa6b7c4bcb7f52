"""Whatever an engine reports, the executor records each run once, with the curves of an
uninterrupted training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omnigrok.errors import EngineError, OutOfMemory
from omnigrok.execution import execute
from omnigrok.execution.engines import Engine, Failure, Job, LocalEngine, Report
from omnigrok.execution.execute import MOST_DEATHS, Executor
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.training import train

Faulty = Callable[..., Any]


def check(store: Store, executor: Executor, runs: Sequence[Run]) -> None:
    for run in runs:
        found, (expected,) = store.get(run, executor.environment(run)), train([run])
        assert found is not None
        for name in expected.columns:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)
    assert store.count() == len(runs)
    assert executor.leases.holders(runs, executor.environment(runs[0])) == {}


def shapes(toy: Run, sizes: int, seeds: int = 2) -> list[Run]:
    """Runs of so many stacks."""
    return [
        toy.replace(n_train=n, seed=seed) for n in range(10, 10 + sizes) for seed in range(seeds)
    ]


def test_several_jobs_train_at_once(faulty: Faulty, store: Store, toy: Run) -> None:
    engine, runs, busy = faulty(slots=3), shapes(toy, 5), []

    def watch(job: Job, report: Report) -> None:
        busy.append(len(engine.workers))

    engine.fault = watch
    executor = Executor(store, engine, runs)
    executor.ensure(runs)
    assert max(busy) == 3
    assert len(engine.submitted) == 9  # all but the smallest are divided
    check(store, executor, runs)


def test_what_is_wanted_is_waited_for_and_the_rest_goes_on_behind_it(
    faulty: Faulty, store: Store, toy: Run
) -> None:
    """An audit is judging while its cluster trains; closing saves what has not been asked for."""
    long, short = toy.replace(n_train=12, steps=2000), toy
    engine = faulty(slots=2)
    executor = Executor(store, engine, [long, short])
    executor.ensure([short])
    env = executor.environment(long)
    assert store.count() == 1
    assert list(executor.leases.holders([long], env)) == [long.digest]
    executor.close()
    assert engine.closed
    assert executor.leases.holders([long], env) == {}
    saved = store.load_checkpoint(long, env)
    assert saved is not None
    assert 0 < saved[0] < 2000


def test_a_job_whose_process_dies_goes_on_from_its_last_checkpoint(
    faulty: Faulty, store: Store, toy: Run
) -> None:
    runs, deaths = shapes(toy, 2), []

    def die(job: Job, report: Report) -> Report | None:
        """Every job dies once, with the second half of its chunks unsaved."""
        if report.step == 60 and job.runs[0].n_train not in deaths:
            deaths.append(job.runs[0].n_train)
            return Report(job.number, lost=True)
        return None

    engine = faulty(slots=1, fault=die)
    executor = Executor(store, engine, runs)
    executor.ensure(runs)
    assert sorted(deaths) == [10, 11]
    assert sorted(job.step for job in engine.submitted) == [0, 0, 40, 40]
    check(store, executor, runs)


def test_a_job_that_always_kills_its_process_is_split_and_then_refused(
    faulty: Faulty, store: Store, toy: Run
) -> None:
    bad = toy.replace(seed=1)
    runs = [toy, bad, toy.replace(seed=2)]

    def die(job: Job, report: Report) -> Report | None:
        return Report(job.number, lost=True) if bad in job.runs else None

    engine = faulty(slots=1, fault=die)
    executor = Executor(store, engine, runs)
    with pytest.raises(OutOfMemory, match=r"one network alone does not fit .* died 6 times"):
        executor.ensure(runs)
    assert len([job for job in engine.submitted if len(job.runs) == 3]) == MOST_DEATHS + 1
    check_runs = [run for run in runs if run != bad]
    executor.ensure(check_runs)
    check(store, executor, check_runs)


def test_too_little_memory_splits_a_stack(faulty: Faulty, store: Store, toy: Run) -> None:
    runs = [toy.replace(seed=seed) for seed in range(5)]

    def full(job: Job, report: Report) -> Report | None:
        if len(job.runs) <= 2 or report.step < 60:
            return None
        return Report(job.number, failure=Failure(OutOfMemory("full"), True, True))

    engine = faulty(slots=1, fault=full)
    executor = Executor(store, engine, runs)
    executor.ensure(runs)
    assert [(len(job.runs), job.step) for job in engine.submitted] == [
        (5, 0),
        (2, 40),
        (3, 40),
        (1, 40),
        (2, 40),
    ]
    check(store, executor, runs)


def test_another_failure_is_the_error_of_who_asks_for_it(
    faulty: Faulty, store: Store, toy: Run
) -> None:
    broken, sound = toy.replace(n_train=11), toy

    def fail(job: Job, report: Report) -> Report | None:
        failed = job.runs[0] == broken
        return Report(job.number, failure=Failure(EngineError("lost"))) if failed else None

    executor = Executor(store, faulty(fault=fail), [broken, sound])
    executor.ensure([sound])
    with pytest.raises(EngineError, match="lost"):
        executor.ensure([broken])
    check(store, executor, [sound])


def test_a_cluster_with_other_versions_is_refused(faulty: Faulty, store: Store, toy: Run) -> None:
    def other(job: Job, report: Report) -> Report:
        return replace(report, env=Environment("trainer 0", "2.0", "cpu"))

    executor = Executor(store, faulty(fault=other), [toy])
    with pytest.raises(EngineError, match=r"trains as .*trainer 0.* one version of omnigrok"):
        executor.ensure([toy])
    assert store.count() == 0


class OnACard(LocalEngine):
    """Believes that its device is a card."""

    shared = "card 0"


@pytest.mark.usefixtures("faulty")
def test_one_process_at_a_time_trains_on_a_card(
    tmp_path: Path, toy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one trains the other waits, and trains nothing else; then it has its turn."""
    runs, training, most = shapes(toy, 4), [0], [0]
    poll = OnACard.poll

    def counted(self: OnACard, *arguments: float) -> list[Report]:
        training[0] += 1
        most[0] = max(most[0], training[0])
        try:
            return poll(self, *arguments)
        finally:
            training[0] -= 1

    monkeypatch.setattr(OnACard, "poll", counted)
    threads, done = [], []

    def work(mine: list[Run]) -> None:
        engine: Engine = OnACard(torch.device("cpu"), Path())
        with Store(tmp_path / "runs.db") as own:
            executor = Executor(own, engine, runs)
            executor.ensure(mine)
            done.append(executor.tally.runs_done)

    for mine in (runs[:4], runs[4:]):
        threads.append(threading.Thread(target=work, args=(mine,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert sum(done) == len(runs)
    with Store(tmp_path / "runs.db") as own:
        executor = Executor(own, LocalEngine(torch.device("cpu"), Path()), runs)
        check(own, executor, runs)
        assert executor.leases.holders(["card 0"], execute.DEVICES) == {}
