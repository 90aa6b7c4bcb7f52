"""The tables of speeds and ratios, from what pytest-benchmark writes with ``--benchmark-json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from omnigrok.errors import BadInput
from omnigrok.problems import first_problem

LARGEST_FILE = 16_000_000
COLUMNS = (
    "networks",
    "ms a step",
    "network-steps/s",
    "x plain",
    "x on device",
    "x JAX",
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
        """How many times faster than another variant: the median over rounds, each compared with
        the other's same round.
        """
        own, others = (
            [one.replicas * one.steps / seconds for seconds in one.seconds] for one in (self, other)
        )
        return median(mine / theirs for mine, theirs in zip(own, others, strict=True))


# What a file must hold. A benchmark of somebody else is passed over; one of a family has all of a
# Speed.
Name = Annotated[
    str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f|]*$")
]  # a terminal obeys control characters, a table ends at |
Amount = Annotated[float, Field(gt=0, lt=1e30)]


class _Entry(BaseModel):
    family: Name
    variant: Name
    device: Name
    replicas: Annotated[int, Field(gt=0, lt=10**9)]
    steps: Annotated[int, Field(gt=0, lt=10**9)]
    seconds: Annotated[tuple[Amount, ...], Field(min_length=1, max_length=10_000)]
    operations: Annotated[float, Field(ge=0, lt=1e30)]
    layer_rate: Amount
    matrix_rate: Amount
    start: Annotated[float, Field(ge=0, lt=1e30)]
    peak_bytes: Annotated[float, Field(ge=0, lt=1e30)]
    where: dict[Name, Name | int] = {}


class _OtherBenchmark(BaseModel):
    family: None = None


class _Benchmark(BaseModel):
    extra_info: _Entry | _OtherBenchmark


class _Processor(BaseModel):
    brand_raw: Name = "unknown"


class _Machine(BaseModel):
    cpu: _Processor = _Processor()


class _File(BaseModel):
    benchmarks: list[_Benchmark]
    machine_info: _Machine = _Machine()
    datetime: Name = "unknown"


def load(path: Path) -> tuple[list[Speed], dict[str, str]]:
    """The speeds in a file of pytest-benchmark, and where and when they were measured. It may come
    from a stranger.

    Raises:
        BadInput: the file is missing or too large, is no such file, holds none of these benchmarks,
            or times the variants of one family over different numbers of rounds.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadInput(
                f"{path}: is larger than {LARGEST_FILE / 1e6:.0f} MB, so omnigrok bench --json did "
                "not write it"
            )
        document = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read: {error.strerror or error}; omnigrok bench --json writes one"
        ) from error
    except ValidationError as error:
        place, first = first_problem(error)
        raise BadInput(
            f"{path}: is not a file that omnigrok bench --json writes ({place}: {first['msg']})"
        ) from error
    entries = [
        each.extra_info for each in document.benchmarks if isinstance(each.extra_info, _Entry)
    ]
    if not entries:
        raise BadInput(f"{path}: holds no benchmark of a family; omnigrok bench --json writes one")
    speeds = [
        Speed(**{name: getattr(entry, name) for name in _Entry.model_fields if name != "where"})
        for entry in entries
    ]
    rounds: dict[tuple[str, str], int] = {}
    for speed in speeds:
        if rounds.setdefault((speed.device, speed.family), len(speed.seconds)) != len(
            speed.seconds
        ):
            raise BadInput(
                f"{path}: the variants of {speed.family} were timed over different numbers of "
                "rounds; measure it again"
            )
    where = {"processor": document.machine_info.cpu.brand_raw, "date": document.datetime}
    for key in dict.fromkeys(key for entry in entries for key in entry.where):
        where[key] = " and ".join(
            dict.fromkeys(str(entry.where[key]) for entry in entries if key in entry.where)
        )
    return speeds, where


Measured = tuple[list[Speed], dict[str, str]]


def joined(measured: Sequence[Measured]) -> list[Measured]:
    """Measurements of one place as one, whatever their dates; a family that is in two files is
    taken from the later.
    """
    found: dict[tuple[tuple[str, str], ...], Measured] = {}
    for speeds, where in measured:
        place = tuple(sorted((key, value) for key, value in where.items() if key != "date"))
        before, earlier = found.get(place, ([], {**where, "date": ""}))
        new = {(speed.device, speed.family) for speed in speeds}
        kept = [speed for speed in before if (speed.device, speed.family) not in new]
        dates = dict.fromkeys(
            date for date in (earlier["date"] if kept else "", where["date"]) if date
        )
        found[place] = [*kept, *speeds], {**where, "date": " and ".join(dates)}
    return list(found.values())


def _rate(speed: Speed) -> str:
    return f"{speed.rate:,.0f}" if speed.rate >= 10 else f"{speed.rate:.2g}"


def cells(speed: Speed, family: Sequence[Speed]) -> list[str]:
    """The numbers of one line, in the order of ``COLUMNS``."""
    by_name = {each.variant: each for each in family}
    ratios = [
        f"{speed.over(by_name[name]):.3g}" if name in by_name else "-"
        for name in ("plain", "on device")
    ]
    jax = _best(family, "jax ")
    ratios.append(f"{speed.over(jax):.3g}" if jax else "-")
    flops = speed.rate * speed.operations
    return [
        str(speed.replicas),
        f"{1e3 * median(speed.seconds) / speed.steps:.3g}",
        _rate(speed),
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


def _stacks(speeds: Sequence[Speed]) -> list[Speed]:
    return [speed for speed in speeds if speed.variant.startswith("stack ")]


def _best(speeds: Sequence[Speed], kind: str) -> Speed | None:
    """The fastest of the variants whose names begin so."""
    return max(
        (speed for speed in speeds if speed.variant.startswith(kind)),
        key=lambda speed: speed.rate,
        default=None,
    )


def _summary_row(members: Sequence[Speed], sizes: Sequence[int]) -> list[str]:
    """One family: what the plain loop does, how many times faster the others are, and how near the
    fastest stack is to the matrix rates.
    """
    by_name = {each.variant: each for each in members}
    plain = by_name.get("plain")

    def ratio(speed: Speed | None) -> str:
        return "" if speed is None or plain is None else f"{speed.over(plain):.3g}"

    by_hand = by_name.get("torch.func")
    row = [
        members[0].family,
        _rate(plain) if plain else "",
        ratio(by_name.get("on device")),
        ratio(by_hand) + (f" ({by_hand.replicas})" if by_hand and plain else ""),
        *(ratio(by_name.get(f"stack {size}")) for size in sizes),
    ]
    best, jax = _best(members, "stack "), _best(members, "jax ")
    row.append(ratio(jax) + (f" ({jax.replicas})" if jax and plain else ""))
    if best is None:
        return [*row, "", "", ""]
    flops = best.rate * best.operations
    return [
        *row,
        f"{flops / 1e9:.3g} ({best.replicas})",
        f"{flops / best.layer_rate:.0%}",
        f"{flops / best.matrix_rate:.0%}",
    ]


def summary(speeds: Sequence[Speed], where: Mapping[str, str]) -> str:
    """Markdown for a README: a table for each device, a row a family, with where, when and how
    often it was measured.
    """
    lines: list[str] = []
    for device in dict.fromkeys(speed.device for speed in speeds):
        here = [speed for speed in speeds if speed.device == device]
        sizes = sorted({speed.replicas for speed in _stacks(here)})
        rounds = sorted({len(speed.seconds) for speed in here})
        columns = [
            "family",
            "plain, network-steps/s",
            "on device",
            "torch.func",
            *(f"stack {size}" for size in sizes),
            "JAX",
        ]
        lines += [
            (
                f"{device}: {', '.join(f'{key} {value}' for key, value in where.items())}; n = "
                f"{' to '.join(map(str, rounds))} rounds."
            ),
            "",
            f"| {' | '.join([*columns, 'GFLOP/s', 'of layers', 'of best'])} |",
            "|---|" + "---:|" * (len(columns) + 2),
        ]
        for family in dict.fromkeys(speed.family for speed in here):
            row = _summary_row([speed for speed in here if speed.family == family], sizes)
            lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


LEGEND = (
    "ratios: medians over rounds taken in turns; x JAX: the faster of its stacks. "
    "GFLOP/s: matrix products of the training steps (for an LSTM, without the padding); "
    "of layers: relative to batched products of the family's own layers; of best: relative to "
    "square ones. "
    "peak: memory of data, weights and a step; "
    "start: seconds to build and compile."
)
SUMMARY_LEGEND = (
    "From `on device` to `JAX`: how many times the network-steps a second of the plain loop, "
    "medians over rounds taken in "
    "turns; in brackets the networks trained at once. `GFLOP/s`: matrix products of the fastest "
    "stack's steps (for an LSTM, without the padding); `of layers`: relative to batched products "
    "of the family's own layers; `of best`: relative to square ones.\n"
)
