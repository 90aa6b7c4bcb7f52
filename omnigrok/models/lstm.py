"""Two-layer LSTM over token ids: the network of Figure 4 (IMDb; Section 4 and Appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from omnigrok.data.imdb import Length, Vocabulary
from omnigrok.errors import BadInput
from omnigrok.models.lstm_function import run_lstm
from omnigrok.models.lstm_stacked import CHUNK
from omnigrok.options import DataOptions, NetworkOptions, Size
from omnigrok.run import Run

# 1: torch's nn.LSTM initialization; the last step is read; padding has a trained embedding.
VERSION = 1

# The recurrence is one call of hand-written steps: nothing is left for the compiler to fuse, and
# unrolled it would compile for minutes.
COMPILE = False

VOCABULARY = 1000
# Share of the 500 tokens of an IMDb review that are words and not padding: the mean of a split,
# stop words kept.
WORDS = 0.34


class Options(NetworkOptions):
    """Options of ``Run.network`` (Section 4, Appendix A).

    Args:
        vocabulary: token ids other than 0, the padding; null for that of the data, or 1000 if they
            name none.
        embedding: width of an embedding.
        hidden: units of each layer; 128 in the paper, 256 in the code.
        layers: LSTM layers.
        carry: whether the state goes on from one batch to the next of an epoch, without gradient;
            true in the code.
    """

    vocabulary: Size | None = None
    embedding: Size = 64
    hidden: Size = 128
    layers: Size = 2
    carry: bool = False


class FromData(DataOptions, extra="ignore"):
    """What is read of the data's options.

    Args:
        vocabulary: as of ``omnigrok.data.imdb``.
        length: as of ``omnigrok.data.imdb``.
    """

    vocabulary: Vocabulary | None = None
    length: Length = 500


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
        carry: if positive, batches of this many reviews start from the state in the buffer
            ``state``, and ``forward`` returns the new one with the logits; other batches start from
            zero and leave it alone.
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

    Raises:
        BadInput: an option is not accepted, or the data have another vocabulary.
    """
    options, given = Options.of(run), FromData.of(run).vocabulary
    if given and options.vocabulary not in (None, given):
        raise BadInput(
            f"lstm: network.vocabulary = {options.vocabulary} is not accepted; data.vocabulary is "
            f"{given}"
        )
    batch = min(run.batch_size or run.n_train, run.n_train)
    return LSTM(
        given or options.vocabulary or VOCABULARY,
        options.embedding,
        options.hidden,
        options.layers,
        carry=batch if options.carry else 0,
    )


def work(run: Run, model: nn.Module) -> tuple[float, float]:
    """Every token goes through every layer; the embedding is looked up."""
    options, steps = Options.of(run), FromData.of(run).length
    weights = [
        parameter for name, parameter in model.named_parameters() if name.startswith("lstm.weight")
    ]
    operations = 6.0 * steps * sum(weight.numel() for weight in weights)
    return operations, steps * (2 * options.embedding + 8 * options.hidden * options.layers)


def work_share(run: Run, kind: str) -> float:
    """The share of the tokens that the engine goes through: the one for float32 on a CPU skips
    padding, unless a state is carried over; the stacked recurrence skips nothing.
    """
    skips = kind == "cpu" and run.precision != "float64" and not Options.of(run).carry
    return WORDS if skips else 1.0


def evaluation_share(run: Run) -> float:
    """The share of a sample's numbers that an evaluation holds: one chunk of tokens."""
    return min(1.0, CHUNK / int(run.option("length", 500)))
