"""Multi-layer perceptron: the network of Figures 2, 3, 6, 8, 11 and 12."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from omnigrok.options import NetworkOptions, Size
from omnigrok.run import Run

# 1: torch's default initialization, layer by layer.
VERSION = 1

Activation = Literal["tanh", "relu", "leaky_relu_0.2"]
ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu_0.2": partial(nn.LeakyReLU, 0.2),
}


class Options(NetworkOptions):
    """Options of ``Run.network`` (Sections 3 and 4, Appendix A).

    Args:
        widths: units of each layer, input and output included.
        activation: between the layers; the paper's are "tanh" (teacher-student) and "relu".
    """

    widths: Annotated[tuple[Size, ...], Field(min_length=2)]
    activation: Activation


class MLP(nn.Sequential):
    """Linear layers with an activation between them and a linear output.

    Args:
        widths: units of each layer, input and output included.
        activation: one of ``ACTIVATIONS``.
    """

    def __init__(self, widths: Sequence[int], activation: Activation) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):  # noqa: RUF007
            layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(..., widths[0]) to (..., widths[-1])."""
        for layer in self:
            x = layer(x)
        return x


def build(run: Run) -> MLP:
    """The network of a Run.

    Raises:
        BadInput: an option is missing or not accepted.
    """
    options = Options.of(run)
    return MLP(options.widths, options.activation)
