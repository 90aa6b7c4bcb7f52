"""torch's step of a stack: batch, forward, backward, update and projection of all replicas.

It is taken as it is, compiled where that pays, or captured as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from omnigrok.training import graph
from omnigrok.training.device import (
    compile_any_shape,
    quiet_compiler,
    share_compiler,
    should_compile,
)
from omnigrok.training.feed import Feed
from omnigrok.training.network import Network
from omnigrok.training.optimizer import adamw_, clip
from omnigrok.training.replicas import Replicas
from omnigrok.training.sphere import remove_radial, rescale_

Gradient = Callable[..., tuple[Tensor, dict[str, Tensor]]]
Update = Callable[..., None]


class TorchStep:
    """The step of one stack; made again when replicas leave it.

    Args:
        network, replicas: what is trained, in place.
        feed: what each step reads.
    """

    def __init__(self, network: Network, replicas: Replicas, feed: Feed) -> None:
        self.network, self.replicas, self.feed = network, replicas, feed
        self.functions: tuple[Gradient, Update] | None = None
        self.full_batch: tuple[tuple[Tensor, ...], Tensor, Tensor | None] | None = None
        device = replicas.device
        # A recurrent network's step, which is not compiled either, has thousands of kernels.
        at_once = graph.AT_ONCE if network.compiles else 1
        self.replayed = graph.Replayed(device, at_once) if graph.wanted(device) else None

    @property
    def fixed(self) -> bool:
        """Whether the step is compiled or captured for this number of replicas."""
        return self.replayed is not None or self.functions not in (None, self._plain)

    @property
    def _plain(self) -> tuple[Gradient, Update]:
        return self.network.gradient, adamw_

    def leave_uncompiled(self) -> None:
        """Take the functions as they are, to spare the seconds of compiling them."""
        self.functions = self._plain

    def prepare(self, work: float) -> tuple[Gradient, Update]:
        """The gradient and the update, compiled where that pays.

        The projection stays outside: fused with a reduction over the weights it just wrote,
        inductor 2.13 fails on the CPU (KeyError on a buffer in outer-loop fusion).

        Args:
            work: floating-point operations that all replicas have before them.
        """
        if self.functions is None:
            self.functions = self._plain
            if should_compile(work, self.network.compiles, self.replicas.device):
                share_compiler()
                self.functions = (
                    torch.compile(self.network.gradient, dynamic=False),
                    torch.compile(adamw_, dynamic=compile_any_shape(work)),
                )
        return self.functions

    def take(self, count: int, work: float) -> None:
        """Take ``count`` steps that are laid out in the feed; the host is asked for nothing between
        them.

        Args:
            work: as of ``prepare``.
        """
        self.prepare(work)
        with quiet_compiler():
            if self.replayed is not None:
                self.replayed(self.take_one, count)
                return
            for _ in range(count):
                self.take_one()

    def take_one(self) -> None:
        """The next step of the feed, in place."""
        network, replicas, turn = self.network, self.replicas, self.feed.take()
        form, first_size = network.form, network.flat.sizes[0]
        gradient_of, update = self.functions or self._plain
        if turn.begins is not None:
            for name in network.carries:
                values = replicas.buffers[name]
                values.masked_fill_(turn.begins.view(-1, *[1] * (values.ndim - 1)), 0)
        if turn.positions is None:
            inputs, targets, real = self._fixed_batch()
        else:
            samples = replicas.samples
            inputs, targets = samples.take(samples.train.gather(1, turn.positions))
            real = turn.real
        weights = replicas.weights
        gradient, carried = gradient_of(weights, replicas.buffers, inputs, targets, real)
        for name, values in carried.items():
            replicas.buffers[name].copy_(values)
        if form.constraint == "tangent":
            gradient = remove_radial(gradient, weights)
        if form.clip:
            gradient = clip(gradient, form.clip)
        if form.constraint == "published":
            rescale_(weights, replicas.held, form.constraint, first_size)
        update(
            weights,
            replicas.first,
            replicas.second,
            gradient,
            form.betas,
            turn.decay,
            turn.step_size,
            turn.second,
        )
        if form.constraint in ("rescale", "rescale_double", "tangent"):
            rescale_(weights, replicas.held, form.constraint, first_size)

    def _fixed_batch(self) -> tuple[tuple[Tensor, ...], Tensor, Tensor | None]:
        if self.full_batch is None:
            samples = self.replicas.samples
            inputs, targets = samples.take(samples.train)
            real = samples.train_real if samples.filled_up else None
            self.full_batch = inputs, targets, real
        return self.full_batch
