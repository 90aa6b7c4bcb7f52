"""The table of speeds and ratios, from what pytest-benchmark writes with ``--benchmark-json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from omnigrok.errors import BadInput

COLUMNS = (
    "networks",
    "ms a step",
    "network-steps/s",
    "x plain",
    "x on device",
    "GFLOP/s",
    "of layers",
    "of best",
    "peak MiB",
    "start s",
)


@dataclass(frozen=True)
class Speed:
    """One variant of one family on one device.

    Args:
        family, variant, device: what was timed.
        replicas: networks trained at once.
        steps: optimiser steps a round.
        seconds: of each round.
        operations: of one step of one network.
        layer_rate: operations a second of the family's own matrix products, batched.
        matrix_rate: those of the best batched matrix products here.
        start: seconds to build and compile.
        peak_bytes: memory of data, weights and a step.
    """

    family: str
    variant: str
    device: str
    replicas: int
    steps: int
    seconds: tuple[float, ...]
    operations: float
    layer_rate: float
    matrix_rate: float
    start: float
    peak_bytes: float

    @property
    def rate(self) -> float:
        """Network-steps a second, by the median round."""
        return self.replicas * self.steps / median(self.seconds)

    def over(self, other: Speed) -> float:
        """How many times faster than another variant: the median over rounds, each compared with the other's same round."""
        own, others = ([one.replicas * one.steps / seconds for seconds in one.seconds] for one in (self, other))
        return median(mine / theirs for mine, theirs in zip(own, others, strict=True))


def load(path: Path) -> tuple[list[Speed], dict[str, str]]:
    """The speeds in a file of pytest-benchmark, and where and when they were measured.

    Raises:
        BadInput: the file is missing, is no such file, or holds none of these benchmarks.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = [dict(entry["extra_info"]) for entry in document["benchmarks"] if "family" in entry["extra_info"]]
        places = [entry.pop("where", {}) for entry in entries]
        speeds = [Speed(**{**entry, "seconds": tuple(entry["seconds"])}) for entry in entries]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}; omnigrok bench --json writes one") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: is not a file that omnigrok bench --json writes ({error})") from error
    if not speeds:
        raise BadInput(f"{path}: holds no benchmark of a family; omnigrok bench --json writes one")
    machine = document.get("machine_info", {})
    where = {"processor": machine.get("cpu", {}).get("brand_raw", "unknown"), "date": document.get("datetime", "unknown")}
    for key in dict.fromkeys(key for place in places for key in place):
        where[key] = " and ".join(dict.fromkeys(str(place[key]) for place in places if key in place))
    return speeds, where


def cells(speed: Speed, family: Sequence[Speed]) -> list[str]:
    """The numbers of one line, in the order of ``COLUMNS``."""
    by_name = {each.variant: each for each in family}
    ratios = [f"{speed.over(by_name[name]):.3g}" if name in by_name else "-" for name in ("plain", "on device")]
    flops = speed.rate * speed.operations
    return [
        str(speed.replicas),
        f"{1e3 * median(speed.seconds) / speed.steps:.3g}",
        f"{speed.rate:,.0f}" if speed.rate >= 10 else f"{speed.rate:.2g}",
        *ratios,
        f"{flops / 1e9:.3g}",
        f"{flops / speed.layer_rate:.0%}",
        f"{flops / speed.matrix_rate:.0%}",
        f"{speed.peak_bytes / 2**20:.3g}",
        f"{speed.start:.1f}",
    ]


def _lines(speeds: Sequence[Speed]) -> Iterator[list[str]]:
    groups: dict[tuple[str, str], list[Speed]] = {}
    for speed in speeds:
        groups.setdefault((speed.device, speed.family), []).append(speed)
    for (_, family), members in sorted(groups.items(), key=lambda item: item[0][0]):
        for speed in members:
            yield [family, speed.variant, speed.device, *cells(speed, members)]


def table(speeds: Sequence[Speed], markdown: bool = False) -> Iterator[str]:
    """The lines of the table, aligned for a terminal or in Markdown."""
    rows = [["family", "how", "device", *COLUMNS], *_lines(speeds)]
    if markdown:
        yield from (f"| {' | '.join(row)} |" for row in rows[:1])
        yield "|" + "---|" * 3 + "---:|" * len(COLUMNS)
        yield from (f"| {' | '.join(row)} |" for row in rows[1:])
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)]
        right = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        yield " ".join((*left, *right)).rstrip()


LEGEND = (
    "ratios: medians over rounds taken in turns. GFLOP/s: matrix products of the training steps, of an LSTM those of words alone; "
    "of layers: beside batched products of the family's own layers; of best: beside square ones. peak: memory of data, weights and a step; "
    "start: seconds to build and compile."
)
