"""A pytest plugin that plants one fault in the trainer or the data, named by $OMNIGROK_PLANTED. For
tests only.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from omnigrok.audit import session
from omnigrok.data.split import Pool, Split
from omnigrok.training import feed, stack


def _decay_off() -> None:
    """The optimiser leaves weight decay out."""
    original = feed.schedule

    def schedule(*args: Any) -> Any:
        plan = original(*args)
        return replace(plan, decay=torch.ones_like(plan.decay))

    feed.schedule = schedule


def _decay_coupled() -> None:
    """L2 regularisation instead of decoupled decay: gamma w joins the gradient, where Adam
    normalises it away.
    """
    original = stack.Stack._stepper

    def stepper(self: Any) -> Any:
        gradient_of, update = original(self)
        gamma = torch.tensor([run.weight_decay for run in self.runs], dtype=self.dtype)[:, None]

        def coupled(weights: Any, *rest: Any) -> Any:
            gradient, carried = gradient_of(weights, *rest)
            return gradient + gamma * weights, carried

        return coupled, update

    stack.Stack._stepper = stepper  # type: ignore[method-assign]
    _decay_off()


def _projection_off() -> None:
    """Runs at constant norm are not put back on their sphere."""
    stack.rescale_ = lambda *args: None


def _alpha_ignored() -> None:
    """Every network starts at the norm of alpha = 1."""
    original = stack.Stack._build

    def build(self: Any, states: Any) -> None:
        original(self, states)
        if not states:
            for row, run in enumerate(self.runs):
                self.weights[row] /= run.alpha
            self.held = stack.held_square(self.weights, self.form.constraint, self.flat.sizes[0])

    stack.Stack._build = build  # type: ignore[method-assign]


def _splits(change: Any) -> None:
    original = stack.find_task

    def find_task(name: str) -> Any:
        task = original(name)

        class Changed:
            accuracy = staticmethod(task.accuracy)

            @staticmethod
            def split(run: Any, root: Any) -> Any:
                return change(run, task.split(run, root))

        return Changed

    stack.find_task = find_task


def _labels_shuffled() -> None:
    """The targets of the training set are permuted."""

    def change(run: Any, split: Split) -> Split:
        targets = split.pool.targets.clone()
        order = np.random.default_rng(run.seed + 99).permutation(len(split.train))
        targets[split.train] = targets[split.train[torch.as_tensor(order)]]
        return Split(Pool(split.pool.inputs, targets), split.train, split.test)

    _splits(change)


def _test_in_train() -> None:
    """A training sample is in the test set, too."""
    _splits(
        lambda run, split: Split(split.pool, split.train, torch.cat([split.test, split.train[:1]]))
    )


def _seeds_equal() -> None:
    """All seeds train the network of seed 0."""
    original = stack.Stack.__init__

    def init(self: Any, runs: Any, *args: Any, **kwargs: Any) -> None:
        original(self, [run.replace(seed=0) for run in runs], *args, **kwargs)
        self.histories = dict(
            zip(
                runs,
                [stack.State(np.zeros(0), np.zeros(0), np.zeros(0), 0.0) for _ in runs],
                strict=True,
            )
        )
        self.runs = list(runs)
        self.calendar = {run: frozenset(stack.log_steps(run)) for run in runs}

    stack.Stack.__init__ = init  # type: ignore[method-assign]


def _grid_shifted() -> None:
    """The logged steps are off by one."""
    original = session.AuditSession._trained

    def trained(self: Any, experiments: Any) -> Any:
        found = original(self, experiments)
        return {
            run: (replace(curves, step=curves.step + 1), env)
            for run, (curves, env) in found.items()
        }

    session.AuditSession._trained = trained  # type: ignore[method-assign]


FAULTS = {
    "decay_off": _decay_off,
    "decay_coupled": _decay_coupled,
    "projection_off": _projection_off,
    "alpha_ignored": _alpha_ignored,
    "labels_shuffled": _labels_shuffled,
    "test_in_train": _test_in_train,
    "seeds_equal": _seeds_equal,
    "grid_shifted": _grid_shifted,
}

if os.environ.get("OMNIGROK_PLANTED"):
    FAULTS[os.environ["OMNIGROK_PLANTED"]]()
