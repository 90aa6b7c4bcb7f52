"""One network of a stack as a value: its form, and the loss and gradient that follow from weights.

It knows no replica and no data, so nothing that keeps it (a compiled step, a captured graph) keeps
the memory of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from omnigrok.run import Run
from omnigrok.training.objective import per_sample_loss, weighted_mean


class Flat:
    """The parameters of a network as one vector: names, shapes and sizes in registration order."""

    def __init__(self, model: nn.Module) -> None:
        self.names = [name for name, _ in model.named_parameters()]
        self.shapes = [parameter.shape for parameter in model.parameters()]
        self.sizes = [parameter.numel() for parameter in model.parameters()]

    def split(self, weights: Tensor) -> dict[str, Tensor]:
        """(P,) vector to named parameters."""
        parts = torch.split(weights, self.sizes)
        return {
            name: part.view(shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }


@dataclass(frozen=True, eq=False)
class Network:
    """What all replicas of a stack share.

    Args:
        form: a Run of the stack; its loss and precisions count.
        template: the model, without values.
        flat: its parameters as a vector.
        carries: names of buffers that the model hands on from one batch to the next.
        accuracy: of the task: (Run, outputs, targets) to name to a value a sample.
        compiles: whether the model can be compiled.
    """

    form: Run
    template: nn.Module
    flat: Flat
    carries: tuple[str, ...]
    accuracy: Callable[[Run, Tensor, Tensor], Mapping[str, Tensor]]
    compiles: bool = True

    def loss(
        self,
        weights: Tensor,
        buffers: dict[str, Tensor],
        inputs: tuple[Tensor, ...],
        targets: Tensor,
        real: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss of one network on a batch, and what the model carries to the next batch.

        Args:
            weights: (P,).
            buffers: name to value.
            inputs: (B, ...) each.
            targets: (B, ...).
            real: (B,) whether a sample counts; None if all do.
        """
        outputs = functional_call(self.template, (self.flat.split(weights), buffers), inputs)
        carried: dict[str, Tensor] = {}
        if self.carries:
            outputs, carried = outputs
        return weighted_mean(per_sample_loss(self.form, outputs, targets), real), carried

    def gradient(
        self,
        weights: Tensor,
        buffers: dict[str, Tensor],
        inputs: tuple[Tensor, ...],
        targets: Tensor,
        real: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(R, P) gradient of every replica's ``loss``, and what it carries; all arguments have a
        leading replica axis.
        """
        axes = (0, 0, 0, 0, None if real is None else 0)
        gradient, carried = vmap(grad(self.loss, has_aux=True), in_dims=axes)(
            weights, buffers, inputs, targets, real
        )
        return gradient, carried
