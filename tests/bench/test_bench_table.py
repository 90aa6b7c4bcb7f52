from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omnigrok.bench.table import COLUMNS, Speed, cells, load, table
from omnigrok.cli import main
from omnigrok.errors import BadInput

PLAIN = Speed("mnist", "plain", "cpu", 1, 10, (1.0, 2.0, 1.0), 1e6, 4e7, 8e7, 0.1, 2.0**19)
DEVICE = Speed("mnist", "on device", "cpu", 1, 10, (0.5, 1.0, 0.5), 1e6, 4e7, 8e7, 0.1, 2.0**20)
STACK = Speed("mnist", "stack 8", "cpu", 8, 5, (1.0, 2.0, 0.5), 1e6, 4e7, 8e7, 6.0, 2.0**23)
OTHER = dataclasses.replace(PLAIN, family="lstm")


def write(path: Path, speeds: list[Speed]) -> Path:
    entries = [{"extra_info": {**dataclasses.asdict(speed), "where": {"device": speed.device, "torch": "2.13"}}} for speed in speeds]
    document: dict[str, Any] = {
        "machine_info": {"cpu": {"brand_raw": "A Processor"}},
        "datetime": "2026-11-23",
        "benchmarks": [*entries, {"extra_info": {"somebody": "else"}}],
    }
    path.write_text(json.dumps(document))
    return path


def test_speed_is_network_steps_by_the_median_round() -> None:
    assert PLAIN.rate == 10
    assert STACK.rate == 40


def test_ratios_compare_round_with_round() -> None:
    """A round in which the machine was slow for all is as good as another."""
    assert STACK.over(PLAIN) == 4  # 4, 4, 8
    assert DEVICE.over(PLAIN) == 2
    assert PLAIN.over(STACK) == 0.25


def test_cells() -> None:
    found = dict(zip(COLUMNS, cells(STACK, [PLAIN, DEVICE, STACK]), strict=True))
    assert found == {
        "networks": "8", "ms a step": "200", "network-steps/s": "40", "x plain": "4", "x on device": "2", "GFLOP/s": "0.04",
        "of layers": "100%", "of best": "50%", "peak MiB": "8", "start s": "6.0",
    }  # fmt: skip
    alone = dict(zip(COLUMNS, cells(OTHER, [OTHER]), strict=True))
    assert (alone["x plain"], alone["x on device"], alone["peak MiB"]) == ("1", "-", "0.5")


def test_families_are_compared_with_their_own_plain_loop(tmp_path: Path) -> None:
    speeds, where = load(write(tmp_path / "b.json", [PLAIN, DEVICE, STACK, OTHER]))
    assert speeds == [PLAIN, DEVICE, STACK, OTHER]
    assert where == {"processor": "A Processor", "date": "2026-11-23", "device": "cpu", "torch": "2.13"}
    lines = list(table(speeds))
    assert [line.split()[0] for line in lines] == ["family", "mnist", "mnist", "mnist", "lstm"]
    assert len({line.index("%") for line in lines[1:4]}) <= 2


def test_markdown_has_as_many_columns_in_every_line(tmp_path: Path) -> None:
    lines = list(table([PLAIN, STACK], markdown=True))
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| mnist | plain | cpu | 1 |")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "is not a file that omnigrok bench --json writes"),
        ("[]", "is not a file that omnigrok bench --json writes"),
        ('{"benchmarks": [{"extra_info": {"family": "x"}}]}', "is not a file that omnigrok bench --json writes"),
        ('{"benchmarks": []}', "holds no benchmark of a family"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "b.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(f"{path}: ") + message):
        load(path)


# The command


def test_bench_shows_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", [PLAIN, STACK])
    result = CliRunner().invoke(main, ["bench", "--from", str(path)])
    assert result.exit_code == 0
    assert "A Processor" in result.output
    assert re.search(r"mnist +stack 8 +cpu", result.output)
    markdown = CliRunner().invoke(main, ["bench", "--from", str(path), "--markdown"])
    assert "| mnist | stack 8 | cpu | 8 |" in markdown.output


def test_bench_without_the_benchmarks_says_where_they_are_looked_for(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["bench", "--tests", str(tmp_path)])
    assert result.exit_code == 1
    assert "test_bench_families.py: is not here; run omnigrok bench in the root of a clone" in result.output


@pytest.mark.parametrize("ends", [0, 1])
def test_bench_runs_the_chosen_benchmarks(tmp_path: Path, ends: int) -> None:
    """A stand-in for the benchmarks, run by a real pytest: it gets the choice, and its failure is an error."""
    write(tmp_path / "made.json", [PLAIN])
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--bench-family', action='append')\n    parser.addoption('--bench-device')\n"
    )
    (tmp_path / "test_bench_families.py").write_text(
        "import pytest\n\n\n@pytest.mark.slow\ndef test_it(request, tmp_path):\n"
        "    option = request.config.getoption\n"
        "    assert option('--bench-family') == ['mnist', 'lstm'] and option('--bench-device') == 'cpu'\n"
        f"    assert not {ends}\n"
    )
    arguments = [
        "bench",
        "--tests",
        str(tmp_path),
        "--family",
        "mnist",
        "--family",
        "lstm",
        "--device",
        "cpu",
        "--json",
        str(tmp_path / "now.json"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert ("the benchmarks did not finish (pytest ended with 1)" in result.output) == bool(ends)
    assert ("holds no benchmark" in result.output or "cannot be read" in result.output) == (not ends)
