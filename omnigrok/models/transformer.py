"""One-layer decoder-only transformer of Nanda et al. (2023): the network of Figures 7, 9 and 10a
(Section 5.1, Appendices B and C).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from omnigrok.data.modular import modulus
from omnigrok.errors import BadInput
from omnigrok.run import Run

# 1: the authors' order of draws in float64; the output is read at the last position.
VERSION = 1

CONTEXT = 3
DEFAULTS = {"d_model": 128, "n_heads": 4, "d_mlp": 512}


class Transformer(nn.Module):
    """Causal attention and a ReLU MLP on a residual stream, without layer norm; the output is read
    at the last position.

    Weights are N(0, 1) / sqrt(d_model), except the unembedding's N(0, 1) / sqrt(vocabulary); the
    MLP's biases start at zero and nothing else has a bias; the unembedding is not tied to the
    embedding. All is drawn in float64 in the authors' order and layout.

    Args:
        vocabulary: tokens in and out, the equals sign included.
        d_model: width of the residual stream.
        n_heads: attention heads, each of width d_model / n_heads.
        d_mlp: units of the MLP.
    """

    def __init__(self, vocabulary: int, d_model: int, n_heads: int, d_mlp: int) -> None:
        super().__init__()
        d_head = d_model // n_heads

        def draw(*shape: int, fan: int = d_model) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64) / math.sqrt(fan)

        # The order of these lines is the order of draws: docs/protocol.md depends on it.
        self.embedding = nn.Parameter(draw(d_model, vocabulary).T.contiguous())
        self.position = nn.Parameter(draw(CONTEXT, d_model))
        self.key = nn.Parameter(draw(n_heads, d_head, d_model))
        self.query = nn.Parameter(draw(n_heads, d_head, d_model))
        self.value = nn.Parameter(draw(n_heads, d_head, d_model))
        self.output = nn.Parameter(draw(d_model, d_model))
        self.mlp_in = nn.Parameter(draw(d_mlp, d_model))
        self.bias_in = nn.Parameter(torch.zeros(d_mlp, dtype=torch.float64))
        self.mlp_out = nn.Parameter(draw(d_model, d_mlp))
        self.bias_out = nn.Parameter(torch.zeros(d_model, dtype=torch.float64))
        self.unembedding = nn.Parameter(draw(d_model, vocabulary, fan=vocabulary))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, 3) int64 tokens to (batch, vocabulary) logits; every prompt of a batch must end
        in the same token.

        In a single layer keys and values depend on token and position alone, and only the last
        position's query is used, to which the causal mask hides nothing. So both come from a table
        of (position, token) instead of being computed for each sample.
        """
        n_heads, d_head, _ = self.key.shape
        table = self.embedding + self.position.unsqueeze(1)  # (position, token, d_model)
        last = table[-1].index_select(0, tokens[:1, -1])  # (1, d_model)
        query = self.query @ last.squeeze(0)  # (head, d_head)
        to_scores = (query.unsqueeze(1) @ self.key).squeeze(1).T / math.sqrt(
            d_head
        )  # (d_model, head)
        to_values = self.value.flatten(0, 1).T  # (d_model, d_model)
        # At the first positions one row for each sample, at the last one row for all of them.
        at = [tokens[:, position] for position in range(CONTEXT - 1)]
        scores = [rows[index] for rows, index in zip(table[:-1] @ to_scores, at, strict=True)]
        values = [rows[index] for rows, index in zip(table[:-1] @ to_values, at, strict=True)]
        attention = torch.stack([*scores, (last @ to_scores).expand_as(scores[0])]).softmax(
            0
        )  # (position, batch, head)
        heads = [value.unflatten(-1, (n_heads, d_head)) for value in (*values, last @ to_values)]
        mixed = [
            share.unsqueeze(-1) * value for share, value in zip(attention, heads, strict=True)
        ]  # (batch, head, d_head) each
        stream = last + (mixed[0] + mixed[1] + mixed[2]).flatten(-2) @ self.output.T
        hidden = (stream @ self.mlp_in.T + self.bias_in).relu()
        stream = stream + hidden @ self.mlp_out.T + self.bias_out
        logits: Tensor = stream @ self.unembedding
        return logits


def build(run: Run) -> Transformer:
    """Options: ``d_model`` (128), ``n_heads`` (4) and ``d_mlp`` (512); the vocabulary is the data's
    ``p`` + 1.

    The defaults are those of the paper and of its code. The draws are in float64 whatever
    ``run.precision`` is, then rounded to it.

    Raises:
        BadInput: an option is not accepted.
    """
    sizes = {name: run.option(name, default) for name, default in DEFAULTS.items()}
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(
                f"network: {name} = {value!r} is not accepted; give a whole number of 1 or more"
            )
    if sizes["d_model"] % sizes["n_heads"]:
        raise BadInput(
            f"network: d_model = {sizes['d_model']} must be a multiple of n_heads = "
            f"{sizes['n_heads']}"
        )
    model = Transformer(modulus(run) + 1, **sizes)
    return model if run.precision == "float64" else model.float()
