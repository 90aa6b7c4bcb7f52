"""``omnigrok bench``: it runs the chosen benchmarks, and shows what they or files of them hold."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omnigrok.bench.speeds import Speed
from omnigrok.cli import main

PLAIN = Speed("mnist", "plain", "cpu", 1, 10, (1.0, 2.0, 1.0), 1e6, 4e7, 8e7, 0.1, 2.0**19)
STACK = Speed("mnist", "stack 8", "cpu", 8, 5, (1.0, 2.0, 0.5), 1e6, 4e7, 8e7, 6.0, 2.0**23)
ENTRY = {"extra_info": {**dataclasses.asdict(PLAIN), "where": {"device": "cpu", "torch": "2.13"}}}


def write(path: Path, speeds: list[Speed], device: str = "cpu") -> Path:
    where = {"device": device, "torch": "2.13"}
    entries = [{"extra_info": {**dataclasses.asdict(speed), "where": where}} for speed in speeds]
    path.write_text(
        json.dumps(
            {
                "machine_info": {"cpu": {"brand_raw": "A Processor"}},
                "datetime": "2026-11-23",
                "benchmarks": entries,
            }
        )
    )
    return path


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_a_file_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "b.json", [PLAIN, STACK])
    result = bench("--from", path)
    assert result.exit_code == 0
    assert "A Processor" in result.output
    assert re.search(r"mnist +stack 8 +cpu", result.output)
    assert "| mnist | stack 8 | cpu | 8 |" in bench("--from", path, "--markdown").output


def test_the_short_tables_of_two_machines_go_between_the_markers(tmp_path: Path) -> None:
    here = write(tmp_path / "cpu.json", [PLAIN, STACK])
    there = write(
        tmp_path / "gpu.json",
        [dataclasses.replace(each, device="cuda") for each in (PLAIN, STACK)],
        "A Card",
    )
    readme = tmp_path / "README.md"
    readme.write_text("top\n<!-- speeds: begin -->\nold\n<!-- speeds: end -->\nbottom\n")
    result = bench("--from", here, "--from", there, "--into", readme)
    assert (result.exit_code, result.output) == (0, "")
    text = readme.read_text()
    assert text.startswith(
        "top\n<!-- speeds: begin -->\ncpu: processor A Processor, date 2026-11-23, device cpu, "
        "torch 2.13; n = 3 rounds."
    )
    assert (
        "cuda: processor A Processor, date 2026-11-23, device A Card, torch 2.13; n = 3 rounds."
        in text
    )
    assert text.count("| mnist | 10 |") == 2
    assert "old" not in text
    assert text.endswith("<!-- speeds: end -->\nbottom\n")
    bench("--from", here, "--from", there, "--into", readme)
    assert readme.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--from", "b.json", "--family", "mnist"],
            "--from shows what was measured; leave --family, --device and --json out",
        ),
        (["--from", "b.json", "--json", "c.json"], "--from shows what was measured"),
        (["--markdown", "--into", "README.md"], "give one of --markdown and --into"),
        (["--into", "README.md"], "README.md: lacks the markers <!-- speeds: begin -->"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("no markers")
    result = bench(*arguments, "--tests", tmp_path)
    assert result.exit_code == 1
    assert message in result.output


def test_without_the_benchmarks_it_says_where_they_are_looked_for(tmp_path: Path) -> None:
    result = bench("--tests", tmp_path)
    assert result.exit_code == 1
    assert (
        "test_bench_families.py: is not here; run omnigrok bench in the root of a clone"
        in result.output
    )


# Stand-ins for the benchmarks, run by a real pytest.
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--bench-family", action="append")
    parser.addoption("--bench-device")
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: x")
"""
CHOSEN = """
import pytest
@pytest.mark.slow
def test_chosen(request):
    option = request.config.getoption
    assert option("--bench-family") == ["mnist", "lstm"] and option("--bench-device") == "cpu"
"""
MEASURED = """
@pytest.mark.slow
def test_measured(benchmark):
    benchmark.extra_info.update(ENTRY)
    benchmark.pedantic(int, rounds=1)
"""
FAILING = """
@pytest.mark.slow
def test_failing():
    pytest.fail("DataMissing: imdb")
"""


@pytest.mark.parametrize(
    ("more", "shown", "failed"),
    [
        (MEASURED, True, False),
        (MEASURED + FAILING, True, True),
        ("", False, False),
        (FAILING, False, True),
    ],
)
def test_the_chosen_benchmarks_are_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], more: str, shown: bool, failed: bool
) -> None:
    """A failure ends with an error, after the table of those that were measured."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_bench_families.py").write_text(
        CHOSEN + more.replace("ENTRY", repr(ENTRY["extra_info"]))
    )
    kept = tmp_path / "now.json"
    result = bench(
        "--tests",
        tmp_path,
        "--family",
        "mnist",
        "--family",
        "lstm",
        "--device",
        "cpu",
        "--json",
        kept,
    )
    assert result.exit_code == int(failed or not shown)
    assert bool(re.search(r"mnist +plain +cpu", result.output)) == shown
    assert kept.exists() == shown
    assert ("nothing was measured" in result.output) == (not shown)
    assert ("some benchmarks failed (pytest ended with 1)" in result.output) == (shown and failed)
    assert ("DataMissing: imdb" in capfd.readouterr().out) == failed
