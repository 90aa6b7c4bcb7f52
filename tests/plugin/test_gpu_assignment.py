"""Each worker gets one of the GPUs that the caller lets it see, before CUDA starts. Environment
variables only: no GPU is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from omnigrok.plugin import gpus
from omnigrok.plugin.gpus import assign_gpu, count_cards, worker_number

VARIABLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "")  # so that what the function sets is taken back
    monkeypatch.delenv(VARIABLE)
    yield
    os.environ.pop(VARIABLE, None)


def assigned(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, workers: int, cards: int = 0
) -> list[str | None]:
    """What each worker sees of these cards; ``visible`` None leaves the variable unset, with so
    many cards in the machine.
    """
    monkeypatch.setattr(gpus, "count_cards", lambda: cards)
    seen = []
    for worker in range(workers):
        if visible is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = visible
        assign_gpu(worker)
        seen.append(os.environ.get(VARIABLE))
    return seen


@pytest.mark.parametrize(
    ("visible", "workers", "expected"),
    [
        ("0,1", 2, ["0", "1"]),
        ("2,5", 4, ["2", "5", "2", "5"]),
        (" 3 , 1 ", 2, ["3", "1"]),
        ("7", 3, ["7", "7", "7"]),
        ("GPU-8932f937,MIG-2b1a", 2, ["GPU-8932f937", "MIG-2b1a"]),
        ("0,-1,1", 3, ["0", "0", "0"]),
        ("", 2, ["", ""]),
        ("-1", 2, ["-1", "-1"]),
        ("NoDevFiles", 2, ["NoDevFiles", "NoDevFiles"]),
    ],
    ids=[
        "one each",
        "more workers than cards",
        "spaces",
        "one card",
        "names",
        "the list ends at -1",
        "none",
        "hidden",
        "hidden by a scheduler",
    ],
)
def test_the_callers_choice_is_shared_out(
    monkeypatch: pytest.MonkeyPatch, visible: str, workers: int, expected: list[str]
) -> None:
    assert assigned(monkeypatch, visible, workers, cards=8) == expected


@pytest.mark.parametrize(
    ("cards", "expected"),
    [(0, [None] * 3), (1, ["0"] * 3), (2, ["0", "1", "0"]), (8, ["0", "1", "2"])],
)
def test_all_cards_of_the_machine_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, cards: int, expected: list[str | None]
) -> None:
    assert assigned(monkeypatch, None, 3, cards) == expected


@pytest.mark.parametrize(("says", "cards"), [("print(3)", 3), ("raise SystemExit('no driver')", 0)])
def test_cards_are_counted_by_another_process(
    monkeypatch: pytest.MonkeyPatch, says: str, cards: int
) -> None:
    def counted() -> int:
        raise AssertionError("counted here, which may start CUDA")

    monkeypatch.setattr(torch.cuda, "device_count", counted)
    monkeypatch.setattr(gpus, "COUNT", says)
    assert count_cards() == cards


def test_cuda_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has started, the variable is read no more."""

    def started() -> None:
        raise AssertionError("CUDA was started")

    monkeypatch.setattr(torch.cuda, "_lazy_init", started)
    assign_gpu(0)
    assert not torch.cuda.is_initialized()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("gw0", 0),
        ("gw12", 12),
        ("", None),
        ("master", None),
        ("gw", None),
        ("gwen", None),
        ("popen-1", None),
    ],
)
def test_the_number_of_a_worker(name: str, number: int | None) -> None:
    assert worker_number(name) == number


CONFTEST = """
import os, torch
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 2
def pytest_configure(config):
    if hasattr(config, "workerinput"):
        name = config.workerinput["workerid"]
        with open(f"seen.{name}", "w") as file:
            file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
"""


def test_under_xdist(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real workers, which believe that there is CUDA; the plugin comes before the conftest that
    looks.
    """
    monkeypatch.setenv(VARIABLE, "4,6")
    pytester.makeconftest('pytest_plugins = ["omnigrok.plugin.plugin"]\n' + CONFTEST)
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess(
        "-n", "2", "-p", "no:cacheprovider", "--gpu", "--tier", "smoke"
    )
    result.assert_outcomes(passed=1)
    assert {path.suffix[1:]: path.read_text() for path in pytester.path.glob("seen.*")} == {
        "gw0": "4",
        "gw1": "6",
    }
