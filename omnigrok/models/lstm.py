"""Two-layer LSTM over token ids: the network of Figure 4 (IMDb; Section 4 and Appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.models.lstm_function import run_lstm
from omnigrok.run import Run

# 1: torch's nn.LSTM initialization; the last step is read; padding has a trained embedding.
VERSION = 1

# The recurrence is one call of hand-written steps: nothing is left for the compiler to fuse, and
# unrolled it would compile for minutes.
COMPILE = False

DEFAULTS = {"vocabulary": 1000, "embedding": 64, "hidden": 128, "layers": 2}


class LSTM(nn.Module):
    """Embedding, LSTM layers and a linear unit that reads the last step.

    The submodules hold the parameters, under torch's names and with torch's initialization in the
    order of construction; nn.LSTM itself is never called, since vmap cannot stack it. Without
    gradients (``torch.no_grad``) nothing is kept for a backward pass.

    Args:
        vocabulary: token ids other than 0, the padding; padding has a trained embedding like any
            token, as in the authors' code.
        embedding: width of an embedding.
        hidden: units of each layer.
        layers: LSTM layers.
        carry: if positive, batches of so many reviews start from the state in the buffer ``state``,
            and ``forward`` returns the new one beside the logits; other batches start from zero and
            leave it alone.
    """

    def __init__(
        self, vocabulary: int, embedding: int, hidden: int, layers: int, carry: int = 0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary + 1, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        self.state: Tensor | None
        self.register_buffer("state", torch.zeros(2, layers, carry, hidden) if carry else None)
        self.carries = ("state",) if carry else ()

    def forward(self, tokens: Tensor) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """(B, T) integer tokens, padded with 0 on the left, to (B,) logits of a positive review."""
        parameters = [self.embedding.weight]
        for k in range(self.lstm.num_layers):
            parameters += [
                getattr(self.lstm, f"{name}_l{k}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
        start = self.state
        fits = start is not None and start.shape[-2] == len(tokens)
        last, end = run_lstm(tokens, start if fits else None, parameters)
        logits: Tensor = self.fc(last).squeeze(-1)
        return logits if start is None else (logits, {"state": end if fits else start})


def build(run: Run) -> LSTM:
    """The network of Figure 4.

    Options: ``vocabulary`` (1000; an option of the data, read from there), ``embedding`` (64),
    ``hidden`` (128 in the paper, 256 in the code), ``layers`` (2), ``carry`` (False; True in the
    code: the state goes on from one batch to the next of an epoch, without gradient).

    Raises:
        BadInput: an option is not accepted.
    """
    sizes = {}
    for name, default in DEFAULTS.items():
        value = run.option(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadInput(
                f"network: {name} = {value!r} is not accepted; the lstm needs a whole number, 1 or "
                "more"
            )
        sizes[name] = value
    carry = run.option("carry", False)
    if not isinstance(carry, bool):
        raise BadInput(f"network: carry = {carry!r} is not accepted; true or false")
    unknown = sorted({name for name, _ in run.network} - {*DEFAULTS, "carry"})
    if unknown:
        raise BadInput(
            f"network: unknown option {unknown[0]!r}; the lstm accepts {', '.join(DEFAULTS)}, carry"
        )
    batch = min(run.batch_size or run.n_train, run.n_train)
    return LSTM(**sizes, carry=batch if carry else 0)
