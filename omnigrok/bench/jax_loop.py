"""A stack of multi-layer perceptrons in JAX: ``vmap`` of ``grad``, AdamW by hand, a jitted
``scan``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnigrok.bench.loops import build, training_set
from omnigrok.errors import BadInput
from omnigrok.models.mlp import MLP
from omnigrok.run import Run
from omnigrok.training.calendar import batch_order, effective_batch
from omnigrok.training.optimizer import EPS

ABSENT = "needs JAX: pip install omnigrok[jax]"
ACTIVATIONS: dict[type[torch.nn.Module], str] = {torch.nn.Tanh: "tanh", torch.nn.ReLU: "relu"}


def installed() -> bool:
    """Whether JAX is."""
    return importlib.util.find_spec("jax") is not None


def stacked(runs: Sequence[Run], root: Path) -> _Trained:
    """Trains the networks of a stack on the CPU: same weights, samples and batches, float32, MSE.

    Args:
        root: the folder of downloaded data.

    Raises:
        BadInput: the Runs are not perceptrons with tanh or ReLU under ``mse``, or a batch of an
            epoch is smaller.
        ImportError: JAX, an extra, is not installed.
    """
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    run = runs[0]
    built = [build(each, torch.device("cpu"), root) for each in runs]
    model = built[0][0]
    kinds = {type(layer) for layer in list(model.children())[1::2]}
    ragged = run.n_train % effective_batch(run) != 0
    if (
        type(model) is not MLP
        or not kinds <= set(ACTIVATIONS)
        or run.loss != "mse"
        or run.precision != "float32"
        or ragged
    ):
        raise BadInput(
            "bench: JAX trains perceptrons with tanh or ReLU under mse in float32, with whole "
            "batches"
        )
    activation = getattr(jax.nn, ACTIVATIONS[kinds.pop()])
    device = jax.devices("cpu")[0]

    def put(parts: Sequence[torch.Tensor]) -> Any:
        return jax.device_put(np.stack([part.detach().numpy() for part in parts]), device)

    weights = [
        put(group) for group in zip(*(list(each.parameters()) for each, _ in built), strict=True)
    ]
    sets = [training_set(split) for _, split in built]
    inputs, targets = put([inputs[0] for inputs, _ in sets]), put([targets for _, targets in sets])

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        layers = list(zip(parameters[::2], parameters[1::2], strict=True))
        for matrix, bias in layers[:-1]:
            x = activation(x @ matrix.T + bias)
        matrix, bias = layers[-1]
        return jnp.mean((x @ matrix.T + bias - y) ** 2)

    gradient = jax.vmap(jax.grad(loss))
    beta1, beta2 = run.betas

    def step(x: Any, y: Any, state: Any, chosen: Any) -> Any:
        parameters, first, second, t = state
        if run.batch_size:
            x, y = (jax.vmap(lambda each, rows: each[rows])(values, chosen) for values in (x, y))
        slopes = gradient(parameters, x, y)
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, slopes, strict=True)]
        second = [beta2 * v + (1 - beta2) * g * g for v, g in zip(second, slopes, strict=True)]
        rate, scale = run.lr / (1 - beta1**t), jnp.sqrt(1 - beta2**t)
        parameters = [
            w * (1 - run.lr * run.weight_decay) - rate * m / (jnp.sqrt(v) / scale + EPS)
            for w, m, v in zip(parameters, first, second, strict=True)
        ]
        return (parameters, first, second, t + 1), None

    @partial(jax.jit, static_argnums=(4,), donate_argnums=(2,))
    def scan(x: Any, y: Any, state: Any, chosen: Any, count: int) -> Any:
        return jax.lax.scan(partial(step, x, y), state, chosen, length=count)[0]

    return _Trained(run, runs, scan, loss, (inputs, targets), weights)


class _Trained:
    """Takes steps when called, and knows the losses after them."""

    def __init__(
        self,
        run: Run,
        runs: Sequence[Run],
        scan: Callable[..., Any],
        loss: Callable[..., Any],
        samples: tuple[Any, Any],
        weights: list[Any],
    ) -> None:
        self.jax, self.jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
        self.run, self.runs, self.scan, self.loss, self.samples = run, runs, scan, loss, samples
        moments = ([self.jnp.zeros_like(values) for values in weights] for _ in range(2))
        self.state: Any = (weights, *moments, self.jnp.float32(1))
        self.taken = 0

    def _batches(self, count: int) -> Any:
        """(count, R, B) places in the training sets, as in the trainer; None for full batches."""
        if not self.run.batch_size:
            return None
        width = effective_batch(self.run)
        return self.jnp.asarray(
            np.stack([batch_order(each, self.taken, count, width)[0] for each in self.runs], axis=1)
        )

    def __call__(self, steps: int) -> None:
        self.state = self.jax.block_until_ready(
            self.scan(*self.samples, self.state, self._batches(steps), steps)
        )
        self.taken += steps

    def losses(self) -> Any:
        """(R,) training losses."""
        return np.asarray(self.jax.vmap(self.loss)(self.state[0], *self.samples))
