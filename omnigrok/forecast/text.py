"""The forecast in the terminal: at most 110 columns."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from omnigrok.audit.session import Options
from omnigrok.forecast.forecast import Cost, Forecast
from omnigrok.training.device import describe

UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def duration(seconds: float) -> str:
    """Two or three digits and a unit."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s" if seconds == 0 else f"{seconds:.2g} s"


def _row(name: str, cost: Cost) -> str:
    return (
        f"{name[:27]:27} {cost.runs:>7,} {cost.recorded:>8,} {cost.evidence:>8,} "
        f"{cost.network_steps:>15,} {cost.operations:>10.2g} "
        f"{cost.stacks:>6,} {duration(cost.seconds):>9} {duration(cost.floor):>9}"
    )


def lines(forecast: Forecast, options: Options, device: torch.device) -> Iterator[str]:
    """The table by figure, what was measured, and what was computed from it."""
    threads = f", threads: {torch.get_num_threads()}" if device.type == "cpu" else ""
    yield (
        f"{options.tier} tier, scale {options.scale}, {describe(device)}{threads}, torch "
        f"{torch.__version__}; nothing is trained"
    )
    yield ""
    yield (
        f"{'figure':27} {'runs':>7} {'recorded':>8} {'evidence':>8} {'network-steps':>15} "
        f"{'operations':>10} {'stacks':>6} "
        f"{'expected':>9} {'floor':>9}"
    )
    for name, cost in forecast.figures.items():
        yield _row(name, cost)
    yield _row("total, each run once", forecast.total)
    yield ""
    yield (
        "recorded: in the store, with this trainer, torch and device; what follows is for the "
        "others. evidence: for --replay"
    )
    if any(run.stop_at for run in forecast.seconds_of):
        yield "at most: runs that may stop early (stop_at) count up to their last step"
    rates = ", ".join(
        f"{rate / 1e9:.3g} GFLOP/s in {precision}" for precision, rate in forecast.rates.items()
    )
    yield f"floor: matrix products alone, at the rate measured here ({rates})"
    yield f"expected: in one process; measuring took {duration(forecast.spent)}"
    for key, found in forecast.measured:
        yield (
            f"measured: {key.task} {key.model}, {found.replicas} networks: {duration(found.step)} "
            f"a step, {duration(found.evaluation)} an "
            f"evaluation, {duration(found.start)} to "
            f"start{'' if found.compiled else ', not compiled'}"
        )
    yield from _computed(forecast)
    yield from (
        f"NOT INCLUDED: {problem}" if "not measured" not in problem else problem
        for problem in forecast.problems
    )


def _computed(forecast: Forecast) -> Iterator[str]:
    """How many shapes were not measured, by what stands in for the measurement."""
    sources: dict[str, int] = {}
    for pace in forecast.paces.values():
        if not pace.source.startswith("measured"):
            sources[pace.source] = sources.get(pace.source, 0) + 1
    for source, shapes in sorted(sources.items()):
        yield f"not measured, {source}: {shapes} shape{'s' if shapes > 1 else ''}"
