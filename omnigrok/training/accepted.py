"""Whether the data set and the architecture of Runs accept their options, before anything is
loaded or trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from omnigrok.data import find_task
from omnigrok.models import find_model
from omnigrok.options import TypedOptions
from omnigrok.run import Run


def check_options(runs: Sequence[Run]) -> None:
    """Compare the options of Runs with the classes ``Options`` of their modules. A module of
    somebody else's need not have one.

    Raises:
        BadInput: there is no such module, or an option is not accepted.
    """
    # The Runs of a grid share the tuples of their options.
    distinct = {(run.task, run.model, id(run.data), id(run.network)): run for run in runs}
    for run in distinct.values():
        for module in (find_task(run.task), find_model(run.model)):
            options = getattr(module, "Options", None)
            if isinstance(options, type) and issubclass(options, TypedOptions):
                options.of(run)
