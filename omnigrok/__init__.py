"""An executable audit of "Omnigrok: Grokking Beyond Algorithmic Data" (Liu, Michaud, Tegmark, ICLR
2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omnigrok.report.frames import Tables

__version__ = "0.2.0"


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
