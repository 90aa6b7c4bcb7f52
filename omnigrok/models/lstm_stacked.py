"""LSTM over stacked replicas, any device and precision: a step of all replicas is one batched
matrix product and a few element-wise calls.

The equations of torch.nn.LSTM with back-propagation through time by hand. Everything that does not
wait for the previous step (the input's projection, the weights' gradients, the derivatives of the
activations) is done for a chunk of steps at once.

Shapes: R replicas, B reviews, T steps, V token ids, E embedding, H hidden units; a layer's weights
are (w_ih (R, 4 H, I), w_hh (R, 4 H, H), b_ih (R, 4 H), b_hh (R, 4 H)) with torch's order of gates:
input, forget, cell, output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Steps done together: enough to spread the cost of a call, few enough to stay in a cache and to
# bound the memory of an evaluation.
CHUNK = 25
PER_LAYER = 4


def lookup(tokens: Tensor, embedding: Tensor) -> Tensor:
    """(R, B, T) ids and (R, V, E) vectors to (R, T, B, E)."""
    replicas, _, width = embedding.shape
    index = tokens.mT.reshape(replicas, -1, 1).long()
    return embedding.gather(1, index.expand(-1, -1, width)).view(
        replicas, tokens.shape[2], tokens.shape[1], width
    )


def recur(gates: Tensor, w_hh: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Activates projected inputs (R, T, B, 4 H) in place, from state h and c (R, B, H); gives
    outputs and cells (R, T, B, H).
    """
    hidden = h.shape[-1]
    outputs, cells = (gates.new_empty(*gates.shape[:-1], hidden) for _ in range(2))
    recurrent = w_hh.mT.contiguous()
    # unbind, not indexing: slicing at every step is several times slower.
    for gate, output, cell in zip(gates.unbind(1), outputs.unbind(1), cells.unbind(1), strict=True):
        gate.baddbmm_(h, recurrent)
        i, f, g, o = gate.chunk(4, -1)
        gate[..., : 2 * hidden].sigmoid_()
        g.tanh_()
        o.sigmoid_()
        torch.mul(f, c, out=cell).addcmul_(i, g)
        torch.tanh(cell, out=output).mul_(o)
        h, c = output, cell
    return outputs, cells


def forward(
    tokens: Tensor, start: Tensor | None, parameters: Sequence[Tensor], keep: bool
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The top layer's output at the last step, the state there, and what ``backward`` needs of the
    way.

    Args:
        tokens: (R, B, T) ids.
        start: (R, 2, layers, B, H) outputs and cells before the first step; None for zero.
        parameters: the embedding (R, V, E) and the weights of each layer.
        keep: whether ``backward`` will be called.

    Returns:
        (R, B, H); (R, 2, layers, B, H); a list that only ``backward`` understands.
    """
    embedding, *weights = parameters
    layers = [weights[k : k + PER_LAYER] for k in range(0, len(weights), PER_LAYER)]
    replicas, batch, steps = tokens.shape
    if start is None:
        start = embedding.new_zeros(replicas, 2, len(layers), batch, layers[0][1].shape[-1])
    state = [(start[:, 0, k], start[:, 1, k]) for k in range(len(layers))]
    kept = []
    for first in range(0, steps, CHUNK):
        x = lookup(tokens[..., first : first + CHUNK], embedding)
        for k, (w_ih, w_hh, b_ih, b_hh) in enumerate(layers):
            gates = torch.baddbmm((b_ih + b_hh).unsqueeze(1), x.flatten(1, 2), w_ih.mT).view(
                *x.shape[:-1], -1
            )
            outputs, cells = recur(gates, w_hh, *state[k])
            if keep:
                kept += [
                    gates,
                    torch.cat([state[k][0].unsqueeze(1), outputs], 1),
                    torch.cat([state[k][1].unsqueeze(1), cells], 1),
                ]
            state[k] = outputs[:, -1], cells[:, -1]
            x = outputs
    end = torch.stack([torch.stack(part, 1) for part in zip(*state, strict=True)], 1)
    return state[-1][0].clone(), end, kept


def backward(
    grad: Tensor,
    tokens: Tensor,
    carried: bool,
    parameters: Sequence[Tensor],
    kept: Sequence[Tensor],
) -> list[Tensor]:
    """Gradients of the parameters, in their order, from that of the last output; ``carried``:
    whether ``forward`` had a ``start``.
    """
    embedding, *weights = parameters
    layers = [weights[k : k + PER_LAYER] for k in range(0, len(weights), PER_LAYER)]
    grads = [torch.zeros_like(weight) for weight in weights]
    d_embedding = torch.zeros_like(embedding)
    d_state = [
        (torch.zeros_like(kept[3 * k + 1][:, 0]), torch.zeros_like(kept[3 * k + 2][:, 0]))
        for k in range(len(layers))
    ]
    d_state[-1] = grad, d_state[-1][1]
    starts = range(0, tokens.shape[-1], CHUNK)
    for chunk in reversed(range(len(starts))):
        ids = tokens[..., starts[chunk] : starts[chunk] + CHUNK]
        d_outputs: Tensor | None = None
        for k in reversed(range(len(layers))):
            w_ih, w_hh, *_ = layers[k]
            at = 3 * (chunk * len(layers) + k)
            gates, outputs, cells = kept[at : at + 3]
            deltas, *d_state[k : k + 1] = unroll(gates, cells, w_hh, d_outputs, *d_state[k])
            flat = deltas.flatten(1, 2)
            x = kept[at - 2][:, 1:] if k else lookup(ids, embedding)
            grads[PER_LAYER * k].baddbmm_(flat.mT, x.flatten(1, 2))
            grads[PER_LAYER * k + 1].baddbmm_(flat.mT, outputs[:, :-1].flatten(1, 2))
            grads[PER_LAYER * k + 2] += flat.sum(1)
            d_outputs = torch.bmm(flat, w_ih).view(*deltas.shape[:-1], -1)
        if d_outputs is not None:
            index = ids.mT.reshape(len(ids), -1, 1).long()
            d_embedding.scatter_add_(
                1, index.expand(-1, -1, embedding.shape[-1]), d_outputs.flatten(1, 2)
            )
    for k in range(len(layers)):
        grads[PER_LAYER * k + 3] = grads[PER_LAYER * k + 2].clone()
    return [d_embedding, *grads]


def unroll(
    gates: Tensor, cells: Tensor, w_hh: Tensor, d_outputs: Tensor | None, dh: Tensor, dc: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Back through one chunk of one layer.

    Args:
        gates: (R, T, B, 4 H) activated.
        cells: (R, T + 1, B, H), the state before the chunk first.
        d_outputs: gradient of the chunk's outputs (R, T, B, H), or None for zero.
        dh, dc: gradients of the state after the chunk.

    Returns:
        Gradient of the gates before activation (R, T, B, 4 H), and those of the state before the
        chunk.
    """
    hidden = w_hh.shape[-1]
    i, f, g, o = gates.chunk(4, -1)
    tanh = cells[:, 1:].tanh()
    # What each gate's gradient is per unit of the cell's (the first three) and of the output's (the
    # last).
    slopes = torch.stack([g * (i - i * i), cells[:, :-1] * (f - f * f), i * (1 - g * g)], -2)
    out_slopes = tanh * (o - o * o)
    cell_slopes = o * (1 - tanh * tanh)
    deltas = torch.empty_like(gates)
    by_gate = deltas.view(*f.shape[:-1], 4, hidden)
    series = [
        t.unbind(1)
        for t in (
            deltas,
            by_gate[..., :3, :],
            by_gate[..., 3, :],
            slopes,
            out_slopes,
            cell_slopes,
            f,
        )
    ]
    above = d_outputs.unbind(1) if d_outputs is not None else [None] * gates.shape[1]
    for delta, of_cell, of_output, slope, out_slope, cell_slope, forget, extra in reversed(
        list(zip(*series, above, strict=True))
    ):
        if extra is not None:
            dh = dh + extra
        dc = torch.addcmul(dc, dh, cell_slope)
        torch.mul(dc.unsqueeze(-2), slope, out=of_cell)
        torch.mul(dh, out_slope, out=of_output)
        dh, dc = torch.bmm(delta, w_hh), dc * forget
    return deltas, (dh, dc)
