"""The decoder of toy addition (Section 5.1, Figure 6): an MLP whose ends follow from the data
options.
"""

from __future__ import annotations

from omnigrok.data.addition import DIMENSION, TARGET_DIM, Representation
from omnigrok.models.mlp import MLP, Activation
from omnigrok.options import DataOptions, NetworkOptions, Size
from omnigrok.run import Run

# 1: the mlp of version 1 between the ends that the data options give.
VERSION = 1


class Options(NetworkOptions):
    """Options of ``Run.network`` (Section 5.1, Appendix D).

    Args:
        hidden: units of each hidden layer.
        activation: between the layers.
    """

    hidden: tuple[Size, ...]
    activation: Activation


class FromData(DataOptions, extra="ignore"):
    """What is read of the data's options: inputs and outputs follow from them.

    Args:
        representation: as of ``omnigrok.data.addition``.
        target_dim: as of ``omnigrok.data.addition``.
    """

    representation: Representation = "scalar"
    target_dim: Size = TARGET_DIM


def build(run: Run) -> MLP:
    """The network of a Run, with inputs and outputs as of ``FromData``.

    So a protocol chooses the representation and a tier the width. Equal to the model ``mlp`` with
    the ends written out.

    Raises:
        BadInput: an option is missing or not accepted.
    """
    options, data = Options.of(run), FromData.of(run)
    ends = DIMENSION[data.representation], data.target_dim
    return MLP((ends[0], *options.hidden, ends[1]), options.activation)
