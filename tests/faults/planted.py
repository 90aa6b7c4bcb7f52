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
from omnigrok.training import beginning, feed, stack, step
from omnigrok.training.sphere import held_square


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
    original = step.TorchStep.prepare

    def prepare(self: Any, work: float) -> Any:
        if self.functions is None:
            gradient_of, update = original(self, work)
            runs, dtype = self.replicas.runs, self.replicas.dtype
            gamma = torch.tensor([run.weight_decay for run in runs], dtype=dtype)[:, None]

            def coupled(weights: Any, *rest: Any) -> Any:
                gradient, carried = gradient_of(weights, *rest)
                return gradient + gamma * weights, carried

            self.functions = coupled, update
        return self.functions

    step.TorchStep.prepare = prepare  # type: ignore[method-assign]
    _decay_off()


def _projection_off() -> None:
    """Runs at constant norm are not put back on their sphere."""
    step.rescale_ = lambda *args: None


def _alpha_ignored() -> None:
    """Every network starts at the norm of alpha = 1."""
    original = stack.begin

    def begin(runs: Any, device: Any, root: Any, states: Any) -> Any:
        network, replicas = original(runs, device, root, states)
        if not states:
            for row, run in enumerate(runs):
                replicas.weights[row] /= run.alpha
            first_size = network.flat.sizes[0]
            replicas.held = held_square(replicas.weights, network.form.constraint, first_size)
        return network, replicas

    stack.begin = begin


def _splits(change: Any) -> None:
    original = beginning.find_task

    def find_task(name: str) -> Any:
        task = original(name)

        class Changed:
            accuracy = staticmethod(task.accuracy)

            @staticmethod
            def split(run: Any, root: Any) -> Any:
                return change(run, task.split(run, root))

        return Changed

    beginning.find_task = find_task


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
    original, order = stack.begin, feed.batch_order

    def begin(runs: Any, *rest: Any) -> Any:
        network, replicas = original([run.replace(seed=0) for run in runs], *rest)
        replicas.runs = list(runs)
        return network, replicas

    stack.begin = begin
    feed.batch_order = lambda run, *rest: order(run.replace(seed=0), *rest)


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
