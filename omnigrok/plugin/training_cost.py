"""What training each figure has cost, as benchmarks of pytest-benchmark: one round of so many
seconds.

pytest-benchmark times nothing under xdist and then writes no file. The seconds of training are
recorded with every run, so the process that no worker is adds them up and hands them over;
pytest-benchmark writes, saves and compares them as its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import omnigrok
from omnigrok.audit.document import ItemRow
from omnigrok.audit.session import Options
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.files import check_target
from omnigrok.plugin.arguments import read_options
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.schema import Protocol
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.device import choose_device, describe
from omnigrok.training.identity import identity

# Records that are decoded at once.
FEW = 200


@dataclass
class FigureCost:
    """What the runs of one figure's experiments took.

    Args:
        runs: that are recorded.
        network_steps: optimiser steps that they took.
        seconds: of training.
        protocols: that they belong to.
    """

    runs: int = 0
    network_steps: int = 0
    seconds: float = 0.0
    protocols: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """A claim that was judged, from the figure files of a folder."""

    folder: Path
    figure: str
    claim: str
    protocol: Protocol


def runs_by_figure(
    judged: set[Judged], options: Options
) -> dict[tuple[Path, str], dict[Run, Protocol]]:
    """The Runs that claims read, by folder and name of the figure that defines them.

    Raises:
        BadInput: a figure file is not valid.
    """
    found: dict[tuple[Path, str], dict[Run, Protocol]] = {}
    for each in sorted(judged, key=lambda one: (one.folder, one.figure, one.claim, one.protocol)):
        suite = load_suite(each.folder)
        figure = suite.figure(each.figure)
        setting = Setting(options.tier, each.protocol, options.scale, options.first_seed)
        for full_name in suite.experiments(figure, figure.claim(each.claim)).values():
            owner = full_name.partition(":")[0]
            runs = suite.runs(full_name, setting)
            found.setdefault((each.folder, owner), {}).update(dict.fromkeys(runs, each.protocol))
    return found


def cost_of(runs: dict[Run, Protocol], store: Store, device: str) -> FigureCost:
    """The recorded cost of Runs, of this trainer, torch and device; what is not recorded is left
    out.

    Raises:
        StoreError: a record is damaged.
    """
    cost = FigureCost()
    by_environment: dict[Environment, list[Run]] = {}
    for run in runs:
        by_environment.setdefault(Environment(identity(run), torch.__version__, device), []).append(
            run
        )
    for env, members in by_environment.items():
        for start in range(0, len(members), FEW):
            for curves in store.get_many(members[start : start + FEW], env).values():
                cost.runs += 1
                cost.network_steps += int(curves.step[-1])
                cost.seconds += curves.seconds
                cost.protocols = sorted({*cost.protocols, runs[curves.run]})
    return cost


class TrainingCost:
    """Registered in the process that is no xdist worker, where pytest-benchmark is asked for a
    file.

    Args:
        config: of this session.
        outcome_of: reads the outcome out of a report.
    """

    def __init__(
        self,
        config: pytest.Config,
        outcome_of: Callable[[pytest.TestReport], ItemRow | None],
    ) -> None:
        self.config, self.outcome_of = config, outcome_of
        self.judged: set[Judged] = set()
        self.failure = ""
        if (path := config.getoption("benchmark_json", None)) is not None:
            try:
                check_target("--benchmark-json", path)
            except BadInput as error:
                raise pytest.UsageError(str(error)) from None

    @staticmethod
    def wanted(config: pytest.Config) -> bool:
        """Whether pytest-benchmark is there and is to write something, and something may be
        trained.
        """
        names = ("benchmark_json", "benchmark_save", "benchmark_autosave")
        return (
            any(config.getoption(name, None) for name in names)
            and not config.getoption("audit_replay")
            and not config.getoption("audit_plan")
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = self.outcome_of(report)
        if outcome is not None:
            folder = (self.config.rootpath / report.location[0]).resolve().parent
            self.judged.add(Judged(folder, outcome.figure, outcome.id, outcome.protocol))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Before pytest-benchmark looks at what it has to write."""
        benchmarks = self.config._benchmarksession  # type: ignore[attr-defined]
        try:
            benchmarks.benchmarks.extend(self._benchmarks(dict(benchmarks.options)))
        except OmnigrokError as error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self.failure = f"pytest-benchmark: the cost of training is not written: {error}"
        if not benchmarks.benchmarks and not self.failure:
            self.failure = (
                "pytest-benchmark: nothing is written: no claim that was judged has a recorded "
                "training"
            )
        yield

    def _benchmarks(self, settings: dict[str, Any]) -> Iterator[Any]:
        from pytest_benchmark.stats import Metadata  # noqa: PLC0415 (optional)

        options = read_options(self.config)
        if not self.judged:
            return
        path = options.store(each.folder for each in self.judged)
        if not path.exists():
            return
        device = describe(choose_device(options.gpu))
        with Store(path, readonly=True) as store:
            for (folder, figure), runs in runs_by_figure(self.judged, options).items():
                cost = cost_of(runs, store, device)
                if not cost.runs:
                    continue
                where = os.path.relpath(folder, self.config.rootpath)
                facts = {
                    "runs": cost.runs,
                    "network_steps": cost.network_steps,
                    "device": device,
                    "tier": options.tier,
                    "scale": options.scale,
                    "protocols": cost.protocols,
                    "omnigrok": omnigrok.__version__,
                    "torch": torch.__version__,
                }
                described = SimpleNamespace(
                    name=f"training[{figure}]",
                    fullname=f"{where}/{figure}.yaml::training",
                    group="training",
                    param=figure,
                    params={"name": figure},
                    extra_info=facts,
                    cprofile_stats=None,
                    has_error=False,
                )
                benchmark = Metadata(  # type: ignore[no-untyped-call]
                    described, iterations=1, options=settings
                )
                benchmark.stats.update(cost.seconds)  # type: ignore[no-untyped-call]
                yield benchmark

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.failure:
            terminalreporter.write_line(self.failure, red=True)
