"""An executable audit of "Omnigrok: Grokking Beyond Algorithmic Data" (Liu, Michaud, Tegmark, ICLR
2023).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnigrok.curves import Curves
    from omnigrok.report.frames import Tables
    from omnigrok.run import Run

__all__ = ["Run", "load", "train"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """``omnigrok.Run``, imported when it is first used."""
    if name == "Run":
        return importlib.import_module("omnigrok.run").Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(path: str | Path) -> Tables:
    """Open recorded evidence or an audit as tables (``pyarrow.Table``, with ``to_pandas()``).

    ``load("claims").curves`` has every recorded curve, one row a logged step; ``.verdicts`` and
    ``.findings`` have what is derived from them: the recorded evidence is judged then, in a process
    of its own. ``load("audit.json")`` has the verdicts and findings of an audit.

    Args:
        path: an evidence file, a folder of them, a claims folder, or an audit's JSON.

    Raises:
        BadInput: there is nothing at this path.
    """
    from omnigrok.report.frames import Tables  # noqa: PLC0415 (pyarrow takes long to import)

    return Tables(Path(path))


def train(
    runs: Sequence[Run], device: str = "cpu", data_root: str | Path | None = None
) -> list[Curves]:
    """Train some Runs, those of one shape together, and return their curves in the order of
    ``runs``. Nothing is recorded.

    Args:
        runs: training runs, of any data sets and architectures.
        device: as torch names it.
        data_root: folder of downloaded data; None takes $OMNIGROK_DATA or the user's cache folder.

    Raises:
        BadInput: a data set or architecture is unknown, or does not accept an option.
        OmnigrokError: data are missing.
    """
    from omnigrok.training.accepted import check_options  # noqa: PLC0415 (torch)
    from omnigrok.training.stack import train as train_stack  # noqa: PLC0415
    from omnigrok.training.stackable import shape_key  # noqa: PLC0415

    check_options(runs)
    root = None if data_root is None else Path(data_root)
    stacks: dict[Any, list[Run]] = {}
    for run in dict.fromkeys(runs):
        stacks.setdefault(shape_key(run), []).append(run)
    found = {
        curves.run: curves for part in stacks.values() for curves in train_stack(part, device, root)
    }
    return [found[run] for run in runs]
