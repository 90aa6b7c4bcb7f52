"""What is in an evidence file: recorded Curves as Parquet, one row a logged step.

The columns are ``run`` (digest of the Run), the settings in which the Runs differ, ``step``, and
what was logged. Runs, versions and provenance are JSON in the file's metadata. Floats are kept bit
by bit: as float32 where every value of a column is one, else as float64. Null means that a Run does
not log the column. Nothing that a file names is imported or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.evidence.listing import Entry, entry_of, pack, settings_of
from omnigrok.store.encode import dump_json
from omnigrok.store.store import Environment

FORMAT = 1
SUFFIX = ".parquet"
FILE_LIMIT = 96 << 20  # bytes; code hosts refuse files of 100 MB
# Values of one row group: decoding it takes at most 16 bytes each.
GROUP_LIMIT = 1 << 23
TOTAL_LIMIT = 1 << 28
COLUMN_LIMIT = 100
DESCRIPTION, LISTING = "omnigrok.evidence", "omnigrok.runs"

Result = tuple[Curves, Environment]


def equal(one: Result, other: Result) -> bool:
    """Whether two results are the same: curves bit by bit (any NaN equals any other), and all
    that is listed of them.
    """
    (left, here), (right, there) = one, other
    return (
        dump_json(pack([entry_of(left, here)])) == dump_json(pack([entry_of(right, there)]))
        and set(left.columns) == set(right.columns)
        and np.array_equal(left.step, right.step)
        and all(_same_bits(left[name], right[name]) for name in left.columns)
    )


def _same_bits(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    numbers = ~np.isnan(left)
    return np.array_equal(left, right, equal_nan=True) and np.array_equal(
        np.signbit(left[numbers]), np.signbit(right[numbers])
    )


def setting_columns(entries: Sequence[Entry], logged: Sequence[str]) -> dict[str, list[Any]]:
    """The settings in which the Runs differ, a value a Run."""
    found = settings_of(entry.run for entry in entries)
    return {name: found[name] for name in found if name not in ("run", "step", *logged)}


def repeated(values: Sequence[Any], points: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Each value as often as its Run has logged steps."""
    places = np.repeat(np.arange(len(values)), points)
    return pa.array(values, kind).take(pa.array(places))
