"""How much a session has to train and how much of it is done, in runs, optimiser steps and
operations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from omnigrok.execution.plan import StackPlan
from omnigrok.run import Run


@dataclass
class Progress:
    """What a person wants to know while training goes on.

    Args:
        runs_done, runs_planned: of the runs that were missing when the session began to train.
        steps_done, steps_planned: optimiser steps over all networks; runs that may stop early are
            planned to their limit.
        seconds: since the session began.
        label: what is being trained.
        share: of the planned floating-point operations, 0 to 1; a step of one network may cost a
            thousand times one of another.
    """

    runs_done: int
    runs_planned: int
    steps_done: int
    steps_planned: int
    seconds: float
    label: str
    share: float = 0.0


class Tally:
    """Counts for ``Progress``. What was recorded before is not planned; what a checkpoint already
    holds is taken off the plan.
    """

    def __init__(self) -> None:
        self.runs_planned = self.runs_done = self.steps_planned = self.steps_done = 0
        self._work_planned = self._work_done = 0.0
        self._costs: dict[Run, float] = {}
        self._reached: dict[Run, int] = {}

    def plan(self, stacks: Iterable[StackPlan], missing: Collection[Run]) -> None:
        """Add what is missing of new stacks."""
        wanted = set(missing)
        for stack in stacks:
            for run in stack.runs:
                self._costs[run], self._reached[run] = stack.operations / stack.network_steps, 0
                if run in wanted:
                    self.runs_planned += 1
                    self._change_plan(run, run.steps)

    def _change_plan(self, run: Run, steps: int) -> None:
        self.steps_planned += steps
        self._work_planned += steps * self._costs[run]

    def resume(self, runs: Iterable[Run], step: int) -> None:
        """Runs go on from this step: from a checkpoint of another session, or again from one of
        this session.
        """
        for run in runs:
            self._change_plan(run, self._reached[run] - step)
            self._reached[run] = step

    def advance(self, runs: Iterable[Run], step: int, ended: Mapping[Run, int]) -> None:
        """Runs of one stack are at this step now; some ended, before their last step where they
        diverged or stopped early.
        """
        for run in runs:
            here = ended.get(run, step)
            gained = here - self._reached[run]
            self.steps_done += gained
            self._work_done += gained * self._costs[run]
            self._reached[run] = here
            if run in ended:
                self.runs_done += 1
                self._change_plan(run, here - run.steps)

    def progress(self, seconds: float, label: str) -> Progress:
        """The state of things."""
        share = min(self._work_done / self._work_planned, 1.0) if self._work_planned > 0 else 0.0
        return Progress(
            self.runs_done,
            self.runs_planned,
            self.steps_done,
            self.steps_planned,
            seconds,
            label,
            share,
        )
