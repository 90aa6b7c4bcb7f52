from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from omnigrok.bench.speeds import COLUMNS, Speed, cells, joined, load, summary, table
from omnigrok.errors import BadInput

PLAIN = Speed("mnist", "plain", "cpu", 1, 10, (1.0, 2.0, 1.0), 1e6, 4e7, 8e7, 0.1, 2.0**19)
DEVICE = Speed("mnist", "on device", "cpu", 1, 10, (0.5, 1.0, 0.5), 1e6, 4e7, 8e7, 0.1, 2.0**20)
STACK = Speed("mnist", "stack 8", "cpu", 8, 5, (1.0, 2.0, 0.5), 1e6, 4e7, 8e7, 6.0, 2.0**23)
OTHER = dataclasses.replace(PLAIN, family="lstm")
JAX = dataclasses.replace(STACK, variant="jax 8", seconds=(2.0, 4.0, 1.0))


def write(path: Path, speeds: list[Speed]) -> Path:
    entries = [
        {
            "extra_info": {
                **dataclasses.asdict(speed),
                "where": {"device": speed.device, "torch": "2.13"},
            }
        }
        for speed in speeds
    ]
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
        "networks": "8",
        "ms a step": "200",
        "network-steps/s": "40",
        "x plain": "4",
        "x on device": "2",
        "x JAX": "-",
        "GFLOP/s": "0.04",
        "of layers": "100%",
        "of best": "50%",
        "peak MiB": "8",
        "start s": "6.0",
    }
    assert cells(STACK, [PLAIN, JAX, STACK])[COLUMNS.index("x JAX")] == "2"
    alone = dict(zip(COLUMNS, cells(OTHER, [OTHER]), strict=True))
    assert (alone["x plain"], alone["x on device"], alone["peak MiB"]) == ("1", "-", "0.5")


def test_families_are_compared_with_their_own_plain_loop(tmp_path: Path) -> None:
    speeds, where = load(write(tmp_path / "b.json", [PLAIN, DEVICE, STACK, OTHER]))
    assert speeds == [PLAIN, DEVICE, STACK, OTHER]
    assert where == {
        "processor": "A Processor",
        "date": "2026-11-23",
        "device": "cpu",
        "torch": "2.13",
    }
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
        (
            '{"benchmarks": [{"extra_info": {"family": "x"}}]}',
            "is not a file that omnigrok bench --json writes",
        ),
        ('{"benchmarks": []}', "holds no benchmark of a family"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "b.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(f"{path}: ") + message):
        load(path)


# The short table for a README

HAND = dataclasses.replace(DEVICE, variant="torch.func", replicas=4)
FAST = dataclasses.replace(STACK, variant="stack 32", replicas=32)


def test_summary_has_a_row_a_family_with_ratios_over_its_plain_loop() -> None:
    text = summary(
        [PLAIN, DEVICE, HAND, JAX, STACK, FAST, OTHER],
        {"processor": "A Processor", "torch": "2.13"},
    )
    lines = text.splitlines()
    assert lines[0] == "cpu: processor A Processor, torch 2.13; n = 3 rounds."
    assert lines[2] == (
        "| family | plain, network-steps/s | on device | torch.func | stack 8 | stack 32 | JAX "
        "| GFLOP/s | of layers | of best |"
    )
    assert lines[4] == "| mnist | 10 | 2 | 8 (4) | 4 | 16 | 2 (8) | 0.16 (32) | 400% | 200% |"
    assert lines[5] == "| lstm | 10 |  |  |  |  |  |  |  |  |"
    assert len({line.count("|") for line in lines[2:6]}) == 1


def test_summary_without_a_plain_loop_has_no_ratios() -> None:
    """PyTorch Geometric, whose loop it is, may not be installed."""
    assert "| mnist |  |  |  |  |  | 0.04 (8) | 100% | 50% |" in summary([DEVICE, HAND, STACK], {})


def test_summary_has_a_table_for_each_device() -> None:
    text = summary(
        [PLAIN, dataclasses.replace(PLAIN, device="cuda", seconds=(0.01, 0.02))], {"torch": "2.13"}
    )
    headings = [line for line in text.splitlines() if line.startswith(("cpu", "cuda"))]
    assert headings == ["cpu: torch 2.13; n = 3 rounds.", "cuda: torch 2.13; n = 2 rounds."]


WHERE = {"processor": "A Processor", "date": "monday", "torch": "2.13"}


def test_files_of_one_place_are_one_table_with_both_dates() -> None:
    ((speeds, where),) = joined([([PLAIN, STACK], WHERE), ([OTHER], {**WHERE, "date": "tuesday"})])
    assert speeds == [PLAIN, STACK, OTHER]
    assert where == {**WHERE, "date": "monday and tuesday"}


def test_a_family_that_was_measured_again_replaces_the_first_measurement() -> None:
    again = dataclasses.replace(PLAIN, seconds=(3.0, 3.0))
    ((speeds, where),) = joined([([PLAIN, STACK], WHERE), ([again], {**WHERE, "date": "tuesday"})])
    assert speeds == [again]  # a ratio of rounds that were not taken in turns would be no ratio
    assert where["date"] == "tuesday"


def test_files_of_two_places_stay_apart() -> None:
    other = {**WHERE, "torch": "2.14"}
    assert joined([([PLAIN], WHERE), ([OTHER], other)]) == [([PLAIN], WHERE), ([OTHER], other)]


def test_the_numbers_of_a_place_need_not_be_words(tmp_path: Path) -> None:
    """Threads and cores are numbers in the file."""
    path = write(tmp_path / "b.json", [PLAIN])
    path.write_text(path.read_text().replace('"torch": "2.13"', '"torch": "2.13", "threads": 2'))
    assert load(path)[1]["threads"] == "2"
