"""The benchmarks themselves, run by a real pytest on variants that take no time: what fails, what
is skipped, what is measured.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from omnigrok.bench.speeds import load

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CONFTEST = """
import time
import omnigrok.bench.graphs as graphs
import omnigrok.bench.rounds as rounds
from omnigrok.bench.families import Variant, variant_names
from omnigrok.errors import DataMissing

def missing():
    raise DataMissing("imdb: not here")

def quick():
    return lambda steps: time.sleep(1e-4 * steps)

def made(family, device, root):
    return [
        Variant(name, 1, missing if name == "torch.func" else quick)
        for name in variant_names(family, "cpu")
    ]

rounds.variants = made
rounds.ROUND_SECONDS = 0.01
graphs.installed = lambda: False
"""


@pytest.fixture
def benchmarks(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the benchmarks, in which torch.func has no data and PyTorch Geometric is not
    installed.
    """
    pytester.makeini("[pytest]\nmarkers =\n    slow: x\n    gpu: x\n")
    pytester.makeconftest((BENCHMARKS / "conftest.py").read_text() + CONFTEST)
    pytester.makepyfile(test_bench_families=(BENCHMARKS / "test_bench_families.py").read_text())
    return pytester


def run(benchmarks: pytest.Pytester, *options: str) -> pytest.RunResult:
    return benchmarks.runpytest_subprocess(
        "-p", "no:cacheprovider", "-m", "slow", "-rs", "--bench-device", "cpu", *options
    )


def test_a_variant_that_fails_fails_with_its_reason_and_the_others_are_measured(
    benchmarks: pytest.Pytester,
) -> None:
    result = run(
        benchmarks, "--bench-family", "lstm", "--bench-rounds", "3", "--benchmark-json", "now.json"
    )
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["DataMissing: imdb: not here"])
    speeds, where = load(benchmarks.path / "now.json")
    assert [speed.variant for speed in speeds] == [
        "plain",
        "on device",
        "stack 1",
        "stack 8",
        "stack 32",
    ]
    assert [len(speed.seconds) for speed in speeds] == [3] * 5
    assert where["device"] == "cpu"


def test_only_the_loop_of_pytorch_geometric_is_skipped_without_it(
    benchmarks: pytest.Pytester,
) -> None:
    result = run(benchmarks, "--bench-family", "nnconv", "--bench-rounds", "1")
    result.assert_outcomes(passed=5, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]]*needs PyTorch Geometric: pip install omnigrok*"])


def test_under_xdist_nothing_is_measured_and_each_says_how_to(benchmarks: pytest.Pytester) -> None:
    result = run(benchmarks, "--bench-family", "lstm", "-n", "1")
    result.assert_outcomes(skipped=6)
    result.stdout.fnmatch_lines(["*pytest-benchmark is off under xdist; run with -n 0*"])
