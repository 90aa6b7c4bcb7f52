"""An MLP that sees an image blended with a template of its class (Section 5.2, Eq. 7; Figure 8)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from omnigrok.errors import BadInput
from omnigrok.models import mlp
from omnigrok.run import Run

# 1: Eq. 7 around the mlp of version 1; templates label and linspace.
VERSION = 1


class Options(mlp.Options):
    """Options of ``Run.network`` (Section 5.2): those of ``omnigrok.models.mlp``, and the template.

    Args:
        widths: units of each layer, from pixels to classes.
        activation: between the layers.
        template: "label" (the text: "an image of a 2 is represented by a matrix with all elements
            being 2"; protocol ``paper``) or "linspace" (ten values from -0.5 to 0.5; ``code``).
    """

    template: Literal["label", "linspace"] = "label"


class MessyMLP(nn.Module):
    """MLP(m image + (1 - m) template), where every element of the template has the value of the
    class.

    Args:
        network: the MLP, from pixels to classes.
        messiness: m in [0, 1]; 1 is the raw image, 0 the template alone. A buffer: each replica of
            a stack has its own.
        template: (classes,) value of each class's template; a buffer too.
    """

    messiness: Tensor
    template: Tensor

    def __init__(self, network: mlp.MLP, messiness: Tensor, template: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("messiness", messiness)
        self.register_buffer("template", template)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """(..., pixels) images and (...) int64 classes to (..., classes)."""
        value = self.template[label].unsqueeze(-1)
        outputs: Tensor = self.network(self.messiness * image + (1 - self.messiness) * value)
        return outputs


def build(run: Run) -> MessyMLP:
    """The initial weights are those that the model ``mlp`` draws in the same random state; m is
    ``run.messiness``.

    Raises:
        BadInput: an option is missing or not accepted, or m is outside [0, 1].
    """
    options = Options.of(run)
    if not 0 <= run.messiness <= 1:
        raise BadInput(
            f"Run: messiness = {run.messiness!r} is not accepted by messy_mlp; in [0, 1]"
        )
    network = mlp.MLP(options.widths, options.activation)
    classes = options.widths[-1]
    # Both in the run's own precision: 0.98 in float32 is not 0.98 in float64.
    dtype = torch.float64 if run.precision == "float64" else torch.float32
    values = (
        torch.arange(classes, dtype=dtype)
        if options.template == "label"
        else torch.linspace(-0.5, 0.5, classes, dtype=dtype)
    )
    return MessyMLP(network, torch.tensor(run.messiness, dtype=dtype), values)
