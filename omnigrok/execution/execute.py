"""Train what is missing from a store: lease, resume, train a stack, checkpoint, record."""

from __future__ import annotations

import contextlib
import datetime
import gc
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch

from omnigrok.curves import Curves
from omnigrok.data import find_task
from omnigrok.errors import BadInput, DataCheckFailed, OmnigrokError, OutOfMemory, StaleToken
from omnigrok.execution.plan import StackPlan, plan
from omnigrok.execution.tally import Progress, Tally
from omnigrok.run import Run
from omnigrok.store import checkpoint
from omnigrok.store.leases import Leases, new_owner
from omnigrok.store.store import Environment, Store
from omnigrok.training.calendar import effective_batch
from omnigrok.training.device import describe, is_out_of_memory, memory_share
from omnigrok.training.identity import identity
from omnigrok.training.shape import shape_key
from omnigrok.training.stack import Stack
from omnigrok.training.state import State
from omnigrok.training.work import replica_bytes, step_operations

LEASE_SECONDS = 180.0
PATIENCE = 4.0
HEARTBEAT = 5.0
CHECKPOINT_EVERY = 60.0
STOPPING = (
    "stopping once the data is loaded or the chunk has ended, and saved; interrupt again to end at "
    "once, without saving"
)


class BudgetSpent(OmnigrokError):
    """The time given with ``--budget`` is over; what was trained is saved."""


def make_plan(runs: Iterable[Run], device: str, memory: float | None = None) -> list[StackPlan]:
    """The stacks that a set of Runs needs, the longest first, the same in every worker of a machine
    (``omnigrok.execution.plan.plan``).

    Args:
        runs: any Runs; repeated ones count once.
        device: "cpu" or "cuda".
        memory: bytes that a stack may take; by default this process's share of the device.
    """
    runs = list(dict.fromkeys(runs))
    forms: dict[Run, Run] = {}
    for run in runs:  # the largest batch of each shape: the others are filled up to it
        key = shape_key(run)
        forms[key] = max(forms.get(key, run), run, key=effective_batch)
    costs = {key: step_operations(form) for key, form in forms.items()}
    sizes = {key: replica_bytes(form) for key, form in forms.items()}
    return plan(
        runs, costs, device, sizes, memory_share(torch.device(device)) if memory is None else memory
    )


def can_be_built(run: Run) -> bool:
    """Whether the task and the model of a Run exist and accept its options, as far as that shows
    without data.
    """
    try:
        find_task(run.task)
        step_operations(run)
    # somebody else's module may raise anything; ``ensure`` raises it again for the claim that asks
    except Exception:
        return False
    return True


class Executor:
    """Trains Runs into a store; several workers may share the store and the plan.

    Args:
        store: where results, checkpoints and leases live.
        device: where stacks train.
        root: the folder of downloaded data.
        runs: everything this session needs, so that stacks are large.
        budget: seconds of training after which to stop cleanly.
        report: called with the progress every few seconds.
        say: tells a person one line, at any moment.
    """

    def __init__(
        self,
        store: Store,
        device: torch.device,
        root: Path,
        runs: Iterable[Run],
        budget: float = float("inf"),
        report: Callable[[Progress], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.store, self.device, self.root = store, device, root
        self.leases = Leases(store)
        self.owner = new_owner()
        # A setting that is not accepted is the error of the claim that asks for it, not of all the
        # others.
        self.stacks = make_plan((run for run in runs if can_be_built(run)), device.type)
        self.planned = {run for stack in self.stacks for run in stack.runs}
        self.deadline = time.monotonic() + budget
        self.report, self.say = report, say
        self.started = time.monotonic()
        self.tally = Tally()
        self._counted: set[StackPlan] = set()
        self.failed: set[StackPlan] = set()
        self.refused: dict[Run, OmnigrokError] = {}
        self._stop = False

    def environment(self, run: Run) -> Environment:
        """What besides the Run decides its numbers here."""
        return Environment(identity(run), torch.__version__, describe(self.device))

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
            self.stacks += make_plan(unplanned, self.device.type)
            self.planned.update(unplanned)
        self._count()
        with self._interruptible():
            while missing := self.missing(runs):
                for run in missing:
                    if run in self.refused:
                        raise self.refused[run]
                wanted = set(missing)
                mine = [stack for stack in self.stacks if wanted.intersection(stack.runs)]
                others = [
                    stack for stack in self.stacks if stack not in mine and stack not in self.failed
                ]
                try:
                    if any(self._train(stack) for stack in mine):
                        continue
                # this process slept, or its clock jumped, and another has taken the work over: wait
                # for it, and help
                except StaleToken:
                    continue
                if not self._help(others):
                    self._check_time()
                    time.sleep(0.2)
        if self._stop:  # it came after the last chunk
            self._check_time()

    def _count(self) -> None:
        """Plan what is missing of stacks that are new."""
        new = [stack for stack in self.stacks if stack not in self._counted]
        if new:
            self._counted.update(new)
            self.tally.plan(new, self.missing([run for stack in new for run in stack.runs]))

    def _help(self, stacks: Sequence[StackPlan]) -> bool:
        """Train one of the stacks that nobody here waits for; its errors belong to the claims that
        need it.
        """
        for stack in stacks:
            try:
                if self._train(stack):
                    return True
            except BudgetSpent:
                raise
            except StaleToken:
                return True
            except OmnigrokError:
                self.failed.add(stack)
        return False

    def _train(self, stack: StackPlan) -> bool:
        """Lease and train what is missing of a stack; False where there is nothing to lease."""
        missing = [run for run in self.missing(stack.runs) if run not in self.refused]
        if not missing:
            return False
        if (
            self.tally.steps_done
        ):  # a session trains something, however small its budget, and begins nothing more after it
            self._check_time()
        env = self.environment(missing[0])
        tokens = self.leases.acquire(missing, env, self.owner, LEASE_SECONDS)
        if not tokens:
            return False
        try:
            leased = [run for run in missing if run.digest in tokens]
            for part, states in self._resumable(leased, env):
                self._train_part(part, states, env, tokens)
        finally:
            self.leases.release(tokens)
        return True

    def _resumable(
        self, runs: Sequence[Run], env: Environment
    ) -> Iterator[tuple[list[Run], dict[Run, State]]]:
        """Runs with their checkpoints, grouped by the step they stand at."""
        by_step: dict[int, list[tuple[Run, State | None]]] = {}
        for run in runs:
            found = self.store.load_checkpoint(run, env)
            state = checkpoint.unpack(run, *found) if found else None
            by_step.setdefault(state.step if state else 0, []).append((run, state))
        for members in by_step.values():
            yield (
                [run for run, _ in members],
                {run: state for run, state in members if state is not None},
            )

    def _train_part(
        self, runs: list[Run], states: dict[Run, State], env: Environment, tokens: dict[str, int]
    ) -> None:
        if not self._train_whole(runs, states, env, tokens):
            # An error that went through torch.func leaves a cycle that holds the stack.
            gc.collect()
            torch.cuda.empty_cache()
            self._train_halves(runs, env, tokens)

    def _train_whole(
        self, runs: list[Run], states: dict[Run, State], env: Environment, tokens: dict[str, int]
    ) -> bool:
        """Train Runs as one stack; False where that cannot be, but can of its halves. On return
        nothing holds the stack.
        """
        try:
            self._loop(Stack(runs, self.device, self.root, states), env, tokens)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(runs) > 1:
                return False
            self.refused[runs[0]] = OutOfMemory(
                f"{runs[0].task}, {runs[0].model}: one network alone does not fit into the memory "
                f"of {env.device} ({error}); end what else "
                "uses it, name a smaller batch_size or eval_samples, or leave --gpu out"
            )
        except (BadInput, DataCheckFailed) as error:
            # One Run that the data or the network refuses is the error of the claim that asks for
            # it, not of all in its stack.
            if len(runs) > 1:
                return False
            self.refused[runs[0]] = error.with_traceback(None)
        return True

    def _train_halves(self, runs: list[Run], env: Environment, tokens: dict[str, int]) -> None:
        half = len(runs) // 2
        for part in (runs[:half], runs[half:]):
            for again, saved in self._resumable(self.missing(part), env):
                self._train_part(again, saved, env, tokens)

    def _loop(self, stack: Stack, env: Environment, tokens: dict[str, int]) -> None:
        saved = time.monotonic()
        self.tally.resume(list(stack.histories), stack.step)
        provenance = {
            "torch": env.torch,
            "device": env.device,
            "identity": env.identity,
            "precision": stack.form.precision,
            "stack": stack.size,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        while stack.histories:
            active, began = list(stack.histories), time.monotonic()
            done = stack.advance(HEARTBEAT)
            # A chunk of long steps may last longer than a lease, and the next one about as long as
            # this one.
            lease = max(LEASE_SECONDS, PATIENCE * (time.monotonic() - began))
            self.tally.advance(
                active, stack.step, {curves.run: int(curves.step[-1]) for curves in done}
            )
            if done:
                self._record(
                    [replace(curves, provenance=provenance) for curves in done], env, tokens
                )
            held = self.leases.renew(tokens, lease)  # those of the parts that wait, too
            if any(run.digest not in held for run in stack.histories):
                raise StaleToken(
                    f"store {self.store.path}: another process has taken over runs of this stack; "
                    "nothing of it was written"
                )
            over = self._stop or time.monotonic() > self.deadline
            if stack.histories and (over or time.monotonic() - saved > CHECKPOINT_EVERY):
                states = [
                    (run, state.step, checkpoint.pack(state))
                    for run, state in stack.states().items()
                ]
                self.store.checkpoint_many(states, env, tokens)
                saved = time.monotonic()
            self._tell(stack)
            if over:  # a signal that came after the checkpoint waits for the next one
                self._check_time()

    def _record(self, done: list[Curves], env: Environment, tokens: dict[str, int]) -> None:
        self.store.put_many(done, env, tokens)
        for curves in done:
            del tokens[curves.run.digest]

    def _tell(self, stack: Stack) -> None:
        if self.report is not None:
            losses = [
                history.columns["train_loss"][-1]
                for history in stack.histories.values()
                if history.logged
            ]
            now = f", training losses {min(losses):.3g} to {max(losses):.3g}" if losses else ""
            label = f"{stack.form.task}, {stack.size} networks, step {stack.step}{now}"
            self.report(self.tally.progress(time.monotonic() - self.started, label))

    def _check_time(self) -> None:
        if self._stop:
            raise KeyboardInterrupt(
                f"interrupted; what was trained is saved in {self.store.path}: run the same "
                "command to go on"
            )
        if time.monotonic() > self.deadline:
            raise BudgetSpent(
                f"the --budget is spent; what was trained is saved in {self.store.path}: run the "
                "same command to go on"
            )

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the chunk instead of tearing it; a second one ends the
        process.

        Loading data, compiling, or a chunk of long steps may take minutes, and nothing looks at
        ``_stop`` meanwhile.
        """

        def stop(number: int, frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt(
                    f"interrupted twice; what was saved before is in {self.store.path}"
                )
            self._stop = True
            if self.say is not None:
                self.say(STOPPING)

        previous = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not in the main thread
                previous[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
