"""LSTM on the CPU in float32: torch's fused oneDNN layer, replica by replica, without the steps on
padding.

Reviews are padded on the left and start from a zero state, so until its first word every review
goes through the same states. One extra row, the chain, goes through them once; time is cut into
chunks, and a review joins at the chunk of its first word with the chain's state. That is exact, and
at length 500 saves about three fifths of the steps (more without stop words). A state carried over
from another batch leaves nothing to share: then all reviews go through all steps. Shapes as in
``lstm_stacked``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from omnigrok.models.lstm_stacked import PER_LAYER

# Shorter chunks waste fewer steps on padding, and cost more calls.
CHUNK = 50
PER_CALL = 7
LSTM_MODE = 2

Result = TypeVar("Result")


def available(tensor: Tensor) -> bool:
    """Whether torch's fused layer takes such tensors here."""
    mkldnn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and mkldnn


def side_by_side(function: Callable[[int], Result], replicas: int) -> list[Result]:
    """The function of each replica's number, one thread a replica, as many at a time as torch has
    threads.

    Threads inside the fused layer would meet at a barrier in every step, and on busy cores wait
    there most of the time.
    """
    threads = torch.get_num_threads()
    if min(threads, replicas) == 1:
        return [function(r) for r in range(replicas)]
    try:
        # The setting counts for the thread that makes it, and as torch's own for threads to come.
        with ThreadPoolExecutor(
            min(threads, replicas), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(function, range(replicas)))
    finally:
        torch.set_num_threads(threads)


def plan(tokens: Tensor, carried: bool) -> tuple[Tensor, list[int]]:
    """Order in which the reviews of (B, T) tokens join, and how many have joined in each chunk."""
    batch, steps = tokens.shape
    if carried:
        return torch.arange(batch), [batch] * -(-steps // CHUNK)
    real = tokens != 0
    first = torch.where(real.any(1), real.int().argmax(1), steps - 1)
    first, order = first.sort(stable=True)
    ends = torch.arange(CHUNK, steps + CHUNK, CHUNK).clamp(max=steps)
    return order, torch.searchsorted(first, ends).tolist()


def join(state: Tensor, before: int, now: int, batch: int) -> Tensor:
    """State (1, rows, H) of the next chunk: the rows that had joined, the chain's for those that
    join, and the chain while it is needed.
    """
    return torch.cat(
        [state[:, :before], state[:, before:].expand(-1, now - before + (now < batch), -1)], 1
    )


def leave(d_state: Tensor, before: int, had_chain: bool) -> Tensor:
    """The gradient of ``join``."""
    return (
        torch.cat([d_state[:, :before], d_state[:, before:].sum(1, keepdim=True)], 1)
        if had_chain
        else d_state
    )


def rows_of(tokens: Tensor, order: Tensor, now: int, start: int) -> Tensor:
    """(steps, rows) ids of a chunk, the chain's zeros last."""
    ids = tokens[order[:now], start : start + CHUNK].mT.int()
    return torch.nn.functional.pad(ids, (0, int(now < len(tokens))))


def forward(
    tokens: Tensor, start: Tensor | None, parameters: Sequence[Tensor], keep: bool
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As ``lstm_stacked.forward``."""
    ends, kept = [], []

    def one(r: int) -> tuple[Tensor, list[Tensor]]:
        return forward_one(
            tokens[r],
            None if start is None else start[r].detach(),
            [each[r].detach() for each in parameters],
            keep,
        )

    for end, parts in side_by_side(one, len(tokens)):
        ends.append(end)
        kept += parts
    stack = torch.stack(ends)
    return stack[:, 0, -1].clone(), stack, kept


def forward_one(
    tokens: Tensor, start: Tensor | None, parameters: Sequence[Tensor], keep: bool
) -> tuple[Tensor, list[Tensor]]:
    """One replica: (B, T) tokens to the last state (2, layers, B, H), and for each chunk and layer
    what the fused backward wants.
    """
    embedding, *weights = parameters
    layers = [weights[k : k + PER_LAYER] for k in range(0, len(weights), PER_LAYER)]
    batch = len(tokens)
    order, counts = plan(tokens, start is not None)
    before = 0 if start is None else batch
    if start is None:
        start = embedding.new_zeros(2, len(layers), 1, layers[0][1].shape[-1])
    state = [(start[0, k : k + 1], start[1, k : k + 1]) for k in range(len(layers))]
    kept = []
    for chunk, now in enumerate(counts):
        x = torch.nn.functional.embedding(rows_of(tokens, order, now, chunk * CHUNK), embedding)
        for k, layer in enumerate(layers):
            hidden = layer[1].shape[-1]
            h, c = (join(part, before, now, batch).contiguous() for part in state[k])
            with torch.set_grad_enabled(
                keep
            ):  # the fused layer hands out its workspace in this mode only
                out, h_out, c_out, space = torch.ops.aten.mkldnn_rnn_layer(
                    x, *layer, h, c, False, [], LSTM_MODE, hidden, 1, True, False, False, keep
                )
            if keep:
                kept += [x, h, c, out, h_out, c_out, space]
            state[k] = h_out, c_out
            x = out
        before = now
    ordered = torch.stack([torch.cat(part) for part in zip(*state, strict=True)])
    end = torch.empty_like(ordered)
    end[:, :, order] = ordered
    return end, kept


def backward(
    grad: Tensor,
    tokens: Tensor,
    carried: bool,
    parameters: Sequence[Tensor],
    kept: Sequence[Tensor],
) -> list[Tensor]:
    """As ``lstm_stacked.backward``."""
    each = len(kept) // len(tokens)
    grads = [torch.zeros_like(parameter) for parameter in parameters]

    # in each thread: parameters that require a gradient would have this one recorded
    @torch.no_grad()
    def one(r: int) -> None:
        notes = kept[r * each : (r + 1) * each]
        backward_one(
            grad[r], tokens[r], carried, [p[r] for p in parameters], notes, [g[r] for g in grads]
        )

    side_by_side(one, len(tokens))
    return grads


def backward_one(
    grad: Tensor,
    tokens: Tensor,
    carried: bool,
    parameters: Sequence[Tensor],
    kept: Sequence[Tensor],
    grads: Sequence[Tensor],
) -> None:
    """One replica; adds to ``grads``."""
    n_layers = len(parameters) // PER_LAYER
    batch = len(tokens)
    order, counts = plan(tokens, carried)
    d_h, d_c = (
        [grad.new_zeros(1, batch, parameters[2 + PER_LAYER * k].shape[-1]) for k in range(n_layers)]
        for _ in range(2)
    )
    d_h[-1] = grad[order].unsqueeze(0).contiguous()
    for chunk in reversed(range(len(counts))):
        before = counts[chunk - 1] if chunk else 0
        d_out: Tensor | None = None
        for k in reversed(range(n_layers)):
            at = PER_CALL * (chunk * n_layers + k)
            x, h, c, out, h_out, c_out, space = kept[at : at + PER_CALL]
            first = 1 + PER_LAYER * k
            layer = parameters[first : first + PER_LAYER]
            hidden = layer[1].shape[-1]
            d_out, *d_layer, d_hk, d_ck = torch.ops.aten.mkldnn_rnn_layer_backward(
                x,
                *layer,
                h,
                c,
                out,
                h_out,
                c_out,
                d_out,
                d_h[k],
                d_c[k],
                False,
                LSTM_MODE,
                hidden,
                1,
                True,
                True,
                False,
                [],
                False,
                space,
            )
            for total, part in zip(grads[first : first + PER_LAYER], d_layer, strict=True):
                total.add_(part)
            had_chain = chunk > 0 and before < batch
            d_h[k], d_c[k] = leave(d_hk, before, had_chain), leave(d_ck, before, had_chain)
        if d_out is not None:
            ids = rows_of(tokens, order, counts[chunk], chunk * CHUNK)
            grads[0].index_add_(0, ids.flatten(), d_out.flatten(0, 1))
