"""The LSTM as one differentiable function that vmap stacks: it hands all replicas to the engine
that suits their device.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from omnigrok.models import lstm_packed, lstm_stacked

# Reviews of a replica that an evaluation holds at once: bounds its memory on large test sets.
SLAB = 512


def run_lstm(
    tokens: Tensor, start: Tensor | None, parameters: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """An LSTM over one network's reviews, differentiable with respect to the parameters.

    Args:
        tokens: (B, T) ids, padded with 0 on the left.
        start: (2, layers, B, H) outputs and cells to start from, through which no gradient flows;
            None for zero.
        parameters: embedding (V, E), then weight_ih, weight_hh, bias_ih and bias_hh of each layer,
            as in torch.nn.LSTM.

    Returns:
        The top layer's last output (B, H), and the last state (2, layers, B, H) without gradient.
    """
    stack = [None if each is None else each.unsqueeze(0) for each in (tokens, start, *parameters)]
    keep = torch.is_grad_enabled()
    last, end, *_ = StackedLSTM.apply(keep, *stack)  # type: ignore[no-untyped-call]
    return last.squeeze(0), end.squeeze(0)


def engine(tensor: Tensor) -> ModuleType:
    """oneDNN replica by replica for float32 on the CPU, the stacked recurrence for
    everything else.
    """
    return lstm_packed if lstm_packed.available(tensor) else lstm_stacked


def merge(size: int, tensor: Tensor | None, dim: int | None) -> Tensor | None:
    """The axis that vmap maps over, merged into the replica axis; what all replicas share is
    repeated.
    """
    if tensor is None:
        return None
    tensor = (
        tensor.unsqueeze(0).expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    )
    return tensor.flatten(0, 1)


class StackedLSTM(torch.autograd.Function):
    """``run_lstm`` with a leading replica axis on every tensor; the results are followed by the
    engine's notes for ``backward``.

    The notes belong to all replicas at once, so under vmap they are an output without a mapped
    axis. With ``keep`` False there are none, and no gradient.
    """

    @staticmethod
    def forward(
        keep: bool, tokens: Tensor, start: Tensor | None, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        forward = engine(parameters[0]).forward
        if keep or tokens.shape[1] <= SLAB:
            last, end, notes = forward(tokens, start, parameters, keep)
            return (last, end, *notes)
        slabs = []
        for first in range(0, tokens.shape[1], SLAB):
            part = slice(first, first + SLAB)
            slabs.append(
                forward(
                    tokens[:, part],
                    None if start is None else start[..., part, :],
                    parameters,
                    False,
                )
            )
        return torch.cat([last for last, *_ in slabs], 1), torch.cat(
            [end for _, end, _ in slabs], -2
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, tokens, start, *parameters = inputs
        ctx.carried, ctx.n_parameters = start is not None, len(parameters)
        ctx.mark_non_differentiable(*output[1:])
        # Or autograd would fill zeros of the size of all the notes, as their gradient.
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(tokens, *parameters, *output[2:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> Any:
        if grad is None:
            return (None,) * (3 + ctx.n_parameters)
        grads = StackedLSTMBackward.apply(  # type: ignore[no-untyped-call]
            ctx.carried, ctx.n_parameters, grad, *ctx.saved_tensors
        )
        return None, None, None, *grads

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], keep: bool, *tensors: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        merged = [
            merge(info.batch_size, tensor, dim)
            for tensor, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        last, end, *notes = StackedLSTM.apply(keep, *merged)  # type: ignore[no-untyped-call]
        results = [each.unflatten(0, (info.batch_size, -1)) for each in (last, end)]
        return (*results, *notes), (0, 0, *[None] * len(notes))


class StackedLSTMBackward(torch.autograd.Function):
    """Gradients of the parameters; a function of its own, so that vmap hands all replicas to the
    engine here too.
    """

    @staticmethod
    def forward(
        carried: bool, n_parameters: int, grad: Tensor, tokens: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        return tuple(
            engine(grad).backward(
                grad, tokens, carried, tensors[:n_parameters], tensors[n_parameters:]
            )
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise NotImplementedError("the LSTM has no second derivative here")

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        carried: bool,
        n_parameters: int,
        *tensors: Tensor,
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        stacked = 2 + n_parameters
        merged = [
            merge(info.batch_size, tensor, dim)
            for tensor, dim in zip(tensors[:stacked], in_dims[2 : stacked + 2], strict=True)
        ]
        grads = StackedLSTMBackward.apply(  # type: ignore[no-untyped-call]
            carried, n_parameters, *merged, *tensors[stacked:]
        )
        return tuple(grad.unflatten(0, (info.batch_size, -1)) for grad in grads), (0,) * len(grads)
