"""One-layer decoder-only transformer of Nanda et al. (2023): the network of Figures 7, 9 and 10a
(Section 5.1, Appendices B and C).
"""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from omnigrok.data.modular import MODULUS, Modulus
from omnigrok.models import HELD
from omnigrok.options import DataOptions, NetworkOptions, Size
from omnigrok.run import Run

# 1: the authors' order of draws in float64; the output is read at the last position.
VERSION = 1

CONTEXT = 3

# On a CPU the paper's network trains faster alone than beside others, as its activations fill the
# cache: 8 in a stack make three quarters of the network-steps a second (one Xeon core, either
# precision).
SMALLEST_STACK = {"cpu": 1}


class Options(NetworkOptions):
    """Options of ``Run.network`` (Section 5.1); the defaults are those of the paper and of its
    code.

    Args:
        d_model: width of the residual stream.
        n_heads: attention heads, each of width d_model / n_heads.
        d_mlp: units of the MLP.
    """

    d_model: Size = 128
    n_heads: Size = 4
    d_mlp: Size = 512

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model = {self.d_model} must be a multiple of n_heads = {self.n_heads}"
            )
        return self


class FromData(DataOptions, extra="ignore"):
    """What is read of the data's options: the vocabulary is p + 1.

    Args:
        p: as of ``omnigrok.data.modular``.
    """

    p: Modulus = MODULUS


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
    """The network of a Run. The draws are in float64 whatever ``run.precision`` is, then rounded to
    it.

    Raises:
        BadInput: an option is not accepted.
    """
    options = Options.of(run)
    model = Transformer(FromData.of(run).p + 1, options.d_model, options.n_heads, options.d_mlp)
    return model if run.precision == "float64" else model.float()


def work(run: Run, model: nn.Module) -> tuple[float, float]:
    """Keys and values come from a table of tokens, so only what follows the attention is a product
    for each sample.
    """
    named = dict(model.named_parameters())
    after = [named[name].shape for name in ("output", "mlp_in", "mlp_out", "unembedding")]
    d_mlp, d_model = named["mlp_in"].shape
    vocabulary = named["unembedding"].shape[1]
    # The loss is in float64 where the Run says so: two numbers of 32 bits each.
    return 6.0 * sum(map(math.prod, after)), 10 * d_model + HELD * d_mlp + 2 * HELD * vocabulary
