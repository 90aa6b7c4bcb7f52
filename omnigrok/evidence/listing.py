"""The Runs of an evidence file as JSON: what they share stands once, what differs stands for each.

``{"common": {"run": {"task": "mnist", ...}}, "each": [{"run": {"seed": 0}, ...}, ...]}``
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omnigrok.curves import Curves
from omnigrok.errors import BadInput, EvidenceError
from omnigrok.run import MOST_LOGGED, Run
from omnigrok.store.encode import dump_json
from omnigrok.store.store import Environment

LONGEST_TEXT = 4000
MOST_RUNS = 100_000
_DEEPEST = 8


@dataclass(frozen=True)
class Entry:
    """All that an evidence file says of a Run but its columns.

    Args:
        run: the Run.
        environment: where it was trained.
        points: logged steps.
        diverged, seconds, provenance: as in Curves.
    """

    run: Run
    environment: Environment
    points: int
    diverged: bool
    seconds: float
    provenance: Mapping[str, Any]


def entry_of(curves: Curves, environment: Environment) -> Entry:
    """What is listed of a result."""
    return Entry(
        curves.run,
        environment,
        len(curves.step),
        bool(curves.diverged),
        float(curves.seconds),
        dict(curves.provenance),
    )


def pack(entries: Sequence[Entry]) -> dict[str, Any]:
    """Entries as a JSON object; the inverse of ``unpack``."""
    common: dict[str, Any] = _row(entries[0]) if entries else {}
    for entry in entries:
        common = _shared(common, _row(entry))
    return {"common": common, "each": [_without(_row(entry), common) for entry in entries]}


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "run": entry.run.as_dict(),
        "digest": entry.run.digest,
        "identity": entry.environment.identity,
        "torch": entry.environment.torch,
        "device": entry.environment.device,
        "points": entry.points,
        "diverged": entry.diverged,
        "seconds": entry.seconds,
        "provenance": dict(entry.provenance),
    }


def unpack(listed: Any) -> list[Entry]:
    """Entries from what ``pack`` gave.

    Raises:
        EvidenceError: a key is missing or unknown, a value is not accepted, or a Run is listed
            twice.
    """
    if (
        not isinstance(listed, Mapping)
        or set(listed) != {"common", "each"}
        or not isinstance(listed["common"], dict)
        or not isinstance(listed["each"], list)
    ):
        raise EvidenceError("its list of runs is damaged")
    if len(listed["each"]) > MOST_RUNS:
        raise EvidenceError(f"it lists {len(listed['each'])} runs; at most {MOST_RUNS} are read")
    entries = [_entry(_merged(listed["common"], row)) for row in listed["each"]]
    if len({entry.run.digest for entry in entries}) < len(entries):
        raise EvidenceError("a Run is listed twice")
    return entries


def check_text(value: Any, depth: int = 0) -> None:
    """Refuse JSON that is nested deeply or has very long or unprintable text.

    Raises:
        EvidenceError: naming the text.
    """
    if depth > _DEEPEST:
        raise EvidenceError(f"its metadata is nested more than {_DEEPEST} deep")
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT or not value.isprintable():
            raise EvidenceError(f"{value[:40]!r} is not accepted as text in its metadata")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            check_text(key, depth + 1)
            check_text(part, depth + 1)
    elif isinstance(value, list | tuple):
        for part in value:
            check_text(part, depth + 1)


def _entry(row: Any) -> Entry:
    names = {"run", "digest", "identity", "torch", "device", "points", "diverged", "seconds"}
    if not isinstance(row, dict) or set(row) != names | {"provenance"}:
        raise EvidenceError("its list of runs is damaged")
    place = (row["identity"], row["torch"], row["device"])
    points, seconds = row["points"], row["seconds"]
    if (
        not all(isinstance(text, str) and len(text) <= 200 for text in place)
        or type(points) is not int
        or not 1 <= points <= MOST_LOGGED
        or not isinstance(row["diverged"], bool)
        or isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not (math.isfinite(seconds) and seconds >= 0)
        or not isinstance(row["provenance"], dict)
    ):
        raise EvidenceError("what it lists of a Run is missing or of a wrong type")
    try:
        run = Run.from_dict(row["run"])
    except (BadInput, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EvidenceError(f"a Run in it is not accepted: {error}") from error
    if run.digest != row["digest"]:
        raise EvidenceError(f"a Run in it is not the one with the digest {row['digest']!r:.40}")
    return Entry(
        run, Environment(*place), points, row["diverged"], float(seconds), row["provenance"]
    )


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that both have with one value; of values that are both objects, what these share."""
    found: dict[str, Any] = {}
    for key, value in one.items():
        if key not in other:
            continue
        twin = other[key]
        if isinstance(value, Mapping) and isinstance(twin, Mapping):
            found[key] = _shared(value, twin)
        elif value is twin or dump_json(value) == dump_json(twin):
            found[key] = value
    return found


def _without(row: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """What a row has that the common part has not."""
    found = {}
    for key, value in row.items():
        if key not in common:
            found[key] = value
        elif isinstance(value, Mapping):
            rest = _without(value, common[key])
            if rest:
                found[key] = rest
    return found


def _merged(common: Mapping[str, Any], row: Any, depth: int = 0) -> Any:
    """The inverse of ``_without``.

    Raises:
        EvidenceError: a row says again, or otherwise, what all share.
    """
    if not isinstance(row, Mapping) or depth > _DEEPEST:
        raise EvidenceError("its list of runs is damaged")
    found = dict(row)
    for key, value in common.items():
        if isinstance(value, Mapping):
            found[key] = _merged(value, row.get(key, {}), depth + 1)
        elif key in row:
            raise EvidenceError(f"its list of runs gives {key!r:.40} twice")
        else:
            found[key] = value
    return found


def settings_of(runs: Iterable[Run]) -> dict[str, list[Any]]:
    """The settings in which the Runs differ, one value a Run, and always the seed: columns for
    people who open the file in a data-frame tool. Options are named ``data.p``; lists are left out.
    """
    rows = [flat(run) for run in runs]
    names = dict.fromkeys(name for row in rows for name in row)
    found = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name != "seed" and all(value == values[0] for value in values):
            continue
        kinds = {type(value) for value in values} - {type(None)}
        numbers = [value for value in values if isinstance(value, int)]
        if (len(kinds) > 1 and kinds != {int, float}) or any(abs(n) >= 2**53 for n in numbers):
            continue
        mixed = kinds == {int, float}
        found[name] = [float(value) if mixed and value is not None else value for value in values]
    return found


def flat(run: Run) -> dict[str, Any]:
    """The settings of a Run that are no lists; options are named ``data.p``."""
    found: dict[str, Any] = {}
    for name, value in run.as_dict().items():
        if isinstance(value, Mapping):
            found.update(
                {f"{name}.{key}": part for key, part in value.items() if not isinstance(part, list)}
            )
        elif not isinstance(value, list):
            found[name] = value
    return found
