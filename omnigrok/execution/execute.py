"""Train what is missing from a store: lease, resume, train a stack, checkpoint, record."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from omnigrok.errors import EngineError, OmnigrokError, OutOfMemory, StaleToken
from omnigrok.execution.engines import Engine, Failure, Job, Report
from omnigrok.execution.interruption import Interruption
from omnigrok.execution.leased import LeasedStack, resumable
from omnigrok.execution.plan import StackPlan, can_be_built, checkpoint_seconds, make_plan
from omnigrok.execution.tally import Progress, Tally
from omnigrok.run import Run
from omnigrok.store import checkpoint
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store
from omnigrok.training.identity import identity

LEASE_SECONDS = 180.0
PATIENCE = 4.0
HEARTBEAT = 5.0
CHECKPOINT_EVERY = 60.0
# How often one job's process may die without progress; the next time it is taken to be killed for
# its memory.
MOST_DEATHS = 5
# The leases of devices are kept under this.
DEVICES = Environment("device", "", "")


class Executor:
    """Trains Runs into a store, and alone writes to it; several workers of one machine may share
    the store and the plan.

    Args:
        store: where results, checkpoints and leases live.
        engine: what trains.
        runs: everything this session needs, so that stacks are large.
        budget: seconds of training after which to stop cleanly.
        report: called with the progress every few seconds.
        say: tells a person one line, at any moment.
        begins: called with the progress before a stack loads its data and compiles, which may take
            longer than the reports of ``report`` are apart.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        runs: Iterable[Run],
        budget: float = float("inf"),
        report: Callable[[Progress], None] | None = None,
        say: Callable[[str], None] | None = None,
        begins: Callable[[Progress], None] | None = None,
    ) -> None:
        self.store, self.engine = store, engine
        self.leases = Leases(store)
        self.owner = new_owner()
        # A setting that is not accepted is the error of the claim that asks for it, not of all the
        # others.
        self.stacks = self._plan(run for run in runs if can_be_built(run))
        self.planned = {run for stack in self.stacks for run in stack.runs}
        self.interruption = Interruption(store.path, budget, say)
        self.report, self.begins = report, begins
        self.started = time.monotonic()
        self.tally = Tally()
        self._counted: set[StackPlan] = set()
        self.failed: set[StackPlan] = set()
        self.refused: dict[Run, OmnigrokError] = {}
        self._leased: list[LeasedStack] = []
        self._number = 0
        self._begun: set[int] = set()
        self._device: dict[str, int] = {}
        self._deaths: dict[tuple[tuple[Run, int], ...], int] = {}

    def _plan(self, runs: Iterable[Run]) -> list[StackPlan]:
        return make_plan(runs, self.engine.kind, self.engine.memory, self.engine.slots)

    def environment(self, run: Run) -> Environment:
        """What besides the Run decides its numbers where it is trained."""
        return Environment(identity(run), self.engine.torch, self.engine.device)

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Those without a result in this environment."""
        by_environment: dict[Environment, list[Run]] = {}
        for run in runs:
            by_environment.setdefault(self.environment(run), []).append(run)
        return [
            run
            for env, part in by_environment.items()
            for found in [self.store.has_many(part, env)]
            for run in part
            if run.digest not in found
        ]

    def ensure(self, runs: Sequence[Run]) -> None:
        """Train until every one of ``runs`` is recorded; while others train them, train what else
        is planned.

        Raises:
            BudgetSpent: the time is over.
            KeyboardInterrupt: after SIGINT, once the chunk has ended and the checkpoint is written;
                after a second one, at once.
            OmnigrokError: the data is missing, a setting is not accepted, or the store cannot be
                written.
        """
        unplanned = [run for run in runs if run not in self.planned]
        if unplanned:
            self.stacks += self._plan(unplanned)
            self.planned.update(unplanned)
        self._count()
        with self.interruption.listening():
            try:
                self._train_until_recorded(runs)
            except BaseException:
                self._abandon()
                raise
            finally:
                self._give_device_back()
        if self.interruption.asked:  # it came after the last chunk
            self.interruption.check()

    def close(self) -> None:
        """Save and give up what the engine still trains though no one waits for it."""
        self._save_and_stop()
        self.engine.close()

    def _train_until_recorded(self, runs: Sequence[Run]) -> None:
        while True:
            missing = self.missing(runs)
            # This process trains a stack to its end: what else is in it is asked for later.
            if not missing and (self.engine.background or not self._leased):
                return
            for run in missing:
                if run in self.refused:
                    self._save_and_stop()
                    raise self.refused[run]
            wanted = set(missing)
            self._fill(wanted)
            if not self._leased:
                if missing:
                    self.interruption.check()
                    time.sleep(0.2)
                continue
            save_after = checkpoint_seconds(CHECKPOINT_EVERY, self.engine.slots)
            for report in self.engine.poll(HEARTBEAT, save_after):
                self._take(report, wanted)
            self._renew_waiting()
            if self.interruption.is_due:
                self._save_and_stop()
                self.interruption.check()

    def _count(self) -> None:
        """Plan what is missing of stacks that are new."""
        new = [stack for stack in self.stacks if stack not in self._counted]
        if new:
            self._counted.update(new)
            self.tally.plan(new, self.missing([run for stack in new for run in stack.runs]))

    # Giving work to the engine

    @property
    def _free(self) -> int:
        return self.engine.slots - sum(len(leased.jobs) for leased in self._leased)

    def _fill(self, wanted: set[Run]) -> None:
        """Give the engine as many jobs as it takes: parts of what is leased, then what is wanted,
        then the rest of the plan, whose errors belong to the claims that need it.
        """
        for leased in self._leased:
            self._submit(leased)
        mine = [stack for stack in self.stacks if not wanted.isdisjoint(stack.runs)]
        others = [
            stack
            for stack in self.stacks
            if wanted.isdisjoint(stack.runs) and stack not in self.failed
        ]
        busy = {leased.plan for leased in self._leased}
        for stack in (*mine, *others):
            if self._free <= 0:
                return
            if stack not in busy:
                self._lease(stack)

    def _lease(self, stack: StackPlan) -> None:
        """Lease what is missing of a stack, and give it to the engine."""
        missing = [run for run in self.missing(stack.runs) if run not in self.refused]
        if not missing:
            return
        # A session trains something, however small its budget, and begins nothing more after it.
        if self.tally.steps_done and self.interruption.is_due:
            self._save_and_stop()
            self.interruption.check()
        if not self._has_device():
            return
        env = self.environment(missing[0])
        tokens = self.leases.acquire(missing, env, self.owner, LEASE_SECONDS)
        if tokens:
            part = [run for run in missing if run.digest in tokens]
            leased = LeasedStack(stack, env, tokens, [part], time.monotonic())
            self._leased.append(leased)
            self._submit(leased)

    def _has_device(self) -> bool:
        """Whether this process may train on the device now; only one does at a time."""
        if self.engine.shared and not self._device:
            self._device = self.leases.acquire(
                [self.engine.shared], DEVICES, self.owner, LEASE_SECONDS
            )
        return bool(self._device) or not self.engine.shared

    def _give_device_back(self) -> None:
        if self._device:
            self.engine.rest()
            self.leases.release(self._device)
            self._device = {}

    def _submit(self, leased: LeasedStack) -> None:
        while leased.parts and self._free > 0:
            groups = resumable(self.store, leased.parts.pop(0), leased.env)
            runs, states = groups[0]
            leased.parts[:0] = [members for members, _ in groups[1:]]
            self._number += 1
            job = leased.jobs[self._number] = Job(self._number, tuple(runs), states)
            self._say(self.begins, job, f"starting {len(job.runs)} networks")
            self.engine.submit(job)

    # Taking what comes back

    def _take(self, report: Report, wanted: set[Run]) -> None:
        """Record what is finished, save what is not, and see to what failed."""
        leased = next((each for each in self._leased if report.number in each.jobs), None)
        if leased is None:
            return
        job = leased.jobs[report.number]
        try:
            if report.lost:
                self._go_on_elsewhere(leased, job, wanted)
            elif report.failure is not None:
                self._divide(leased, job, report.failure, wanted)
            else:
                self._keep(leased, job, report)
                self._tell(job, report)
        # This process slept, or its clock jumped, and another has taken the work over: it is left
        # to that one.
        except StaleToken:
            self._drop(leased)
        if leased.is_over:
            self._drop(leased)

    def _keep(self, leased: LeasedStack, job: Job, report: Report) -> None:
        if report.env not in (None, leased.env):
            raise EngineError(
                f"the engine trains as {report.env}, and this process records as {leased.env}: "
                "have one version of omnigrok, of torch and of the modules to train everywhere, "
                "and one kind of device"
            )
        if job.number not in self._begun:
            self._begun.add(job.number)
            self.tally.resume(job.runs, job.step)
        ended = {curves.run: int(curves.step[-1]) for curves in report.done}
        self.tally.advance(report.active, report.step, ended)
        if report.done:
            provenance = {
                "torch": leased.env.torch,
                "device": leased.env.device,
                "identity": leased.env.identity,
                "precision": job.runs[0].precision,
                "stack": len(job.runs),
                "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            }
            self.store.put_many(
                [replace(curves, provenance=provenance) for curves in report.done],
                leased.env,
                leased.tokens,
            )
            for curves in report.done:
                del leased.tokens[curves.run.digest]
        # A chunk of long steps may last longer than a lease, and the next one about as long as this
        # one.
        since = time.monotonic() - leased.renewed
        self._renew(leased, max(LEASE_SECONDS, PATIENCE * since))
        self._checkpoint(leased, report)
        if not report.left:
            del leased.jobs[job.number]

    def _renew(self, leased: LeasedStack, seconds: float) -> None:
        held = self.leases.renew({**leased.tokens, **self._device}, seconds)
        leased.renewed = time.monotonic()
        if not leased.tokens.keys() <= held.keys():
            raise StaleToken(
                f"store {self.store.path}: another process has taken over runs of this stack; "
                "nothing of it was written"
            )

    def _renew_waiting(self) -> None:
        """Renew the leases of stacks that have not reported for long: an actor that builds, or is
        replaced.
        """
        for leased in list(self._leased):
            if time.monotonic() - leased.renewed > LEASE_SECONDS / 3:
                try:
                    self._renew(leased, LEASE_SECONDS)
                except StaleToken:
                    self._drop(leased)

    def _checkpoint(self, leased: LeasedStack, report: Report) -> None:
        if report.states:
            packed = [
                (run, state.step, checkpoint.pack(state)) for run, state in report.states.items()
            ]
            self.store.checkpoint_many(packed, leased.env, leased.tokens)

    def _go_on_elsewhere(self, leased: LeasedStack, job: Job, wanted: set[Run]) -> None:
        """Train what is missing of a job from its last checkpoint, unless its process dies of it
        again and again.
        """
        missing = self.missing(job.runs)
        saved = [self.store.load_checkpoint(run, leased.env) for run in missing]
        # Any progress makes another key.
        key = tuple(
            (run, found[0] if found else 0) for run, found in zip(missing, saved, strict=True)
        )
        self._deaths[key] = self._deaths.get(key, 0) + 1
        if self._deaths[key] > MOST_DEATHS:
            error = OutOfMemory(f"its process died {self._deaths[key]} times without a word")
            self._divide(leased, job, Failure(error, memory=True, divisible=True), wanted)
            return
        del leased.jobs[job.number]
        if missing:
            leased.parts.insert(0, missing)

    def _divide(self, leased: LeasedStack, job: Job, failure: Failure, wanted: set[Run]) -> None:
        """Train the halves of a stack that failed, or say why that is no use."""
        del leased.jobs[job.number]
        missing = self.missing(job.runs)
        if not failure.divisible:
            self._drop(leased)
            if wanted.isdisjoint(leased.plan.runs):
                self.failed.add(leased.plan)
                return
            raise failure.error
        if len(job.runs) > 1:
            half = len(job.runs) // 2
            halves = (set(job.runs[:half]), set(job.runs[half:]))
            parts = [[run for run in missing if run in each] for each in halves]
            leased.parts[:0] = [part for part in parts if part]
            return
        run = job.runs[0]
        self.refused[run] = failure.error
        if failure.memory:
            self.refused[run] = OutOfMemory(
                f"{run.task}, {run.model}: one network alone does not fit into the memory "
                f"of {leased.env.device} ({failure.error}); end what else "
                "uses it, name a smaller batch_size or eval_samples, or leave --gpu out"
            )

    # Ending

    def _drop(self, leased: LeasedStack) -> None:
        """Give a stack up: the engine forgets it, and others can take it."""
        if leased in self._leased:
            self._leased.remove(leased)
            for job in leased.jobs.values():
                self.engine.cancel(job)
            self.leases.release(leased.tokens)

    def _abandon(self) -> None:
        for leased in list(self._leased):
            self._drop(leased)

    def _save_and_stop(self) -> None:
        """Write a checkpoint of all that trains, and give it up."""
        for report in self.engine.stop():
            for leased in [each for each in self._leased if report.number in each.jobs]:
                with contextlib.suppress(StaleToken):
                    self._keep(leased, leased.jobs[report.number], report)
        for leased in self._leased:
            leased.jobs.clear()
        self._abandon()

    def _tell(self, job: Job, report: Report) -> None:
        losses = report.losses
        now = f", training losses {min(losses):.3g} to {max(losses):.3g}" if losses else ""
        self._say(self.report, job, f"{len(job.runs)} networks, step {report.step}{now}")

    def _say(self, told: Callable[[Progress], None] | None, job: Job, state: str) -> None:
        if told is not None:
            label = f"{job.runs[0].task}, {state}"
            told(self.tally.progress(time.monotonic() - self.started, label))
