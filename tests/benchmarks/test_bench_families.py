"""How fast each family trains: plain loops, torch.func by hand, this trainer at several stack
sizes; rounds go in turns.

A variant that cannot be measured fails; only what cannot be here, CUDA, PyTorch Geometric or JAX,
is skipped.

pytest tests/benchmarks -m slow -n 0 --benchmark-json=now.json --benchmark-compare
omnigrok bench --family mnist
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from omnigrok.bench import graphs, jax_loop
from omnigrok.bench.families import FAMILIES, variant_names
from omnigrok.bench.rounds import Timing, layer_rate, time_family
from omnigrok.data import default_root
from omnigrok.forecast.measure import matrix_rate
from omnigrok.training.device import cores, describe
from omnigrok.training.work import step_operations

pytestmark = pytest.mark.slow
LAYER_REPLICAS = 16


class Replay:
    """A clock that goes on only by what the rounds took: they were measured in turns, and
    pytest-benchmark has its own order.
    """

    now = 0.0

    @classmethod
    def read(cls) -> float:
        return cls.now

    @classmethod
    def spend(cls, seconds: float) -> None:
        cls.now += seconds


@lru_cache(maxsize=1)
def timed(family: str, device: str, rounds: int) -> tuple[dict[str, Timing], float, float]:
    """Timings of a family, and the rates of its layers' products and of the best products; kept
    while its tests run.
    """
    where = torch.device(device)
    timings = time_family(FAMILIES[family], where, default_root(), rounds)
    return (
        timings,
        layer_rate(FAMILIES[family], LAYER_REPLICAS, where),
        matrix_rate(where, FAMILIES[family].run.precision),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is not test_speed:
        return
    config = metafunc.config
    families = config.getoption("bench_family", None) or list(FAMILIES)
    devices = (
        [config.getoption("bench_device", None)]
        if config.getoption("bench_device", None)
        else ["cpu", "cuda"]
    )
    cases = [
        (family, device, name)
        for device in devices
        for family in families
        for name in variant_names(FAMILIES[family], device)
    ]
    params = [
        pytest.param(
            *case,
            marks=[pytest.mark.gpu] if case[1] == "cuda" else [],
            id="-".join(case).replace(" ", "_"),
        )
        for case in cases
    ]
    metafunc.parametrize(("family", "device", "variant"), params)


@pytest.mark.benchmark(timer=Replay.read)
def test_speed(
    benchmark: BenchmarkFixture,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    family: str,
    device: str,
    variant: str,
) -> None:
    if FAMILIES[family].graphs and variant == "plain" and not graphs.installed():
        pytest.skip(graphs.ABSENT)
    if variant.startswith("jax ") and not jax_loop.installed():
        pytest.skip(jax_loop.ABSENT)
    if hasattr(request.config, "workerinput"):
        pytest.skip("pytest-benchmark is off under xdist; run with -n 0")
    monkeypatch.setenv("OMNIGROK_COMPILE", "1")
    timings, layers, best = timed(family, device, request.config.getoption("bench_rounds", 5))
    timing = timings[variant]
    if timing.failure:
        pytest.fail(timing.failure, pytrace=False)
    run = FAMILIES[family].run
    benchmark.group = f"{device}: {family}"
    benchmark.extra_info.update(
        family=family,
        variant=variant,
        device=device,
        replicas=timing.replicas,
        steps=timing.steps,
        seconds=list(timing.seconds),
        operations=step_operations(run),
        layer_rate=layers,
        matrix_rate=best,
        start=timing.start,
        peak_bytes=timing.peak_bytes,
        where={
            "device": describe(torch.device(device)),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "cores": cores(),
        },
    )
    # Seconds of a network-step, so that the comparison of two files reads the same whatever a round
    # held.
    each = [seconds / timing.steps / timing.replicas for seconds in timing.seconds]
    turns = iter(each)
    benchmark.pedantic(lambda: Replay.spend(next(turns)), rounds=len(each))
    if benchmark.stats is not None:
        assert benchmark.stats.stats.min == pytest.approx(min(each))
        assert benchmark.stats.stats.total == pytest.approx([*accumulate(each)][-1])
