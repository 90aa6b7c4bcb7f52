"""What a step of each figure costs here: one pytest-benchmark item a figure, on a fresh chunk of
steps that is not recorded.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from omnigrok.plugin.arguments import read_options
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.device import choose_device
from omnigrok.training.stack import Stack
from omnigrok.training.stackable import shape_key

FOLDER = Path(__file__).parent
SUITE = load_suite(FOLDER)
FIGURES = {figure.figure: figure for figure in SUITE.figures if figure.experiments}
REPLICAS, STEPS = 6, 10
# Chunks of the training that is cut short after three: compiled where so long a training is.
CHUNKS = {"smoke": 10, "paper": 100}


@pytest.mark.parametrize("name", FIGURES)
def test_cost(name: str, benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> None:
    options = read_options(request.config)
    if options.replay:
        pytest.skip("--replay trains nothing; run without it to time a chunk of steps")
    if hasattr(request.config, "workerinput"):
        pytest.skip("pytest-benchmark is off under xdist; run with -n 0 to time a chunk of steps")
    figure = FIGURES[name]
    full_name = f"{name}:{next(iter(figure.experiments))}"
    runs = SUITE.runs(full_name, Setting(options.tier, SUITE.protocols_of(full_name)[0]))
    alike = [run for run in runs if shape_key(run) == shape_key(runs[0])][:REPLICAS]
    chunk = [
        run.replace(log_every=STEPS, steps=CHUNKS[options.tier] * STEPS, stop_at={})
        for run in alike
    ]
    stack = Stack(chunk, choose_device(options.gpu), options.data_root)
    stack.advance(0.0)
    before = stack.step
    benchmark.group = "steps"
    benchmark.extra_info.update(replicas=len(chunk), steps=STEPS)
    benchmark.pedantic(stack.advance, args=(0.0,), rounds=3)
    assert stack.step == before + 3 * STEPS
