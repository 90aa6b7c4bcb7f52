"""Two-layer LSTM over token ids: the network of Figure 4 (IMDb; Section 4 and Appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.models.lstm_function import StackedLSTM
from omnigrok.runs.run import Run

# The recurrence is one call of hand-written steps: nothing is left for the compiler to fuse, and unrolled it would compile for minutes.
COMPILE = False

DEFAULTS = {"vocabulary": 1000, "embedding": 64, "hidden": 128, "layers": 2}


class LSTM(nn.Module):
    """Embedding, LSTM layers and a linear unit that reads the last step.

    The submodules hold the parameters, under torch's names and with torch's initialization in the order of construction; nn.LSTM itself is
    never called, since vmap cannot stack it. Without gradients (``torch.no_grad``) nothing is kept for a backward pass.

    Args:
        vocabulary: token ids other than 0, the padding; padding has a trained embedding like any token, as in the authors' code.
        embedding: width of an embedding.
        hidden: units of each layer.
        layers: LSTM layers.
    """

    def __init__(self, vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary + 1, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) integer tokens, padded with 0 on the left, to (B,) logits of a positive review."""
        weights = [self.embedding.weight]
        for k in range(self.lstm.num_layers):
            weights += [getattr(self.lstm, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        stack = [weight.unsqueeze(0) for weight in weights]
        last, *_ = StackedLSTM.apply(torch.is_grad_enabled(), tokens.unsqueeze(0), *stack)  # type: ignore[no-untyped-call]
        logits: Tensor = self.fc(last.squeeze(0))
        return logits.squeeze(-1)


def build(run: Run) -> LSTM:
    """Options: ``vocabulary`` (1000, the data's), ``embedding`` (64), ``hidden`` (128 in the paper, 256 in the code), ``layers`` (2).

    ``vocabulary`` is an option of the data set; the network reads it from there.

    Raises:
        BadInput: an option is not accepted.
    """
    sizes = {}
    for name, default in DEFAULTS.items():
        value = run.option(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(f"network: {name} = {value!r} is not accepted; the lstm needs a whole number, 1 or more")
        sizes[name] = value
    return LSTM(**sizes)
