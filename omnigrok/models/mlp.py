"""Multi-layer perceptron: the network of Figures 2, 3, 6, 8, 11 and 12."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.run import Run

# 1: torch's default initialization, layer by layer.
VERSION = 1

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu_0.2": partial(nn.LeakyReLU, 0.2),
}


class MLP(nn.Sequential):
    """Linear layers with an activation between them and a linear output.

    Args:
        widths: units of each layer, input and output included.
        activation: one of ``ACTIVATIONS``.
    """

    def __init__(self, widths: Sequence[int], activation: str) -> None:
        if activation not in ACTIVATIONS:
            raise BadInput(
                f"network: activation = {activation!r} is not accepted; one of "
                f"{', '.join(ACTIVATIONS)}"
            )
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
    """Options: ``widths`` and ``activation``.

    Raises:
        BadInput: an option is missing or not accepted.
    """
    widths, activation = run.option("widths"), run.option("activation")
    if (
        not isinstance(widths, tuple)
        or len(widths) < 2
        or not all(type(width) is int and width > 0 for width in widths)
    ):
        raise BadInput("network: the mlp needs widths, a list of at least two layer sizes")
    return MLP(widths, activation)
