"""What every engine does, and what goes to it and comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from omnigrok.curves import Curves
from omnigrok.errors import OmnigrokError
from omnigrok.run import Run
from omnigrok.store.store import Environment
from omnigrok.training.state import State


@dataclass(frozen=True, eq=False)
class Job:
    """One stack to train to its end.

    Args:
        number: tells jobs of one engine apart.
        runs: of one ``shape_key``.
        states: checkpoints, all at one step; empty for a start from the beginning.
    """

    number: int
    runs: tuple[Run, ...]
    states: Mapping[Run, State] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Where it goes on."""
        return next((state.step for state in self.states.values()), 0)


@dataclass(frozen=True)
class Failure:
    """Why a job cannot go on.

    Args:
        error: what a person reads.
        memory: the device has too little memory for that many networks.
        divisible: the halves of the stack may do better: of many networks one is at fault, or all
            are too many.
    """

    error: OmnigrokError
    memory: bool = False
    divisible: bool = False


@dataclass(frozen=True)
class Report:
    """How far a job is.

    Args:
        number: of the job.
        step: of the stack.
        active: Runs that were still training before the time reported.
        done: Curves finished since the last report.
        left: Runs that are not finished; a job without any is over.
        states: a checkpoint of those, where one was due.
        losses: the last training losses of those.
        env: where it is trained; None where nothing was.
        lost: its process has died; the job is over, and goes on from its last checkpoint elsewhere.
        failure: it cannot go on, and is over.
    """

    number: int
    step: int = 0
    active: Sequence[Run] = ()
    done: Sequence[Curves] = ()
    left: Sequence[Run] = ()
    states: Mapping[Run, State] = field(default_factory=dict)
    losses: Sequence[float] = ()
    env: Environment | None = None
    lost: bool = False
    failure: Failure | None = None


class Engine(Protocol):
    """Trains jobs on devices of one kind."""

    @property
    def kind(self) -> str:
        """ "cpu" or "cuda"."""
        ...

    @property
    def device(self) -> str:
        """The name of its devices, as records show it."""
        ...

    @property
    def torch(self) -> str:
        """The version of torch there."""
        ...

    @property
    def memory(self) -> float:
        """Bytes that a stack may take."""
        ...

    @property
    def slots(self) -> int:
        """Jobs that train at once."""
        ...

    @property
    def background(self) -> bool:
        """Whether jobs go on between two polls."""
        ...

    @property
    def shared(self) -> str:
        """A name of the device if other processes of this machine may train on it, too, and only
        one at a time should; "" otherwise.
        """
        ...

    def submit(self, job: Job) -> None:
        """Take a job; there are never more than ``slots``."""
        ...

    def poll(self, seconds: float, save_after: float) -> list[Report]:
        """Train, or wait for those who do.

        Args:
            seconds: about how long a job trains between two reports.
            save_after: seconds after which a report brings a checkpoint.

        Returns:
            Reports, at least one unless there is no job or none came in time. An error that comes
            neither from a Run's setting nor from a shortage of memory is raised.
        """
        ...

    def cancel(self, job: Job) -> None:
        """Forget a job; no report of it comes any more."""
        ...

    def stop(self) -> list[Report]:
        """End all jobs; the last report of each, with a checkpoint where one can be had."""
        ...

    def rest(self) -> None:
        """Give memory back that no job uses: another process trains next."""
        ...

    def close(self) -> None:
        """Give back what the engine holds; it is not used any more."""
        ...
