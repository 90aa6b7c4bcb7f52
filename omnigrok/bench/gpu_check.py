"""First contact with a card: what this package expects of it next to what it finds, in minutes.

Each check is a generator of rows, so that what a check found is kept even if its end fails.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

import omnigrok
from omnigrok.bench.sweeps import SWEEPS
from omnigrok.execution.engines import LocalEngine
from omnigrok.execution.execute import Executor
from omnigrok.forecast.measure import matrix_rate
from omnigrok.run import Run
from omnigrok.store.store import Store
from omnigrok.training import Stack, train
from omnigrok.training.device import compiler_works
from omnigrok.training.work import replica_bytes

# Batched matrix products, TFLOP/s (float64, float32, TF32): two thirds of what the maker states,
# below which something is wrong with the card, its clock or its library.
RATES: Mapping[str, tuple[float, float, float]] = {
    "H200": (40.0, 40.0, 250.0),
    "H100": (40.0, 40.0, 250.0),
    "A100": (12.0, 13.0, 90.0),
    "L40S": (0.9, 55.0, 100.0),
}
PRECISIONS = ("float64", "float32", "tf32")
# One sweep of each architecture.
FAMILIES = (
    "teacher-student, held",
    "MNIST, free",
    "MNIST representation, held",
    "addition, held",
    "transformer, held",
    "IMDb, held",
    "QM9, held",
    "QM9, plain convolutions",
)
# Of float64 curves over the first steps, where only the order of sums may differ.
TOLERANCE = 1e-6
STEPS = 12
# Share of the card's memory that each of the successive stacks takes.
SHARE = 0.15
WIDE = {"widths": (5, 256, 256, 5), "activation": "tanh"}


@dataclass(frozen=True)
class CheckRow:
    """One line of the table.

    Args:
        check: what was looked at.
        expected: in words or numbers.
        found: likewise.
        ok: None where there is no expectation, or the time did not reach.
        seconds: it took.
    """

    check: str
    expected: str
    found: str
    ok: bool | None
    seconds: float = 0.0


def software(device: torch.device) -> Iterator[CheckRow]:
    """Versions, packages and compilers."""
    properties = torch.cuda.get_device_properties(device)
    version = f"{properties.major}.{properties.minor}"
    yield CheckRow("card", "a CUDA device", torch.cuda.get_device_name(device), True)
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    yield CheckRow("memory", "8 GiB or more", memory, properties.total_memory >= 8 * 2**30)
    yield CheckRow("compute capability", "7.0 or more", version, properties.major >= 7)
    yield CheckRow("torch", "2.6 or newer", f"{torch.__version__}, CUDA {torch.version.cuda}", None)
    for name in ("pydantic", "platformdirs", "rdkit", "xdist"):
        there = find_spec(name) is not None
        yield CheckRow(f"package {name}", "installed", "installed" if there else "missing", there)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    found = Path(compiler).name if compiler else "none: stacks train without torch.compile"
    yield CheckRow("C compiler", "cc, gcc or clang", found, compiler is not None)
    works = compiler_works(device)
    yield CheckRow("torch.compile", "works", "works" if works else "does not", works)


def rates(device: torch.device) -> Iterator[CheckRow]:
    """Batched matrix products in the three arithmetics."""
    name = torch.cuda.get_device_name(device)
    known = next((values for card, values in RATES.items() if card in name), None)
    for place, precision in enumerate(PRECISIONS):
        found = matrix_rate(device, precision) / 1e12
        wish = known[place] if known else None
        yield CheckRow(
            f"matrix products, {precision}",
            "not known for this card" if wish is None else f"{wish:g} TFLOP/s or more",
            f"{found:.2f} TFLOP/s",
            None if wish is None else found >= wish,
        )


def small(name: str) -> list[Run]:
    """Three networks of a family, for a dozen steps in float64."""
    runs = SWEEPS[name].runs(2)[:3]
    changes: dict[str, Any] = {
        "steps": STEPS,
        "log_every": STEPS // 3,
        "precision": "float64",
        "loss_precision": "float64",
    }
    return [run.replace(**changes) for run in runs]


def curves(device: torch.device) -> Iterator[CheckRow]:
    """The same networks on the card and on the CPU, and whether their step was captured."""
    for name in FAMILIES:
        runs = small(name)
        stack = Stack(runs, device)
        found = {each.run: each for each in stack.advance()}
        replayed = stack.torch_step.replayed
        captured = replayed is not None and bool(replayed.graphs)
        apart = max(
            float(np.max(np.abs(found[each.run][column] - each[column]) / scale))
            for each in train(runs)
            for column in each.columns
            for scale in [max(float(np.max(np.abs(each[column]))), 1e-12)]
        )
        yield CheckRow(
            f"curves of {name}",
            f"the CPU's within {TOLERANCE:g}, captured",
            f"within {apart:.1e}, {'captured' if captured else 'not captured'}",
            apart <= TOLERANCE and captured,
        )


def wide(device: torch.device, share: float) -> list[Run]:
    """So many networks of 70,000 weights that their stack takes this share of the memory."""
    form = small(FAMILIES[0])[0].replace(network=WIDE)
    total = torch.cuda.get_device_properties(device).total_memory
    count = max(2, int(share * total / replica_bytes(form)))
    return [form.replace(seed=seed) for seed in range(count)]


def memory(device: torch.device) -> Iterator[CheckRow]:
    """Three large stacks in a row leave nothing behind; and what they take is what was planned."""
    runs, held, before = wide(device, SHARE), [], torch.cuda.memory_allocated(device)
    for _ in range(3):
        torch.cuda.reset_peak_memory_stats(device)
        stack = Stack(runs, device)
        stack.take_steps(STEPS // 2)
        torch.cuda.synchronize(device)
        del stack
        held.append((torch.cuda.memory_allocated(device) - before) / 2**20)
    # Libraries keep a workspace once the first stack has called them.
    yield CheckRow(
        f"memory after each of three stacks of {len(runs)}",
        "as after the first",
        ", ".join(f"{each:.1f} MiB" for each in held),
        held[2] <= held[0] + 1.0,
    )
    planned = sum(map(replica_bytes, runs)) / 2**20
    took = (torch.cuda.max_memory_allocated(device) - before) / 2**20
    expected = f"at most {planned:.0f} MiB, as planned"
    yield CheckRow("memory of one of them", expected, f"{took:.0f} MiB", took <= planned)


@contextlib.contextmanager
def limited(device: torch.device, more: float) -> Iterator[None]:
    """Allow ``more`` bytes of the card on top of those in use."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    fraction = min(1.0, (torch.cuda.memory_reserved(device) + more) / total)
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def shortage(device: torch.device) -> Iterator[CheckRow]:
    """A stack that does not fit is trained in parts, also if memory ends inside a capture; and the
    card goes on.
    """
    runs = wide(device, SHARE)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.sqlite") as store:
        executor = Executor(store, LocalEngine(device, Path()), runs)
        with limited(device, 0.5 * sum(map(replica_bytes, runs))):
            executor.ensure(runs)
        found = store.get_many(runs, executor.environment(runs[0]))
        sizes = {int(each.provenance["stack"]) for each in found.values()}
        executor.close()
    yield CheckRow(
        f"half the memory that a stack of {len(runs)} needs",
        "trained in parts",
        f"{len(found)} trained, in stacks of {', '.join(map(str, sorted(sizes)))}",
        len(found) == len(runs) and max(sizes) < len(runs),
    )


CHECKS: Mapping[str, Callable[[torch.device], Iterator[CheckRow]]] = {
    "software": software,
    "rates": rates,
    "curves": curves,
    "memory": memory,
    "shortage": shortage,
}


def run_checks(device: torch.device, seconds: float) -> Iterator[CheckRow]:
    """All checks, one after another; what begins later than ``seconds`` is not reached."""
    end = time.monotonic() + seconds
    for name, check in CHECKS.items():
        if time.monotonic() > end:
            yield CheckRow(name, f"within {seconds:.0f} s", "not reached", None)
            continue
        began = time.monotonic()
        try:
            for row in check(device):
                now = time.monotonic()
                yield CheckRow(row.check, row.expected, row.found, row.ok, round(now - began, 1))
                began = now
        except Exception as error:  # a card may fail anywhere, and the others are worth knowing
            text = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            yield CheckRow(name, "no error", text, False, round(time.monotonic() - began, 1))


def document(rows: list[CheckRow]) -> dict[str, Any]:
    """The file to send home."""
    return {
        "omnigrok": omnigrok.__version__,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "card": torch.cuda.get_device_name(),
        "rows": [asdict(row) for row in rows],
    }
