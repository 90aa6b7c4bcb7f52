"""One audit session of one process: options, the store, what is planned, and curves for the
cases.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch

from omnigrok.audit.case import Case, Role
from omnigrok.audit.data_checks import check_curves
from omnigrok.audit.document import CostPart
from omnigrok.audit.grid import Grid
from omnigrok.cache import Cache, cache_of
from omnigrok.curves import Curves
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.evidence.find import holds, recorded
from omnigrok.evidence.transfer import IMPORTED
from omnigrok.execution.engines import Engine, LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.execution.tally import Progress
from omnigrok.run import Run
from omnigrok.store.store import Environment, Store
from omnigrok.suite.digests import changed_since, check_digest
from omnigrok.suite.experiment import paper_steps
from omnigrok.suite.installed import home_of
from omnigrok.suite.schema import Claim, Figure, Protocol, Scale, Tier
from omnigrok.suite.suite import Setting, Suite
from omnigrok.training.accepted import check_options
from omnigrok.training.device import choose_device, describe
from omnigrok.training.identity import identity


class NotRun(OmnigrokError):
    """There is no evidence for a claim."""


@dataclass(frozen=True)
class Options:
    """The command line, in the package's own terms."""

    tier: Tier = "smoke"
    scale: Scale = "full"
    first_seed: int = 0
    gpu: bool = False
    replay: bool = False
    accept_stale: bool = False
    data_root: Path = Path()
    runs: Path | None = None
    budget: float = math.inf
    strict: bool = False
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    cache: bool = True

    def store(self, folders: Iterable[Path]) -> Path:
        """The run store: the one that was named, or ``.omnigrok/runs.sqlite`` next to the claims
        folder.

        Args:
            folders: with claims.

        Raises:
            BadInput: claims of several folders, or of none, have no store of their own.
        """
        if self.runs is not None:
            return self.runs
        found = sorted({folder.resolve() for folder in folders})
        if len(found) != 1:
            raise BadInput(
                f"claims of {len(found)} folders ({', '.join(map(str, found))}): name their run "
                "store with --runs"
            )
        return store_of(found[0])


def store_of(folder: Path) -> Path:
    """Where the runs of a claims folder are recorded unless ``--runs`` says otherwise."""
    return home_of(folder) / ".omnigrok" / "runs.sqlite"


@dataclass(frozen=True, eq=False)
class Request:
    """What one pytest item asks for: a claim or its control, under one protocol.

    Args:
        suite: that the claim belongs to.
        figure: whose file has the claim.
        check: the check function; the verdict carries a digest of its source.
    """

    suite: Suite
    figure: Figure
    claim: Claim
    protocol: Protocol
    role: Role
    check: Callable[..., Any]


class AuditSession:
    """Serves cases to checks.

    Args:
        options: of this session.
        requests: everything that was collected, so that training is planned once.
        report: called with the progress while training.
        say: tells a person one line while training.
        begins: called with the progress before a stack begins.
    """

    def __init__(
        self,
        options: Options,
        requests: Iterable[Request],
        report: Callable[[Progress], None] | None = None,
        say: Callable[[str], None] | None = None,
        begins: Callable[[Progress], None] | None = None,
    ) -> None:
        self.options = options
        self.requests = list(requests)
        self.report, self.say, self.begins = report, say, begins
        self._uses: dict[Run, set[str]] | None = None
        self._settings: dict[tuple[Suite, str, Protocol], Setting] = {}
        self._experiments: dict[tuple[Suite, str, Protocol], dict[str, tuple[Run, ...]]] = {}

    @cached_property
    def device(self) -> torch.device:
        return choose_device(self.options.gpu)

    @cached_property
    def store(self) -> Store:
        return Store(self.store_path)

    @property
    def store_path(self) -> Path:
        """The file of the run store, which may not be there yet."""
        return self.options.store(request.suite.folder for request in self.requests)

    @cached_property
    def executor(self) -> Executor:
        planned = [run for request in self.requests for run in self._planned(request)]
        return Executor(
            self.store,
            self.engine,
            planned,
            self.options.budget,
            self.report,
            self.say,
            self.begins,
        )

    @cached_property
    def engine(self) -> Engine:
        """What trains.

        Raises:
            EngineError: a cluster cannot be reached.
        """
        options = self.options
        if options.engine == "ray":
            from omnigrok.execution.engines.ray_cluster import (  # noqa: PLC0415 (an extra)
                RayEngine,
            )

            return RayEngine(options.address, options.gpu, options.data_root)
        return LocalEngine(self.device, options.data_root)

    @property
    def device_name(self) -> str:
        """As records name it: of the engine if it has one, of this process otherwise."""
        return self.engine.device if "engine" in self.__dict__ else describe(self.device)

    def cache(self, name: str) -> Cache | None:
        """The user's cache of that name; None where it is absent or switched off.

        Raises:
            BadInput: as ``cache_of``.
        """
        return cache_of(name) if self.options.cache else None

    def close(self) -> None:
        """Close engine and store, if they were opened."""
        if "executor" in self.__dict__:
            self.executor.close()
        if "store" in self.__dict__:
            self.store.close()

    def setting(self, request: Request, full_name: str) -> Setting:
        """How an experiment is made for a request. In a replay the scale is the larger one that
        evidence holds.

        Raises:
            BadInput: a figure file is not valid.
        """
        options, key = self.options, (request.suite, full_name, request.protocol)
        if key in self._settings:
            return self._settings[key]
        setting = Setting(options.tier, request.protocol, options.scale, options.first_seed)
        if options.replay:
            full, reduced = (
                request.suite.runs(full_name, setting.at(scale)) for scale in get_args(Scale)
            )
            folder = request.suite.folder
            there = holds(folder, full_name, request.protocol, reduced, full)
            setting = setting.at("reduced" if there else "full")
        self._settings[key] = setting
        return setting

    def experiments(self, request: Request) -> dict[str, tuple[Run, ...]]:
        """The Runs that a request needs, by ``figure:name`` of the experiment.

        Raises:
            BadInput: a figure file is not valid, or a data set or model does not accept an option.
        """
        key = request.suite, request.claim.id, request.protocol
        if key in self._experiments:
            return self._experiments[key]
        names = request.suite.experiments(request.figure, request.claim).values()
        found = {
            full_name: request.suite.runs(full_name, self.setting(request, full_name))
            for full_name in names
        }
        for runs in found.values():
            check_options(runs)
        self._experiments[key] = found
        return found

    def runs(self, request: Request) -> list[Run]:
        """All Runs that a request needs.

        Raises:
            BadInput: a figure file is not valid.
        """
        return list(
            dict.fromkeys(run for runs in self.experiments(request).values() for run in runs)
        )

    def _planned(self, request: Request) -> list[Run]:
        """The same; bad figure files and options are left to the item that needs them."""
        try:
            return self.runs(request)
        # somebody else's module may raise anything when it is imported; ``case`` raises it again
        except Exception:
            return []

    def case(self, request: Request) -> Case:
        """The curves of a request, trained, read from the store, or replayed; checked, and laid out
        for the check.

        Raises:
            NotRun: replay has no evidence.
            BudgetSpent: the time is over.
            OmnigrokError: anything that makes the verdict ERROR.
        """
        suite, claim = request.suite, request.claim
        experiments = self.experiments(request)
        found = (
            self._replayed(request, experiments)
            if self.options.replay
            else self._trained(experiments)
        )
        check_curves(curves for curves, _ in found.values())
        grids, scales, steps = {}, [], {}
        for name, full_name in suite.experiments(request.figure, claim).items():
            runs = experiments[full_name]
            diverging = suite.experiment(full_name).diverging
            grids[name] = Grid(name, {run: found[run][0] for run in runs}, diverging)
            setting = self.setting(request, full_name)
            scales.append(suite.scale(full_name, setting))
            full = suite.runs(full_name, Setting(setting.tier, setting.protocol))
            steps.update(paper_steps(runs, full))
        published = suite.about.protocols[request.protocol].as_published
        reduced = [how for scale, how in scales if scale == "reduced"]
        return Case(
            claim=claim,
            figure=request.figure.figure,
            protocol=request.protocol,
            tier=self.options.tier,
            role=request.role,
            grids=grids,
            scale="reduced" if reduced else "full",
            reduction="; ".join(dict.fromkeys(reduced)),
            paper_steps=steps if self.options.tier == "paper" and not published else None,
            cost=self._cost(request, found),
            digests={
                "criterion": claim.digest,
                "check": check_digest(Path(inspect.getfile(request.check)), claim.id),
            },
            remark=self._remark(request, experiments) if self.options.replay else "",
            stale=sum(self._is_stale(run, env) for run, (_, env) in found.items()),
            imported=sum(IMPORTED in curves.provenance for curves, _ in found.values()),
        )

    def _remark(self, request: Request, experiments: Iterable[str]) -> str:
        """What was changed after the evidence was recorded, in words."""
        folder, figure = request.suite.folder, request.figure.figure
        found = [
            changed_since(folder, full_name, request.protocol, figure, request.claim)
            for full_name in experiments
        ]
        what = [word for word in ("YAML entry", "check") if any(word in each for each in found)]
        return (
            (
                f"the {' and the '.join(what)} {'have' if len(what) > 1 else 'has'} changed since "
                "the evidence was recorded"
            )
            if what
            else ""
        )

    def _is_stale(self, run: Run, env: Environment) -> bool:
        return env != Environment(identity(run), torch.__version__, self.device_name)

    def _trained(
        self, experiments: dict[str, tuple[Run, ...]]
    ) -> dict[Run, tuple[Curves, Environment]]:
        runs = list(dict.fromkeys(run for part in experiments.values() for run in part))
        found: dict[Run, tuple[Curves, Environment]] = {}
        if self.options.accept_stale:
            for run in self.executor.missing(runs):
                stale = self.store.get_stale(run, self.executor.environment(run))
                if stale is not None:
                    found[run] = stale
        wanted = [run for run in runs if run not in found]
        self.executor.ensure(wanted)
        for run in wanted:
            env = self.executor.environment(run)
            found[run] = (cast("Curves", self.store.get(run, env)), env)
        return found

    def _replayed(
        self, request: Request, experiments: dict[str, tuple[Run, ...]]
    ) -> dict[Run, tuple[Curves, Environment]]:
        found: dict[Run, tuple[Curves, Environment]] = {}
        for full_name, runs in experiments.items():
            curves = recorded(request.suite.folder, full_name, request.protocol, runs)
            if curves is None:
                raise NotRun(
                    f"no recorded evidence of {full_name} under protocol {request.protocol}"
                )
            found.update(curves)
        return found

    def _cost(self, request: Request, found: dict[Run, tuple[Curves, Environment]]) -> CostPart:
        if self._uses is None:
            self._uses = {}
            for each in self.requests:
                for run in self._planned(each):
                    self._uses.setdefault(run, set()).add(each.claim.id)
        shared = sum(len(self._uses.get(run, {request.claim.id})) > 1 for run in found)
        seconds = sum(curves.seconds for curves, _ in found.values())
        steps = sum(int(curves.step[-1]) for curves, _ in found.values())
        return CostPart(runs=len(found), steps=steps, seconds=round(seconds, 3), shared_runs=shared)
