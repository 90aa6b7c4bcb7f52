"""A stack of the plan whose missing Runs this process has leased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from omnigrok.execution.engines import Job
from omnigrok.execution.plan import StackPlan
from omnigrok.run import Run
from omnigrok.store import checkpoint
from omnigrok.store.store import Environment, Store
from omnigrok.training.state import State


@dataclass(eq=False)
class LeasedStack:
    """What this process trains of a stack.

    Args:
        plan: where it comes from.
        env: where it is trained.
        tokens: fencing tokens by digest, of what is not recorded yet.
        parts: Runs that wait for a place in the engine.
        renewed: when the leases were renewed.
        jobs: what the engine has, by number.
    """

    plan: StackPlan
    env: Environment
    tokens: dict[str, int]
    parts: list[list[Run]]
    renewed: float
    jobs: dict[int, Job] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing trains and nothing waits."""
        return not self.parts and not self.jobs


def resumable(
    store: Store, runs: Sequence[Run], env: Environment
) -> list[tuple[list[Run], dict[Run, State]]]:
    """Runs with their checkpoints, grouped by the step they stand at."""
    by_step: dict[int, list[tuple[Run, State | None]]] = {}
    for run in runs:
        found = store.load_checkpoint(run, env)
        state = checkpoint.unpack(run, *found) if found else None
        by_step.setdefault(state.step if state else 0, []).append((run, state))
    return [
        (
            [run for run, _ in members],
            {run: state for run, state in members if state is not None},
        )
        for members in by_step.values()
    ]
