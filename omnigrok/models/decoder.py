"""The decoder of toy addition (Section 5.1, Figure 6): an MLP whose ends follow from the data
options.
"""

from __future__ import annotations

from omnigrok.data.addition import DIMENSION
from omnigrok.errors import BadInput
from omnigrok.models.mlp import MLP
from omnigrok.run import Run

# 1: the mlp of version 1 between the ends that the data options give.
VERSION = 1


def build(run: Run) -> MLP:
    """Options: ``hidden`` (list of widths) and ``activation``; inputs and outputs are those of
    ``representation`` and ``target_dim``.

    So a protocol chooses the representation and a tier the width. Equal to the model ``mlp`` with
    the ends written out.

    Raises:
        BadInput: an option is missing or not accepted.
    """
    hidden, representation = run.option("hidden"), run.option("representation", "scalar")
    if not isinstance(hidden, tuple) or not all(
        type(width) is int and width > 0 for width in hidden
    ):
        raise BadInput(f"network: the decoder needs hidden, a list of layer sizes, not {hidden!r}")
    if representation not in DIMENSION:
        raise BadInput(
            f"addition: representation = {representation!r} is not accepted; one of "
            f"{', '.join(DIMENSION)}"
        )
    return MLP(
        (DIMENSION[representation], *hidden, run.option("target_dim", 30)), run.option("activation")
    )
