"""The LSTM as one differentiable function that vmap stacks: it hands all replicas to the engine that suits their device."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from omnigrok.models import lstm_packed, lstm_stacked


def engine(tensor: Tensor) -> ModuleType:
    """oneDNN replica by replica for float32 on the CPU, the stacked recurrence for everything else."""
    return lstm_packed if lstm_packed.available(tensor) else lstm_stacked


def merge(size: int, tensor: Tensor, dim: int | None) -> Tensor:
    """The axis that vmap maps over, merged into the replica axis; what all replicas share is repeated."""
    tensor = tensor.unsqueeze(0).expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return tensor.flatten(0, 1)


class StackedLSTM(torch.autograd.Function):
    """(keep, tokens (R, B, T), embedding (R, V, E), weights of the layers) to the last output (R, B, H), and the engine's notes.

    The notes belong to all replicas at once, so under vmap they are an output without a mapped axis. With ``keep`` False there are none,
    and no gradient.
    """

    @staticmethod
    def forward(keep: bool, tokens: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        last, notes = engine(parameters[0]).forward(tokens, parameters, keep)
        return (last, *notes)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.n_inputs = len(inputs) - 1
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[1:], *output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> Any:
        return None, None, *StackedLSTMBackward.apply(ctx.n_inputs, grad, *ctx.saved_tensors)  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], keep: bool, *tensors: Tensor) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        merged = [merge(info.batch_size, tensor, dim) for tensor, dim in zip(tensors, in_dims[1:], strict=True)]
        last, *notes = StackedLSTM.apply(keep, *merged)  # type: ignore[no-untyped-call]
        return (last.unflatten(0, (info.batch_size, -1)), *notes), (0, *[None] * len(notes))


class StackedLSTMBackward(torch.autograd.Function):
    """Gradients of the parameters; a function of its own, so that vmap hands all replicas to the engine here too."""

    @staticmethod
    def forward(n_inputs: int, grad: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        tokens, *parameters = tensors[:n_inputs]
        return tuple(engine(grad).backward(grad, tokens, parameters, tensors[n_inputs:]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise NotImplementedError("the LSTM has no second derivative here")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], n_inputs: int, *tensors: Tensor) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        size, last = info.batch_size, 1 + n_inputs
        merged = [merge(size, tensor, dim) for tensor, dim in zip(tensors[:last], in_dims[1 : last + 1], strict=True)]
        grads = StackedLSTMBackward.apply(n_inputs, *merged, *tensors[last:])  # type: ignore[no-untyped-call]
        return tuple(grad.unflatten(0, (size, -1)) for grad in grads), (0,) * len(grads)
